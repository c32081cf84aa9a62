"""Shows that cloze and transformers compute the same on random models of each family, in every form that people have, and
that what cloze makes of them loads in transformers with nothing missing and nothing left over.

    python tests/parity/families.py [FAMILY…] [--models N] [--seed N]

For each model: classes with the family's masked-LM head, one that classifies texts and one that tags words, random shapes and
weights, a tokenizer that cloze learned, saved by transformers whole, in shards or as pytorch_model.bin, in f32, f16 or bf16, and as a bare encoder. The
logits of the fused engine and of the candle engine are compared with transformers'; those of bf16 may be as wrong as
transformers' own in bf16 (see ROUNDING). Then cloze goes on with the model for a step, adds tokens to it and fine-tunes
classifiers of texts and of words; transformers loads the results and gives their logits. Needs the packages of tests/golden/requirements.txt, and the
core built.
"""

import argparse
import copy
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
# Of any logit in f32, from transformers' in f64.
TOLERANCE = 1e-4
# With weights as large as these no fixed limit would always do: bf16 is off by a tenth of a logit, and a few f32 by more than
# TOLERANCE, transformers' as well. Then the root mean square may be so many times that of transformers: of its f32; of its
# autocast or its model of bf16, whichever is more. All round the same numbers at other places, so that each is ahead by
# chance: over random models of five families cloze's bf16 was off 0.3 to 1.6 times as far as the larger one.
ROUNDING = 2.0
# Prefix of the classes, and how the tokenizer is made. weights.py takes these too.
FAMILIES = {
    "bert": ("Bert", ["wordpiece"]),
    "megatron-bert": ("MegatronBert", ["wordpiece"]),
    "roberta": ("Roberta", ["bpe", "klue"]),
    "xlm-roberta": ("XLMRoberta", ["unigram"]),
    "camembert": ("Camembert", ["unigram"]),
    "distilbert": ("DistilBert", ["wordpiece"]),
    "electra": ("Electra", ["wordpiece"]),
    "modernbert": ("ModernBert", ["bpe", "wordpiece"]),
}
WORDS = "the quick brown fox jumps over a lazy dog 나는 학교에 간다 영화가 정말 재미있다 naïve café".split()
BLANK = "____"
LINES = ["the quick ____ jumps", "나는 ____ 간다", "____", "a ____ dog ____ over the café, naïve!", "lazy ____ <pad> dog [PAD] fox ____ a"]


def deno(*command, stdin=None):
    run = subprocess.run(["deno", "run", "-q", "-A", *map(str, command)], cwd=ROOT, input=stdin, text=True, capture_output=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{run.stdout}{run.stderr}")
    return run.stdout


def tokenizer_folder(kind, place):
    text = place / "text.txt"
    text.write_text("".join(" ".join(random.choices(WORDS, k=random.randrange(4, 12))) + ".\n" for _ in range(300)))
    folder = place / "tokenizer"
    if kind == "klue":  # a WordPiece vocabulary in RoBERTa's order, beside config.json of RoBERTa
        folder.mkdir()
        pieces = sorted({c for word in WORDS for c in word})
        words = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]", ".", ",", "!", *WORDS, *pieces, *(f"##{c}" for c in pieces)]
        (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(words)) + "\n")
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": False}))
    else:
        deno("cli/main.ts", "train-tokenizer", "--data", text, "--model", kind, "--vocab-size", 300, "--output", folder)
    return folder, text


def config_of(prefix, kind, tokenizer, labels):
    heads = random.choice([1, 2, 3, 4])
    pad = tokenizer.pad_token_id
    fields = dict(
        vocab_size=len(tokenizer) + random.randrange(9), hidden_size=heads * random.choice([8, 16, 24]),
        num_hidden_layers=random.randrange(1, 4), num_attention_heads=heads, intermediate_size=random.randrange(3, 50),
        max_position_embeddings=random.randrange(60, 90), pad_token_id=pad, num_labels=labels, initializer_range=0.3,
        layer_norm_eps=random.choice([1e-12, 1e-5, 1e-3]), hidden_act=random.choice(["gelu", "gelu_new", "relu"]),
        tie_word_embeddings=random.random() < 0.8, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )
    if prefix == "ModernBert":
        return transformers.ModernBertConfig(**modernbert(fields, tokenizer))
    if kind != "wordpiece":
        fields["type_vocab_size"] = random.choice([1, 2])
    if prefix == "Electra":
        fields["embedding_size"] = random.choice([fields["hidden_size"], 8, 40])
    if prefix == "DistilBert":
        del fields["layer_norm_eps"]
        fields["activation"] = fields.pop("hidden_act")
        fields["hidden_dim"] = fields.pop("intermediate_size")
        fields["sinusoidal_pos_embds"] = random.random() < 0.5
    return getattr(transformers, prefix + "Config")(**fields)


