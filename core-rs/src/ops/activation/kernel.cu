// The functions between two dense layers: y = f(pre), and gradient *= f'(pre).

/// Elements of a thread.
const int ACTIVATION_ELEMENTS = 4;

/// x Φ(x)
struct Gelu {
    static DEVICE float value(float x) {
        float cdf, pdf;
        normal(x, cdf, pdf);
        return x * cdf;
    }
    static DEVICE float slope(float x) {
        float cdf, pdf;
        normal(x, cdf, pdf);
        return fmaf(x, pdf, cdf);
    }
};

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

/// x σ(v) with v = 2 √(2/π) (x + 0.044715 x³), which is GELU's approximation by a hyperbolic tangent.
struct GeluTanh {
    static DEVICE float inner(float x) { return sigmoid(1.5957691f * x * fmaf(x * x, 0.044715f, 1.0f)); }
    static DEVICE float value(float x) { return x * inner(x); }
    static DEVICE float slope(float x) {
        const float s = inner(x);
        return fmaf(x * s * (1.0f - s), 1.5957691f * fmaf(x * x, 0.134145f, 1.0f), s);
    }
};

/// max(x, 0); NaN stays NaN.
struct Relu {
    static DEVICE float value(float x) { return x < 0.0f ? 0.0f : x; }
    static DEVICE float slope(float x) { return x > 0.0f ? 1.0f : 0.0f; }
};

/// max(x, 0)²
struct SquaredRelu {
    static DEVICE float value(float x) { return Relu::value(x) * Relu::value(x); }
    static DEVICE float slope(float x) { return 2.0f * Relu::value(x); }
};

/// x σ(x)
struct Silu {
    static DEVICE float value(float x) { return x * sigmoid(x); }
    static DEVICE float slope(float x) {
        const float s = sigmoid(x);
        return fmaf(x * s, 1.0f - s, s);
    }
};

template <class F>
DEVICE void activate(u64 count, Pointer<const act> pre, Pointer<act> y) {
    const int V = ACTIVATION_ELEMENTS;
    const u64 at = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * V;
    if (at + V <= count) {
        float x[V];
        load<V, act>(pre + at, x);
#pragma unroll
        for (int i = 0; i < V; i++) x[i] = F::value(x[i]);
        store<V, act>(y + at, x);
    } else {
        for (u64 i = at; i < count; i++) y[i] = narrow<act>(F::value(widen(pre[i])));
    }
}

/// gradient[n, C] *= f'(pre) in rows `block.y · rows …`, of which a warp takes every eighth and a lane V columns. With
/// `partials`, the sums of these rows go to partials[block.y, C].
template <class F, int V>
DEVICE void activate_backward(int n, int rows, int c, Pointer<const act> pre, Pointer<act> gradient, Pointer<float> partials) {
    const int column = ((int)blockIdx.x * 32 + lane_id()) * V, end = min((int)(blockIdx.y + 1) * rows, n);
    float sum[V] = {};
    if (column < c) {
        int row = blockIdx.y * rows + threadIdx.x / 32;
        long long at = (long long)row * c + column;
#pragma unroll 1
        for (; row < end; row += SUMMED_WARPS, at += SUMMED_WARPS * c) {
            float x[V], g[V];
            load<V, act>(pre + at, x);
            load<V, act>(gradient + at, g);
#pragma unroll
            for (int i = 0; i < V; i++) {
                g[i] *= F::slope(x[i]);
                sum[i] += g[i];
            }
            store<V, act>(gradient + at, g);
        }
    }
    if (!partials) return;
    const float total = add_warps<SUMMED_WARPS, V>(sum);
    const int of_block = blockIdx.x * 32 * V + threadIdx.x;
    if (threadIdx.x < 32 * V && of_block < c) partials[(long long)blockIdx.y * c + of_block] = total;
}

// Backward: grid [C / (32 V), blocks of rows], V = 4 where rows are aligned to that and else 1.
#define ACTIVATION(name, F)                                                                                                \
    KERNEL(name##_forward)(u64 count, Pointer<const act> pre, Pointer<act> y) { activate<F>(count, pre, y); }              \
    EXPORT(name##_forward)                                                                                                 \
    KERNEL(name##_backward)(int n, int rows, int c, Pointer<const act> pre, Pointer<act> gradient,                         \
                            Pointer<float> partials) {                                                                     \
        if (c % ACTIVATION_ELEMENTS == 0) {                                                                                \
            activate_backward<F, ACTIVATION_ELEMENTS>(n, rows, c, pre, gradient, partials);                                \
        } else {                                                                                                           \
            activate_backward<F, 1>(n, rows, c, pre, gradient, partials);                                                  \
        }                                                                                                                  \
    }                                                                                                                      \
    EXPORT(name##_backward)
ACTIVATION(gelu, Gelu)
ACTIVATION(gelu_tanh, GeluTanh)
ACTIVATION(relu, Relu)
ACTIVATION(squared_relu, SquaredRelu)
ACTIVATION(silu, Silu)

// Behind a gate: y = dropout(f(up) · gate). Which f it was, forward need not know.

/// y = dropout(activated · y), where y is the gate; `activated` becomes the gate, from which backward starts.
KERNEL(gate_forward)(u64 count, Pointer<const Dropout> site, Pointer<act> activated, Pointer<act> y) {
    const Dropout dropout = dropout_of(site);
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const act gate = y[i];
    y[i] = narrow<act>(widen(activated[i]) * widen(gate) * dropout.factor((u32)i));
    activated[i] = gate;
}
EXPORT(gate_forward)

/// d_up, which is dy at first, = dy · gate · f'(up), and d_gate = dy · f(up), with the dropout.
template <class F>
DEVICE void gate_backward(u64 count, Pointer<const Dropout> site, Pointer<const act> up, Pointer<const act> gate,
                          Pointer<act> d_up, Pointer<act> d_gate) {
    const Dropout dropout = dropout_of(site);
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const float dy = widen(d_up[i]) * dropout.factor((u32)i), x = widen(up[i]);
    d_gate[i] = narrow<act>(dy * F::value(x));
    d_up[i] = narrow<act>(dy * widen(gate[i]) * F::slope(x));
}

#define GATE(name, F)                                                                                                      \
    KERNEL(name##_gate_backward)(u64 count, Pointer<const Dropout> site, Pointer<const act> up, Pointer<const act> gate,   \
                                 Pointer<act> d_up, Pointer<act> d_gate) {                                                 \
        gate_backward<F>(count, site, up, gate, d_up, d_gate);                                                             \
    }                                                                                                                      \
    EXPORT(name##_gate_backward)
GATE(gelu, Gelu)
GATE(gelu_tanh, GeluTanh)
GATE(relu, Relu)
GATE(squared_relu, SquaredRelu)
GATE(silu, Silu)
