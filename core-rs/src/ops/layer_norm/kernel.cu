// LayerNorm. One warp a row; a row stays in registers from the first read to the last write.

/// Calls `f(k, column)` for the packets of V columns that this lane holds: the k-th is at k · 32 + lane.
template <int V, int E, class F>
DEVICE void for_packets(int c, F f) {
#pragma unroll
    for (int k = 0; k < E / V; k++) {
        const int column = (k * 32 + lane_id()) * V;
        if (column < c) f(k, column);
    }
}

DEVICE int warp_row() { return blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; }

/// out = dropout(x̂ · weight + bias), where x̂ is the normalized row; keeps mean and reciprocal deviation.
template <int V, int E>
DEVICE void normalize(const float (&x)[E / V][V], int row, int c, float eps, Pointer<const float> weight,
                      Pointer<const float> bias, Dropout dropout, Pointer<act> out, Pointer<float> statistics) {
    float sum = 0.0f;
    for_packets<V, E>(c, [&](int k, int) {
#pragma unroll
        for (int i = 0; i < V; i++) sum += x[k][i];
    });
    const float mean = warp_sum(sum) / c;
    float squares = 0.0f;
    for_packets<V, E>(c, [&](int k, int) {
#pragma unroll
        for (int i = 0; i < V; i++) squares = fmaf(x[k][i] - mean, x[k][i] - mean, squares);
    });
    const float reciprocal = 1.0f / sqrtf(warp_sum(squares) / c + eps);
    const u32 first = (u32)row * (u32)c;
    for_packets<V, E>(c, [&](int k, int column) {
        float w[V], b[V], y[V];
        load<V, float>(weight + column, w);
        if (bias) {
            load<V, float>(bias + column, b);
        } else {
#pragma unroll
            for (int i = 0; i < V; i++) b[i] = 0.0f;
        }
#pragma unroll
        for (int i = 0; i < V; i++) {
            y[i] = fmaf((x[k][i] - mean) * reciprocal, w[i], b[i]) * dropout.factor(first + column + i);
        }
        store<V, act>(out + ((long long)row * c + column), y);
    });
    if (lane_id() == 0) {
        statistics[2 * row] = mean;
        statistics[2 * row + 1] = reciprocal;
    }
}

template <int V, int E>
DEVICE void norm_forward_rows(int n, int c, float eps, Pointer<const act> x, Pointer<const float> weight,
                              Pointer<const float> bias, Pointer<act> out, Pointer<float> statistics) {
    const int row = warp_row();
    if (row >= n) return;
    float values[E / V][V];
    for_packets<V, E>(c, [&](int k, int column) { load<V, act>(x + ((long long)row * c + column), values[k]); });
    normalize<V, E>(values, row, c, eps, weight, bias, Dropout{0, 0, 0, 1.0f}, out, statistics);
}

/// The same of sum = sum · dropout + residual, which is kept as an activation, and normalized as it is kept.
template <int V, int E>
DEVICE void residual_norm_rows(int n, int c, float eps, Pointer<const act> residual, const Dropout& dropout,
                               Pointer<const float> weight, Pointer<const float> bias, Pointer<act> sum, Pointer<act> out,
                               Pointer<float> statistics) {
    const int row = warp_row();
    if (row >= n) return;
    const long long at = (long long)row * c;
    const u32 first = (u32)row * (u32)c;
    float values[E / V][V], others[E / V][V];
    for_packets<V, E>(c, [&](int k, int column) { load<V, act>(sum + (at + column), values[k]); });
    for_packets<V, E>(c, [&](int k, int column) { load<V, act>(residual + (at + column), others[k]); });
    for_packets<V, E>(c, [&](int k, int column) {
#pragma unroll
        for (int i = 0; i < V; i++) {
            const float x = fmaf(values[k][i], dropout.factor(first + column + i), others[k][i]);
            values[k][i] = widen(narrow<act>(x));
        }
        store<V, act>(sum + (at + column), values[k]);
    });
    normalize<V, E>(values, row, c, eps, weight, bias, Dropout{0, 0, 0, 1.0f}, out, statistics);
}

