"""transformers' fill-mask pipeline over a file of lines, as the peer of bench/predict.ts; not used by the product.

usage: fill_lines.py MODEL_FOLDER LINES [BATCH_SIZE]; prints the best token of each line's first mask.

Without BATCH_SIZE the pipeline is called as its documentation has it, a line at a time. With it, lines are sorted by
length and go through in batches: what someone does who wants it fast.
"""

import sys

from transformers import pipeline

folder, path, *batch_size = sys.argv[1:]
fill = pipeline("fill-mask", model=folder, top_k=5)
lines = open(path, encoding="utf-8").read().splitlines()
if batch_size:
    order = sorted(range(len(lines)), key=lambda i: len(lines[i]))
    answers = [None] * len(lines)
    for i, answer in zip(order, fill([lines[i] for i in order], batch_size=int(batch_size[0]))):
        answers[i] = answer
else:
    answers = [fill(line) for line in lines]
for answer in answers:
    first = answer[0] if isinstance(answer[0], dict) else answer[0][0]
    print(first["token_str"])
