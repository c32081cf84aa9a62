// AdamW over the flat buffers, and the gradient's norm that it is clipped by. The norm stays on the device: the update
// reads it there, and leaves everything as it was if it is not finite.

/// partials[block] = Σ x² over elements `block · elements …`
KERNEL(squared_norm_partials)(u64 count, u32 elements, Pointer<const float> x, Pointer<double> partials) {
    const u64 from = (u64)blockIdx.x * elements, to = min(from + elements, count);
    double sum = 0.0;
    for (u64 i = from + threadIdx.x; i < to; i += blockDim.x) sum += (double)x[i] * (double)x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}
EXPORT(squared_norm_partials)

/// What an update multiplies by; all but the gradient's norm is known on the host.
struct Update {
    float beta1, beta2, one_minus_beta1, one_minus_beta2, rate, root, epsilon, kept;
    /// The gradient is divided by `masked` and clipped to the norm `largest`; `number` is the update's, from 1.
    double masked, largest, number;
};

/// total[0] = Σ partials, by one block. If that is not finite, `failed[0]`, unless it says something already, becomes the
/// number of the update.
KERNEL(sum_partials)(u32 count, Pointer<const double> partials, Pointer<const Update> update, Pointer<double> total,
                     Pointer<double> failed) {
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) sum += partials[i];
    sum = block_sum(sum);
    if (threadIdx.x > 0) return;
    total[0] = sum;
    if (!(sum < INFINITE) && failed[0] == 0.0) failed[0] = update->number;
}
EXPORT(sum_partials)

/// One update of all parameters; zeroes the gradients, and writes the weights as activations where `copy` is given.
/// `starts[P + 1]` are the parameters' first elements, `treatments[P]` says what happens to each: 0
/// stays as it is, 1 is updated, 2 is updated and decays.
KERNEL(adamw)(u64 count, u32 parameters, Pointer<const u64> starts, Pointer<const int> treatments,
              Pointer<const Update> update, Pointer<const double> squared_norm, Pointer<float> weights,
              Pointer<float> gradients, Pointer<float> exp_avg, Pointer<float> exp_avg_sq, Pointer<act> copy) {
    const Update hyper = *update;
    const double norm = sqrt(squared_norm[0]) / hyper.masked;
    if (!(norm < INFINITE)) return;
    const float scale = (float)((norm > hyper.largest ? hyper.largest / (norm + 1e-6) : 1.0) / hyper.masked);
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    u32 low = 0, high = parameters; // the parameter that starts at or before i
    while (high - low > 1) {
        const u32 middle = (low + high) / 2;
        if (starts[middle] <= i) low = middle;
        else high = middle;
    }
    if (treatments[low] == 0) return;
    const float x = gradients[i] * scale;
    const float m = fmaf(exp_avg[i], hyper.beta1, hyper.one_minus_beta1 * x);
    const float v = fmaf(exp_avg_sq[i], hyper.beta2, hyper.one_minus_beta2 * x * x);
    const float kept = treatments[low] == 2 ? hyper.kept : 1.0f;
    const float w = fmaf(weights[i], kept, -hyper.rate * m / fmaf(sqrtf(v), hyper.root, hyper.epsilon));
    gradients[i] = 0.0f;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    weights[i] = w;
    if (copy) copy[i] = narrow<act>(w);
}
EXPORT(adamw)

/// to = from, as activations.
KERNEL(narrow_weights)(u64 count, Pointer<const float> from, Pointer<act> to) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) to[i] = narrow<act>(from[i]);
}
EXPORT(narrow_weights)
