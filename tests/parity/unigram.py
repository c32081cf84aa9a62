"""Compares cloze with Hugging Face `tokenizers` on Unigram tokenizers, under generated combinations of options.

    python tests/parity/unigram.py TEXT… [--strings N] [--cases N] [--seed N] [--code-points]

Charsmaps are those that `sentencepiece` compiles (nmt_nfkc, nfkc, and both with case folding), vocabularies are learned from
the lines of the texts. Strings are made of what makes trouble: marks, Jamo, joiners, emoji, white space, controls, ▁,
characters that a charsmap changes, special tokens, and lines of the texts. Ids, offsets, words, special-token masks, pairs
and decoded text have to be the same, and ids from every way to encode. With --code-points, every assigned code point stands
between letters, alone and doubled instead. Needs the packages of tests/golden/requirements.txt.
"""

import argparse
import io
import itertools
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers import decoders as D
from tokenizers import normalizers as N
from tokenizers import pre_tokenizers as P
from tokenizers.models import Unigram
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import UnigramTrainer

ROOT = Path(__file__).resolve().parents[2]
parser = argparse.ArgumentParser()
parser.add_argument("files", nargs="+")
for name, default in ("strings", 800), ("cases", 40), ("seed", 1):
    parser.add_argument(f"--{name}", type=int, default=default)
parser.add_argument("--code-points", action="store_true")
options = parser.parse_args()
rng = random.Random(options.seed)

lines = [line for file in options.files for line in Path(file).read_text(encoding="utf-8").split("\n")[:2000]]
EDGES = [
    0, 9, 10, 11, 12, 13, 0x7F, 0x80, 0x85, 0xA0, 0xA8, 0xAD, 0xAF, 0xB4, 0x300, 0x345, 0x3A3, 0x3C2, 0x130, 0x131, 0x1E9E, 0x1100, 0x1112, 0x1161, 0x1175,
    0x11A7, 0x11A8, 0x11C2, 0x302E, 0x302F, 0x3130, 0x314F, 0x3131, 0x318E, 0xAC00, 0xD7A3, 0xFB00, 0xFB01, 0xFEFF, 0xFFFD, 0xFFA1, 0xFFC2, 0x1D165, 0x200B,
    0x200C, 0x200D, 0x2028, 0x2029, 0x202E, 0x2060, 0x3000, 0x1680, 0x1FEF, 0x2260, 0x226E, 0x2581, 0x2026, 0x32FF, 0xFF01, 0xFF21, 0xE33, 0xEB3, 0x1F1E6,
    0x1F1E7, 0x1F3FB, 0x1F468, 0x1F469, 0x2764, 0xFE0F, 0x1F600, 0x600, 0xD4E, 0x110BD, 0x915, 0x94D, 0x937, 0x93F, 0xE31, 0xA66E, 0x1AB0,
]
by_category = {}
for code in range(0x110000):
    if not 0xD800 <= code < 0xE000:
        by_category.setdefault(unicodedata.category(chr(code)), []).append(code)
pools = [rng.sample(codes, min(len(codes), 60)) for codes in by_category.values()]
pools += [EDGES] * 5 + [[ord(c) for c in "abcXYZ 0  .,'`''``#[]<>"]] * 10 + [list(range(0xAC00, 0xAC40))] * 3 + [[0x314B, 0x3160, 0x314E, 0x315C]] * 2
pools += [list(range(0x1100, 0x1113)) + list(range(0x1161, 0x1176)) + list(range(0x11A8, 0x11C3))] * 2
pools += [list(range(0x300, 0x370))] * 2 + [[0x338, 0x3099, 0x3C, 0x3D, 0x3E, 0x304B, 0x30AB]]
WHOLE = [
    "<s>", "</s>", "<mask>", "<unk>", "<pad>", "▁", "▁a", " ▁", "  ", "   ", "``", "''", "영화", "the ", "ing", " . ", "\r\n", "é", "e\u0301", "\u1112\u1161\u11ab",
    "ㅋㅋㅋㅋㅋ", "ㅠㅠ", "aaaaaaa", "<0x41>", "한국 영화", "[X]", " [X] ", "x[X]", "aXb", "AXB",
]


def text():
    return "".join(rng.choice(WHOLE) if rng.random() < 0.15 else chr(rng.choice(rng.choice(pools))) for _ in range(rng.randint(0, 24)))


