#!/usr/bin/env bash
# Runs on a machine with an NVIDIA GPU, beside what pack.ts has packed: first the tests, then, if they pass, the
# measurements, cloze and PyTorch in turns. Everything that is printed also goes to the folder OUT (here: results).
# Exit code: 0 all done, 1 the tests fail, 3 there is no GPU.
# usage: bash run.sh [tests|rates]        PEAK_TFLOPS is the dense bf16 peak of the GPU; 989 for H100 and H200
set -uo pipefail
cd "$(dirname "$0")"
out=${OUT:-results}
peak=${PEAK_TFLOPS:-989}
mkdir -p "$out"

chmod +x cuda_tests gpu_rate
if [ -f deno.xz ] && [ ! -f deno ]; then xz -dk deno.xz && chmod +x deno; fi
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L >/dev/null 2>&1; then
    echo "there is no NVIDIA GPU here (nvidia-smi does not run), so nothing was tested or measured" | tee "$out/skipped.txt"
    exit 3
fi

# Libraries: the system's, a toolkit's, and those of pip's wheels.
wheels=$(find / -xdev -type d -path '*/nvidia/*/lib' 2>/dev/null | tr '\n' ':')
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64:$wheels"
nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv | tee "$out/gpu.csv"

if [ "${1:-tests}" = tests ]; then
    ./cuda_tests gpu:: --test-threads=1 2>&1 | tee "$out/tests.txt"
    [ "${PIPESTATUS[0]}" = 0 ] || { echo "the tests fail, so nothing is measured; see $out/tests.txt"; exit 1; }
    if command -v compute-sanitizer >/dev/null; then
        for tool in memcheck racecheck synccheck; do
            compute-sanitizer --tool "$tool" ./cuda_tests gpu::bf16 --skip step --test-threads=1 2>&1 |
                tee "$out/sanitizer-$tool.txt" | tail -3
        done
    else
        echo "compute-sanitizer is not installed, so it was not run" | tee "$out/sanitizer.txt"
    fi
fi

# In turns, because clocks change as a GPU warms up; three rounds.
for round in 1 2 3; do
    for what in "base 128 512" "base 512 128" "small 128 512"; do
        read -r size length sequences <<<"$what"
        ./gpu_rate "$size" "$length" "$sequences" 20 "$peak" | tee -a "$out/rates.jsonl"
        for mode in eager compiled; do
            python3 training_step.py "$size" "$length" "$sequences" 20 "$peak" "$mode" | tee -a "$out/rates.jsonl"
        done
    done
done
