// Softmax cross-entropy of one row of logits by one block: loss, rank of the label, and the gradient, softmax − onehot.

const int ENTROPY_WARPS = 8;

/// Calls `f(i, x, whole)` for the entries `from …` up to `to`, shared out among the block's threads: four neighbours at a time,
/// or, in front of and behind whole packets, one and three of −∞. So a row may begin anywhere.
template <class F>
DEVICE void for_entries(Pointer<const float> logits, long long from, long long to, const F& f) {
    const long long first = min((from + 3) / 4 * 4, to), last = max(to / 4 * 4, first);
    float x[4];
    for (long long i = first + 4 * threadIdx.x; i < last; i += 4 * blockDim.x) {
        load<4, float>(logits + i, x);
        f(i, x, true);
    }
    x[1] = x[2] = x[3] = -INFINITE;
    const int before = (int)(first - from), rest = before + (int)(to - last);
    for (int k = threadIdx.x; k < rest; k += blockDim.x) {
        const long long i = k < before ? from + k : last + (k - before);
        x[0] = logits[i];
        f(i, x, false);
    }
}

/// loss[n], rank[n] (entries strictly greater than the label's) from logits[n, V]; `gradient[n, V]`, if given. Rows of both are
/// `stride` elements apart. A row whose label is −1 is padding: it costs nothing, is never right and has no gradient.
KERNEL(cross_entropy)(int v, int stride, Pointer<const float> logits, Pointer<const int> labels, Pointer<float> loss,
                      Pointer<int> rank, Pointer<act> gradient) {
    SHARED(float, tops, ENTROPY_WARPS);
    SHARED(float, totals, ENTROPY_WARPS);
    SHARED(int, greater, ENTROPY_WARPS);
    const long long at = (long long)blockIdx.x * stride;
    const int label = labels[blockIdx.x], warp = threadIdx.x / 32;
    if (label < 0) {
        if (threadIdx.x == 0) {
            loss[blockIdx.x] = 0.0f;
            rank[blockIdx.x] = -1;
        }
        if (!gradient) return;
        for (int i = threadIdx.x; i < v; i += blockDim.x) gradient[at + i] = narrow<act>(0.0f);
        return;
    }
    const float target = logits[at + label];
    // One reading for maximum and sum: what has been summed is scaled when the maximum grows.
    float top = -INFINITE, total = 0.0f;
    int count = 0;
    for_entries(logits, at, at + v, [&](long long, const float (&x)[4], bool) {
        const float higher = fmaxf(fmaxf(fmaxf(x[0], x[1]), fmaxf(x[2], x[3])), top);
        if (higher > top) total *= power_of_two((top - higher) * LOG2_E);
        top = higher;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            count += x[k] > target;
            total += power_of_two((x[k] - top) * LOG2_E);
        }
    });
#pragma unroll
    for (int m = 16; m > 0; m /= 2) {
        const float other_top = __shfl_xor_sync(ALL_LANES, top, m), other_total = __shfl_xor_sync(ALL_LANES, total, m);
        const float higher = fmaxf(top, other_top);
        // A lane without an entry has −∞ and 0, and −∞ − −∞ is no number.
        total = (top == higher ? total : total * expf(top - higher)) +
                (other_top == higher ? other_total : other_total * expf(other_top - higher));
        top = higher;
        count += __shfl_xor_sync(ALL_LANES, count, m);
    }
    if (lane_id() == 0) {
        tops[warp] = top;
        totals[warp] = total;
        greater[warp] = count;
    }
    __syncthreads();
    top = -INFINITE;
    for (int w = 0; w < ENTROPY_WARPS; w++) top = fmaxf(top, tops[w]);
    total = 0.0f;
    count = 0;
    for (int w = 0; w < ENTROPY_WARPS; w++) {
        total += tops[w] == top ? totals[w] : totals[w] * expf(tops[w] - top);
        count += greater[w];
    }
    if (threadIdx.x == 0) {
        loss[blockIdx.x] = top + logf(total) - target;
        rank[blockIdx.x] = count;
    }
    if (!gradient) return;
    const float inverse = 1.0f / total;
    for_entries(logits, at, at + v, [&](long long i, const float (&x)[4], bool whole) {
        float g[4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            g[k] = power_of_two((x[k] - top) * LOG2_E) * inverse - (i + k == at + label ? 1.0f : 0.0f);
        }
        if (whole) store<4, act>(gradient + i, g);
        else gradient[i] = narrow<act>(g[0]);
    });
}
EXPORT(cross_entropy)

/// totals[0] += Σ loss, totals[1] += how many ranks are 0, by one block. If the loss is not finite, `failed[0]`, unless it
/// says something already, becomes `number[0]`: that of the step, from 1.
KERNEL(add_losses)(int n, Pointer<const float> loss, Pointer<const int> rank, Pointer<const double> number,
                   Pointer<double> totals, Pointer<double> failed) {
    double sum = 0.0, right = 0.0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        sum += (double)loss[i];
        right += rank[i] == 0 ? 1.0 : 0.0;
    }
    sum = block_sum(sum);
    __syncthreads(); // the sums' place is used again
    right = block_sum(right);
    if (threadIdx.x > 0) return;
    totals[0] += sum;
    totals[1] += right;
    if (!(sum < INFINITE) && failed[0] == 0.0) failed[0] = number[0];
}
EXPORT(add_losses)
