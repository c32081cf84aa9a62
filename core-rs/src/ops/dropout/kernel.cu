// Dropout by itself, and with the residual addition that follows it.

/// x[i] = x[i] · factor(i) + residual[i]
KERNEL(dropout_residual)(u64 count, Pointer<const Dropout> site, Pointer<const act> residual, Pointer<act> x) {
    const Dropout dropout = dropout_of(site);
    const int V = 4;
    const u64 at = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * V;
    if (at + V <= count) {
        float y[V], r[V];
        load<V, act>(x + at, y);
        load<V, act>(residual + at, r);
#pragma unroll
        for (int i = 0; i < V; i++) y[i] = fmaf(y[i], dropout.factor((u32)(at + i)), r[i]);
        store<V, act>(x + at, y);
    } else {
        for (u64 i = at; i < count; i++) x[i] = narrow<act>(fmaf(widen(x[i]), dropout.factor((u32)i), widen(residual[i])));
    }
}
EXPORT(dropout_residual)

/// x[i] *= factor(i), on a gradient in f32.
KERNEL(dropout_gradient)(u64 count, Pointer<const Dropout> site, Pointer<float> x) {
    const Dropout dropout = dropout_of(site);
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) x[i] *= dropout.factor((u32)i);
}
EXPORT(dropout_gradient)

/// x[i] *= factor(i)
KERNEL(dropout_elements)(u64 count, Pointer<const Dropout> site, Pointer<act> x) {
    const Dropout dropout = dropout_of(site);
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) x[i] = narrow<act>(widen(x[i]) * dropout.factor((u32)i));
}
EXPORT(dropout_elements)

/// to[i] = x[i] · factor(i), from a gradient in f32 to the operand of a product
KERNEL(dropout_to_operand)(u64 count, Pointer<const Dropout> site, Pointer<const float> x, Pointer<act> to) {
    const Dropout dropout = dropout_of(site);
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) to[i] = narrow<act>(x[i] * dropout.factor((u32)i));
}
EXPORT(dropout_to_operand)

/// to[i] += x[i], gradients in f32
KERNEL(add_gradient)(u64 count, Pointer<const float> x, Pointer<float> to) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) to[i] += x[i];
}
EXPORT(add_gradient)
