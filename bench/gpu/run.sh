#!/usr/bin/env bash
# Runs on a machine with an NVIDIA GPU, beside what pack.ts has packed. Each part is short enough for a command of ten
# minutes, has a time limit of its own, and prints and writes its results as they come, to the folder OUT (here: results).
# In which order, and what to do when a part fails: README.md.
# Exit code: 0 all done, 1 something failed, 2 wrong usage, 3 there is no GPU.
# usage: bash run.sh info | tests [ops|steps] [f32|bf16] | sanitize [memcheck|racecheck|synccheck] | rate SIZE LENGTH SEQUENCES
#        bash run.sh torch eager|compiled SIZE LENGTH SEQUENCES | profile
# SIZE is base or small. PEAK_TFLOPS is the dense bf16 peak of the GPU; 989 for H100 and H200
set -uo pipefail
cd "$(dirname "$0")"
out=${OUT:-results}
peak=${PEAK_TFLOPS:-989}

usage() {
    sed -n '2,9s/^# //p' "$0" >&2
    exit 2
}
case ${1:-}-$# in
info-1 | tests-[123] | sanitize-[12] | rate-4 | torch-5 | profile-1) ;;
*) usage ;;
esac
for program in cuda_tests gpu_rate; do
    if [ ! -f "$program" ]; then
        echo "error: $program is not here; run this beside what \"deno run -A bench/gpu/pack.ts\" has packed" >&2
        exit 2
    fi
done
mkdir -p "$out"
chmod +x cuda_tests gpu_rate
if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L >/dev/null 2>&1; then
    echo "there is no NVIDIA GPU here (nvidia-smi does not run), so nothing was tested or measured" | tee "$out/skipped.txt"
    exit 3
fi

# Libraries: the system's, a toolkit's, and those of pip's wheels, wherever Python has its packages.
wheels=$(python3 -c 'import site, sys; print("\n".join(site.getsitepackages() + [site.getusersitepackages()] + sys.path))' 2>/dev/null |
    sort -u | while read -r packages; do ls -d "$packages"/nvidia/*/lib "$packages"/torch/lib 2>/dev/null; done | tr '\n' ':')
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}:/usr/local/nvidia/lib64:/usr/local/cuda/lib64:$wheels"

# within SECONDS FILE COMMAND…: under a time limit, to the terminal and a file; says so when it fails.
within() {
    local seconds=$1 file=$2 status
    shift 2
    timeout --kill-after=10 "$seconds" "$@" 2>&1 | tee -a "$out/$file"
    status=${PIPESTATUS[0]}
    [ "$status" = 124 ] && echo "stopped after $seconds s: $*" | tee -a "$out/$file"
    [ "$status" = 0 ] || failed=1
}

# tested SECONDS FILE COMMAND…: the same for tests, of which some have to run. They are skipped where the core finds no GPU, or
# not all of its libraries; gpu_rate says which.
tested() {
    local file=$2
    : >"$out/$file"
    within "$@"
    if ! grep -q ' [1-9][0-9]* passed' "$out/$file"; then
        failed=1
        echo "no test of these ran to its end" | tee -a "$out/$file"
        timeout 60 ./gpu_rate small 128 8 1 "$peak" 2>&1 | grep '^error' | tee -a "$out/$file"
    fi
}

failed=0
case ${1:-} in
info)
    within 30 gpu.csv nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit --format=csv
    within 30 libraries.txt ./cuda_tests --list
    ;;
tests)
    case ${2:-ops}-${3:-f32} in
    ops-f32 | ops-bf16 | steps-f32 | steps-bf16) ;;
    *) usage ;;
    esac
    # One program each, so that a fault in one leaves the others a fresh context.
    for kind in ${2:-ops steps}; do
        for dtype in ${3:-f32 bf16}; do
            if [ "$kind" = steps ]; then tested 150 "tests-$kind-$dtype.txt" ./cuda_tests "gpu::$dtype::step" --test-threads=1
            else tested 150 "tests-$kind-$dtype.txt" ./cuda_tests "gpu::$dtype" --skip "::step::" --test-threads=1; fi
        done
    done
    ;;
sanitize)
    if ! command -v compute-sanitizer >/dev/null; then
        echo "compute-sanitizer is not installed, so it was not run" | tee "$out/sanitizer.txt"
        exit 0
    fi
    for tool in ${2:-memcheck racecheck synccheck}; do
        for operation in attention layer_norm cross_entropy; do
            within 120 "sanitizer-$tool.txt" compute-sanitizer --error-exitcode 9 --tool "$tool" ./cuda_tests "gpu::bf16::$operation" --test-threads=1
        done
    done
    ;;
rate)
    nvidia-smi --query-gpu=clocks.sm,power.draw,temperature.gpu --format=csv,noheader --loop-ms=500 >>"$out/clocks.csv" &
    clocks=$!
    within 150 rates.jsonl ./gpu_rate "$2" "$3" "$4" 20 "$peak"
    kill "$clocks" 2>/dev/null || true
    ;;
torch)
    if ! python3 -c 'import torch, transformers' 2>/dev/null; then
        echo "python3 has no torch and transformers, so PyTorch was not measured" | tee "$out/torch.txt"
        exit 0
    fi
    within 240 rates.jsonl python3 training_step.py "$3" "$4" "$5" 20 "$peak" "$2"
    ;;
profile)
    if ! command -v ncu >/dev/null; then
        echo "ncu is not installed, so no kernel was profiled" | tee "$out/ncu.txt"
        exit 0
    fi
    # Of the hundred that a step launches of these, the last eight of its forward pass, the head's and the next twelve.
    within 240 ncu.txt ncu --set basic --launch-skip 340 --launch-count 23 \
        --kernel-name 'regex:attention_forward|attention_backward|gelu|residual_norm|norm_backward' ./gpu_rate base 512 32 2 "$peak"
    ;;
esac
exit $failed
