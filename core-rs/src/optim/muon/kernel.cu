// Muon around its products: what is done to each element of the matrices. Parameters, starts and shifts are those of the
// momentum's slot, as for adamw; nothing changes if the scale is infinite.

/// m = μ m + (1 − μ) g, then the gradient = μ m + (1 − μ) g, where g is the gradient times the scale.
KERNEL(muon_look_ahead)(u64 count, u32 parameters, Pointer<const u64> starts, Pointer<const u64> shifts, float kept,
                        float taken, Pointer<const float> scale, Pointer<float> gradients,
                        Pointer<float> momentum_buffer) {
    const float clipped = scale[0];
    if (!(clipped < INFINITE)) return;
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const u64 at = i + shifts[parameter_of(i, 0, parameters, starts)];
    const float g = taken * (gradients[at] * clipped);
    const float m = fmaf(momentum_buffer[i], kept, g);
    momentum_buffer[i] = m;
    gradients[at] = fmaf(m, kept, g);
}
EXPORT(muon_look_ahead)

/// x = u / (‖u‖ + ε), whose squared norm is the sum of `blocks` partials, which every thread adds in the same order.
KERNEL(muon_normalize)(u64 count, u32 blocks, Pointer<const double> partials, double epsilon, Pointer<const float> u,
                       Pointer<act> x) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    double squared = 0.0;
    for (u32 b = 0; b < blocks; b++) squared += partials[b];
    x[i] = narrow<act>(u[i] * (float)(1.0 / (sqrt(squared) + epsilon)));
}
EXPORT(muon_normalize)

/// out[side, side] = a I + b gram + c square
KERNEL(muon_polynomial)(u32 side, float a, float b, float c, Pointer<const act> gram, Pointer<const float> square,
                        Pointer<act> out) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (u64)side * side) return;
    const float x = fmaf(c, square[i], b * widen(gram[i]));
    out[i] = narrow<act>(i / side == i % side ? x + a : x);
}
EXPORT(muon_polynomial)

/// What an update multiplies by: the learning rate, and what is left of weights that decay.
struct MuonFactors {
    float rate, kept;
};

/// Takes the orthogonal matrices, each times its adjustment and the learning rate, off the weights; zeroes them, and writes
/// the weights as activations where `copy` is given.
KERNEL(muon_apply)(u64 count, u32 parameters, Pointer<const u64> starts, Pointer<const u64> shifts,
                   Pointer<const int> decays, Pointer<const float> adjustments, Pointer<const MuonFactors> factors,
                   Pointer<const float> scale, Pointer<float> weights, Pointer<float> orthogonal, Pointer<act> copy) {
    if (!(scale[0] < INFINITE)) return;
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const u32 p = parameter_of(i, 0, parameters, starts);
    const u64 at = i + shifts[p];
    const MuonFactors by = *factors;
    const float w = fmaf(weights[at], decays[p] ? by.kept : 1.0f, -(by.rate * adjustments[p]) * orthogonal[at]);
    orthogonal[at] = 0.0f;
    weights[at] = w;
    if (copy) copy[at] = narrow<act>(w);
}
EXPORT(muon_apply)
