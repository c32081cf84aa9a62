"""Shows that cloze goes on with a model that transformers made: of each family a small one with random weights, with transformers'
own classes and a tokenizer of the family, on real text.

    python tests/parity/going_on.py DATA_FOLDER [FAMILY…] [--steps N]

DATA_FOLDER has ko/nsmc.train.txt.gz, ko/nsmc.valid.txt and ko/nsmc.labeled.{train,valid}.tsv. For each family: the tokenizer is
learned by `tokenizers` from the first reviews, `pretrain --from` takes a few updates on them, and held-out loss has to fall below
that of the folder it began with; `predict` fills a blank; `finetune` learns from 400 labeled reviews, and its classifier answers.
transformers loads the results with nothing missing and nothing left over, and its class probabilities are the same. Prints what
came of each. Needs the packages of tests/golden/requirements.txt, and the core built.
"""

import argparse
import gzip
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

from families import FAMILIES, ROOT, loaded

BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LINES = ["이 영화는 정말 ____.", "____ 재미있게 봤습니다", "연기가 ____ 좋았다"]


def cloze(*args, stdin=""):
    command = ["deno", "run", "-q", "-A", str(ROOT / "cli/main.ts"), *map(str, args)]
    run = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(map(str, args))}\n{run.stdout}{run.stderr}")
    return run.stdout


def learned(model, trainer, pre_tokenizer, lines):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(lines, trainer)
    return json.loads(tokenizer.to_str())["model"]


def tokenizer_of(family, lines):
    if family in ("distilbert", "electra"):
        trainer = trainers.WordPieceTrainer(vocab_size=4000, special_tokens=BERT, show_progress=False)
        vocab = learned(models.WordPiece(unk_token="[UNK]"), trainer, pre_tokenizers.BertPreTokenizer(), lines)["vocab"]
        return getattr(transformers, {"distilbert": "DistilBertTokenizer", "electra": "ElectraTokenizer"}[family])(vocab=vocab, do_lower_case=False)
    if family in ("xlm-roberta", "camembert"):
        trainer = trainers.UnigramTrainer(vocab_size=4000, special_tokens=ROBERTA, unk_token="<unk>", show_progress=False)
        pieces = learned(models.Unigram(), trainer, pre_tokenizers.Metaspace(), lines)["vocab"]
        return getattr(transformers, FAMILIES[family][0] + "Tokenizer")(vocab=[tuple(piece) for piece in pieces])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ROBERTA if family == "roberta" else BERT
    trainer = trainers.BpeTrainer(vocab_size=4000, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    bpe = learned(models.BPE(), trainer, pre_tokenizers.ByteLevel(add_prefix_space=False), lines)
    merges = [tuple(pair) for pair in bpe["merges"]]
    if family == "roberta":
        return transformers.RobertaTokenizer(vocab=bpe["vocab"], merges=merges)
    whole = Tokenizer(models.BPE(vocab=bpe["vocab"], merges=merges))  # as ModernBERT-base has it
    whole.normalizer, whole.decoder = normalizers.NFC(), decoders.ByteLevel()
    whole.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    whole.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=whole, **named)


def model_of(family, tokenizer):
    prefix = FAMILIES[family][0]
    fields = dict(vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, pad_token_id=tokenizer.pad_token_id)
    fields |= dict(max_position_embeddings=130, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
    if family == "distilbert":
        fields["hidden_dim"] = fields.pop("intermediate_size")
    if family == "electra":
        fields["embedding_size"] = 32
    if family == "modernbert":
        fields |= dict(cls_token_id=tokenizer.cls_token_id, sep_token_id=tokenizer.sep_token_id, local_attention=16, global_attn_every_n_layers=2)
    torch.manual_seed(0)
    return getattr(transformers, prefix + "ForMaskedLM")(getattr(transformers, prefix + "Config")(**fields))


def ask(folder, lines):
    answers = cloze("predict", "--model", folder, "--threads", 1, "--json", stdin="\n".join(lines) + "\n").splitlines()
    return [json.loads(answer) for answer in answers]


def loss(folder, text):
    found = json.loads(cloze("evaluate", "--model", folder, "--data", text, "--max-sequence-length", 64, "--threads", 1, "--json"))
    return found["loss"], found["tokens"]


def check(family, data, place, steps):
    with gzip.open(data / "ko/nsmc.train.txt.gz", "rt", encoding="utf-8") as file:
        lines = list(itertools.islice(file, 8000))
    base, run, tuned = place / "base", place / "run", place / "tuned"
    tokenizer = tokenizer_of(family, [line.rstrip("\n") for line in lines])
    model_of(family, tokenizer).save_pretrained(base)
    tokenizer.save_pretrained(base)
    text, valid = place / "text.txt", place / "valid.txt"
    text.write_text("".join(lines), encoding="utf-8")
    valid.write_text("".join((data / "ko/nsmc.valid.txt").read_text(encoding="utf-8").splitlines(True)[:800]), encoding="utf-8")
    size = ["--batch-tokens", 1024, "--max-sequence-length", 64, "--threads", 1]
    cloze("pretrain", "--from", base, "--data", text, "--valid", valid, "--steps", steps, "--learning-rate", "1e-3", *size, "--output", run)
    (before, tokens), (after, _) = loss(base, valid), loss(run, valid)
    if not after < before:
        sys.exit(f"{family}: the held-out loss went from {before} to {after}")
    loaded(FAMILIES[family][0], "ForMaskedLM", run)
    filled = ask(run, LINES)
    for part, count in ("train", 400), ("valid", 200):
        rows = (data / f"ko/nsmc.labeled.{part}.tsv").read_text(encoding="utf-8").splitlines(True)
        (place / f"{part}.tsv").write_text("".join(rows[: count + 1]), encoding="utf-8")
    cloze("finetune", "--model", run, "--train", place / "train.tsv", "--valid", place / "valid.tsv", "--epochs", 2, "--threads", 1, "--output", tuned)
    reviews = [line.replace("____", "영화") for line in LINES]
    answers = ask(tuned, reviews)
    classifier, words = loaded(FAMILIES[family][0], "ForSequenceClassification", tuned), AutoTokenizer.from_pretrained(tuned)
    worst = 0.0
    for review, answer in zip(reviews, answers, strict=True):
        with torch.no_grad():
            theirs = classifier(input_ids=words(review, return_tensors="pt")["input_ids"]).logits[0].softmax(-1)
        mine = {label["label"]: label["probability"] for label in answer["labels"]}
        worst = max(worst, *(abs(float(p) - mine[classifier.config.id2label[i]]) for i, p in enumerate(theirs)))
    if worst > 1e-4:
        sys.exit(f"{family}: class probabilities are {worst:.1e} from transformers'")
    rows = [json.loads(line) for line in (tuned / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    accuracy = [row["accuracy"] for row in rows if row.get("split") == "valid"][-1]
    print(f"{family}: {type(tokenizer).__name__}, {tokens} tokens held out, {before:.3f} -> {after:.3f} nats after {steps} updates; {filled[0]['sequence']};")
    print(f"  fine-tuned on 400 reviews: {accuracy:.1%} of 200 others right; class probabilities {worst:.1e} from transformers'", flush=True)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--steps", type=int, default=60)
    asked = parser.parse_args()
    for family in asked.families or ["roberta", "xlm-roberta", "camembert", "distilbert", "electra", "modernbert"]:
        with tempfile.TemporaryDirectory() as temporary:
            check(family, asked.data.resolve(), Path(temporary), asked.steps)
    print("all went on")
