"""Compares cloze's reading of CSV and TSV with Python's csv module, and with pandas, on generated texts.

    python tests/parity/tables.py [TEXTS] [SEED]

Texts are those of tests/golden/generate_csv.py: any sequence of quotes, delimiters and line ends, and what csv.writer
writes. cloze reads each in blocks that end at random places; rows and the lines where they begin have to be the same.
pandas is asked about what csv.writer wrote, where rows have as many fields, two or more. Needs pandas beside Python.
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/golden"))
import generate_csv  # noqa: E402

count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
seed = int(sys.argv[2]) if len(sys.argv) > 2 else 2


def pandas_rows(text, delimiter, width):
    import pandas

    options = {"header": None, "dtype": str, "keep_default_na": False, "na_filter": False}
    try:
        table = pandas.read_csv(io.BytesIO(text.encode()), sep=delimiter, **options)
    except pandas.errors.ParserError as error:
        return error
    return table.values.tolist() if table.shape[1] == width else None


compared = different = unclosed = 0
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "cases.jsonl"
    with path.open("w") as out:
        for i, case in enumerate(generate_csv.cases(count, seed)):
            out.write(json.dumps(case) + "\n")
            unclosed += case["rows"] is None
            rows = [row for _, row in case["rows"] or []]
            if i % 2 == 0 or not rows or len(rows[0]) < 2 or {len(row) for row in rows} != {len(rows[0])}:
                continue
            compared += 1
            if pandas_rows(case["text"], case["delimiter"], len(rows[0])) != rows:
                different += 1
                if different <= 3:
                    print("pandas differs from csv:", json.dumps(case))
    print(f"pandas: {compared} tables, {different} different from Python's csv")
    print(f"{count} texts, of them {unclosed} with a quote that is never closed, which cloze has to refuse")
    command = ["deno", "run", "-q", "-A", str(ROOT / "tests/parity/tables.ts"), str(path)]
    sys.exit(subprocess.run(command, check=False).returncode)
