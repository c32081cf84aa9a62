"""Compares cloze's BPE with Hugging Face `tokenizers`, for random combinations of what tokenizer.json can say.

    python tests/parity/bpe.py [TOKENIZERS] [STRINGS] [SEED]     hostile strings under so many random tokenizers
    python tests/parity/bpe.py --code-points                     every code point, between letters and behind a space
    python tests/parity/bpe.py --files FILE…                     every line of text files (.txt or .txt.gz)

Ids, offsets, words, special-token masks, types of pairs and decoded text have to be the same, from every way to encode.
Needs the packages of tests/golden/requirements.txt.
"""

import gzip
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
NEWER = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
files = sys.argv[2:] if sys.argv[1:2] == ["--files"] else []
code_points = sys.argv[1:2] == ["--code-points"]
numbers = [int(a) for a in sys.argv[1:] if a.isdigit()] if not files else []
count, strings, seed = (numbers + [60, 400, 1][len(numbers):])[:3]
rng = random.Random(seed)

by_category = {}
for code in range(0x110000):
    if not 0xD800 <= code < 0xE000:
        by_category.setdefault(unicodedata.category(chr(code)), []).append(code)
POOLS = [rng.sample(codes, min(len(codes), 60)) for codes in by_category.values()]
POOLS += [[ord(c) for c in "abcXYZ  0123 .,'’_-sdtmlrve\n\r\t"]] * 16 + [[0, 0x85, 0xA0, 0x200B, 0x200C, 0x200D, 0x2028, 0x3000, 0xFEFF, 0xFFFD, 0x17F, 0x212A]] * 3
POOLS += [list(range(0xAC00, 0xAC40))] * 3 + [list(range(0x1100, 0x1113)) + list(range(0x1161, 0x1176)) + list(range(0x11A8, 0x11C3))] * 2
POOLS += [list(range(0x300, 0x370))] * 2 + [[0x338, 0x3099, 0x3C, 0x3D, 0x3E, 0x304B, 0x30AB, 0x2581]]
WHOLE = ["it's", "I'LL", "we've", " 'd", "  ", "\r\n", " \n ", "<mask>", " <mask> ", "<s>", "</s>", "the", " the", "The", "1234567", "…", "👩‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "한국어", "가" * 90, "ab" * 70, "x" * 300, "▁the", "aXb", "New York", "<0x41>"]
ADDED = ["aXb", "New York", "Z\u00e9", "b \u6f22c", "\uac00\uac01", " x", "[URL]"]


def text():
    return "".join(rng.choice(WHOLE) if rng.random() < 0.12 else chr(rng.choice(rng.choice(POOLS))) for _ in range(rng.randint(0, 30)))


def lines(name):
    raw = gzip.open(name).read() if name.endswith(".gz") else Path(name).read_bytes()
    return [line.removesuffix("\r") for line in raw.decode("utf-8-sig").split("\n")]


if files:
    TEXTS = [line for name in files for line in lines(name)]
elif code_points:
    # All planes that have characters; of the others, and of private use, the ends.
    firsts = [*range(0, 0x33480, 64), *range(0xE0000, 0xE0200, 64), 0x3FFC0, 0xDFFC0, 0xF0000, 0x10FFC0]
    parts = [[chr(code) for code in range(first, first + 64) if not 0xD800 <= code < 0xE000] for first in firsts]
    TEXTS = [t for part in parts if part for t in ("".join(f"a{c}b" for c in part), "".join(f" {c}1" for c in part))]
else:
    TEXTS = [text() for _ in range(strings)]


def normalizer():
    n = normalizers
    return rng.choice([None, None, n.NFC(), n.NFKC(), n.NFD(), n.NFKD(), n.Lowercase(), n.Sequence([n.NFC(), n.Lowercase()]), n.Sequence([n.NFKD(), n.StripAccents(), n.Lowercase()]),
                       n.Replace(" ", "▁"), n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]), n.Replace(Regex(" {2,}"), " "), n.Strip(left=rng.random() < 0.5, right=rng.random() < 0.5), n.Replace("``", '"')])


