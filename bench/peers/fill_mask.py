"""transformers' fill-mask pipeline on a model folder, as the peer of bench/predict.ts; not used by the product.

usage: fill_mask.py MODEL_FOLDER < lines; prints the best token of each line's first mask.
"""

import sys

from transformers import pipeline

fill = pipeline("fill-mask", model=sys.argv[1], top_k=5)
for line in sys.stdin:
    answer = fill(line.rstrip("\n"))
    first = answer[0] if isinstance(answer[0], dict) else answer[0][0]
    print(first["token_str"], flush=True)
