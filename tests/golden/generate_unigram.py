"""Makes tests/golden/unigram.json: what Hugging Face `tokenizers` makes of texts with small Unigram tokenizers.

    python tests/golden/generate_unigram.py && deno fmt tests/golden/unigram.json

The charsmap is SentencePiece's, compiled from the few rules below; the vocabulary is learned from the sentences below. Needs
the packages of tests/golden/requirements.txt.
"""

import io
import json
from pathlib import Path

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, and the dog does not care.",
    "A lazy dog sleeps; the quick fox quickly jumps over it and over it again.",
    "It was the best of times, it was the worst of times.",
    "이 영화는 정말 재미있다. 정말 재미있는 영화였다.",
    "영화가 재미없다고 하는 사람도 있다 ㅋㅋㅋㅋ ㅠㅠ",
    "배우들의 연기가 정말 좋았다. 연기가 좋은 배우들이다.",
    "café résumé naïve \u00e9t\u00e9 über Straße",
]
# What becomes what, as code points: composition, compatibility, spaces, removal, growth, a prefix of another rule.
RULES = {
    "\u0009": " ", "\u000a": " ", "\u000d": " ", "\u00a0": " ", "\u3000": " ", "\u2581": " ", "\u0001": "", "\u00ad": "",
    "e\u0301": "\u00e9", "u\u0308": "\u00fc", "a\u0323\u0306": "\u1eb7", "\u2026": "...", "\ufb01": "fi", "\uff21": "A", "\u3300": "\u30a2\u30d1\u30fc\u30c8",
    "\u314b": "\u110f", "\u3160": "\u1172", "\u1112\u1161": "\ud558", "\u0112\u0301": "\u1e16", "\u0130": "i", "\u00a8": " \u0308", "\U0001d400": "A",
}
TEXTS = [
    "", " ", "The quick brown fox.", " the  lazy   dog ", "이 영화는 정말 재미있다.", "ㅋㅋㅋ ㅠㅠ 연기가…", "cafe\u0301 u\u0308ber",
    "e\u0301\u0323x a\u0323\u0306 a\u0306\u0323", "\uff21\u0301\uff21", "\ufb01ne \u3300 \u00ad\u00ad the", "a\u0001b \u0001 c", "\u0001the", "the\u00a0dog\u3000fox", "x\t\ny\r\nz",
    "\u2581the \u2581 \u2581\u2581dog", "<s> the </s>", "the <mask> dog<mask>fox <mask>", "[X] the[X]dog [X]", "\u1112\u1161\u11ab 한", "Ⓐ☃\U0001f600 unknown ☃☃",
    "\U0001f468\u200d\U0001f469 \U0001f1f0\U0001f1f7", "``quoted'' text", "the the the the the the", "jumpsjumpsjumps", "\u0112\u0301 \u0130 \u00a8 \U0001d400", "<unk> ☃<unk>☃", "A" * 40,
]


def charsmap():
    tsv = Path("/tmp/unigram_rules.tsv")
    codes = lambda text: " ".join(f"{ord(c):X}" for c in text)
    tsv.write_text("".join(f"{codes(old)}\t{codes(new)}\n" for old, new in RULES.items()))
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=written, vocab_size=300, hard_vocab_limit=False, normalization_rule_tsv=str(tsv), minloglevel=2
    )
    tsv.unlink()
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(written.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


MAP = charsmap()
SPACES = Regex(" {2,}")
precompiled = normalizers.Precompiled(MAP)
NORMALIZERS = {
    "xlm-r": normalizers.Sequence([precompiled, normalizers.Replace(SPACES, " ")]),
    "t5": normalizers.Sequence([precompiled, normalizers.Strip(left=False, right=True), normalizers.Replace(SPACES, "▁")]),
    "albert": normalizers.Sequence(
        [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), precompiled]
    ),
    "cloze": normalizers.Sequence([normalizers.NFC(), normalizers.Nmt()]),
    "bytes": normalizers.NFKC(),
}
METASPACE = {
    "xlm-r": (True, "always", True), "t5": (False, "always", True), "albert": (True, "never", True), "cloze": (True, "always", True), "bytes": (False, "first", False)
}


def tokenizer(name):
    made = Tokenizer(models.Unigram())
    made.normalizer = NORMALIZERS[name]
    split, scheme, splits = METASPACE[name]
    metaspace = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=splits)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator(SENTENCES, trainers.UnigramTrainer(vocab_size=220, special_tokens=specials, unk_token="<unk>", show_progress=False))
    saved = json.loads(made.to_str())
    # The trainer's own order changes from run to run.
    saved["model"]["vocab"] = saved["model"]["vocab"][:5] + sorted(saved["model"]["vocab"][5:])
    if name == "bytes":
        saved["model"]["vocab"] += [[f"<0x{byte:02X}>", -12.0] for byte in range(256)]
        saved["model"]["byte_fallback"] = True
    saved["added_tokens"] = []
    made = Tokenizer.from_str(json.dumps(saved))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), metaspace]) if split else metaspace
    made.decoder = decoders.Metaspace(prepend_scheme=scheme)
    if name == "bytes":
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    made.add_special_tokens([*specials[:4], AddedToken("<mask>", lstrip=True, normalized=False), "[X]"])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


cases = []
for name in NORMALIZERS:
    made = tokenizer(name)
    rows = []
    for text, encoding in zip(TEXTS, made.encode_batch(TEXTS)):
        plain = made.encode(text, add_special_tokens=False).ids
        rows.append({
            "ids": encoding.ids, "offsets": encoding.offsets, "words": encoding.word_ids, "special_tokens_mask": encoding.special_tokens_mask,
            "decoded": made.decode(plain, skip_special_tokens=False), "pair": made.encode(text, "the dog").ids,
        })
    cases.append({"name": name, "file": json.loads(made.to_str()), "rows": rows})
golden = {"command": "python tests/golden/generate_unigram.py", "tokenizers": tokenizers.__version__, "sentencepiece": sentencepiece.__version__, "texts": TEXTS, "cases": cases}
Path(__file__).with_name("unigram.json").write_text(json.dumps(golden, ensure_ascii=True, separators=(",", ":")) + "\n")
