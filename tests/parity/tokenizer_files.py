"""Compares cloze with transformers' `AutoTokenizer` on tokenizer folders with every field changed, alone and together.

    python tests/parity/tokenizer_files.py [FILES] [SEED]

Each folder is a random choice for every field of tokenizer.json, tokenizer_config.json, special_tokens_map.json,
added_tokens.json, vocab.txt and config.json, most of them as usual; the flags of added tokens come in all combinations. cloze
has to give the same ids for hostile text, or to refuse the folder with the name of a field. Needs the packages of
tests/golden/requirements.txt and transformers.
"""

import copy
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
import tokenizers
import transformers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)

FIVE = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "The", "cat", "##s", "##e", "see", "a", "##a", "b", "##b", ".", "[", "]", "url", "URL", "##URL", "caf\u00e9", "cafe", "\u6f22", "##\u6f22", "\uac00", "##\uac00", "a-b", "-", "x", "##x", "X", "[E1]x", "E", "1", "##1", "t"]
VOCABULARY = FIVE + WORDS
FLAGS = ("lstrip", "rstrip", "single_word", "normalized", "special")
CONTENTS = ["[URL]", "<e1>", "new york", "url", "Caf\u00c9", "\uac00\u6f22", "x-", "covid", " t", "##q", "\n", "xx"]
TEXTS = [
    "The cat sees a [MASK] .", "see [URL] by", "  [URL]  x[URL]x", "the<e1>cat <e1> <e1>", "new york NEW  YORK newyork new york.", "url URL urls xurl",
    "Caf\u00c9 caf\u00e9 CAF\u00c9s cafe\u0301", "\uac00\u6f22 \uac00 \u6f22\u6f22", "x-x- x - X-", "covid Covid COVIDs covid.", "t t  t", "##q q##q", "a\nb\n\nx", "xx xxx x x",
    "[CLS] the [SEP] [PAD] [UNK] [mask] [MASK]s", "a" * 7 + " " + "a" * 101, "a-b a.b [E1]x", "\u00a0the\u3000cat\u2028", "\u200bthe\ufeffcat\u0000 \ufffd", "", " ",
]


def maybe(usual, others, share=0.12):
    return rng.choice(others) if rng.random() < share else copy.deepcopy(usual)


def added(content, flags=None):
    token = {"content": content, **{name: rng.random() < 0.3 for name in FLAGS}}
    return {**token, **(flags or {})}


def special(content):
    return {"content": content, "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}


def bert_normalizer():
    return {"type": "BertNormalizer", "clean_text": maybe(True, [False]), "handle_chinese_chars": maybe(True, [False]), "strip_accents": maybe(None, [True, False]), "lowercase": rng.random() < 0.5}


def template(ids):
    piece = lambda name, type_id=0: {"SpecialToken": {"id": name, "type_id": type_id}}
    text = lambda name, type_id=0: {"Sequence": {"id": name, "type_id": type_id}}
    return {
        "type": "TemplateProcessing", "single": [piece("[CLS]"), text("A"), piece("[SEP]")],
        "pair": [piece("[CLS]"), text("A"), piece("[SEP]"), text("B", 1), piece("[SEP]", 1)],
        "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")},
    }


def post_processor(ids):
    usual = template(ids)
    other = {**usual, "single": usual["single"][1:]}
    wrong = copy.deepcopy(usual)
    wrong["special_tokens"]["[CLS]"]["ids"] = [7]
    typed = copy.deepcopy(usual)
    typed["single"][1]["Sequence"]["type_id"] = 1
    bert = {"type": "BertProcessing", "cls": ["[CLS]", ids["[CLS]"]], "sep": ["[SEP]", ids["[SEP]"]]}
    return maybe(usual, [None, bert, other, wrong, typed, {**bert, "sep": ["[SEP]", 8]}, {"type": "RobertaProcessing", **{k: bert[k] for k in ("cls", "sep")}, "trim_offsets": True, "add_prefix_space": False}, {"type": "Sequence", "processors": [bert]}, {"type": "ByteLevel", "trim_offsets": True, "add_prefix_space": False, "use_regex": True}])


