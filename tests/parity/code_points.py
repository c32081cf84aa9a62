"""Prints, for every code point, what Hugging Face `tokenizers` takes it for, as tests/parity/code_points.ts reads it.

    python tests/parity/code_points.py > classes.json && deno run -A tests/parity/code_points.ts classes.json

With the path of google-research/bert's tokenization.py (its TensorFlow is not needed), what Google takes it for:

    python tests/parity/code_points.py tokenization.py > classes.json && deno run -A tests/parity/code_points.ts classes.json google

Google's view is Python's Unicode tables' view: code points that this Python does not know are left out.
"""

import functools
import json
import sys
import unicodedata


def huggingface():
    from tokenizers.normalizers import NFD, BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    def bert(**chosen):
        options = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
        return BertNormalizer(**(options | chosen)).normalize_str

    clean, chinese, strip, lower = bert(clean_text=True), bert(handle_chinese_chars=True), bert(strip_accents=True), bert(lowercase=True)
    split = BertPreTokenizer()
    return clean, chinese, strip, lower, lambda text: [word for word, _ in split.pre_tokenize_str(text)], NFD().normalize_str


def google(path):
    from google_reference import load

    module = load(path)
    basic = module.BasicTokenizer(do_lower_case=False)

    def split(text):
        # what tokenize does with a text, without cleaning it first
        words = [word for token in module.whitespace_tokenize(text) for word in basic._run_split_on_punc(token)]
        return module.whitespace_tokenize(" ".join(words))

    # The end of the word is kept away: a final sigma depends on it.
    nfd = functools.partial(unicodedata.normalize, "NFD")
    return basic._clean_text, basic._tokenize_chinese_chars, basic._run_strip_accents, str.lower, split, nfd


clean, chinese, strip, lower, split, nfd = google(sys.argv[1]) if len(sys.argv) > 1 else huggingface()
rows = []
for code in range(0x110000):
    if 0xD800 <= code < 0xE000 or (len(sys.argv) > 1 and unicodedata.category(chr(code)) == "Cn"):
        continue
    text = "a" + chr(code) + "b"
    cleaned = clean(text)
    kind = "control" if cleaned == "ab" else "space" if cleaned == "a b" else "letter"
    words = split(text)
    if kind == "letter":
        kind = "space" if words == ["a", "b"] else "punctuation" if len(words) == 3 else "letter"
    if chinese(text) != text:
        kind = "ideograph"
    # Marks of class 1 go before all others and those of 240 behind them, where a code point has a class at all.
    low, high = text[1] + "\u0334", "\u0345" + text[1]
    is_sorted = nfd(low) != nfd(text[1]) + "\u0334" or nfd(high) != "\u0345" + nfd(text[1])
    rows.append([code, kind, strip(text)[1:-1], lower(text)[1:-1], is_sorted])
    if kind != "control" and kind != "space":
        upper = "A" + chr(code) + "B"
        assert strip(upper)[1:-1] == rows[-1][2] and lower(upper)[1:-1] == rows[-1][3], hex(code)
print(json.dumps(rows))
