"""Hugging Face `tokenizers` as the peer of bench/vocabulary_unk.ts; not used by the product.

messages LANGUAGE OUT: writes the translations of every gettext catalogue of this machine, a line each, sorted. Real text
in languages for which the measurement has none of its own.
learn TEXT TOKENIZER: learns a vocabulary from the text with WordPieceTrainer as it is, of the size of the given
tokenizer.json and with its normalizer and pre-tokenizer, and answers with what it makes of the same text:
{"size", "tokens", "unknown"}.
"""

import gettext
import glob
import json
import sys

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BATCH = 10_000


def messages(language, out):
    lines = set()
    for path in glob.glob(f"/usr/share/locale/{language}/LC_MESSAGES/*.mo"):
        with open(path, "rb") as file:
            catalogue = gettext.GNUTranslations(file)._catalog
        for source, text in catalogue.items():
            if source and text != source:
                lines.update(line.strip() for line in text.split("\n"))
    lines.discard("")
    with open(out, "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in sorted(lines, key=lambda line: hash_of(line)))


def hash_of(line):
    """An order that is the same every time and mixes the catalogues."""
    value = 0xCBF29CE484222325
    for byte in line.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def learn(path, theirs):
    given = Tokenizer.from_file(theirs)
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = given.normalizer
    tokenizer.pre_tokenizer = given.pre_tokenizer
    trainer = WordPieceTrainer(vocab_size=given.get_vocab_size(), min_frequency=2, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train([path], trainer)
    unk = tokenizer.token_to_id("[UNK]")
    tokens = unknown = 0
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")
    for first in range(0, len(lines), BATCH):
        for encoding in tokenizer.encode_batch_fast(lines[first : first + BATCH], add_special_tokens=False):
            tokens += len(encoding)
            unknown += encoding.ids.count(unk)
    print(json.dumps({"size": tokenizer.get_vocab_size(), "tokens": tokens, "unknown": unknown}))


what, *arguments = sys.argv[1:]
{"messages": messages, "learn": learn}[what](*arguments)
