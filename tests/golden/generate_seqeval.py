"""Makes seqeval.json: the entities that seqeval finds in random tags, good and bad, and its precision, recall and F1.

Read by config/entities_test.ts. Needs seqeval==1.2.2 beside requirements.txt:
    python tests/golden/generate_seqeval.py
"""

import json
import random
import warnings
from pathlib import Path

from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.metrics.sequence_labeling import get_entities

warnings.simplefilter("ignore")  # of shares of nothing, which are 0
random.seed(7)


def tags(prefixes, types):
    def one():
        prefix = random.choice(prefixes)
        return prefix if prefix == "O" else f"{prefix}-{random.choice(types)}"

    return [one() for _ in range(random.randint(0, 9))]


cases = []
for n in range(80):
    prefixes, types = random.choice(["OBI", "OI", "OBIES", "OOOIE"]), ["PER", "LOC", "A-B"][: random.randint(1, 3)]
    truth = [tags(prefixes, types) for _ in range(random.randint(1, 4))]
    # Some tags are right, so that some entities are.
    answer = [[tag if random.random() < 0.7 else random.choice(tags(prefixes, types) or ["O"]) for tag in s] for s in truth]
    cases.append({
        "truth": truth,
        "answer": answer,
        "entities": [[list(e) for e in get_entities(s)] for s in truth],
        "scores": [float(score(truth, answer)) for score in (precision_score, recall_score, f1_score)],
    })
text = json.dumps({"made_by": "generate_seqeval.py, seqeval 1.2.2", "cases": cases})
Path(__file__).with_name("seqeval.json").write_text(text + "\n")
