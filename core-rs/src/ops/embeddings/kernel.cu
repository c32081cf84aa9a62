// Rows by index: the embedding tables and their gradient, and the masked rows that the head runs on.
//
// Tokens collide in rows of a table. For the gradient they are sorted by row on the host and cut into pieces, so that
// sums have a fixed order without atomics, and a row that every token uses (a token type) is summed by many blocks.

template <int V, int E>
DEVICE void embed_forward_rows(int n, int count, int c, float eps, Pointer<const int> rows, Pointer<const float> tables,
                               Pointer<const float> weight, Pointer<const float> bias, Dropout dropout, Pointer<act> sum,
                               Pointer<act> out, Pointer<float> statistics) {
    const int row = warp_row();
    if (row >= n) return;
    const long long at = (long long)row * c;
    float x[E / V][V];
    for_packets<V, E>(c, [&](int k, int column) {
#pragma unroll
        for (int i = 0; i < V; i++) x[k][i] = 0.0f;
        for (int table = 0; table < count; table++) {
            float e[V];
            load<V, float>(tables + ((long long)rows[table * n + row] * c + column), e);
#pragma unroll
            for (int i = 0; i < V; i++) x[k][i] += e[i];
        }
#pragma unroll
        for (int i = 0; i < V; i++) x[k][i] = widen(narrow<act>(x[k][i]));
        store<V, act>(sum + (at + column), x[k]);
    });
    normalize<V, E>(x, row, c, eps, weight, bias, dropout, out, statistics);
}

// out = word + position + token type embedding, as many as there are; `rows` and `tables` as below.
KERNEL(embed_sum)(int n, int count, int c, Pointer<const int> rows, Pointer<const float> tables, Pointer<act> out) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= (long long)n * c) return;
    const int row = (int)(i / c), column = (int)(i % c);
    float x = 0.0f;
    for (int table = 0; table < count; table++) x += tables[(long long)rows[table * n + row] * c + column];
    out[i] = narrow<act>(x);
}
EXPORT(embed_sum)

// sum = word + position + token type embedding; out = dropout(LayerNorm(sum)). `rows[tables, N]` count from the start of
// `tables`, where they lie one behind the other. Versions as of norm_forward.
#define EMBED(W, V)                                                                                                        \
    KERNEL(embed_forward_##W)(int n, int count, int c, float eps, Pointer<const int> rows, Pointer<const float> tables,    \
                              Pointer<const float> weight, Pointer<const float> bias, Pointer<const Dropout> site,         \
                              Pointer<act> sum, Pointer<act> out, Pointer<float> statistics) {                             \
        embed_forward_rows<V, W / 32>(n, count, c, eps, rows, tables, weight, bias, dropout_of(site), sum, out,            \
                                      statistics);                                                                         \
    }                                                                                                                      \
    EXPORT(embed_forward_##W)
EMBED(256, 4)
EMBED(512, 4)
EMBED(768, 4)
EMBED(1024, 4)
EMBED(2048, 1)

/// Sums of rows of x[·, C], from `from` up to `to`, go to table[row, C] or, where `slot` is one, are partials[slot, C]; a
/// thread has V columns. `at(i)` is the i-th row.
template <int V, class At>
DEVICE void sum_rows(int c, int from, int to, const At& at, Pointer<const float> x, int row, int slot, Pointer<float> table,
                     Pointer<float> partials) {
    for (int column = threadIdx.x * V; column < c; column += blockDim.x * V) {
        float sum[V] = {}, values[V];
#pragma unroll 4
        for (int i = from; i < to; i++) {
            load<V, float>(x + ((long long)at(i) * c + column), values);
#pragma unroll
            for (int k = 0; k < V; k++) sum[k] += values[k];
        }
        if (slot < 0) {
            const Pointer<float> there = table + ((long long)row * c + column);
            load<V, float>(there, values);
#pragma unroll
            for (int k = 0; k < V; k++) sum[k] += values[k];
            store<V, float>(there, sum);
        } else {
            store<V, float>(partials + ((long long)slot * c + column), sum);
        }
    }
}

/// pieces[P, 4]: row of the table, its first and last + 1 entry in `order`, and the slot for the sum, or −1 if this piece
/// is the row's only one and adds to the table itself. counts[0] is P; the blocks share them out.
KERNEL(embed_backward_pieces)(int c, Pointer<const int> counts, Pointer<const int> pieces, Pointer<const int> order,
                              Pointer<const float> gradient, Pointer<float> table, Pointer<float> partials) {
    const int count = counts[0];
    const auto token = [&](int i) { return order[i]; };
    for (int piece = blockIdx.x; piece < count; piece += gridDim.x) {
        const int row = pieces[4 * piece], from = pieces[4 * piece + 1], to = pieces[4 * piece + 2];
        const int slot = pieces[4 * piece + 3];
        if (c % 4 == 0) sum_rows<4>(c, from, to, token, gradient, row, slot, table, partials);
        else sum_rows<1>(c, from, to, token, gradient, row, slot, table, partials);
    }
}
EXPORT(embed_backward_pieces)

/// rows[R, 3]: row of the table, its first and last + 1 slot. counts[1] is R; one block a row, further ones do nothing.
KERNEL(embed_backward_rows)(int c, Pointer<const int> counts, Pointer<const int> rows, Pointer<const float> partials,
                            Pointer<float> table) {
    if ((int)blockIdx.x >= counts[1]) return;
    const int row = rows[3 * blockIdx.x], from = rows[3 * blockIdx.x + 1], to = rows[3 * blockIdx.x + 2];
    const auto slot = [](int i) { return i; };
    if (c % 4 == 0) sum_rows<4>(c, from, to, slot, partials, row, -1, table, Pointer<float>());
    else sum_rows<1>(c, from, to, slot, partials, row, -1, table, Pointer<float>());
}
EXPORT(embed_backward_rows)

// A row of −1 is padding: zeros are gathered from it, and nothing goes there.

/// out[m] = x[rows[m]]; one block a row.
KERNEL(gather_rows)(int c, Pointer<const int> rows, Pointer<const act> x, Pointer<act> out) {
    const int row = rows[blockIdx.x];
    const long long from = (long long)row * c, to = (long long)blockIdx.x * c;
    for (int i = threadIdx.x; i < c; i += blockDim.x) out[to + i] = row < 0 ? narrow<act>(0.0f) : x[from + i];
}
EXPORT(gather_rows)

/// out[rows[m]] += x[m]
KERNEL(scatter_add_rows)(int c, Pointer<const int> rows, Pointer<const float> x, Pointer<float> out) {
    const int row = rows[blockIdx.x];
    if (row < 0) return;
    const long long to = (long long)row * c, from = (long long)blockIdx.x * c;
    for (int i = threadIdx.x; i < c; i += blockDim.x) out[to + i] += x[from + i];
}
EXPORT(scatter_add_rows)
