"""Writes the .parquet files that data/corpus_test.ts and data/parquet_test.ts read.

usage: python tests/golden/generate_parquet.py   (made with pyarrow 26.0.1)
"""

import datetime
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

folder = Path(__file__).parent


def write(name, columns, **options):
    pyarrow.parquet.write_table(pa.table(columns), folder / f"{name}.parquet", **options)


# Two columns, six rows, row groups of two.
TEXTS = ["one\ntwo", "", None, "한국어 문장", "three", "four"]
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    write(f"text-{codec}", {"text": TEXTS, "id": list(range(len(TEXTS)))}, compression=codec, row_group_size=2)
write(
    "text-delta",
    {"text": TEXTS, "id": list(range(len(TEXTS)))},
    compression="zstd",
    data_page_version="2.0",
    use_dictionary=False,
    column_encoding={"text": "DELTA_BYTE_ARRAY", "id": "DELTA_BINARY_PACKED"},
)

write(
    "nested",
    {
        "list": [["one", None, "two"], None, []],
        "a": [{"b": "inner", "c": {"d": "deep"}}, None, {"b": None, "c": {"d": ""}}],
        "a.b": ["literal", None, "x"],
        "turns": [[{"role": "user", "content": "ask"}, {"role": "bot", "content": "answer"}], [], None],
        "lists": [[["x"]], [], None],
        "map": pa.array([[("k", "v")], [], None], pa.map_(pa.string(), pa.string())),
        "when": [datetime.datetime(2020, 1, 1)] * 3,
        "day": [datetime.date(2020, 1, 1)] * 3,
        "price": [decimal.Decimal("1.5")] * 3,
        "fixed": pa.array([b"ab"] * 3, pa.binary(2)),
        "uint": pa.array([2**32 - 1, 0, 1], pa.uint32()),
        "flag": [True, None, False],
        "real": [0.5, None, -1.0],
        "none": pa.nulls(3),
        "category": pa.array(["x", "y", None]).dictionary_encode(),
    },
)

# Bytes that are not said to be text, and in two rows are none.
RAW = [b"good", b"a\xffb", "\ufffd 한".encode(), b"\xed\xa0\x80"]
write("invalid", {"text": RAW, "list": [[b"good"], [b"x", b"\xff"], [], [b"y"]]}, use_dictionary=["list"])
