"""Hugging Face `tokenizers` as the peer of bench/tokenizer.ts; not used by the product.

encode TEXT VOCAB: answers each line of standard input with {"ms", "tokens"} for encoding the text's lines, which are in
memory as a list of str. The normalizer is BertNormalizer alone, as BertTokenizerFast has it; cloze composes (NFC), too.
train TEXT SIZE OUT: learns a vocabulary from the file and answers with {"ms", "peak_mb"}.
"""

import json
import resource
import sys
import time

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import WordPieceTrainer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def build(model):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


what, path, *rest = sys.argv[1:]
if what == "encode":
    vocabulary = open(rest[0], encoding="utf-8").read().split("\n")[:-1]
    tokenizer = build(WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    lines = open(path, encoding="utf-8").read().removesuffix("\n").split("\n")
    sys.stdin.readline()
    print("{}", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        encodings = tokenizer.encode_batch_fast(lines, add_special_tokens=False)
        ms = (time.perf_counter() - start) * 1e3
        print(json.dumps({"ms": ms, "tokens": sum(map(len, encodings))}), flush=True)
else:
    start = time.perf_counter()
    tokenizer = build(WordPiece(unk_token="[UNK]"))
    trainer = WordPieceTrainer(vocab_size=int(rest[0]), min_frequency=2, limit_alphabet=6000, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train([path], trainer)
    ms = (time.perf_counter() - start) * 1e3
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    open(rest[1], "w", encoding="utf-8").write("".join(token + "\n" for token, _ in vocabulary))
    print(json.dumps({"ms": ms, "peak_mb": peak_mb}))
