// AdamW over the slots: one thread four neighbours.

/// `adamw::Factors`.
struct AdamWFactors {
    float beta1, beta2, one_minus_beta1, one_minus_beta2, rate, root, epsilon, kept;
};

/// The update of V neighbours: those from i of the slots, and from `at` of the flat buffers.
template <int V>
DEVICE void adamw_elements(u64 i, u64 at, const AdamWFactors& by, float kept, float clipped, Pointer<float> weights,
                           Pointer<float> gradients, Pointer<float> exp_avg, Pointer<float> exp_avg_sq, Pointer<act> copy) {
    float g[V], m[V], v[V], w[V];
    load<V, float>(gradients + at, g);
    load<V, float>(exp_avg + i, m);
    load<V, float>(exp_avg_sq + i, v);
    load<V, float>(weights + at, w);
#pragma unroll
    for (int k = 0; k < V; k++) {
        const float x = g[k] * clipped;
        m[k] = fmaf(m[k], by.beta1, by.one_minus_beta1 * x);
        v[k] = fmaf(v[k], by.beta2, by.one_minus_beta2 * x * x);
        w[k] = fmaf(w[k], kept, -by.rate * m[k] / fmaf(sqrtf(v[k]), by.root, by.epsilon));
        g[k] = 0.0f;
    }
    store<V, float>(gradients + at, g);
    store<V, float>(exp_avg + i, m);
    store<V, float>(exp_avg_sq + i, v);
    store<V, float>(weights + at, w);
    if (copy) store<V, act>(copy + at, w);
}

/// One update of elements `before` up to `behind` of the slots, which lie at the start of `exp_avg` and `exp_avg_sq`; zeroes their gradients, and writes their weights as activations where
/// `copy` is given. Parameter p has the elements of the slots from `starts[p]` up to the next start (the last one up to
/// `behind`), which are the elements from `starts[p] + shifts[p]` of the flat buffers. It decays where `decays[p]` is not 0.
/// Nothing changes if `scale[0]`, which gradients are multiplied by, is infinite.
KERNEL(adamw)(u64 before, u64 behind, u32 parameters, Pointer<const u64> starts, Pointer<const u64> shifts,
              Pointer<const int> decays, Pointer<const AdamWFactors> factors, Pointer<const float> scale,
              Pointer<float> weights, Pointer<float> gradients, Pointer<float> exp_avg, Pointer<float> exp_avg_sq,
              Pointer<act> copy) {
    const float clipped = scale[0];
    if (!(clipped < INFINITE)) return;
    // Where the block's elements begin and end is looked up once: mostly within one parameter.
    SHARED(u32, between, 2);
    const u64 block = before + (u64)blockIdx.x * blockDim.x * 4;
    if (threadIdx.x < 2) {
        const u64 of = threadIdx.x == 0 ? block : min(block + 4 * blockDim.x, behind) - 1;
        between[threadIdx.x] = parameter_of(of, 0, parameters, starts);
    }
    __syncthreads();
    const AdamWFactors by = *factors;
    const u64 first = block + 4 * threadIdx.x, last = min(first + 4, behind);
    if (first >= behind) return;
    u32 p = parameter_of(first, between[0], between[1] + 1, starts);
    const u64 end = p + 1 < parameters ? min(starts[p + 1], behind) : behind, shift = shifts[p];
    if (first + 4 <= end && (first + shift) % 4 == 0) {
        adamw_elements<4>(first - before, first + shift, by, decays[p] ? by.kept : 1.0f, clipped, weights, gradients, exp_avg,
                          exp_avg_sq, copy);
        return;
    }
    for (u64 i = first; i < last; i++) {
        p = parameter_of(i, p, between[1] + 1, starts);
        adamw_elements<1>(i - before, i + shifts[p], by, decays[p] ? by.kept : 1.0f, clipped, weights, gradients, exp_avg, exp_avg_sq,
                          copy);
    }
}
EXPORT(adamw)
