"""Shows that transformers and cloze read each other's model folders and give the same logits.

    python tests/parity/huggingface_roundtrip.py FOLDER

FOLDER is what `cloze pretrain` wrote. Needs the packages of tests/golden/requirements.txt, and the core built.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
LINES = [
    "In autumn the [MASK] fall from the trees.",
    "단순함을 얻기란 [MASK] 얻기보다 어렵다.",
    "[MASK] is the [MASK] of all [MASK], they say!",
    "이 영화는 정말 [MASK] 보고 나서도 [MASK] 생각난다",
    "Café naïve — “quoted” 漢字 [MASK] 123,456.78",
]


def cloze(folder):
    script = ROOT / "tests/parity/dump_logits.ts"
    run = subprocess.run(["deno", "run", "-q", "-A", str(script), str(folder)], input="\n".join(LINES), text=True, capture_output=True)
    if run.returncode != 0:
        sys.exit(run.stderr)
    return json.loads(run.stdout)


def compare(name, folder, model, tokenizer):
    model.eval()
    worst = 0.0
    for line, mine in zip(LINES, cloze(folder)):
        ids = tokenizer(line)["input_ids"]
        if ids != mine["ids"]:
            sys.exit(f"{name}: ids differ for {line!r}\n  transformers {ids}\n  cloze        {mine['ids']}")
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0]
        theirs = logits[torch.tensor(ids) == tokenizer.mask_token_id].flatten()
        worst = max(worst, float((theirs - torch.tensor(mine["logits"])).abs().max()))
    print(f"{name}: {len(LINES)} lines, same ids, largest difference of a logit {worst:.2e}")
    if worst > TOLERANCE:
        sys.exit(f"{name}: more than {TOLERANCE}")


folder = Path(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(folder)
model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
missing = {key for key in info["missing_keys"] if "decoder" not in key}
if missing or info["unexpected_keys"] or info["mismatched_keys"]:
    sys.exit(f"transformers loads the folder with {info}")
compare("cloze's folder in transformers", folder, model, tokenizer)

with tempfile.TemporaryDirectory() as temporary:
    place = Path(temporary)
    torch.manual_seed(3)
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
    other = BertForMaskedLM(config)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))

    def save(name, change):
        target = place / name
        other.save_pretrained(target)
        tokenizer.save_pretrained(target)
        tensors = change(load_file(target / "model.safetensors"))
        save_file({k: v.clone().contiguous() for k, v in tensors.items()}, target / "model.safetensors", metadata={"format": "pt"})
        compare(f"transformers' folder in cloze, {name}", target, other, tokenizer)

    decoder = "cls.predictions.decoder."
    save("decoder absent", lambda t: {k: v for k, v in t.items() if not k.startswith(decoder)})
    save("decoder present", lambda t: {**t, decoder + "weight": t["bert.embeddings.word_embeddings.weight"], decoder + "bias": t["cls.predictions.bias"]})
    legacy = lambda k: k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    save("gamma and beta", lambda t: {legacy(k): v for k, v in t.items()})
print("all the same")
