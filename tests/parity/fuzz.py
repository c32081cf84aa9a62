"""Compares cloze with Hugging Face `tokenizers` on random hostile strings, under every option.

    python tests/parity/fuzz.py [STRINGS] [SEED] [tokenization.py]

SEED may be a range, FIRST-LAST: so many strings of each, one slice after the other, each with its own figures.
With the path of google-research/bert's tokenization.py, with that, and with the rules of `--compat google`.

Strings are made of what makes trouble: marks of every combining class, Jamo, white space, control, format, private use
and unassigned characters, ideographs at the edges of their blocks, capitals with odd small letters, characters newer than
the tables, literal special tokens, added tokens. Ids, offsets, words and special-token masks have to be the same, from
both of cloze's ways to encode. Needs the packages of tests/golden/requirements.txt.
"""

import itertools
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import NFC, BertNormalizer, Sequence
from tokenizers import Regex, pre_tokenizers
from tokenizers.processors import TemplateProcessing

ROOT = Path(__file__).resolve().parents[2]
count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
seeds = [int(part) for part in (sys.argv[2] if len(sys.argv) > 2 else "1").split("-")]
if len(seeds) > 1:
    for seed in range(seeds[0], seeds[1] + 1):
        subprocess.run([sys.executable, __file__, str(count), str(seed), *sys.argv[3:]], check=True)
    sys.exit()
[seed] = seeds
rng = random.Random(seed)

EDGES = [0x0, 0x7F, 0x80, 0x85, 0xA0, 0xAD, 0x300, 0x345, 0x3A3, 0x3C2, 0x130, 0x131, 0x1E9E, 0x1100, 0x1112, 0x1161, 0x1175, 0x11A7, 0x11A8, 0x11C2,
         0x302E, 0x302F, 0x3130, 0x318E, 0x3400, 0x4DBF, 0x4DC0, 0x4E00, 0x9FFF, 0xA000, 0xAC00, 0xD7A3, 0xD7A4, 0xE000, 0xF8FF, 0xF900, 0xFAFF, 0xFB00, 0xFEFF,
         0xFFFD, 0xFFFE, 0xFFFF, 0x1D165, 0x1D166, 0x1D16D, 0x1D172, 0x20000, 0x2A6DF, 0x2A6E0, 0x2A700, 0x2B73F, 0x2B740, 0x2B81F, 0x2B820, 0x2B91F, 0x2B920,
         0x2CEAF, 0x2CEB0, 0x2F800, 0x2FA1F, 0xF0000, 0x10FFFD, 0x10FFFF, 0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x202E, 0x2060, 0x3000, 0x1680, 0x1FEF, 0x2260, 0x226E]
by_category = {}
for code in range(0x110000):
    if not 0xD800 <= code < 0xE000:
        by_category.setdefault(unicodedata.category(chr(code)), []).append(code)
pools = [rng.sample(codes, min(len(codes), 60)) for codes in by_category.values()]
pools += [EDGES] * 3 + [[ord(c) for c in "abcXYZ 0 .,'#[]"]] * 8 + [list(range(0xAC00, 0xAC40))] * 3
pools += [list(range(0x1100, 0x1113)) + list(range(0x1161, 0x1176)) + list(range(0x11A8, 0x11C3))] * 2
pools += [[c for c in range(0x300, 0x370)]] * 2 + [[0x338, 0x3099, 0x3C, 0x3D, 0x3E, 0x304B, 0x30AB]]
ADDED = [
    {"content": "aXb", "normalized": True},
    {"content": "Z\u00e9", "normalized": True, "single_word": True},
    {"content": "b \u6f22c", "normalized": True, "rstrip": True},
    {"content": "\uac00\uac01", "normalized": False, "single_word": True},
    {"content": "Xa", "normalized": False, "lstrip": True},
]
WHOLE = ["axb", "aXb", "z\u00e9", "ZE\u0301", "b\t\u6f22c", "\uac00\uac01", "Xa", "[MASK]", "[SEP]", "[CLS]", "##a", "\u1112\u1161\u11ab", "a" * 101, "가" * 99]