def charsmap(rule):
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines[:300]), model_writer=written, vocab_size=1200, normalization_rule_name=rule, hard_vocab_limit=False, minloglevel=2,
        character_coverage=0.98,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(written.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


maps = {rule: N.Precompiled(charsmap(rule)) for rule in ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf")}
SPACES = Regex(" {2,}")
NORMALIZERS = {
    "none": None, **maps, "nfkc alone": N.NFKC(), "nfc": N.NFC(), "nfd": N.NFD(), "nfkd": N.NFKD(), "strip": N.Strip(), "lower": N.Lowercase(), "nmt": N.Nmt(),
    "cloze": N.Sequence([N.NFC(), N.Nmt()]),
    "xlm-r": N.Sequence([maps["nmt_nfkc"], N.Replace(SPACES, " ")]),
    "t5": N.Sequence([maps["nmt_nfkc"], N.Strip(left=False, right=True), N.Replace(SPACES, "▁")]),
    "albert": N.Sequence([N.Replace("``", '"'), N.Replace("''", '"'), N.NFKD(), N.StripAccents(), N.Lowercase(), maps["nmt_nfkc"], N.Replace(SPACES, " ")]),
    "hf": N.Sequence([N.Nmt(), N.NFKC(), N.Replace(SPACES, " ")]),
    "accents": N.Sequence([N.NFD(), N.StripAccents()]), "accents alone": N.StripAccents(),
    "odd": N.Sequence([N.Replace("a b", "ba"), N.Lowercase(), N.NFC(), N.Replace("가", "  "), N.Replace(SPACES, " ")]),
    "odder": N.Sequence([N.Replace("b", ""), maps["nfkc_cf"], N.Replace("ing", "é"), N.NFD()]),
}
SCHEMES = list(itertools.product((True, False), ("always", "first", "never"), (True, False)))
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def learned(byte_fallback):
    made = Tokenizer(Unigram())
    made.normalizer = N.Sequence([N.Nmt(), N.NFKC()])
    made.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), P.Metaspace()])
    characters = len({c for line in lines for c in line})
    trainer = UnigramTrainer(vocab_size=characters + 1000, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    made.train_from_iterator(lines, trainer)
    saved = json.loads(made.to_str())
    saved["normalizer"], saved["added_tokens"] = None, []
    if byte_fallback:
        saved["model"]["vocab"] += [["<0x%02X>" % byte, -20 - byte / 1000] for byte in range(256)]
        saved["model"]["byte_fallback"] = True
    return json.dumps(saved)


bases = {fallback: learned(fallback) for fallback in (False, True)}


def tokenizer(normalizer, scheme, byte_fallback, added):
    made = Tokenizer.from_str(bases[byte_fallback])
    if NORMALIZERS[normalizer] is not None:
        made.normalizer = NORMALIZERS[normalizer]
    split, prepend, splits = scheme
    metaspace = P.Metaspace(prepend_scheme=prepend, split=splits)
    made.pre_tokenizer = P.Sequence([P.WhitespaceSplit(), metaspace]) if split else metaspace
    made.decoder = D.Metaspace(prepend_scheme=prepend)
    if byte_fallback:
        made.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    made.add_special_tokens([*SPECIALS[:4], AddedToken("<mask>", lstrip=True, normalized=False)])
    if added:
        made.add_tokens([AddedToken("[X]", normalized=False, single_word=True), AddedToken("aXb", normalized=True)])
    made.post_processor = TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return made


def compare(texts, cases):
    with tempfile.TemporaryDirectory() as folder:
        for i, case in enumerate(cases):
            Path(folder, f"{i}").mkdir()
            Path(folder, f"{i}", "tokenizer.json").write_text(case.pop("file"))
        Path(folder, "cases.json").write_text(json.dumps({"texts": texts, "cases": cases}))
        print(f"tokenizers {tokenizers.__version__}, {len(texts)} strings, seed {options.seed}, {len(cases)} tokenizers", flush=True)
        return subprocess.run(["deno", "run", "-q", "-A", str(ROOT / "tests/parity/unigram.ts"), folder]).returncode


def case(name, made, texts):
    rows = []
    for string, found in zip(texts, made.encode_batch(texts)):
        plain = found.ids[1:-1]
        rows.append({"ids": found.ids, "offsets": found.offsets, "words": found.word_ids, "special_tokens_mask": found.special_tokens_mask,
                     "decoded": made.decode(plain, skip_special_tokens=False), "pair": None if options.code_points else made.encode(string, texts[0]).ids})
    return {"name": name, "file": made.to_str(), "rows": rows}


failed = 0
if options.code_points:
    known = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (unicodedata.category(chr(c)) not in ("Cn", "Co") or c % 997 == 0)]
    for normalizer in ("nmt_nfkc", "xlm-r", "t5", "albert", "cloze", "hf"):
        for at in range(0, len(known), 60000):
            texts = [f"a{chr(c)}b {chr(c)} {chr(c)}{chr(c)}" for c in known[at : at + 60000]]
            made = tokenizer(normalizer, (normalizer != "t5", "always", True), True, False)
            failed |= compare(texts, [case(normalizer, made, texts)])
else:
    texts = [text() for _ in range(options.strings)] + rng.sample(lines, min(200, len(lines)))
    combinations = list(itertools.product(NORMALIZERS, SCHEMES, (False, True), (False, True)))
    rng.shuffle(combinations)
    failed = compare(texts, [case(str(chosen), tokenizer(*chosen), texts) for chosen in combinations[: options.cases]])
sys.exit(failed)
