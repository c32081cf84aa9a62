"""Compares cloze with transformers' `AutoTokenizer` on folders with a Unigram tokenizer.

    python tests/parity/unigram_folders.py

The tokenizers are those of tests/golden/unigram.json, in folders as XLM-R, CamemBERT and others have them: every class, older
and newer names in the configuration, with and without what stands beside tokenizer.json. Ids, offsets, words and decoded text
have to be the same, or cloze refuses the folder. Needs the packages of tests/golden/requirements.txt.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import transformers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
golden = json.loads((ROOT / "tests/golden/unigram.json").read_text())
texts = golden["texts"]
CONFIGS = [
    {}, {"add_prefix_space": False}, {"mask_token": "<mask>", "unk_token": "<unk>", "additional_special_tokens": ["[Y]"]},
    {"mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True, "normalized": False, "special": True}, "extra_special_tokens": ["[Y]"]},
    {"added_tokens_decoder": {"1": {"content": "<pad>", "lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}}},
]
cases, folders = [], []
with tempfile.TemporaryDirectory() as root:
    for golden_case, name, config, beside in itertools.product(
        golden["cases"], ("XLMRobertaTokenizer", "XLMRobertaTokenizerFast", "CamembertTokenizer", "PreTrainedTokenizerFast", None), CONFIGS, (None, "xlm-roberta", "camembert")
    ):
        if golden_case["name"] == "bytes" and name != "PreTrainedTokenizerFast":
            continue
        folder = Path(root, str(len(folders)))
        folder.mkdir()
        (folder / "tokenizer.json").write_text(json.dumps(golden_case["file"]))
        (folder / "tokenizer_config.json").write_text(json.dumps(config if name is None else {"tokenizer_class": name, **config}))
        if beside is not None:
            (folder / "config.json").write_text(json.dumps({"model_type": beside}))
        try:
            made = AutoTokenizer.from_pretrained(folder)
        except Exception as error:
            print(golden_case["name"], name, config, beside, "fails there:", str(error)[:100])
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
            continue
        rows = []
        for text, found in zip(texts, made._tokenizer.encode_batch(texts)):
            plain = made._tokenizer.encode(text, add_special_tokens=False).ids
            rows.append({"ids": found.ids, "offsets": found.offsets, "words": found.word_ids, "special_tokens_mask": found.special_tokens_mask,
                         "decoded": made._tokenizer.decode(plain, skip_special_tokens=False), "pair": made._tokenizer.encode(text, texts[0]).ids})
        cases.append({"name": f"{golden_case['name']} {name} {config} {beside}", "rows": rows})
        folders.append(folder)
    Path(root, "cases.json").write_text(json.dumps({"texts": texts, "cases": cases}))
    print(f"transformers {transformers.__version__}, {len(cases)} folders", flush=True)
    sys.exit(subprocess.run(["deno", "run", "-q", "-A", str(ROOT / "tests/parity/unigram.ts"), root]).returncode)
