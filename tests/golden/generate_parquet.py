"""Writes text-<codec>.parquet, which data/corpus_test.ts reads: two columns, six rows, row groups of two.

usage: python tests/golden/generate_parquet.py   (made with pyarrow 26.0.1)
"""

from pathlib import Path

import pyarrow
import pyarrow.parquet

TEXTS = ["one\ntwo", "", None, "한국어 문장", "three", "four"]

folder = Path(__file__).parent
table = pyarrow.table({"text": TEXTS, "id": list(range(len(TEXTS)))})
for codec in ["none", "snappy", "gzip", "zstd", "brotli"]:
    pyarrow.parquet.write_table(table, folder / f"text-{codec}.parquet", compression=codec, row_group_size=2)
