"""Hugging Face `tokenizers` as the peer of bench/tokenizer.ts; not used by the product.

encode-MODEL TEXT VOCAB: answers each line of standard input with {"ms", "tokens"} for encoding the text's lines, which are in
memory as a list of str. The normalizer is BertNormalizer alone, as BertTokenizerFast has it; cloze composes (NFC), too.
train-MODEL TEXT SIZE OUT: learns a vocabulary from the file and answers with {"ms", "cpu_s", "peak_mb"}. MODEL is wordpiece or unigram, whose VOCAB
is a tokenizer.json.
"""

import json
import resource
import sys
import time

from tokenizers import Tokenizer
from tokenizers.models import Unigram, WordPiece
from tokenizers.normalizers import NFC, BertNormalizer, Nmt
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import BertPreTokenizer, Metaspace, Sequence, WhitespaceSplit
from tokenizers.trainers import UnigramTrainer, WordPieceTrainer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def build(model):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


what, path, *rest = sys.argv[1:]
what, model = what.split("-")
if what == "encode":
    if model == "unigram":
        tokenizer = Tokenizer.from_file(rest[0])
    else:
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
    if model == "unigram":
        tokenizer = Tokenizer(Unigram())
        tokenizer.normalizer = Normalizers([NFC(), Nmt()])
        tokenizer.pre_tokenizer = Sequence([WhitespaceSplit(), Metaspace()])
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        trainer = UnigramTrainer(vocab_size=int(rest[0]), special_tokens=special, unk_token="<unk>", show_progress=False)
    else:
        tokenizer = build(WordPiece(unk_token="[UNK]"))
        trainer = WordPieceTrainer(vocab_size=int(rest[0]), min_frequency=2, limit_alphabet=6000, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train([path], trainer)
    ms = (time.perf_counter() - start) * 1e3
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu_s = time.process_time()
    if model == "unigram":
        tokenizer.save(rest[1])
        print(json.dumps({"ms": ms, "cpu_s": cpu_s, "peak_mb": peak_mb}))
        sys.exit()
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    open(rest[1], "w", encoding="utf-8").write("".join(token + "\n" for token, _ in vocabulary))
    print(json.dumps({"ms": ms, "cpu_s": cpu_s, "peak_mb": peak_mb}))
