"""Compares extended tokenizers of cloze with Hugging Face `tokenizers`, which reads the same tokenizer.json.

    python tests/parity/extension.py [SEED]      needs the packages of tests/golden/requirements.txt

extension.ts learns BPE and Unigram tokenizers from a part of a text, extends them by what another part needs and by names, and
writes what it makes of every line of both, of hostile strings, and back. Ids, offsets and decoded text have to be the same, and
each named word has to be one token.
"""

import gzip
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
data = ROOT.parent / "shared/data"
korean = gzip.open(data / "ko/nsmc.train.txt.gz", "rt").read().split("\n")[:4000]
english = (data / "en/brown.txt").read_text().split("\n")[:4000]
PARTS = ["<mask>", " <mask>", "<s>", "[URL]", "심근경색", "심근경색이", "myocardial", "xmyocardial", "it's", "  ", "\u3000", "\n", "é", "e\u0301", "👩‍👩‍👧", "漢字", "ㅋㅋ", "\u200b", "▁", "Ġ", "…", "1234"]
hostile = ["".join(rng.choice(PARTS) if rng.random() < 0.4 else chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xAC00, 0xD7A4), rng.randrange(0x20, 0x2FFF)])) for _ in range(rng.randint(0, 20))) for _ in range(2000)]
texts = korean[:1500] + english[:1500] + hostile
named = ["심근경색", "myocardial", "##색이", "ㅋㅋㅋㅋㅋ", "漢字漢字", "##ization"] + rng.sample([w for line in korean[3000:] for w in line.split() if w.isalpha()], 40)
compared = different = 0
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "in.json").write_text(json.dumps({"old": korean[:2000] + english[:2000], "new": korean[2000:] + english[2000:], "texts": texts, "named": named}))
    subprocess.run(["deno", "run", "-q", "-A", str(ROOT / "tests/parity/extension.ts"), folder], check=True)
    for made in sorted(Path(folder).glob("*/tokenizer.json")):
        ours = json.loads((made.parent / "cloze.json").read_text())
        theirs = Tokenizer.from_file(str(made))
        before = different
        for text, row, found in zip(texts, ours["rows"], theirs.encode_batch(texts, add_special_tokens=False)):
            at = [len(text.encode("utf-16-le")[: 2 * u].decode("utf-16-le", "ignore")) for u in range(len(text.encode("utf-16-le")) // 2 + 1)]
            for what, here, there in (
                ("ids", row["ids"], found.ids), ("offsets", [[at[a], at[b]] for a, b in row["offsets"]], [list(pair) for pair in found.offsets]),
                ("decoded", row["decoded"], theirs.decode(found.ids, skip_special_tokens=False)),
            ):
                compared += 1
                if here != there:
                    different += 1
                    if different < 10:
                        print(made.parent.name, what, json.dumps(text, ensure_ascii=False), here, there)
        print(f"{made.parent.name}: {theirs.get_vocab_size()} tokens, {ours['new']} of them new; {different - before} different; {ours['before']} tokens before, {ours['after']} now", flush=True)
print(f"tokenizers {tokenizers.__version__}: {compared} comparisons, {different} different")
sys.exit(different > 0)
