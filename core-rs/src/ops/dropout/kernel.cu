// Dropout by itself, where no other operation takes it along.

/// x[i] *= factor(i)
KERNEL(dropout_elements)(u64 count, Dropout dropout, Pointer<act> x) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) x[i] = narrow<act>(widen(x[i]) * dropout.factor((u32)i));
}
EXPORT(dropout_elements)
