"""Makes next_sentence.json: what transformers' classes with next-sentence prediction say of pairs of texts, with the weights of
bert.safetensors and megatron-bert.safetensors (generate_models.py).

Read by tests/cli/next_sentence_test.ts. Run in a virtual environment with requirements.txt:
    python tests/golden/generate_next_sentence.py
"""

import json
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

HERE = Path(__file__).parent
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"word{i}" for i in range(5, 61)]
PAIRS = [["word7 word9 word30", "word11"], ["word40", "word41 word42 word58 word6"], ["word12 word12", "word12"],
         ["word20 unheard word8", "word9 word60"], [" ".join(f"word{i}" for i in range(5, 35)), "word50 word51 word52"]]

with tempfile.TemporaryDirectory() as folder:
    Path(folder, "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    tokenizer = transformers.BertTokenizer(f"{folder}/vocab.txt")
families = {}
for family, prefix in [("bert", "Bert"), ("megatron-bert", "MegatronBert")]:
    fields = json.loads((HERE / f"{family}.json").read_text())["config"]
    config = getattr(transformers, f"{prefix}Config")(**{name: value for name, value in fields.items() if name != "model_type"})
    tensors = load_file(HERE / f"{family}.safetensors")
    # Without the decoder of its own that one of the models there has: here it is the embedding of words.
    weights = {name.removeprefix("weight."): tensor for name, tensor in tensors.items()
               if name.startswith("weight.") and "decoder" not in name}
    found = {}
    for part in ["ForPreTraining", "ForNextSentencePrediction"]:
        model = getattr(transformers, prefix + part)(config).eval()
        missing = model.load_state_dict(weights, strict=False).missing_keys
        assert not [name for name in missing if "decoder" not in name], missing
        rows = []
        for pair in PAIRS:
            batch = tokenizer(*pair, return_tensors="pt", truncation="longest_first", max_length=fields["max_position_embeddings"])
            with torch.no_grad():
                output = model(**batch)
            logits = output.seq_relationship_logits if part == "ForPreTraining" else output.logits
            rows.append(logits[0].double().softmax(-1).tolist())
        found[prefix + part] = rows
    families[family] = dict(config=fields, probabilities=found)
about = f"generate_next_sentence.py, torch {torch.__version__}, transformers {transformers.__version__}"
(HERE / "next_sentence.json").write_text(json.dumps(dict(made_by=about, vocabulary=VOCABULARY, pairs=PAIRS, families=families)) + "\n")