def text():
    out = []
    for _ in range(rng.randint(0, 24)):
        out.append(rng.choice(WHOLE) if rng.random() < 0.05 else chr(rng.choice(rng.choice(pools))))
    return "".join(out)


texts = [text() for _ in range(count)]
characters = {c for t in texts for u in (t, unicodedata.normalize("NFC", t), unicodedata.normalize("NFD", t.lower())) for c in u if not c.isspace()}
vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
vocabulary += [token["content"] for token in ADDED]
vocabulary += [p + c for c in sorted(characters) for p in ("", "##") if rng.random() < 0.95]
def google(path):
    from google_reference import load

    module = load(path)
    # What this Python's tables do not know, Deno's may.
    known = [t for t in texts if all(unicodedata.category(c) != "Cn" for c in t)]
    ids = {t: i for i, t in enumerate(vocabulary)}
    for lowercase in (False, True):
        basic, pieces = module.BasicTokenizer(do_lower_case=lowercase), module.WordpieceTokenizer(vocab=ids)
        rows = [{"ids": [2, *(ids[p] for w in basic.tokenize(t) for p in pieces.tokenize(w)), 3]} for t in known]
        yield {"normalizer": {"lowercase": lowercase, "nfc": False, "compat": "google"}, "max_input_chars_per_word": 200, "plain": rows}
    texts[:] = known


def compare(peer):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"texts": texts, "vocabulary": vocabulary, "added_tokens": ADDED, "cases": cases}, file)
        file.flush()
        print(f"{peer}, {len(texts)} strings, seed {seed}, {len(cases)} combinations of options", flush=True)
        sys.exit(subprocess.run(["deno", "run", "-q", "-A", str(ROOT / "tests/parity/fuzz.ts"), file.name]).returncode)


SPLIT = {
    "bert": pre_tokenizers.BertPreTokenizer(),
    "whitespace": pre_tokenizers.WhitespaceSplit(),
    "characters": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]),
}
cases = []
if len(sys.argv) > 3:
    cases = list(google(sys.argv[3]))
    compare(f"{sys.argv[3]}, Unicode {unicodedata.unidata_version}")
for lowercase, strip_accents, clean_text, handle_chinese_chars, nfc, pre_tokenizer in itertools.product((False, True), (None, False, True), (True, False), (True, False), (False, True), SPLIT):
    if pre_tokenizer != "bert" and strip_accents is False:
        continue
    tokenizer = Tokenizer(WordPiece({t: i for i, t in enumerate(vocabulary)}, unk_token="[UNK]", max_input_chars_per_word=100))
    bert = BertNormalizer(clean_text=clean_text, handle_chinese_chars=handle_chinese_chars, strip_accents=strip_accents, lowercase=lowercase)
    tokenizer.normalizer = Sequence([NFC(), bert]) if nfc else bert
    tokenizer.pre_tokenizer = SPLIT[pre_tokenizer]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    options = {"lowercase": lowercase, "strip_accents": strip_accents, "clean_text": clean_text, "handle_chinese_chars": handle_chinese_chars, "nfc": nfc, "pre_tokenizer": pre_tokenizer}
    plain = tokenizer.encode_batch(texts)
    tokenizer.add_special_tokens(vocabulary[:5])
    special = tokenizer.encode_batch(texts)
    tokenizer.add_tokens([AddedToken(**{"normalized": False, **token}) for token in ADDED])
    added = tokenizer.encode_batch(texts)
    rows = [{"ids": e.ids, "offsets": e.offsets, "words": e.word_ids, "special_tokens_mask": e.special_tokens_mask} for e in plain]
    cases.append({"normalizer": options, "plain": rows, "special": [e.ids for e in special], "added": [{"ids": e.ids, "offsets": e.offsets} for e in added]})
compare(f"tokenizers {tokenizers.__version__}")
