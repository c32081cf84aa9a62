// What all optimizers share: the gradient's norm and the scale that it is clipped by. Both stay on the device: an update
// reads the scale there, and leaves everything as it was if it is infinite.

/// partials[block] = Σ x² over elements `block · elements …`
KERNEL(squared_norm_partials)(u64 count, u32 elements, Pointer<const float> x, Pointer<double> partials) {
    const u64 from = (u64)blockIdx.x * elements, to = min(from + elements, count);
    double sum = 0.0;
    for (u64 i = from + threadIdx.x; i < to; i += blockDim.x) sum += (double)x[i] * (double)x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}
EXPORT(squared_norm_partials)

/// What a gradient, which is a sum, is divided by, the largest norm that it may have then, and the update's number from 1.
struct Clip {
    double units, largest, number;
};

/// total[0] = Σ partials, by one block, and scale[0] = what gradients are multiplied by. If the total is not finite, the
/// scale is infinite, and `failed[0]`, unless it says something already, becomes the number of the update.
KERNEL(clip)(u32 count, Pointer<const double> partials, Pointer<const Clip> clip, Pointer<double> total,
             Pointer<float> scale, Pointer<double> failed) {
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) sum += partials[i];
    sum = block_sum(sum);
    if (threadIdx.x > 0) return;
    const Clip by = *clip;
    const double norm = sqrt(sum) / by.units;
    const bool finite = norm < INFINITE;
    total[0] = sum;
    scale[0] = finite ? (float)((norm > by.largest ? by.largest / (norm + 1e-6) : 1.0) / by.units) : INFINITE;
    if (!finite && failed[0] == 0.0) failed[0] = by.number;
}
EXPORT(clip)

/// The last of the parameters `low …` before `high` that starts at or before `i`.
DEVICE u32 parameter_of(u64 i, u32 low, u32 high, Pointer<const u64> starts) {
    while (high - low > 1) {
        const u32 middle = (low + high) / 2;
        if (starts[middle] <= i) low = middle;
        else high = middle;
    }
    return low;
}

/// to = from, as activations.
KERNEL(narrow_weights)(u64 count, Pointer<const float> from, Pointer<act> to) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) to[i] = narrow<act>(from[i]);
}
EXPORT(narrow_weights)
