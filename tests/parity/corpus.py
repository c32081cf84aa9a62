"""Compares cloze's ids with Hugging Face's for every line of text files (.txt or .txt.gz).

    python tests/parity/corpus.py MODEL_FOLDER FILE…

MODEL_FOLDER holds a tokenizer.json. Needs the packages of tests/golden/requirements.txt.
"""

import gzip
import subprocess
import sys
from pathlib import Path

from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
folder, *files = sys.argv[1:]
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
failed = False
for name in files:
    raw = gzip.open(name).read() if name.endswith(".gz") else Path(name).read_bytes()
    lines = raw.decode("utf-8-sig").split("\n")
    if lines[-1] == "":
        lines.pop()
    command = ["deno", "run", "-q", "-A", str(ROOT / "cli/main.ts"), "tokenize", "--tokenizer", folder, "--ids"]
    output = subprocess.run(command, input=raw, capture_output=True, check=True).stdout.decode().split("\n")[:-1]
    if len(output) != len(lines):
        sys.exit(f"{name}: {len(lines)} lines in, {len(output)} lines out")
    different = 0
    for start in range(0, len(lines), 10_000):
        batch = [line.removesuffix("\r") for line in lines[start : start + 10_000]]
        for line, encoding, mine in zip(batch, tokenizer.encode_batch(batch, add_special_tokens=False), output[start:]):
            if " ".join(map(str, encoding.ids)) != mine:
                different += 1
                if different <= 3:
                    print(f"  {line!r}\n    there {encoding.ids}\n    here  {mine}")
    failed |= different > 0
    print(f"{name}: {len(lines)} lines, {different} differ")
sys.exit(failed)
