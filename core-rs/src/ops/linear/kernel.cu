// What surrounds the matrix products of a dense layer: biases that cuBLASLt's epilogue cannot add, and sums of columns for
// bias gradients.

/// x *= factor[0]
KERNEL(scale_elements)(u64 count, Pointer<const float> factor, Pointer<act> x) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) x[i] = narrow<act>(widen(x[i]) * factor[0]);
}
EXPORT(scale_elements)

// y[n, C] += bias, where cuBLASLt's epilogue cannot: it needs a bias that begins at a multiple of 16 bytes.

KERNEL(add_bias)(u64 count, int c, Pointer<const act> bias, Pointer<act> y) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i] = narrow<act>(widen(y[i]) + widen(bias[i % c]));
}
EXPORT(add_bias)

KERNEL(add_bias_to_logits)(u64 count, int c, Pointer<const float> bias, Pointer<float> y) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i] += bias[i % c];
}
EXPORT(add_bias_to_logits)

const int SUM_WARPS = 8;

/// to[block.y, C] = (or, adding, +=) the sums of rows `block.y · rows …` of x[n, C]. A warp takes every eighth row, a
/// lane V columns; the warps' sums are added in order.
template <class T, int V>
DEVICE void sum_columns(int n, int rows, int c, Pointer<const T> x, Pointer<float> to, bool adding) {
    SHARED(float, sums, SUM_WARPS * 32 * V);
    const int warp = threadIdx.x / 32, column = ((int)blockIdx.x * 32 + lane_id()) * V;
    const int end = min((int)(blockIdx.y + 1) * rows, n);
    float sum[V] = {};
    if (column < c) {
        for (int row = blockIdx.y * rows + warp; row < end; row += SUM_WARPS) {
            float values[V];
            load<V, T>(x + ((long long)row * c + column), values);
#pragma unroll
            for (int i = 0; i < V; i++) sum[i] += values[i];
        }
    }
#pragma unroll
    for (int i = 0; i < V; i++) sums[(warp * 32 + lane_id()) * V + i] = sum[i];
    __syncthreads();
    if (warp > 0 || column >= c) return;
#pragma unroll
    for (int i = 0; i < V; i++) {
        float total = 0.0f;
        for (int w = 0; w < SUM_WARPS; w++) total += sums[(w * 32 + lane_id()) * V + i];
        const long long at = (long long)blockIdx.y * c + column + i;
        to[at] = adding ? to[at] + total : total;
    }
}

/// Partial sums of activations: grid [C / (32 V), blocks of rows], V = 4 where C is a multiple of 4 and else 1.
KERNEL(sum_activation_columns)(int n, int rows, int c, Pointer<const act> x, Pointer<float> partials) {
    if (c % 4 == 0) sum_columns<act, 4>(n, rows, c, x, partials, false);
    else sum_columns<act, 1>(n, rows, c, x, partials, false);
}
EXPORT(sum_activation_columns)

/// to[C] += the rows of partials[n, C].
KERNEL(add_columns)(int n, int c, Pointer<const float> partials, Pointer<float> to) {
    if (c % 4 == 0) sum_columns<float, 4>(n, n, c, partials, to, true);
    else sum_columns<float, 1>(n, n, c, partials, to, true);
}
EXPORT(add_columns)
