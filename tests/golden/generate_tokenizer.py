"""Makes tokenizer.json-golden: what Hugging Face `tokenizers` gives for hostile strings under every option.

Read by tokenizer/tokenizer_test.ts. Run in a virtual environment with requirements.txt:
    python tests/golden/generate_tokenizer.py
"""

import itertools
import json
import platform
from pathlib import Path

import tokenizers
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import NFC, BertNormalizer, Sequence
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

TEXTS = [
    "", " ", "Hello, World!", "In autumn the leaves fall from the trees.", "단순함을 얻기란 복잡함을 얻기보다 어렵다.",
    "\u1103\u1161\u11ab\u1109\u116e\u11ab 한글", "Caf\u00e9 cafe\u0301 CAFÉ", "naïve Ångström", "漢字かな交じり文 漢", "a\u0300\u0301b",
    "tab\there\nline\r\nend", "zero\u200bwidth\u200djoin\ufeffbom", "nul\u0000and\ufffdreplacement", "ctl\u0007bell\u0085nel",
    "non\u00a0break\u2003em\u3000ideographic", "İstanbul ΣΑΣ Straße ẞ ﬁ", "👩‍👩‍👧 emoji 🇰🇷", "$100 <b>x^2</b> `a~b|c`", "—–‐‑ “quotes” «x»",
    "。、！？「」", "don't can't", "[MASK] [CLS] [SEP]", "a" * 101, "가" * 100 + " " + "가" * 101, "x\u0345y \u0e33 \u0eb3", "\U0001d400\U0002f800\U00020000",
    "\u00ad soft\u00adhyphen", "\ue000private", "٣٤ ١", "हिन्दी", "ไทย", "\u0130\u0131", "ǅ Ǆ", "ÀÉÎÕÜ àéîõü", "\u1e9b\u0323", "ᄀ가\u11a8",
    "mixed한글and漢字と", "___ __ _", "a.b,c;d:e", "1st 2nd 3rd", "\u2028line\u2029sep", "q\u0307\u0323", "\u0344", "ﷺ",
]
characters = sorted({c for t in TEXTS for c in t if not c.isspace()} | set("abcdefghijklmnopqrstuvwxyz"))
vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "autumn", "leaves", "##es", "##한", "한글", "단순", "##함", "##을"]
for c in characters:
    for token in (c, "##" + c):
        # leave some characters out, so that [UNK] occurs
        if token not in vocabulary and ord(c) % 7 != 3:
            vocabulary.append(token)

cases = []
for lowercase, strip_accents, clean_text, handle_chinese_chars, nfc in itertools.product(
    (False, True), (None, False, True), (True, False), (True, False), (False, True)
):
    if nfc and not (clean_text and handle_chinese_chars):
        continue
    model = WordPiece({t: i for i, t in enumerate(vocabulary)}, unk_token="[UNK]", max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    bert = BertNormalizer(clean_text=clean_text, handle_chinese_chars=handle_chinese_chars, strip_accents=strip_accents, lowercase=lowercase)
    tokenizer.normalizer = Sequence([NFC(), bert]) if nfc else bert
    tokenizer.pre_tokenizer = BertPreTokenizer()
    encodings = [tokenizer.encode(t, add_special_tokens=False) for t in TEXTS]
    cases.append({
        "normalizer": {"lowercase": lowercase, "strip_accents": strip_accents, "clean_text": clean_text,
                       "handle_chinese_chars": handle_chinese_chars, "nfc": nfc},
        # offsets are checked where no composition moves them
        "encodings": [{"ids": e.ids, "offsets": [x for o in e.offsets for x in o], "words": e.word_ids} for e in encodings],
    })
# The whole way: words of at most 12 characters, special tokens in the text, [CLS] and [SEP] around it and around a pair.
tokenizer = Tokenizer(WordPiece({t: i for i, t in enumerate(vocabulary)}, unk_token="[UNK]", max_input_chars_per_word=12))
tokenizer.normalizer = BertNormalizer(lowercase=True, strip_accents=False)
tokenizer.pre_tokenizer = BertPreTokenizer()
tokenizer.post_processor = TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
)
TEMPLATES = [("[MASK] hello[SEP]", None), ("단순함을 [MASK] 한글", "hello [CLS] 한글"), ("", None), ("", ""), ("abcdefghijkl abcdefghijklm", "가" * 13)]
templates = []
for specials in (False, True):
    if specials:
        tokenizer.add_special_tokens(vocabulary[:5])
    for text, pair in TEMPLATES:
        e = tokenizer.encode(text, pair)
        templates.append({
            "specials": "all" if specials else "text", "text": text, "pair": pair, "ids": e.ids, "type_ids": e.type_ids,
            "offsets": e.offsets, "words": e.word_ids, "special_tokens_mask": e.special_tokens_mask,
        })

made_by = f"python tests/golden/generate_tokenizer.py, tokenizers {tokenizers.__version__}, Python {platform.python_version()}"
golden = {"made_by": made_by, "texts": TEXTS, "vocabulary": vocabulary, "cases": cases, "templates": templates}
path = Path(__file__).parent / "tokenizer.json"
path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
print(golden["made_by"], len(cases), "cases", path.stat().st_size, "bytes")