def post_processor(ids, byte_level):
    template = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])])
    trimmed = processors.ByteLevel(trim_offsets=True, add_prefix_space=rng.random() < 0.5)
    roberta = processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]), trim_offsets=rng.random() < 0.7, add_prefix_space=rng.random() < 0.5)
    return rng.choice([template, roberta, roberta, processors.BertProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"])), processors.Sequence([trimmed, template]), None])


def build(usual=False, steps=None):
    """One of RoBERTa's kind, with these normalizers, or a random one."""
    byte_level = usual or rng.random() < 0.75
    if byte_level:
        prefix = rng.random() < 0.5 and not usual
        regex = usual or rng.random() < 0.85
        p = pre_tokenizers
        pre = rng.choice([p.ByteLevel(add_prefix_space=prefix, use_regex=regex)] * 3 + [p.Sequence([p.Split(Regex(r), "isolated"), p.ByteLevel(add_prefix_space=False, use_regex=False)]) for r in (GPT2, NEWER % r"\p{N}{1,3}", NEWER % r"\p{N}")])
        if usual:
            pre = p.ByteLevel(add_prefix_space=False)
        options = {"ignore_merges": not usual and rng.random() < 0.3}
    else:
        pre = rng.choice([None, pre_tokenizers.Split(" ", "merged_with_previous")])
        options = {"unk_token": rng.choice([None, "<unk>", "<unk>"]), "fuse_unk": rng.random() < 0.5, "byte_fallback": rng.random() < 0.5, "ignore_merges": rng.random() < 0.2}
    learner = Tokenizer(models.BPE(unk_token=options.get("unk_token")))
    learner.normalizer = steps if usual else normalizer()
    learner.pre_tokenizer = pre
    trainer = trainers.BpeTrainer(vocab_size=1500 if usual else rng.choice([300, 700, 1500]), min_frequency=1, special_tokens=SPECIAL, show_progress=False, limit_alphabet=400,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if byte_level and (usual or rng.random() < 0.8) else [])
    sample = TEXTS if len(TEXTS) <= 2000 else rng.sample(TEXTS, 2000)
    learner.train_from_iterator(sample + ["the cat sees the dog's 123 tails"] * 5, trainer)
    model = json.loads(learner.to_str())["model"]
    vocab, merges = model["vocab"], [tuple(m) for m in model["merges"]]
    if options.get("byte_fallback"):
        for byte in range(256):
            vocab.setdefault(f"<0x{byte:02X}>", len(vocab))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))
    tokenizer.normalizer, tokenizer.pre_tokenizer = learner.normalizer, pre
    d = decoders
    tokenizer.decoder = d.ByteLevel() if byte_level else rng.choice([None, d.Sequence([d.Replace("▁", " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)]), d.Fuse()])
    tokenizer.add_special_tokens([AddedToken(t, lstrip=t == "<mask>" and rng.random() < 0.7, special=True, normalized=False) for t in SPECIAL])
    if not usual:
        flags = lambda: {name: rng.random() < 0.3 for name in ("lstrip", "rstrip", "single_word", "normalized", "special")}
        tokenizer.add_tokens([AddedToken(content, **flags()) for content in rng.sample(ADDED, rng.choice([0, 1, 2, 3]))])
    processor = post_processor(vocab, byte_level)
    if processor is not None:
        tokenizer.post_processor = processor
    return tokenizer


def expected(tokenizer, text, pair):
    e = tokenizer.encode(text)
    row = {"ids": e.ids, "offsets": e.offsets, "words": e.word_ids, "special_tokens_mask": e.special_tokens_mask, "decoded": tokenizer.decode(e.ids, skip_special_tokens=False), "skipped": tokenizer.decode(e.ids)}
    if pair is not None:
        both = tokenizer.encode(text, pair)
        row["pair"] = {"text": pair, "ids": both.ids, "type_ids": both.type_ids}
    return row


cases = []
USUAL = [None, normalizers.NFC(), normalizers.NFKC(), normalizers.Lowercase()] if code_points else [None]
for i in range(len(USUAL) if files or code_points else count):
    tokenizer = build(usual=bool(files) or code_points or i == 0, steps=USUAL[i % len(USUAL)])
    pairs = not (files or code_points)
    cases.append({"tokenizer": json.loads(tokenizer.to_str()), "rows": [expected(tokenizer, t, TEXTS[(k * 7 + 3) % len(TEXTS)] if pairs and k % 5 == 0 else None) for k, t in enumerate(TEXTS)]})
with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
    file.write(json.dumps(TEXTS) + "\n")
    for case in cases:
        file.write(json.dumps(case) + "\n")
    file.flush()
    print(f"tokenizers {tokenizers.__version__}, {len(TEXTS)} strings, {len(cases)} tokenizers, seed {seed}", flush=True)
    sys.exit(subprocess.run(["deno", "run", "-q", "-A", str(ROOT / "tests/parity/bpe.ts"), file.name]).returncode)
