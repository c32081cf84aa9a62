"""Makes tokenizer_files.json: what transformers' `AutoTokenizer` makes of small tokenizer folders.

Read by tokenizer/files_golden_test.ts. Run in a virtual environment with requirements.txt and transformers:
    python tests/golden/generate_tokenizer_files.py
tests/parity/tokenizer_files.py does the same for thousands of folders, without keeping them.
"""

import copy
import json
import os
import platform
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import tokenizers
import transformers
from transformers import AutoTokenizer

TEXTS = [
    "The cat sees [URL] and new york.", "[URL]x x[URL] [URL]", "New  York NEW YORK newyorks", "[CLS] the [SEP] [PAD] [mask] [MASK]",
    "Caf\u00e9 CAF\u00c9 caf\u00e9s", "\uac00\u6f22 a-b a.b", "  urls\tURL \u3000url", "",
]
FIVE = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "The", "cat", "##s", "see", "and", "new", "york", "url", "##x", "x", ".", "-", "a", "b", "[", "]", "caf\u00e9", "cafe", "\uac00", "\u6f22", "##\u6f22", "t", "h", "e", "c"]
VOCABULARY = FIVE + WORDS


def token(content, **flags):
    return {"content": content, **{name: False for name in ("lstrip", "rstrip", "single_word", "normalized", "special")}, **flags}


def tokenizer_json(added=(), lowercase=True, pre_tokenizer="BertPreTokenizer", vocabulary=VOCABULARY, nfc=False, longest=100, specials=FIVE, first_id=None):
    vocab = {t: i for i, t in enumerate(vocabulary)}
    piece = lambda name, type_id=0: {"SpecialToken": {"id": name, "type_id": type_id}}
    text = lambda name, type_id=0: {"Sequence": {"id": name, "type_id": type_id}}
    bert = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": lowercase}
    rows = [{"id": vocab[t], **token(t, special=True)} for t in specials]
    rows += [{"id": vocab.get(t["content"], len(vocab) if first_id is None else first_id) + i, **t} for i, t in enumerate(added)]
    split = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}, "padding": None, "added_tokens": rows,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, bert]} if nfc else bert,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, split]} if pre_tokenizer == "characters" else {"type": pre_tokenizer},
        "post_processor": {"type": "TemplateProcessing", "single": [piece("[CLS]"), text("A"), piece("[SEP]")],
                           "pair": [piece("[CLS]"), text("A"), piece("[SEP]"), text("B", 1), piece("[SEP]", 1)],
                           "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": longest, "vocab": vocab},
    }


URL, YORK = token("[URL]", special=True), token("new york", normalized=True)
fast = {"tokenizer_class": "PreTrainedTokenizerFast"}
bert = {"tokenizer_class": "BertTokenizer"}
vocab_txt = "\n".join(VOCABULARY) + "\n"
CASES = {
    "a special token outside the vocabulary": {"tokenizer.json": tokenizer_json([URL])},
    "a special token inside it, with another id in the list": {"tokenizer.json": tokenizer_json([URL], vocabulary=VOCABULARY + ["[URL]"], first_id=0)},
    "an id that is not the next one": {"tokenizer.json": tokenizer_json([URL], first_id=99)},
    "a normalized token": {"tokenizer.json": tokenizer_json([YORK])},
    "a normalized token, cased": {"tokenizer.json": tokenizer_json([YORK], lowercase=False)},
    "single words that no piece may be made of": {"tokenizer.json": tokenizer_json([token("urls", single_word=True), token("##t", single_word=True)])},
    "white space taken on both sides": {"tokenizer.json": tokenizer_json([token("[URL]", lstrip=True, rstrip=True)])},
    "white space inside, special": {"tokenizer.json": tokenizer_json([token("new york", special=True), token("York ", rstrip=True)])},
    "BERT's own tokens that are not special": {"tokenizer.json": tokenizer_json(specials=["[UNK]", "[CLS]", "[SEP]"])},
    "BERT's own tokens that the configuration names": {"tokenizer.json": tokenizer_json(specials=[]), "tokenizer_config.json": {**fast, "mask_token": "[MASK]"}},
    "whitespace": {"tokenizer.json": tokenizer_json([URL], pre_tokenizer="WhitespaceSplit"), "tokenizer_config.json": fast},
    "characters": {"tokenizer.json": tokenizer_json([URL], pre_tokenizer="characters"), "tokenizer_config.json": fast},
    "NFC": {"tokenizer.json": tokenizer_json(nfc=True, lowercase=False), "tokenizer_config.json": fast},
    "BertTokenizer that lowercases against the file": {"tokenizer.json": tokenizer_json(lowercase=False), "tokenizer_config.json": {**bert, "do_lower_case": True}},
    "BertTokenizer that does not, against the file": {"tokenizer.json": tokenizer_json(lowercase=True), "tokenizer_config.json": {**bert, "do_lower_case": False}},
    "BertTokenizer that is told nothing": {"tokenizer.json": tokenizer_json(lowercase=False), "tokenizer_config.json": bert},
    "BertTokenizer by the model's type": {"tokenizer.json": tokenizer_json(lowercase=False, nfc=True, longest=2), "config.json": {"model_type": "bert"}},
    "PreTrainedTokenizerFast, which follows the file": {"tokenizer.json": tokenizer_json(lowercase=False, longest=2), "tokenizer_config.json": {**fast, "do_lower_case": True}},
    "ConvBertTokenizer, which follows the file": {"tokenizer.json": tokenizer_json(lowercase=False), "tokenizer_config.json": {"tokenizer_class": "ConvBertTokenizer", "do_lower_case": True}},
    "strip_accents and tokenize_chinese_chars": {"vocab.txt": vocab_txt, "tokenizer_config.json": {**bert, "strip_accents": False, "tokenize_chinese_chars": False}},
    "added_tokens_decoder": {"vocab.txt": vocab_txt, "tokenizer_config.json": {**bert, "added_tokens_decoder": {"40": token("[URL]", special=True), "7": token("new york", normalized=True)}}},
    "extra and additional special tokens": {"tokenizer.json": tokenizer_json(), "tokenizer_config.json": {**fast, "additional_special_tokens": ["[URL]"], "image_token": "new york"}},
    "extra special tokens with names, and additional ones": {"tokenizer.json": tokenizer_json(), "tokenizer_config.json": {**fast, "extra_special_tokens": {"url_token": "[URL]"}, "additional_special_tokens": ["new york"]}},
    "special_tokens_map.json and added_tokens.json": {"vocab.txt": vocab_txt, "tokenizer_config.json": bert, "added_tokens.json": {"[URL]": 32, "new york": 31},
                                                      "special_tokens_map.json": {"mask_token": {**token("[MASK]"), "lstrip": True}}},
}

cases = []
for name, files in CASES.items():
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            (Path(folder) / file).write_text(content if isinstance(content, str) else json.dumps(content))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
        decoded = [tokenizer.decode(row) for row in ids]
    cases.append({"name": name, "files": copy.deepcopy(files), "ids": ids, "decoded": decoded})
made_by = f"python tests/golden/generate_tokenizer_files.py, transformers {transformers.__version__}, tokenizers {tokenizers.__version__}, Python {platform.python_version()}"
path = Path(__file__).parent / "tokenizer_files.json"
path.write_text(json.dumps({"made_by": made_by, "texts": TEXTS, "cases": cases}, ensure_ascii=True, separators=(",", ":")) + "\n")
print(made_by, len(cases), "cases", path.stat().st_size, "bytes")
