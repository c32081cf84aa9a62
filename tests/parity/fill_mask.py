"""Compares `cloze predict` with transformers' fill-mask pipeline, for mask tokens that take the white space before them and not.

    python tests/parity/fill_mask.py        needs the packages of tests/golden/requirements.txt

Folders are made with transformers' own classes: RoBERTa, XLM-R and CamemBERT, tiny, with random weights. For texts with a blank in
every place, the ids, the answers and their probabilities have to be the same; what the pipeline answers with special tokens cloze
leaves out. Whole lines may differ in white space: the pipeline decodes the line anew, cloze keeps what was written.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AddedToken, AutoTokenizer, pipeline

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = [
    "The <mask> sees the dog.", "The<mask> sees the dog.", "<mask> sees the dog.", "  <mask> sees.", "The dog <mask>", "The dog<mask>.",
    "The  <mask>  dog.", "The dog sees <mask>, the cat.", "이 영화는 <mask> 재미있다", "이 영화<mask> 재미있다", "(<mask>)", "A\t<mask> b", "x <mask>y",
    "The <mask> sees <mask> dog.", "<mask><mask> dog", "a <mask> <mask> b",
]


def vocabulary(model, trainer, pre_tokenizer):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train([str(ROOT / "ARCHITECTURE.md"), str(ROOT / "CONTRIBUTING.md")], trainer)
    return json.loads(tokenizer.to_str())["model"]


bpe = vocabulary(models.BPE(), trainers.BpeTrainer(vocab_size=900, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False), pre_tokenizers.ByteLevel())
unigram = vocabulary(models.Unigram(), trainers.UnigramTrainer(vocab_size=900, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False), pre_tokenizers.Metaspace())
merges = [tuple(pair) for pair in bpe["merges"]]
pieces = [tuple(piece) for piece in unigram["vocab"]]
compared = different = 0
torch.manual_seed(0)
with tempfile.TemporaryDirectory() as folder:
    for name, mask in [(name, mask) for name in ("Roberta", "XLMRoberta", "Camembert") for mask in (None, True, False)]:
        own = {} if mask is None else {"mask_token": AddedToken("<mask>", lstrip=mask, special=True, normalized=False)}
        own |= {"vocab": bpe["vocab"], "merges": merges} if name == "Roberta" else {"vocab": pieces}
        tokenizer = getattr(transformers, f"{name}Tokenizer")(**own)
        config = getattr(transformers, f"{name}Config")(
            vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, max_position_embeddings=66,
            pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, initializer_range=0.5,
        )
        place = f"{folder}/{name}-{mask}"
        getattr(transformers, f"{name}ForMaskedLM")(config).eval().save_pretrained(place)
        tokenizer.save_pretrained(place)
        loaded = AutoTokenizer.from_pretrained(place)
        fill = pipeline("fill-mask", model=place, tokenizer=loaded, top_k=12, device=-1)

        def cloze(*args):
            run = ["deno", "run", "-q", "-A", str(ROOT / "cli/main.ts"), *args]
            return subprocess.run(run, input="\n".join(TEXTS) + "\n", capture_output=True, text=True, check=True).stdout.splitlines()

        rows = [json.loads(line) for line in cloze("predict", "--model", place, "--json", "--top-k", "5")]
        ids = [[int(id) for id in line.split()] for line in cloze("tokenize", "--tokenizer", place, "--ids")]
        before = different
        for text, row, found in zip(TEXTS, rows, ids, strict=True):
            theirs = fill(text)
            blanks = [theirs] if isinstance(theirs[0], dict) else theirs
            pairs = [(found, loaded(text, add_special_tokens=False)["input_ids"])]
            for here, there in zip(row["masks"], blanks, strict=True):
                there = [answer for answer in there if answer["token"] not in loaded.all_special_ids][:5]
                pairs += [((a["id"], a["token"].strip()), (b["token"], b["token_str"].strip())) for a, b in zip(here, there, strict=True)]
                pairs += [(abs(a["probability"] - b["score"]) < 1e-4, True) for a, b in zip(here, there)]
            compared += len(pairs)
            for here, there in pairs:
                if here != there:
                    different += 1
                    print(name, mask, json.dumps(text, ensure_ascii=False), here, there)
        print(f"{name}, lstrip {loaded._tokenizer.get_added_tokens_decoder()[loaded.mask_token_id].lstrip}: {different - before} different", flush=True)
print(f"transformers {transformers.__version__}: {compared} comparisons, {different} different")
sys.exit(different > 0)
