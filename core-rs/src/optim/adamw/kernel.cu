// AdamW over the slots: one thread an element.

/// `adamw::Factors`.
struct AdamWFactors {
    float beta1, beta2, one_minus_beta1, one_minus_beta2, rate, root, epsilon, kept;
};

/// One update of the parameters that have the slots; zeroes their gradients, and writes their weights as activations where
/// `copy` is given. Parameter p has the elements of the slots from `starts[p]` up to the next start (the last one up to
/// `count`), which are the elements from `starts[p] + shifts[p]` of the flat buffers. It decays where `decays[p]` is not 0.
/// Nothing changes if `scale[0]`, which gradients are multiplied by, is infinite.
KERNEL(adamw)(u64 count, u32 parameters, Pointer<const u64> starts, Pointer<const u64> shifts,
              Pointer<const int> decays, Pointer<const AdamWFactors> factors, Pointer<const float> scale,
              Pointer<float> weights, Pointer<float> gradients, Pointer<float> exp_avg, Pointer<float> exp_avg_sq,
              Pointer<act> copy) {
    const float clipped = scale[0];
    if (!(clipped < INFINITE)) return;
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const u32 p = parameter_of(i, parameters, starts);
    const u64 at = i + shifts[p];
    const AdamWFactors by = *factors;
    const float x = gradients[at] * clipped;
    const float m = fmaf(exp_avg[i], by.beta1, by.one_minus_beta1 * x);
    const float v = fmaf(exp_avg_sq[i], by.beta2, by.one_minus_beta2 * x * x);
    const float kept = decays[p] ? by.kept : 1.0f;
    const float w = fmaf(weights[at], kept, -by.rate * m / fmaf(sqrtf(v), by.root, by.epsilon));
    gradients[at] = 0.0f;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    weights[at] = w;
    if (copy) copy[at] = narrow<act>(w);
}
EXPORT(adamw)
