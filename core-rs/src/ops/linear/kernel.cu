// What surrounds the matrix products of a dense layer: biases that cuBLASLt's epilogue cannot add, sums of columns for bias
// gradients, and products for which cuBLASLt has no algorithm.

/// x *= factor[0]
KERNEL(scale_elements)(u64 count, Pointer<const float> factor, Pointer<act> x) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) x[i] = narrow<act>(widen(x[i]) * factor[0]);
}
EXPORT(scale_elements)

// y[n, C] += bias, where cuBLASLt's epilogue cannot: it needs a bias that begins at a multiple of 16 bytes. Rows of y are
// `stride` elements apart.

KERNEL(add_bias)(u64 count, int c, int stride, Pointer<const act> bias, Pointer<act> y) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const u64 column = i % c, at = i / c * stride + column;
    y[at] = narrow<act>(widen(y[at]) + widen(bias[column]));
}
EXPORT(add_bias)

KERNEL(add_bias_to_logits)(u64 count, int c, int stride, Pointer<const float> bias, Pointer<float> y) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i / c * stride + i % c] += bias[i % c];
}
EXPORT(add_bias_to_logits)

const int PRODUCT_TILE = 16;

/// C[m, n] = A[m, k] · B[k, n], or C += …: plain, for the rare shapes that cuBLASLt does not take. A block of 16 × 16
/// threads makes a tile of C from tiles of A and B; each element is one sum in the order of k. Rows, as they are stored, are
/// `strides` apart. Grid [m / 16, n / 16].
template <class T, class R>
DEVICE void plain_product(int m, int n, int k, int transposed_a, int transposed_b, int adding, const int (&strides)[3],
                          Pointer<const T> a, Pointer<const T> b, Pointer<R> c) {
    SHARED(float, tile_a, PRODUCT_TILE * (PRODUCT_TILE + 1));
    SHARED(float, tile_b, PRODUCT_TILE * (PRODUCT_TILE + 1));
    const int x = threadIdx.x % PRODUCT_TILE, y = threadIdx.x / PRODUCT_TILE;
    const int row = blockIdx.x * PRODUCT_TILE + y, column = blockIdx.y * PRODUCT_TILE + x;
    float sum = 0.0f;
    for (int first = 0; first < k; first += PRODUCT_TILE) {
        const int i = first + x, j = first + y;
        const long long at_a = transposed_a ? (long long)i * strides[0] + row : (long long)row * strides[0] + i;
        const long long at_b = transposed_b ? (long long)column * strides[1] + j : (long long)j * strides[1] + column;
        tile_a[y * (PRODUCT_TILE + 1) + x] = row < m && i < k ? widen(a[at_a]) : 0.0f;
        tile_b[y * (PRODUCT_TILE + 1) + x] = column < n && j < k ? widen(b[at_b]) : 0.0f;
        __syncthreads();
        for (int l = 0; l < PRODUCT_TILE; l++) {
            sum = fmaf(tile_a[y * (PRODUCT_TILE + 1) + l], tile_b[l * (PRODUCT_TILE + 1) + x], sum);
        }
        __syncthreads();
    }
    if (row >= m || column >= n) return;
    const long long at = (long long)row * strides[2] + column;
    c[at] = narrow<R>(adding ? widen(c[at]) + sum : sum);
}

// Of activations, of activations to f32, and of f32.

#define PLAIN_PRODUCT(name, T, R)                                                                                          \
    KERNEL(name)(int m, int n, int k, int transposed_a, int transposed_b, int adding, int stride_a, int stride_b,          \
                 int stride_c, Pointer<const T> a, Pointer<const T> b, Pointer<R> c) {                                     \
        const int strides[3] = {stride_a, stride_b, stride_c};                                                             \
        plain_product<T, R>(m, n, k, transposed_a, transposed_b, adding, strides, a, b, c);                                \
    }                                                                                                                      \
    EXPORT(name)
PLAIN_PRODUCT(product, act, act)
PLAIN_PRODUCT(product_to_f32, act, float)
PLAIN_PRODUCT(product_of_f32, float, float)
#undef PLAIN_PRODUCT

const int SUM_WARPS = 8;

/// to[block.y, C] = (or, adding, +=) the sums of rows `block.y · rows …` of x[n, C], which are `stride` elements apart. A
/// warp takes every eighth row, a lane V columns, of which the last may lie behind a row's end; the warps' sums are added
/// in order.
template <class T, int V>
DEVICE void sum_columns(int n, int rows, int c, int stride, Pointer<const T> x, Pointer<float> to, bool adding) {
    SHARED(float, sums, SUM_WARPS * 32 * V);
    const int warp = threadIdx.x / 32, column = ((int)blockIdx.x * 32 + lane_id()) * V;
    const int end = min((int)(blockIdx.y + 1) * rows, n);
    float sum[V] = {};
    if (column < c) {
        for (int row = blockIdx.y * rows + warp; row < end; row += SUM_WARPS) {
            float values[V];
            load<V, T>(x + ((long long)row * stride + column), values);
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
        if (column + i >= c) return;
        float total = 0.0f;
        for (int w = 0; w < SUM_WARPS; w++) total += sums[(w * 32 + lane_id()) * V + i];
        const long long at = (long long)blockIdx.y * c + column + i;
        to[at] = adding ? to[at] + total : total;
    }
}

/// Partial sums of activations: grid [C / (32 V), blocks of rows], V = 4 where rows are aligned to that and else 1.
KERNEL(sum_activation_columns)(int n, int rows, int c, int stride, Pointer<const act> x, Pointer<float> partials) {
    if (stride % 4 == 0) sum_columns<act, 4>(n, rows, c, stride, x, partials, false);
    else sum_columns<act, 1>(n, rows, c, stride, x, partials, false);
}
EXPORT(sum_activation_columns)

/// to[C] += the rows of partials[n, C].
KERNEL(add_columns)(int n, int c, Pointer<const float> partials, Pointer<float> to) {
    if (c % 4 == 0) sum_columns<float, 4>(n, n, c, c, partials, to, true);
    else sum_columns<float, 1>(n, n, c, c, partials, to, true);
}
EXPORT(add_columns)
