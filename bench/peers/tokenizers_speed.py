"""Hugging Face `tokenizers` as the peer of bench/tokenizer.ts; not used by the product.

encode-MODEL TEXT VOCAB: answers each line of standard input with {"ms", "cpu_ms", "tokens"} for encoding the text's lines, which
are in memory as a list of str. VOCAB is a tokenizer.json; for wordpiece a vocab.txt, whose normalizer is BertNormalizer alone,
as BertTokenizerFast has it; cloze composes (NFC), too.
train-MODEL TEXT SIZE OUT: learns a vocabulary from the file and answers with {"ms", "cpu_s", "peak_mb"}.
MODEL is wordpiece, bpe or unigram.
"""

import json
import resource
import sys
import time

from tokenizers import Tokenizer
from tokenizers.models import BPE, Unigram, WordPiece
from tokenizers.normalizers import NFC, BertNormalizer, Nmt
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel, Metaspace, Sequence, WhitespaceSplit
from tokenizers.processors import RobertaProcessing
from tokenizers.trainers import BpeTrainer, UnigramTrainer, WordPieceTrainer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
XLM_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def build(model):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def learner(model, size):
    """A tokenizer without a vocabulary, and what trains it."""
    if model == "wordpiece":
        tokenizer = build(WordPiece(unk_token="[UNK]"))
        return tokenizer, WordPieceTrainer(
            vocab_size=size, min_frequency=2, limit_alphabet=6000, special_tokens=SPECIAL, show_progress=False
        )
    if model == "bpe":
        tokenizer = Tokenizer(BPE())
        tokenizer.normalizer = NFC()
        tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)
        return tokenizer, BpeTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=XLM_ROBERTA,
            initial_alphabet=ByteLevel.alphabet(),
            show_progress=False,
        )
    tokenizer = Tokenizer(Unigram())
    tokenizer.normalizer = Normalizers([NFC(), Nmt()])
    tokenizer.pre_tokenizer = Sequence([WhitespaceSplit(), Metaspace()])
    return tokenizer, UnigramTrainer(vocab_size=size, special_tokens=XLM_ROBERTA, unk_token="<unk>", show_progress=False)


what, path, *rest = sys.argv[1:]
what, model = what.split("-")
if what == "encode":
    if model == "wordpiece":
        vocabulary = open(rest[0], encoding="utf-8").read().split("\n")[:-1]
        tokenizer = build(WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    else:
        tokenizer = Tokenizer.from_file(rest[0])
    lines = open(path, encoding="utf-8").read().removesuffix("\n").split("\n")
    sys.stdin.readline()
    print("{}", flush=True)
    for _ in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        encodings = tokenizer.encode_batch_fast(lines, add_special_tokens=False)
        ms, cpu_ms = (time.perf_counter() - start) * 1e3, (time.process_time() - used) * 1e3
        print(json.dumps({"ms": ms, "cpu_ms": cpu_ms, "tokens": sum(map(len, encodings))}), flush=True)
else:
    start = time.perf_counter()
    tokenizer, trainer = learner(model, int(rest[0]))
    tokenizer.train([path], trainer)
    ms, cpu_s = (time.perf_counter() - start) * 1e3, time.process_time()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if model == "wordpiece":
        vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        open(rest[1], "w", encoding="utf-8").write("".join(token + "\n" for token, _ in vocabulary))
    else:
        # As the folders that cloze loads have it.
        if model == "bpe":
            tokenizer.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
        tokenizer.save(rest[1])
    print(json.dumps({"ms": ms, "cpu_s": cpu_s, "peak_mb": peak_mb}))
