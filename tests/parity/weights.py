"""Shows that cloze reads weights in every form that people have: each gives, bit for bit, the logits of a plain safetensors
file with the same values, and those are transformers'. What is broken is refused by name.

    python tests/parity/weights.py [FAMILY…] [--models N] [--seed N]

Random models of each family are saved as safetensors and as PyTorch's archives and pickles, whole and in shards, in f32, f64,
f16 and bf16, with older names, without the encoder's prefix, with the tied decoder beside the embeddings, with tensors of other
heads, with tensors that lie in their storage in other orders, and under a class of the user's own, read `--as` the family.
Needs the packages of tests/golden/requirements.txt, and the core built.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from families import FAMILIES, config_of, random_model
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefgh")]
LINES = ["a [MASK] c d", "[MASK]", "abc [MASK] gh [MASK] x y z"]
DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16}


def run(folders, *flags):
    script = ROOT / "tests/parity/dump_logits.ts"
    command = ["deno", "run", "-q", "-A", str(script), *flags, *map(str, folders)]
    return subprocess.run(command, input="\n".join(LINES), text=True, capture_output=True)


def cloze(folders, *flags):
    done = run(folders, *flags)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


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


def with_others(prefix):
    """Heads that the model has not, and a buffer."""
    return lambda tensors: {
        f"{prefix}embeddings.position_ids": torch.arange(7)[None],
        f"{prefix}pooler.dense.weight": torch.randn(8, 8),
        f"{prefix}pooler.dense.bias": torch.randn(8),
        "crf.transitions": torch.randn(3, 3),
        **tensors,
    }


def old_bias(tensors):
    return {"cls.predictions.decoder.bias" if k == "cls.predictions.bias" else k: v for k, v in tensors.items()}


def changes(family, head, model, tied):
    """What other files call the tensors, and what they have beside them."""
    prefix = model.base_model_prefix + "."
    found = {
        "no prefix": renamed(lambda k: k.removeprefix(prefix)),
        "parameters": lambda t: {k: torch.nn.Parameter(v) for k, v in t.items()},
        "transposed": transposed,
        "views": views,
    }
    if tied:
        # The values of what it is tied to, whatever was done to those.
        found["tied"] = lambda t: {**t, **{k: t[same] for k, same in tied.items()}}
    if head == "ForMaskedLM":
        found["other heads"] = with_others(prefix)
    if family in ("bert", "megatron-bert"):
        found["gamma and beta"] = renamed(lambda k: k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"))
        if head == "ForMaskedLM":
            found["the decoder's bias"] = old_bias
    return found


TORCH_ONLY = {"parameters", "transposed", "views"}


def tied_of(model):
    """The parameters that are others under a second name, and those others, the encoder's first."""
    names, first = {}, {}
    of_encoder = lambda item: not item[0].startswith(model.base_model_prefix)
    for name, value in sorted(model.state_dict(keep_vars=True).items(), key=of_encoder):
        if value.is_floating_point():
            names[name] = first.setdefault(id(value), name)
    return {name: other for name, other in names.items() if name != other}


def expected_logits(model, ids):
    with torch.no_grad():
        output = model(input_ids=torch.tensor([ids]))
    masked = torch.tensor(ids) == WORDS.index("[MASK]")
    if hasattr(output, "prediction_logits"):
        return output.prediction_logits[0][masked].flatten()
    return output.logits[0] if output.logits.dim() == 2 else output.logits[0][masked].flatten()