def tokenizer_json(tokens):
    vocab = {t: i for i, t in enumerate(VOCABULARY)}
    if rng.random() < 0.4:
        extra = [t["content"] for t in tokens if rng.random() < 0.5]
        vocab.update({t: len(vocab) + i for i, t in enumerate(dict.fromkeys(t for t in extra if t not in vocab))})
    rows, size = [], len(vocab)
    for token in [special(t) for t in FIVE if rng.random() < 0.97] + tokens:
        rows.append({"id": vocab.get(token["content"], size), **token})
        size += token["content"] not in vocab
    if rows and rng.random() < 0.05:
        rng.choice(rows)["id"] += 3
    if rng.random() < 0.03:
        rng.shuffle(rows)
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": maybe(100, [6, 0, 1, 200]), "vocab": vocab}
    mutate(model, 0.04, {"type": [None, "WordLevel", "BPE"], "unk_token": ["<unk>", None], "continuing_subword_prefix": ["", "@@"], "max_input_chars_per_word": [-1, "100", 1.5, None]})
    split = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    json_ = {
        "version": "1.0", "truncation": maybe(None, [{"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}]),
        "padding": maybe(None, [{"strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}]),
        "added_tokens": rows,
        "normalizer": maybe(bert_normalizer(), [None, {"type": "NFC"}, {"type": "Sequence", "normalizers": [{"type": "NFC"}, bert_normalizer()]}, {"type": "Sequence", "normalizers": [bert_normalizer()]}, {"type": "Sequence", "normalizers": []},
                                                {"type": "Sequence", "normalizers": [bert_normalizer(), {"type": "NFC"}]}, {"type": "Sequence", "normalizers": [bert_normalizer(), bert_normalizer()]}, {"type": "Lowercase"}, {"type": "NFKC"}, {"type": "Strip", "strip_left": True, "strip_right": True},
                                                {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "b"}, bert_normalizer()]}, {"type": "BertNormalizer"}], 0.3),
        "pre_tokenizer": maybe({"type": "BertPreTokenizer"}, [{"type": "WhitespaceSplit"}, {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, split]}, {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}]}, None, {"type": "Whitespace"},
                                                              {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {**split, "behavior": "Removed"}]}, {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {**split, "pattern": {"String": "."}}]}, split,
                                                              {"type": "Digits", "individual_digits": True}, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}, {"type": "Sequence", "pretokenizers": [{"type": "BertPreTokenizer"}, {"type": "Digits", "individual_digits": True}]}], 0.25),
        "post_processor": post_processor(vocab), "decoder": maybe({"type": "WordPiece", "prefix": "##", "cleanup": True}, [None, {"type": "WordPiece", "prefix": "##", "cleanup": False}]), "model": model,
    }
    mutate(json_, 0.01, {"version": ["2.0"], "added_tokens": [None, {}], "model": [None], "normalizer": [7], "pre_tokenizer": ["x"]})
    if rows and rng.random() < 0.02:
        del rng.choice(rows)[rng.choice(FLAGS + ("content", "id"))]
    return json_


def mutate(object_, share, choices):
    for name, values in choices.items():
        if rng.random() < share:
            if rng.random() < 0.3:
                object_.pop(name, None)
            else:
                object_[name] = rng.choice(values)


CLASSES = ["BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend", "DistilBertTokenizer", "DistilBertTokenizerFast", "ElectraTokenizer", "ElectraTokenizerFast", "ConvBertTokenizerFast", "MobileBertTokenizer", "PreTrainedTokenizer",
           "LayoutLMTokenizer"]
OTHERS = ["RobertaTokenizer", "RobertaTokenizerFast", "AlbertTokenizer", "XLMRobertaTokenizer", "MPNetTokenizer", "FunnelTokenizerFast", "BertJapaneseTokenizer", "DebertaV2Tokenizer", "HerbertTokenizer", "RoFormerTokenizer", "SplinterTokenizer", "KoBertTokenizer", "DPRQuestionEncoderTokenizerFast", 7]


def named(content):
    return maybe(content, [{"__type": "AddedToken", **special(content), **{name: rng.random() < 0.5 for name in FLAGS[:4]}}, special(content)], 0.1)


def config(tokens):
    out = {}
    if rng.random() < 0.85:
        out["tokenizer_class"] = rng.choice(CLASSES) if rng.random() < 0.93 else rng.choice(OTHERS)
    for name, usual, others, share in [("do_lower_case", None, [True, False], 0.7), ("strip_accents", None, [True, False, None], 0.3), ("tokenize_chinese_chars", None, [True, False], 0.3)]:
        if rng.random() < share:
            out[name] = rng.choice(others)
    mutate(out, 0.01, {"do_lower_case": [None, "true", 1], "strip_accents": ["x"], "tokenize_chinese_chars": [None]})
    if rng.random() < 0.6:
        out.update({name + "_token": named(token) for name, token in zip(("pad", "unk", "cls", "sep", "mask"), FIVE) if rng.random() < 0.95})
    mutate(out, 0.01, {"mask_token": ["<mask>", None], "unk_token": ["<unk>", None], "cls_token": ["<s>"], "bos_token": ["<s>", None, "[CLS]"], "eos_token": ["</s>"], "image_token": ["<image>", "covid", 3]})
    mutate(out, 0.04, {"extra_special_tokens": [["[URL]", "covid"], [], None, {"url_token": "[URL]"}, ["[SEP]"], ["new york", special("xx")]], "additional_special_tokens": [["[URL]"], [], None, ["covid", {"__type": "AddedToken", **added("<e1>")}]]})
    mutate(out, 0.015, {"never_split": [None, [], ["url"]], "do_basic_tokenize": [True, False], "word_tokenizer_type": ["mecab", None, "basic"], "subword_tokenizer_type": ["character", "wordpiece"], "split_special_tokens": [True, False], "add_bos_token": [True], "clean_text": [False],
                        "model_max_length": [4], "fast_tokenizer_files": [["tokenizer.json"]], "clean_up_tokenization_spaces": [True], "truncation_side": ["left"], "max_length": [4], "padding": ["max_length"]})
    if rng.random() < 0.25:
        rows = [special(t) for t in FIVE] + [t for t in tokens if rng.random() < 0.8]
        decoder = {str(VOCABULARY.index(t["content"]) if t["content"] in VOCABULARY else len(VOCABULARY) + i): t for i, t in enumerate(rows)}
        if rng.random() < 0.1:
            for t in decoder.values():
                t.pop(rng.choice(FLAGS), None)
        out["added_tokens_decoder"] = decoder
    return out