def modernbert(fields, tokenizer):
    """The same under its names, with fields of its own; most lines are longer than the windows."""
    fields["norm_eps"], fields["hidden_activation"] = fields.pop("layer_norm_eps"), fields.pop("hidden_act")
    flags = {name: random.random() < 0.3 for name in ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias")}
    return fields | flags | dict(
        num_hidden_layers=random.randrange(1, 6), local_attention=random.choice([2, 5, 12]),
        global_attn_every_n_layers=random.randrange(1, 4), global_rope_theta=random.choice([160000.0, 500.0]),
        local_rope_theta=random.choice([10000.0, 50.0]), classifier_activation=random.choice(["gelu", "silu"]),
        classifier_pooling=random.choice(["cls", "mean"]), cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
    )


def random_model(prefix, head, config):
    model = getattr(transformers, prefix + head)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def save(model, tokenizer, folder, form, dtype):
    """Saves it and returns a model with the values that were saved."""
    saved = model.to(dtype)
    folder.mkdir()
    if form == "bin":
        saved.config.architectures = [type(model).__name__]
        saved.config.save_pretrained(folder)
        torch.save(saved.state_dict(), folder / "pytorch_model.bin")
    else:
        saved.save_pretrained(folder, max_shard_size="9KB" if form == "sharded" else "5GB")
    for file in Path(tokenizer).iterdir():
        shutil.copy(file, folder)
    # Made anew: what is no parameter, as ModernBERT's frequencies, was rounded with the rest, but is not saved.
    fresh = type(model)(model.config).eval()
    fresh.load_state_dict(saved.float().state_dict())
    return fresh


def logits(model, tokenizer, line):
    # Without token types: a model of one type has no row for a second.
    ids = tokenizer(line.replace(BLANK, tokenizer.mask_token), return_tensors="pt")["input_ids"]
    with torch.no_grad():
        output = model(input_ids=ids).logits[0]
    if output.dim() == 1 or "TokenClassification" in type(model).__name__:
        return ids[0].tolist(), output
    return ids[0].tolist(), output[ids[0] == tokenizer.mask_token_id]


def cloze_logits(name, lines, expected, tokenizer, folder, *flags):
    text = "\n".join(line.replace(BLANK, tokenizer.mask_token) for line in lines)
    [found] = json.loads(deno("tests/parity/dump_logits.ts", *flags, folder, stdin=text))
    for line, (ids, _), mine in zip(lines, expected, found):
        if ids != mine["ids"]:
            sys.exit(f"{name}: ids differ for {line!r}\n  transformers {ids}\n  cloze        {mine['ids']}")
    return torch.cat([torch.tensor(mine["logits"] or mine["sequence_logits"]) for mine in found])


def rounded_logits(model, tokenizer, lines):
    """What transformers gives in bf16: under autocast, and with a model of bf16."""
    flat = lambda model: torch.cat([logits(model, tokenizer, line)[1].float().flatten() for line in lines])
    with torch.autocast("cpu", torch.bfloat16):
        yield flat(model)
    pure = type(model)(model.config).eval()
    pure.load_state_dict(model.state_dict())
    yield flat(pure.bfloat16())


def compare(name, model, tokenizer, folder, settings=((), ("--dtype=bf16",), ("--engine=candle",))):
    figures, lines = [], LINES + [f"{a} {BLANK} {b} {c}" for a, b, c in (random.choices(WORDS, k=3) for _ in range(10))]
    expected = [logits(model, tokenizer, line) for line in lines]
    flat = lambda pairs: torch.cat([values.flatten().double() for _, values in pairs])
    double = copy.deepcopy(model).double()
    exact = flat(logits(double, tokenizer, line) for line in lines)
    deviation = lambda found: float((found - exact).square().mean().sqrt())
    for flags in settings:
        found = cloze_logits(name, lines, expected, tokenizer, folder, *flags)
        worst = float((found - exact).abs().max())
        figures.append(f"{' '.join(flags) or 'f32'} {worst:.1e}")
        if "--dtype=bf16" not in flags and worst <= TOLERANCE:
            continue
        others = rounded_logits(model, tokenizer, lines) if "--dtype=bf16" in flags else [flat(expected)]
        mine, theirs = deviation(found), [deviation(other) for other in others]
        figures[-1] += f" (rms {mine:.1e}; transformers {' and '.join(f'{other:.1e}' for other in theirs)})"
        if not mine <= ROUNDING * max(theirs):
            sys.exit(f"{name}: {figures[-1]}")
    print(f"{name}: {', '.join(figures)}", flush=True)


def loaded(prefix, head, folder):
    model, info = getattr(transformers, prefix + head).from_pretrained(folder, output_loading_info=True)
    wrong = {key: value for key, value in info.items() if value}
    if wrong:
        sys.exit(f"transformers loads {folder} with {wrong}")
    return model.eval()


def check(family, number, place):
    prefix, kinds = FAMILIES[family]
    kind = kinds[number % len(kinds)]
    name = f"{family} {number} ({kind})"
    tokens, text = tokenizer_folder(kind, place)
    if kind == "klue":
        tokenizer = transformers.BertTokenizer.from_pretrained(tokens)
    else:
        tokenizer = AutoTokenizer.from_pretrained(tokens)
    labels = random.randrange(2, 5)
    config = config_of(prefix, kind, tokenizer, labels)
    form, dtype = random.choice(["whole", "sharded", "bin"]), random.choice([torch.float32, torch.float16, torch.bfloat16])
    about = f"{form}, {str(dtype)[6:]}, {config.hidden_size}x{config.num_hidden_layers}, {'' if config.tie_word_embeddings else 'not '}tied"
    masked = save(random_model(prefix, "ForMaskedLM", config), tokens, place / "masked", form, dtype)
    compare(f"{name}, {about}, masked LM", masked, tokenizer, place / "masked")
    classes = save(random_model(prefix, "ForSequenceClassification", config), tokens, place / "classes", form, dtype)
    compare(f"{name}, {about}, classifier", classes, tokenizer, place / "classes")
    tags = save(random_model(prefix, "ForTokenClassification", config), tokens, place / "tags", form, dtype)
    compare(f"{name}, {about}, token classifier", tags, tokenizer, place / "tags")
    # Of ELECTRA, what is published to fine-tune is the discriminator.
    bare = "ForPreTraining" if prefix == "Electra" else "Model"
    save(random_model(prefix, bare, config), tokens, place / "bare", form, dtype)
    short = ["--steps", 1, "--batch-tokens", 64, "--max-sequence-length", 16, "--threads", 1]
    for start in ["masked", "bare"]:
        out = place / f"{start}-next"
        deno("cli/main.ts", "pretrain", "--from", place / start, "--data", text, "--output", out, *short)
        compare(f"{name}: {start} trained for a step", loaded(prefix, "ForMaskedLM", out), AutoTokenizer.from_pretrained(out), out, [()])
        tsv = place / "labels.tsv"
        tsv.write_text("text\tlabel\n" + "".join(f"{' '.join(random.choices(WORDS, k=5))}\t{i % 2}\n" for i in range(40)))
        out = place / f"{start}-classes"
        deno("cli/main.ts", "finetune", "--model", place / start, "--train", tsv, "--valid", tsv, "--epochs", 1, "--threads", 1, "--output", out)
        compare(f"{name}: {start} fine-tuned", loaded(prefix, "ForSequenceClassification", out), AutoTokenizer.from_pretrained(out), out, [()])
        conll = place / "tags.conll"
        conll.write_text("".join(f"{random.choice(WORDS)} {random.choice(['O', 'B-X', 'I-X'])}\n" + "\n" * (i % 5 == 0) for i in range(200)))
        out = place / f"{start}-tags"
        deno("cli/main.ts", "finetune", "--model", place / start, "--train", conll, "--valid", conll, "--epochs", 1, "--threads", 1, "--output", out)
        compare(f"{name}: {start} fine-tuned to tag", loaded(prefix, "ForTokenClassification", out), AutoTokenizer.from_pretrained(out), out, [()])
    out = place / "extended"
    (place / "new.txt").write_text("lazydog\n재미\n")
    new = ["--tokens", place / "new.txt"] if kind in ("wordpiece", "klue") else ["--special-token", "[URL]", "--special-token", "[N]"]
    deno("cli/main.ts", "extend-vocab", "--model", place / "masked", *new, "--output", out)
    compare(f"{name}: with more tokens", loaded(prefix, "ForMaskedLM", out).float(), AutoTokenizer.from_pretrained(out), out, [()])


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser()
    parser.add_argument("families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--models", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for family in asked.families:
        for number in range(asked.models):
            random.seed(asked.seed * 1000 + number)
            torch.manual_seed(asked.seed * 1000 + number)
            with tempfile.TemporaryDirectory() as temporary:
                check(family, number, Path(temporary))
    print("all the same")
