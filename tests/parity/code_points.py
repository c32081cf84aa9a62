"""Prints, for every code point, what Hugging Face `tokenizers` takes it for, as tests/parity/code_points.ts reads it.

    python tests/parity/code_points.py > classes.json && deno run -A tests/parity/code_points.ts classes.json
"""

import json

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

clean = BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
chinese = BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False)
strip = BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
lower = BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=True)
split = BertPreTokenizer()

rows = []
for code in range(0x110000):
    if 0xD800 <= code < 0xE000:
        continue
    text = "a" + chr(code) + "b"
    cleaned = clean.normalize_str(text)
    kind = "control" if cleaned == "ab" else "space" if cleaned == "a b" else "letter"
    words = [word for word, _ in split.pre_tokenize_str(text)]
    if kind == "letter":
        kind = "space" if words == ["a", "b"] else "punctuation" if len(words) == 3 else "letter"
    if chinese.normalize_str(text) != text:
        kind = "ideograph"
    rows.append([code, kind, strip.normalize_str(text)[1:-1], lower.normalize_str(text)[1:-1]])
print(json.dumps(rows))
