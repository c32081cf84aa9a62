"""Shows that transformers and cloze read each other's model folders and give the same logits.

    python tests/parity/huggingface_roundtrip.py FOLDER…

A FOLDER is what `cloze pretrain` (by any objective) or `cloze finetune` wrote. For each, a random model of its class is also
saved by transformers and read by cloze. Needs the packages of tests/golden/requirements.txt, and the core built.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
LINES = [
    "In autumn the [MASK] fall from the trees.",
    "단순함을 얻기란 [MASK] 얻기보다 어렵다.",
    "[MASK] is the [MASK] of all [MASK], they say!",
    "이 영화는 정말 [MASK] 보고 나서도 [MASK] 생각난다",
    "Café naïve — “quoted” 漢字 [MASK] 123,456.78",
    "The [MASK] falls.\tIt is [MASK] now.",
]


def cloze(folder):
    script = ROOT / "tests/parity/dump_logits.ts"
    run = subprocess.run(["deno", "run", "-q", "-A", str(script), str(folder)], input="\n".join(LINES), text=True, capture_output=True)
    if run.returncode != 0:
        sys.exit(run.stderr)
    return json.loads(run.stdout)[0]


def logits_of(model, inputs, mask):
    """Logits of the tokens that cloze is asked for, and of the sequence; either may be None."""
    with torch.no_grad():
        output = model(**inputs)
    masked = (inputs["input_ids"][0] == mask)
    name = type(model).__name__
    if name.endswith("ForMaskedLM"):
        return output.logits[0][masked], None
    if name.endswith("ForPreTraining"):
        return output.prediction_logits[0][masked], output.seq_relationship_logits[0]
    if name.endswith("ForSequenceClassification"):
        return None, output.logits[0]
    return output.logits[0], None


def compare(name, folder, model, tokenizer):
    model.eval()
    worst = 0.0
    for line, mine in zip(LINES, cloze(folder)):
        inputs = tokenizer(*line.split("\t"), return_tensors="pt")
        if inputs["input_ids"][0].tolist() != mine["ids"]:
            sys.exit(f"{name}: ids differ for {line!r}\n  transformers {inputs['input_ids'][0].tolist()}\n  cloze        {mine['ids']}")
        for theirs, ours in zip(logits_of(model, inputs, tokenizer.mask_token_id), (mine["logits"], mine["sequence_logits"])):
            theirs = torch.tensor([]) if theirs is None else theirs.flatten()
            if len(theirs) != len(ours):
                sys.exit(f"{name}: {len(theirs)} logits there, {len(ours)} here")
            if ours:
                worst = max(worst, float((theirs - torch.tensor(ours)).abs().max()))
    print(f"{name}: {len(LINES)} lines, same ids, largest difference of a logit {worst:.2e}")
    if not worst <= TOLERANCE:
        sys.exit(f"{name}: more than {TOLERANCE}")


def check(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    [architecture] = saved["architectures"]
    cls = getattr(transformers, architecture)
    model, info = cls.from_pretrained(folder, output_loading_info=True)
    missing = {key for key in info["missing_keys"] if "decoder" not in key}
    if missing or info["unexpected_keys"] or info["mismatched_keys"]:
        sys.exit(f"transformers loads the folder with {info}")
    compare(f"cloze's {architecture} in transformers", folder, model, tokenizer)

    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        torch.manual_seed(3)
        special = {key: saved[key] for key in ("is_decoder", "id2label", "label2id") if key in saved}
        sizes = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
        other = cls(cls.config_class(vocab_size=len(tokenizer), **sizes, **special))
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))

        def save(name, change):
            target = place / name
            other.save_pretrained(target)
            tokenizer.save_pretrained(target)
            tensors = change(load_file(target / "model.safetensors"))
            save_file({k: v.clone().contiguous() for k, v in tensors.items()}, target / "model.safetensors", metadata={"format": "pt"})
            compare(f"transformers' {architecture} in cloze, {name}", target, other, tokenizer)

        save("as saved", lambda t: t)
        if architecture.endswith("ForMaskedLM"):
            decoder = "cls.predictions.decoder."
            save("decoder absent", lambda t: {k: v for k, v in t.items() if not k.startswith(decoder)})
            save("decoder present", lambda t: {**t, decoder + "weight": t["bert.embeddings.word_embeddings.weight"], decoder + "bias": t["cls.predictions.bias"]})
        legacy = lambda k: k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        save("gamma and beta", lambda t: {legacy(k): v for k, v in t.items()})


for argument in sys.argv[1:]:
    check(Path(argument))
print("all the same")
