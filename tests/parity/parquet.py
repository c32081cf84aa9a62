"""Compares cloze's reading of Parquet with pyarrow's: every codec, encoding and page version, nulls, lists and structs.

    python tests/parity/parquet.py [ROWS] [SEED]

Needs pyarrow.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)

LETTERS = ["a", "b c", "가나", "é", "😀", "\n", '"', "", "\u2028", "word "]


def text():
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(0, 12)))


def maybe(value, share=0.2):
    return None if rng.random() < share else value


def table():
    rows = range(count)
    columns = {
        "text": pa.array([maybe(text()) for _ in rows]),
        "required": pa.array([text() for _ in rows]),
        "few": pa.array([maybe(rng.choice(["x", "y", ""])) for _ in rows]),
        "same": pa.array(["one"] * count),
        "nulls": pa.array([None] * count, pa.string()),
        "sorted": pa.array([f"prefix {i:06}" for i in rows]),
        "int32": pa.array([maybe(rng.randint(-(2**31), 2**31 - 1)) for _ in rows], pa.int32()),
        "int64": pa.array([maybe(rng.randint(-(2**62), 2**62)) for _ in rows], pa.int64()),
        "uint32": pa.array([rng.randint(0, 2**32 - 1) for _ in rows], pa.uint32()),
        "double": pa.array([maybe(rng.random()) for _ in rows]),
        "flag": pa.array([maybe(rng.random() < 0.5) for _ in rows]),
        "list": pa.array([maybe([maybe(text()) for _ in range(rng.randint(0, 4))]) for _ in rows], pa.list_(pa.string())),
        "struct": pa.array([maybe({"a": maybe(text()), "b": {"c": text()}}) for _ in rows]),
        "turns": pa.array(
            [maybe([maybe({"role": "x", "content": maybe(text())}) for _ in range(rng.randint(0, 3))]) for _ in rows]
        ),
    }
    schema = pa.schema([pa.field(name, array.type, nullable=name != "required") for name, array in columns.items()])
    return pa.table(columns, schema=schema)


def cell(value, path):
    for name in path:
        if isinstance(value, list):
            value = [None if item is None else item[name] for item in value]
        elif value is not None:
            value = value[name]
    return value


NAMES = ["text", "required", "few", "same", "nulls", "sorted", "int32", "int64", "uint32", "double", "flag", "list"]
NAMES += ["struct.a", "struct.b.c", "turns.content"]
ENCODINGS = {
    "text": "DELTA_LENGTH_BYTE_ARRAY",
    "required": "DELTA_BYTE_ARRAY",
    "sorted": "DELTA_BYTE_ARRAY",
    "few": "DELTA_BYTE_ARRAY",
    "int32": "DELTA_BINARY_PACKED",
    "int64": "DELTA_BINARY_PACKED",
    "double": "BYTE_STREAM_SPLIT",
}

with tempfile.TemporaryDirectory() as folder:
    tests = []
    for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
        for version in ["1.0", "2.0"]:
            for encodings in ["dictionary", "plain", "other"]:
                path = f"{folder}/{codec}-{version}-{encodings}.parquet"
                data = table()
                options = {"use_dictionary": encodings == "dictionary"}
                if encodings == "other":
                    options["column_encoding"] = ENCODINGS
                pq.write_table(
                    data,
                    path,
                    compression=codec,
                    data_page_version=version,
                    data_page_size=rng.choice([500, 5000, 1 << 20]),
                    row_group_size=rng.choice([count, count // 3 + 1]),
                    write_batch_size=rng.choice([7, 100, 1024]),
                    **options,
                )
                rows = data.to_pylist()
                expected = {name: [cell(row[name.split(".")[0]], name.split(".")[1:]) for row in rows] for name in NAMES}
                tests.append({"path": path, "expected": expected})
    Path(f"{folder}/tests.json").write_text(json.dumps(tests))
    command = ["deno", "run", "-q", "-A", str(ROOT / "tests/parity/parquet.ts"), f"{folder}/tests.json"]
    sys.exit(subprocess.run(command, check=False).returncode)