def folder():
    tokens = [added(c) for c in rng.sample(CONTENTS, rng.choice([0, 1, 1, 2, 3]))]
    if tokens and rng.random() < 0.1:
        tokens.append(added(tokens[0]["content"]))
    files = {}
    if rng.random() < 0.85:
        files["tokenizer.json"] = tokenizer_json(copy.deepcopy(tokens))
    if rng.random() < 0.3 or not files:
        files["vocab.txt"] = maybe("\n", ["\r\n", " \n"], 0.2).join(VOCABULARY) + maybe("\n", ["", "\n\n"], 0.2)
    if rng.random() < 0.85:
        files["tokenizer_config.json"] = config(copy.deepcopy(tokens))
    if rng.random() < 0.6:
        files["config.json"] = maybe({"model_type": "bert"}, [{"model_type": t} for t in ("distilbert", "electra", "roberta", "modernbert", "convbert", "mpnet", "albert", "nobody")] + [{}, {"model_type": "bert", "tokenizer_class": rng.choice(CLASSES + OTHERS)}], 0.25)
    if rng.random() < 0.25:
        files["special_tokens_map.json"] = {**{name + "_token": rng.choice([token, special(token), {**special(token), "lstrip": True}]) for name, token in zip(("pad", "unk", "cls", "sep", "mask"), FIVE) if rng.random() < 0.9},
                                            **rng.choice([{}, {}, {"additional_special_tokens": ["[URL]"]}, {"extra_special_tokens": ["[URL]", added("covid")]}, {"bos_token": "<s>"}])}
    if rng.random() < 0.15:
        files["added_tokens.json"] = {t["content"]: len(VOCABULARY) + i for i, t in enumerate(tokens)}
    return files


def systematic():
    """One token with each combination of flags, in the vocabulary or not, under each way to normalize and to split."""
    for flags, content, in_vocabulary, lowercase in itertools.product(itertools.product((False, True), repeat=5), ("[URL]", "new york", "Caf\u00c9", "xx"), (False, True), (False, True)):
        token = {"content": content, **dict(zip(FLAGS, flags))}
        vocab = {t: i for i, t in enumerate(VOCABULARY + [content] * in_vocabulary)}
        rows = [{"id": i, **special(t)} for i, t in enumerate(FIVE)] + [{"id": len(VOCABULARY), **token}]
        yield {"tokenizer.json": {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": rows, "post_processor": template(vocab), "decoder": None,
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": lowercase},
            "pre_tokenizer": {"type": rng.choice(["BertPreTokenizer", "WhitespaceSplit"])},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocab}},
            **rng.choice([{}, {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}}, {"tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "do_lower_case": lowercase}}])}


def there(path):
    """What transformers makes of the folder: ids, or nothing if it fails."""
    try:
        # cloze takes a vocab.txt that nothing is said of for cased if it has capitals, which this one has.
        alone = not any(os.path.exists(f"{path}/{name}") for name in ("tokenizer.json", "tokenizer_config.json"))
        tokenizer = AutoTokenizer.from_pretrained(path, **({"do_lower_case": False} if alone else {}))
        rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
        whole = tokenizer(TEXTS[0])["input_ids"]
        return {"ids": rows, "template": whole != rows[0] and whole}
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return {"error": f"{type(error).__name__}: {str(error)[:100]}"}


quiet = os.open(os.devnull, os.O_WRONLY)
stderr = os.dup(2)
with tempfile.TemporaryDirectory() as place:
    folders = [*systematic(), *(folder() for _ in range(count))]
    print(f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}, {len(folders)} folders, {len(TEXTS)} texts", flush=True)
    os.dup2(quiet, 2)  # where it panics it says so at length
    with open(f"{place}/cases.jsonl", "w") as cases:
        cases.write(json.dumps(TEXTS) + "\n")
        for i, files in enumerate(folders):
            path = Path(place) / str(i)
            path.mkdir()
            for name, content in files.items():
                (path / name).write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
            cases.write(json.dumps({"folder": str(path), **there(str(path))}) + "\n")
    os.dup2(stderr, 2)
    sys.exit(subprocess.run(["deno", "run", "-q", "-A", str(ROOT / "tests/parity/tokenizer_files.ts"), f"{place}/cases.jsonl"]).returncode)
