"""Makes code_points.json: hashes of what Hugging Face `tokenizers` takes every code point for, 4096 code points each.

Read by tokenizer/characters_test.ts. Run in a virtual environment with requirements.txt:
    python tests/golden/generate_code_points.py
Where a hash differs, tests/parity/code_points.py tells which code points it is.
"""

import hashlib
import json
import platform
import subprocess
import sys
from pathlib import Path

import tokenizers

BLOCK = 0x1000
here = Path(__file__).parent
rows = json.loads(subprocess.run([sys.executable, here.parent / "parity/code_points.py"], capture_output=True, check=True).stdout)
blocks = {}
for code, kind, stripped, lowered in rows:
    blocks.setdefault(code // BLOCK, hashlib.sha256()).update(f"{code:x} {kind} {stripped} {lowered}\n".encode())
made_by = f"python tests/golden/generate_code_points.py, tokenizers {tokenizers.__version__}, Python {platform.python_version()}"
golden = {"made_by": made_by, "block": BLOCK, "sha256": [blocks[block].hexdigest()[:16] if block in blocks else "" for block in range(0x110000 // BLOCK)]}
(here / "code_points.json").write_text(json.dumps(golden, indent=0) + "\n")
print(made_by, len(rows), "code points")
