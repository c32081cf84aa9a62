"""Makes bpe.json: what Hugging Face `tokenizers` makes of hostile strings under some BPE tokenizers.

Read by tokenizer/bpe/bpe_golden_test.ts. Run in a virtual environment with requirements.txt:
    python tests/golden/generate_bpe.py
tests/parity/bpe.py does the same for thousands of combinations, without keeping them.
"""

import json
import platform
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
NEWER = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEXTS = [
    "", " ", "Hello, world!  It's a test.", "it's IT'S we'LL they'Ve 'Don't' \u017fs'\u017f", "  two  spaces\tand\r\n\r\n lines \n", "x" * 120, "ab" * 60, "1234567 \u00bd\u0663 12,345.6",
    "\ub2e8\uc21c\ud568\uc744 \ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab e\u0301\u0323 \u0958 \ufb01 \u212b", "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f4\U000e0067\U000e007f", "a\u0000b\u200bc\ufeff\u00a0d\u3000e\u2028f",
    "<s>a</s> <mask> <mask>b<mask>", " [URL] x[URL]y  [URL]", "New York new york NEW YORK", "\u2581the \u2581", "\U00011440\ufffd\U0010ffff", "caf\u00e9 CAFE\u0301 \u00df\u1e9e\u0130",
]
CORPUS = TEXTS * 3 + ["the cat sees the dog's 123 tails, it's the cat's tail"] * 5


def build(normalizer, pre_tokenizer, post_processor, decoder, size=420, alphabet=True, added=(), **options):
    learner = Tokenizer(models.BPE(unk_token=options.get("unk_token")))
    learner.normalizer, learner.pre_tokenizer = normalizer, pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=1, special_tokens=SPECIAL, show_progress=False, limit_alphabet=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else [])
    learner.train_from_iterator(CORPUS, trainer)
    model = json.loads(learner.to_str())["model"]
    vocab, merges = model["vocab"], [tuple(m) for m in model["merges"]]
    if options.get("byte_fallback"):
        for byte in range(256):
            vocab.setdefault(f"<0x{byte:02X}>", len(vocab))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, **options))
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, pre_tokenizer, decoder
    tokenizer.add_special_tokens([AddedToken(t, lstrip=t == "<mask>", special=True, normalized=False) for t in SPECIAL])
    tokenizer.add_tokens(list(added))
    tokenizer.post_processor = post_processor
    return tokenizer


template = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)])
roberta = lambda trim, prefix: processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=trim, add_prefix_space=prefix)
byte_level = lambda prefix=False, regex=True: pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)
n, added = normalizers, [AddedToken("[URL]", lstrip=True, rstrip=True), AddedToken("new york", normalized=True, single_word=True)]
CASES = {
    "RoBERTa": build(None, byte_level(), roberta(True, False), decoders.ByteLevel()),
    "a space before the text, trimmed": build(None, byte_level(True), roberta(True, True), decoders.ByteLevel(), added=added),
    "ModernBERT: NFC and a template": build(n.NFC(), byte_level(), template, decoders.ByteLevel(), added=added),
    "NFKC and lower case, offsets as they are": build(n.Sequence([n.NFKC(), n.Lowercase()]), byte_level(True), roberta(False, True), decoders.ByteLevel(), added=added),
    "Llama 3's expression, whole words first": build(None, pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(NEWER), "isolated"), byte_level(regex=False)]), processors.Sequence([processors.ByteLevel(trim_offsets=True), template]), decoders.ByteLevel(), ignore_merges=True),
    "a text is a word": build(n.NFD(), byte_level(regex=False), template, decoders.ByteLevel(), size=300),
    "bytes for what is unknown": build(n.Replace(" ", "\u2581"), pre_tokenizers.Split(" ", "merged_with_previous"), template, decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]), alphabet=False, size=80, byte_fallback=True, unk_token="<unk>", fuse_unk=True),
    "one token for several unknown characters": build(None, None, template, None, alphabet=False, size=40, unk_token="<unk>", fuse_unk=True),
}
cases = []
for name, tokenizer in CASES.items():
    rows = []
    for text in TEXTS:
        e, pair = tokenizer.encode(text), tokenizer.encode(text, "a b")
        rows.append({"ids": e.ids, "offsets": e.offsets, "words": e.word_ids, "special_tokens_mask": e.special_tokens_mask, "decoded": tokenizer.decode(e.ids, skip_special_tokens=False), "pair": [pair.ids, pair.type_ids]})
    cases.append({"name": name, "tokenizer": json.loads(tokenizer.to_str()), "rows": rows})
# The trainer: what it learns of words of few letters, and of text.
learner = Tokenizer(models.BPE())
learner.normalizer, learner.pre_tokenizer = n.NFC(), byte_level(True)
learner.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, min_frequency=2, special_tokens=SPECIAL, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
model = json.loads(learner.to_str())["model"]
made_by = f"python tests/golden/generate_bpe.py, tokenizers {tokenizers.__version__}, Python {platform.python_version()}"
golden = {"made_by": made_by, "texts": TEXTS, "cases": cases, "trained": {"corpus": CORPUS, "vocab": model["vocab"], "merges": model["merges"]}}
path = Path(__file__).parent / "bpe.json"
path.write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
print(made_by, len(cases), "cases", path.stat().st_size, "bytes")