def broken(folder, kept):
    """Each way to break a folder, and what the message has to name."""
    first = next(iter(kept))
    FORMS["sharded safetensors"](kept, folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    yield "a missing shard", "model-00002-of-00002.safetensors"
    (folder / "model-00001-of-00002.safetensors").unlink()
    (folder / "model.safetensors.index.json").unlink()
    file = folder / "pytorch_model.bin"
    for form in ["archive", "pickle"]:
        FORMS[form](kept, folder)
        file.write_bytes(file.read_bytes()[: random.randrange(1, file.stat().st_size)])
        yield f"a truncated {form}", "pytorch_model.bin"
    file.unlink()
    safe({**kept, first: kept[first][:-1]}, folder / "model.safetensors")
    yield "another shape", first
    safe({k: v for k, v in kept.items() if k != first}, folder / "model.safetensors")
    yield "a missing tensor", first


def check(family, number):
    torch.manual_seed(number)
    random.seed(number)
    prefix, _ = FAMILIES[family]
    heads = ["ForMaskedLM", "ForSequenceClassification"] + ["ForPreTraining"] * (family in ("bert", "megatron-bert"))
    head = heads[number % len(heads)]
    with tempfile.TemporaryDirectory() as temporary:
        vocabulary = Path(temporary) / "vocab.txt"
        vocabulary.write_text("\n".join(WORDS) + "\n")
        tokenizer = transformers.BertTokenizer(str(vocabulary))
        model = random_model(prefix, head, config_of(prefix, "wordpiece", tokenizer, random.randrange(2, 5)))
        tied = tied_of(model)
        kept = {k: v.detach() for k, v in model.state_dict().items() if k not in tied and v.is_floating_point()}
        folders, names, expected = [], [], []  # the index of the folder that another one must equal

        def folder(name, same=None, **change):
            place = Path(temporary) / str(len(folders))
            place.mkdir()
            model.config.save_pretrained(place)
            saved = json.loads((place / "config.json").read_text()) | {"architectures": [type(model).__name__]} | change
            (place / "config.json").write_text(json.dumps(saved))
            (place / "vocab.txt").write_text(vocabulary.read_text())
            expected.append(len(folders) if same is None else same)
            folders.append(place)
            names.append(name)
            return place

        own = dict(model_type="own-model", architectures=[f"Own{head}"], auto_map={"AutoModel": f"modeling_own.Own{head}"})
        renamings = changes(family, head, model, tied)
        for label, dtype in DTYPES.items():
            values = {k: v.to(dtype) + (1e-12 if dtype == torch.float64 else 0) for k, v in kept.items()}
            first = len(folders)
            safe({k: v.float() for k, v in values.items()}, folder(f"{label} as f32") / "model.safetensors")
            for form, save in FORMS.items():
                save(values, folder(f"{label}, {form}", first))
            for change, make in renamings.items():
                form = random.choice(["archive", "pickle", "sharded archive", "sharded pickle"] if change in TORCH_ONLY else list(FORMS))
                FORMS[form](make(values), folder(f"{label}, {form}, {change}", first))
        safe(kept, folder("a class of its own", 0, **own) / "model.safetensors")
        found = cloze(folders, f"--as={family}")
        for name, logits, first in zip(names, found, expected):
            if logits != found[first]:
                sys.exit(f"{family} {number}: {name} gives other logits than {names[first]}")
        worst = 0.0
        for mine in found[0]:
            ours = torch.tensor(mine["logits"] or mine["sequence_logits"])
            worst = max(worst, float((expected_logits(model, mine["ids"]) - ours).abs().max()))
        for what, named in broken(folder("broken"), kept):
            done = run(folders[-1:])
            if done.returncode == 0 or named not in done.stderr or "panicked" in done.stderr:
                sys.exit(f"{family} {number}: {what} is not refused by its name, {named}:\n{done.stderr}")
    print(f"{family} {number}: {type(model).__name__}, {len(names) - 1} folders, same bits; from transformers at most {worst:.1e}", flush=True)
    if not worst <= TOLERANCE:
        sys.exit(f"{family} {number}: more than {TOLERANCE}")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser()
    parser.add_argument("families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for family in asked.families or FAMILIES:
        for number in range(asked.models):
            check(family, asked.seed * 1000 + number)
    print("all the same")