/// Backward of rows `block · rows …` by all warps of the block. The gradients of weight and bias, of which there are
/// `parameters`, are summed over these rows in a fixed order and go to `partials[block, parts, C]`; with one part more, so are
/// the columns of `dropped`. For these sums no registers are left: each warp has its own in shared memory.
template <int V, int E>
DEVICE void norm_backward_rows(int n, int rows, int parameters, int parts, int c, Pointer<const act> x,
                               Pointer<const float> statistics, Pointer<const float> weight, Pointer<float> gradient,
                               Pointer<float> sum, Dropout dropout, Pointer<act> dropped, Pointer<float> partials) {
    DYNAMIC_SHARED(float, total); // [2, C] and, with one part more, [warps, C]
    const int warp = threadIdx.x / 32, warps = blockDim.x / 32;
    const Pointer<float> sums = total + 2 * c, of_warp = sums + warp * c;
    const bool summing = parts > parameters;
    if (summing) {
        const float zeros[V] = {};
        for_packets<V, E>(c, [&](int, int column) { store<V, float>(of_warp + column, zeros); });
    }
    const int to = min((int)(blockIdx.x + 1) * rows, n);
    float d_weight[E / V][V] = {}, d_bias[E / V][V] = {};
    for (int row = blockIdx.x * rows + warp; row < to; row += warps) {
        const float mean = statistics[2 * row], reciprocal = statistics[2 * row + 1];
        const u32 first = (u32)row * (u32)c;
        const long long at = (long long)row * c;
        float normalized[E / V][V], g[E / V][V], g_sum = 0.0f, gx_sum = 0.0f;
        // All of the row is asked for before any of it is waited for.
        for_packets<V, E>(c, [&](int k, int column) { load<V, act>(x + (at + column), normalized[k]); });
        for_packets<V, E>(c, [&](int k, int column) { load<V, float>(gradient + (at + column), g[k]); });
        for_packets<V, E>(c, [&](int k, int column) {
            float w[V];
            load<V, float>(weight + column, w);
#pragma unroll
            for (int i = 0; i < V; i++) {
                normalized[k][i] = (normalized[k][i] - mean) * reciprocal;
                const float dy = g[k][i];
                d_weight[k][i] = fmaf(dy, normalized[k][i], d_weight[k][i]);
                d_bias[k][i] += dy;
                g[k][i] = dy * w[i];
                g_sum += g[k][i];
                gx_sum = fmaf(normalized[k][i], g[k][i], gx_sum);
            }
        });
        // dx = (g − mean(g) − x̂ mean(g x̂)) / deviation
        const float g_mean = warp_sum(g_sum) / c, gx_mean = warp_sum(gx_sum) / c;
        for_packets<V, E>(c, [&](int k, int column) {
            float dx[V];
#pragma unroll
            for (int i = 0; i < V; i++) dx[i] = (g[k][i] - g_mean - normalized[k][i] * gx_mean) * reciprocal;
            if (sum) {
                float before[V];
                load<V, float>(sum + (at + column), before);
#pragma unroll
                for (int i = 0; i < V; i++) dx[i] += before[i];
            }
            store<V, float>((sum ? sum : gradient) + (at + column), dx);
            if (!dropped) return;
#pragma unroll
            for (int i = 0; i < V; i++) dx[i] *= dropout.factor(first + column + i);
            store<V, act>(dropped + (at + column), dx);
            if (!summing) return;
            float columns[V];
            load<V, float>(of_warp + column, columns);
#pragma unroll
            for (int i = 0; i < V; i++) columns[i] += dx[i];
            store<V, float>(of_warp + column, columns);
        });
    }
    for (int turn = 0; turn < warps; turn++) {
        if (warp == turn) {
            for_packets<V, E>(c, [&](int k, int column) {
#pragma unroll
                for (int i = 0; i < V; i++) {
                    total[column + i] = d_weight[k][i] + (turn > 0 ? total[column + i] : 0.0f);
                    total[c + column + i] = d_bias[k][i] + (turn > 0 ? total[c + column + i] : 0.0f);
                }
            });
        }
        __syncthreads();
    }
    partials = partials + (long long)blockIdx.x * parts * c;
    for (int i = threadIdx.x; i < parameters * c; i += blockDim.x) partials[i] = total[i];
    if (!summing) return;
    for (int i = threadIdx.x; i < c; i += blockDim.x) {
        float sum = 0.0f;
        for (int w = 0; w < warps; w++) sum += sums[w * c + i];
        partials[parameters * c + i] = sum;
    }
}

// Versions by the widest row that they take, because a narrower one needs fewer registers: at 1024 columns a thread of
// norm_backward holds 128 values, and what does not fit goes to memory. All but the widest move four neighbours at once.
//
// norm_forward: out = LayerNorm(x). residual_norm: sum = sum · dropout + residual, out = LayerNorm(sum). Grid: rows / warps
// of a block.
// norm_backward: gradient, f32: d out → d x, in place, or, with `sum`, added there. `dropped`, if given, is that through the
// dropout before the residual, as an activation. Shared: 2 C floats, and where its columns are summed 8 C more.
#define NORM(W, V)                                                                                                         \
    KERNEL(norm_forward_##W)(int n, int c, float eps, Pointer<const act> x, Pointer<const float> weight,                   \
                             Pointer<const float> bias, Pointer<act> out, Pointer<float> statistics) {                     \
        norm_forward_rows<V, W / 32>(n, c, eps, x, weight, bias, out, statistics);                                         \
    }                                                                                                                      \
    EXPORT(norm_forward_##W)                                                                                               \
    KERNEL(residual_norm_##W)(int n, int c, float eps, Pointer<const act> residual, Pointer<const Dropout> site,           \
                              Pointer<const float> weight, Pointer<const float> bias, Pointer<act> sum, Pointer<act> out,  \
                              Pointer<float> statistics) {                                                                 \
        residual_norm_rows<V, W / 32>(n, c, eps, residual, dropout_of(site), weight, bias, sum, out, statistics);          \
    }                                                                                                                      \
    EXPORT(residual_norm_##W)                                                                                              \
    BOUNDED_KERNEL(norm_backward_##W, 256, W <= 768 ? 2 : 1)                                                               \
    (int n, int rows, int parameters, int parts, int c, Pointer<const act> x, Pointer<const float> statistics,             \
     Pointer<const float> weight, Pointer<float> gradient, Pointer<float> sum, Pointer<const Dropout> site,                \
     Pointer<act> dropped, Pointer<float> partials) {                                                                      \
        norm_backward_rows<V, W / 32>(n, rows, parameters, parts, c, x, statistics, weight, gradient, sum,                 \
                                      dropout_of(site), dropped, partials);                                                \
    }                                                                                                                      \
    EXPORT(norm_backward_##W)
NORM(256, 4)
NORM(512, 4)
NORM(768, 4)
NORM(1024, 4)
NORM(2048, 1)
