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

template <class F>
DEVICE void activate_backward(u64 count, Pointer<const act> pre, Pointer<act> gradient) {
    const int V = ACTIVATION_ELEMENTS;
    const u64 at = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * V;
    if (at + V <= count) {
        float x[V], g[V];
        load<V, act>(pre + at, x);
        load<V, act>(gradient + at, g);
#pragma unroll
        for (int i = 0; i < V; i++) g[i] *= F::slope(x[i]);
        store<V, act>(gradient + at, g);
    } else {
        for (u64 i = at; i < count; i++) gradient[i] = narrow<act>(widen(gradient[i]) * F::slope(widen(pre[i])));
    }
}

KERNEL(gelu_forward)(u64 count, Pointer<const act> pre, Pointer<act> y) { activate<Gelu>(count, pre, y); }
EXPORT(gelu_forward)
KERNEL(gelu_backward)(u64 count, Pointer<const act> pre, Pointer<act> gradient) {
    activate_backward<Gelu>(count, pre, gradient);
}
EXPORT(gelu_backward)

KERNEL(gelu_tanh_forward)(u64 count, Pointer<const act> pre, Pointer<act> y) { activate<GeluTanh>(count, pre, y); }
EXPORT(gelu_tanh_forward)
KERNEL(gelu_tanh_backward)(u64 count, Pointer<const act> pre, Pointer<act> gradient) {
    activate_backward<GeluTanh>(count, pre, gradient);
}
EXPORT(gelu_tanh_backward)

KERNEL(relu_forward)(u64 count, Pointer<const act> pre, Pointer<act> y) { activate<Relu>(count, pre, y); }
EXPORT(relu_forward)
KERNEL(relu_backward)(u64 count, Pointer<const act> pre, Pointer<act> gradient) {
    activate_backward<Relu>(count, pre, gradient);
}
EXPORT(relu_backward)

KERNEL(squared_relu_forward)(u64 count, Pointer<const act> pre, Pointer<act> y) { activate<SquaredRelu>(count, pre, y); }
EXPORT(squared_relu_forward)
KERNEL(squared_relu_backward)(u64 count, Pointer<const act> pre, Pointer<act> gradient) {
    activate_backward<SquaredRelu>(count, pre, gradient);
}
EXPORT(squared_relu_backward)

KERNEL(silu_forward)(u64 count, Pointer<const act> pre, Pointer<act> y) { activate<Silu>(count, pre, y); }
EXPORT(silu_forward)
KERNEL(silu_backward)(u64 count, Pointer<const act> pre, Pointer<act> gradient) {
    activate_backward<Silu>(count, pre, gradient);
}
EXPORT(silu_backward)

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
