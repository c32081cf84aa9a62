"""Writes csv.json, which data/csv_test.ts reads: texts, and the rows that Python's csv module makes of them.

usage: python tests/golden/generate_csv.py   (made with Python 3.11)

Half of the texts are any sequence of quotes, delimiters, line ends, spaces and letters; half are written by csv.writer.
An empty line is no row, and a text with a quote that is never closed has none: null. tests/parity/tables.py makes more.
"""

import csv
import io
import json
import random
from pathlib import Path

DELIMITERS = [",", ",", "\t", ";", "|"]
LINE_ENDS = ["\n", "\r\n", "\r"]
LETTERS = ["a", "b", "xyz", "2", " ", "  ", "가", "é", "😀", "\u2028", "\x0b", "'", "\\", "\t", ";", ",", "|"]


def random_text(rng, delimiter):
    pieces = [delimiter] * 5 + ['"'] * 5 + ['""', *LINE_ENDS, rng.choice(LINE_ENDS)] + rng.sample(LETTERS, 6)
    return "".join(rng.choice(pieces) for _ in range(rng.randint(0, 40)))


def written_text(rng, delimiter):
    out = io.StringIO()
    quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
    writer = csv.writer(out, delimiter=delimiter, lineterminator=rng.choice(LINE_ENDS), quoting=quoting)
    pieces = [*LETTERS, delimiter, '"', '""', *LINE_ENDS]
    width = rng.randint(1, 4)
    for _ in range(rng.randint(0, 5)):
        writer.writerow(["".join(rng.choice(pieces) for _ in range(rng.randint(0, 6))) for _ in range(width)])
    text = out.getvalue()
    return text.rstrip("\r\n") if rng.random() < 0.3 else text


def rows_of(text, delimiter):
    """Rows with the line that each begins at, or None where a quote is never closed."""

    def read(text):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows, before = [], 0
        for row in reader:
            if row:
                rows.append([before + 1, row])
            before = reader.line_num
        return rows

    closed = read(text + "\n\nEND")[-1][1] == ["END"]
    return read(text) if closed else None


def cases(count, seed):
    rng = random.Random(seed)
    for i in range(count):
        delimiter = rng.choice(DELIMITERS)
        text = (random_text if i % 2 == 0 else written_text)(rng, delimiter)
        yield {"delimiter": delimiter, "text": text, "rows": rows_of(text, delimiter)}


if __name__ == "__main__":
    path = Path(__file__).parent / "csv.json"
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases(400, 1)) + "\n]\n")
