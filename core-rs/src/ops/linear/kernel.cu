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

/// Partial sums of activations: to[block.y, C] = the sums of rows `block.y · rows …` of x[n, C], which are `stride`
/// elements apart. A warp takes every eighth row, a lane V columns, of which the last may lie behind a row's end.
template <int V>
DEVICE void sum_columns(int n, int rows, int c, int stride, Pointer<const act> x, Pointer<float> to) {
    const int column = ((int)blockIdx.x * 32 + lane_id()) * V, end = min((int)(blockIdx.y + 1) * rows, n);
    float sum[V] = {};
    if (column < c) {
        for (int row = blockIdx.y * rows + threadIdx.x / 32; row < end; row += SUMMED_WARPS) {
            float values[V];
            load<V, act>(x + ((long long)row * stride + column), values);
#pragma unroll
            for (int i = 0; i < V; i++) sum[i] += values[i];
        }
    }
    const float total = add_warps<SUMMED_WARPS, V>(sum);
    const int at = blockIdx.x * 32 * V + threadIdx.x;
    if (threadIdx.x < 32 * V && at < c) to[(long long)blockIdx.y * c + at] = total;
}

/// Grid [C / (32 V), blocks of rows], V = 4 where rows are aligned to that and else 1.
KERNEL(sum_activation_columns)(int n, int rows, int c, int stride, Pointer<const act> x, Pointer<float> partials) {
    if (stride % 4 == 0) sum_columns<4>(n, rows, c, stride, x, partials);
    else sum_columns<1>(n, rows, c, stride, x, partials);
}
EXPORT(sum_activation_columns)

/// Warps of a block that adds partial sums: many, because each waits for its rows one behind the other.
const int ADDING_WARPS = 32;

/// to += the sums of the first columns of partials[n, c], and rest += those from `first` on. Grid [c / 32].
KERNEL(add_columns)(int n, int c, int first, Pointer<const float> partials, Pointer<float> to, Pointer<float> rest) {
    const int column = blockIdx.x * 32 + lane_id();
    float sum[1] = {};
    if (column < c) {
#pragma unroll 4
        for (int row = threadIdx.x / 32; row < n; row += ADDING_WARPS) sum[0] += partials[(long long)row * c + column];
    }
    const float total = add_warps<ADDING_WARPS, 1>(sum);
    if (threadIdx.x >= 32 || column >= c) return;
    if (column < first) to[column] += total;
    else rest[column - first] += total;
}
EXPORT(add_columns)
