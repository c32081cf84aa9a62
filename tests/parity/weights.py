"""Shows that cloze reads weights in every form that people have: each gives, bit for bit, the logits of a plain safetensors
file with the same values, and those are transformers'.

    python tests/parity/weights.py [MODELS]

Random models of random shapes are saved as safetensors and as PyTorch's archives and pickles, whole and in shards, in f32,
f64, f16 and bf16, with older names, without the encoder's prefix, with tensors of other heads, and with tensors that lie in
their storage in other orders. Needs the packages of tests/golden/requirements.txt, and the core built.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefgh")]
LINES = ["a [MASK] c d", "[MASK]", "abc [MASK] gh [MASK] x y z"]
DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}


def cloze(folders):
    script = ROOT / "tests/parity/dump_logits.ts"
    command = ["deno", "run", "-q", "-A", str(script), *map(str, folders)]
    run = subprocess.run(command, input="\n".join(LINES), text=True, capture_output=True)
    if run.returncode != 0:
        sys.exit(run.stderr)
    return json.loads(run.stdout)


def shards(tensors):
    """Two dicts that share the tensors out."""
    names = list(tensors)
    random.shuffle(names)
    half = len(names) // 2
    return {k: tensors[k] for k in names[:half]}, {k: tensors[k] for k in names[half:]}


def safe(tensors, path):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, path, metadata={"format": "pt"})


def legacy(tensors, path):
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def sharded(save, stem, suffix):
    def write(tensors, folder):
        index = {}
        for i, part in enumerate(shards(tensors), 1):
            name = f"{stem}-0000{i}-of-00002.{suffix}"
            save(part, folder / name)
            index.update({k: name for k in part})
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return write


FORMS = {
    "safetensors": lambda t, f: safe(t, f / "model.safetensors"),
    "sharded safetensors": sharded(safe, "model", "safetensors"),
    "archive": lambda t, f: torch.save(t, f / "pytorch_model.bin"),
    "pickle": lambda t, f: legacy(t, f / "pytorch_model.bin"),
    "sharded archive": sharded(torch.save, "pytorch_model", "bin"),
    "sharded pickle": sharded(legacy, "pytorch_model", "bin"),
}


def transposed(tensors):
    """The same values, in another order in memory."""
    return {k: v.t().contiguous().t() if v.dim() == 2 else v for k, v in tensors.items()}


def views(tensors):
    """All tensors as views of one storage each, that begins before them and has gaps."""
    def view(tensor):
        wide = torch.empty(tensor.numel() * 2 + 3, dtype=tensor.dtype)
        part = wide[3::2][: tensor.numel()].view(tensor.shape)
        part.copy_(tensor)
        return part
    return {k: view(v) for k, v in tensors.items()}


def renamed(change):
    return lambda tensors: {change(k): v for k, v in tensors.items()}


def with_others(tensors):
    """Heads that the model has not, buffers, and the tied decoder."""
    width = tensors["bert.embeddings.LayerNorm.weight"].shape[0]
    others = {
        "bert.embeddings.position_ids": torch.arange(7)[None],
        "bert.pooler.dense.weight": torch.randn(width, width),
        "bert.pooler.dense.bias": torch.randn(width),
        "cls.seq_relationship.weight": torch.randn(2, width),
        "cls.seq_relationship.bias": torch.randn(2),
        "crf.transitions": torch.randn(3, 3),
    }
    return {**others, **tensors}


def old_bias(tensors):
    return {"cls.predictions.decoder.bias" if k == "cls.predictions.bias" else k: v for k, v in tensors.items()}


NAMES = {
    "gamma and beta": renamed(lambda k: k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")),
    "no prefix": renamed(lambda k: k.removeprefix("bert.")),
    "the decoder's bias": old_bias,
    "other heads": with_others,
    "parameters": lambda t: {k: torch.nn.Parameter(v) for k, v in t.items()},
    "transposed": transposed,
    "views": views,
}
TORCH_ONLY = {"parameters", "transposed", "views"}


def check(number):
    torch.manual_seed(number)
    random.seed(number)
    heads = random.choice([1, 2, 3, 4])
    config = BertConfig(
        vocab_size=len(WORDS) + random.randrange(9), hidden_size=heads * random.choice([4, 8, 12]),
        num_hidden_layers=random.randrange(1, 4), num_attention_heads=heads, intermediate_size=random.randrange(3, 50),
        max_position_embeddings=random.randrange(20, 40), num_labels=random.randrange(2, 5), initializer_range=0.3,
    )
    cls = [BertForMaskedLM, BertForPreTraining, BertForSequenceClassification][number % 3]
    model = cls(config).eval()
    tied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    kept = {k: v.detach() for k, v in model.state_dict().items() if k not in tied and v.is_floating_point()}
    folders, names, worst = [], [], 0.0
    with tempfile.TemporaryDirectory() as temporary:
        def folder(name):
            place = Path(temporary) / str(len(folders))
            place.mkdir()
            config.save_pretrained(place)
            saved = json.loads((place / "config.json").read_text()) | {"architectures": [cls.__name__]}
            (place / "config.json").write_text(json.dumps(saved))
            (place / "vocab.txt").write_text("\n".join(WORDS) + "\n")
            folders.append(place)
            names.append(name)
            return place

        expected = []  # the index of the folder that another one must equal
        for label, dtype in DTYPES.items():
            values = {k: v.to(dtype) + (1e-12 if dtype == torch.float64 else 0) for k, v in kept.items()}
            first = len(folders)
            safe({k: v.float() for k, v in values.items()}, folder(f"{label} as f32") / "model.safetensors")
            expected.append(first)
            for form, save in FORMS.items():
                save(values, folder(f"{label}, {form}"))
                expected.append(first)
            for change, make in NAMES.items():
                if cls is not BertForMaskedLM and change in ("the decoder's bias", "other heads"):
                    continue
                form = random.choice(["archive", "pickle", "sharded archive", "sharded pickle"] if change in TORCH_ONLY else list(FORMS))
                FORMS[form](make(values), folder(f"{label}, {form}, {change}"))
                expected.append(first)
        found = cloze(folders)
        for name, logits, first in zip(names, found, expected):
            if logits != found[first]:
                sys.exit(f"model {number}: {name} gives other logits than {names[first]}")
        tokens = [line["ids"] for line in found[0]]
        for ids, mine in zip(tokens, found[0]):
            with torch.no_grad():
                output = model(input_ids=torch.tensor([ids]))
            masked = torch.tensor(ids) == WORDS.index("[MASK]")
            theirs = {
                "BertForMaskedLM": lambda: output.logits[0][masked],
                "BertForPreTraining": lambda: output.prediction_logits[0][masked],
                "BertForSequenceClassification": lambda: output.logits[0],
            }[cls.__name__]().flatten()
            ours = torch.tensor(mine["logits"] or mine["sequence_logits"])
            worst = max(worst, float((theirs - ours).abs().max()))
    print(f"model {number}: {cls.__name__}, {len(folders)} folders, same bits; from transformers at most {worst:.1e}")
    if not worst <= TOLERANCE:
        sys.exit(f"model {number}: more than {TOLERANCE}")


transformers.logging.set_verbosity_error()
for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 6):
    check(number)
print("all the same")
