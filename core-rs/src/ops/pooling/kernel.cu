// Means of sequences' rows; a block a sequence.

/// out[b] = the mean of rows cu_seqlens[b] … cu_seqlens[b + 1] of x; zeros of none.
KERNEL(mean_of_rows)(int c, Pointer<const int> cu_seqlens, Pointer<const act> x, Pointer<act> out) {
    const int from = cu_seqlens[blockIdx.x], to = cu_seqlens[blockIdx.x + 1];
    const float share = 1.0f / max(to - from, 1);
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        float sum = 0.0f;
        for (int row = from; row < to; row++) sum += widen(x[(long long)row * c + i]);
        out[(long long)blockIdx.x * c + i] = narrow<act>(sum * share);
    }
}
EXPORT(mean_of_rows)

/// dx[row] += gradient[b] / rows, for the rows of sequence b.
KERNEL(share_among_rows)(int c, Pointer<const int> cu_seqlens, Pointer<const float> gradient, Pointer<float> dx) {
    const int from = cu_seqlens[blockIdx.x], to = cu_seqlens[blockIdx.x + 1];
    const float share = 1.0f / max(to - from, 1);
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        const float g = gradient[(long long)blockIdx.x * c + i] * share;
        for (int row = from; row < to; row++) dx[(long long)row * c + i] += g;
    }
}
EXPORT(share_among_rows)
