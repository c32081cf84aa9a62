"""Runs a command and writes {"seconds", "peak_mb"} to a file: peak_memory.py RESULT INPUT COMMAND…; used by bench/predict.ts.

Peak memory is the largest resident set of the command, as the system counts it for a child that has ended.
"""

import json
import resource
import subprocess
import sys
import time

result, source, *command = sys.argv[1:]
start = time.perf_counter()
with open(source, "rb") as lines:
    subprocess.run(command, stdin=lines, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
seconds = time.perf_counter() - start
peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
with open(result, "w") as out:
    json.dump({"seconds": seconds, "peak_mb": peak_mb}, out)
