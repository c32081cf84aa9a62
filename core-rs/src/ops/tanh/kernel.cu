// The pooler's activation, on one row a sequence.

/// y = tanh(x)
KERNEL(tanh_forward)(u64 count, Pointer<const act> x, Pointer<act> y) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i] = narrow<act>(tanhf(widen(x[i])));
}
EXPORT(tanh_forward)

/// gradient *= 1 − y²
KERNEL(tanh_backward)(u64 count, Pointer<const act> y, Pointer<act> gradient) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) gradient[i] = narrow<act>(widen(gradient[i]) * fmaf(-widen(y[i]), widen(y[i]), 1.0f));
}
EXPORT(tanh_backward)
