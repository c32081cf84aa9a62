// The gradients of attention, in one pass over the scores (FlashAttention-2; Dao, 2023), over what kernel.cu has.
//
// A block owns a head of a sequence, so that every sum has one owner: no atomics, and the same bits in each run.

/// delta[H, N] = Σ d_out · out over a head; one warp a token. Where a head is 2, 4, … packets, a lane has one of them.
KERNEL(attention_delta)(Heads heads, int count, Pointer<const act> out, Pointer<const act> d_out, Pointer<float> delta) {
    const int token = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (token >= heads.tokens) return;
    const long long row = (long long)token * heads.hidden;
    const int lanes = heads.size / PAD;
    if (heads.size % PAD == 0 && (lanes & (lanes - 1)) == 0) {
        for (int first = 0; first < heads.hidden; first += 32 * PAD) {
            const int column = first + lane_id() * PAD;
            float x[PAD] = {}, y[PAD] = {}, sum = 0.0f;
            if (column < heads.hidden) {
                load<PAD, act>(out + (row + column), x);
                load<PAD, act>(d_out + (row + column), y);
            }
#pragma unroll
            for (int i = 0; i < PAD; i++) sum = fmaf(x[i], y[i], sum);
            for (int m = 1; m < lanes; m *= 2) sum += __shfl_xor_sync(ALL_LANES, sum, m);
            if (column < heads.hidden && lane_id() % lanes == 0) {
                delta[(long long)(column / heads.size) * heads.tokens + token] = sum;
            }
        }
        return;
    }
    for (int head = 0; head < count; head++) {
        const long long at = row + head * heads.size;
        float sum = 0.0f;
        for (int i = lane_id(); i < heads.size; i += 32) sum = fmaf(widen(out[at + i]), widen(d_out[at + i]), sum);
        sum = warp_sum(sum);
        if (lane_id() == 0) delta[(long long)head * heads.tokens + token] = sum;
    }
}
EXPORT(attention_delta)

/// How the block of the backward kernel is cut: a warp owns 16 of the keys, and of the queries that they meet at a time 16
/// rows, or some columns of these.
template <int D>
struct Cut {
    static const int WARPS = (sizeof(act) == 2 ? 512 : 256) / D, THREADS = 32 * WARPS, KEYS = 16 * WARPS;
    static const int QUERIES = sizeof(act) == 2 ? 32 : 16, SCORES = QUERIES + PAD;
    static const int GROUPS = QUERIES / 16, COLUMNS = D * GROUPS / WARPS;
    /// Blocks that a multiprocessor has registers for, where that costs nothing.
    static const int BLOCKS = sizeof(act) == 2 && D == 64 ? 2 : 1;
};

/// Keys that a block goes through. Where a sequence has more, each part of its keys has a block of its own, and a sum of the
/// queries' gradients.
const int KEYS_OF_A_BLOCK = 1024;

/// Two neighbours of a head's row, 0 beyond its size.
DEVICE void load_pair(Pointer<const float> x, const Heads& heads, int column, float& first, float& second) {
    if (heads.size % 2 == 0) {
        float pair[2] = {};
        if (column < heads.size) load<2, float>(x + column, pair);
        first = pair[0];
        second = pair[1];
    } else {
        first = column < heads.size ? x[column] : 0.0f;
        second = column + 1 < heads.size ? x[column + 1] : 0.0f;
    }
}

/// to[size] = the sums of the columns of a head in `rows` rows, over a whole block; `shared` has four floats a thread.
template <int D, int THREADS>
DEVICE void sum_columns_of_head(Pointer<const act> x, int row_stride, int rows, int size, Pointer<float> shared,
                                Pointer<float> to) {
    const int V = 4, lanes = D / V, column = threadIdx.x % lanes * V;
    float sum[V] = {};
    if (column < size) {
        for (int row = threadIdx.x / lanes; row < rows; row += THREADS / lanes) {
            float values[V];
            load<V, act>(x + ((long long)row * row_stride + column), values);
#pragma unroll
            for (int i = 0; i < V; i++) sum[i] += values[i];
        }
    }
    store<V, float>(shared + threadIdx.x * V, sum);
    __syncthreads();
    for (int i = threadIdx.x; i < size; i += THREADS) {
        float total = 0.0f;
        for (int group = 0; group < THREADS / lanes; group++) total += shared[group * D + i];
        to[i] = total;
    }
    __syncthreads();
}

/// Gradients of some keys of a head of a sequence, of their values, and what these keys give to the gradients of all queries.
///
/// The block goes through its keys, and for each tile of them through the queries that see them. Scores are made transposed,
/// a warp's keys as rows, so that probabilities and their gradients stay in registers as left operands of the products that
/// give values' and keys' gradients. Only for the queries' gradients the warps need each other's, which go through shared
/// memory; the sum of these lies in `sums`, where nobody else writes.
///
/// With `partials`, [sequences, 3 C], the block also sums the columns of what it has written, which is near then. Only for
/// sequences in one part and heads of a multiple of four columns.
template <int D>
DEVICE void attention_backward(Heads heads, int parts, Pointer<const int> cu_seqlens, Pointer<const act> qkv,
                               const ScoreDropout& site, Pointer<const float> lse, Pointer<const float> delta,
                               Pointer<const act> d_out, Pointer<act> d_qkv, Pointer<float> sums, Pointer<float> partials) {
    typedef Cut<D> C;
    const int stride = D + PAD, warp = threadIdx.x / 32;
    const int sequence = blockIdx.x / parts, part = blockIdx.x % parts, from = cu_seqlens[sequence];
    Place place = {from, cu_seqlens[sequence + 1] - from, part * KEYS_OF_A_BLOCK, (int)blockIdx.y};
    const int first_key = place.first, end_keys = min(place.length, first_key + KEYS_OF_A_BLOCK);
    const u32 row_of_head = (u32)place.head * heads.tokens + place.from; // in 32 bits: no register is left for more
    sums = sums + (long long)part * heads.tokens * heads.hidden;

    DYNAMIC_SHARED(act, memory);
    const Pointer<act> k = memory, v = k + C::KEYS * stride, pairs = v + C::KEYS * stride;
    const Pointer<act> ds = pairs + 4 * C::QUERIES * stride;
    const Pointer<float> rows = cast<float>(ds + C::KEYS * C::SCORES);
    const auto fetch_pair = [&](int stage, int first) {
        const Pointer<act> q = pairs + stage * 2 * C::QUERIES * stride;
        fetch<D, C::QUERIES, C::THREADS>(q, qkv, 3 * heads.hidden, heads, place, first);
        fetch<D, C::QUERIES, C::THREADS>(q + C::QUERIES * stride, d_out, heads.hidden, heads, place, first);
        // Of a query that there is not, all is 0: then so is what it gives.
        if (threadIdx.x < C::QUERIES) {
            const Pointer<float> to = rows + (2 * stage * C::QUERIES + threadIdx.x);
            const u32 row = row_of_head + first + threadIdx.x;
            const bool wanted = first + (int)threadIdx.x < place.length;
            copy_async(to, lse + row, wanted);
            copy_async(to + C::QUERIES, delta + row, wanted);
        }
    };
    // What a tile of keys is seen by.
    const auto begin_of = [&](int key) {
        return heads.causal ? key / C::QUERIES * C::QUERIES : heads.first_seen(key, C::QUERIES);
    };
    const auto end_of = [&](int key) { return heads.end_seen(key + C::KEYS, place.length); };

    const float scale = heads.scale * LOG2_E;
    for (int key = first_key; key < end_keys; key += C::KEYS) {
        const int begin = begin_of(key), end = end_of(key);
        __syncthreads(); // nobody reads the last keys any more
        fetch<D, C::KEYS, C::THREADS>(k, qkv + heads.hidden, 3 * heads.hidden, heads, place, key);
        fetch<D, C::KEYS, C::THREADS>(v, qkv + 2 * heads.hidden, 3 * heads.hidden, heads, place, key);
        fetch_pair(0, begin);
        float dk[D / 8][4] = {}, dv[D / 8][4] = {};
        for (int query = begin, stage = 0; query < end; query += C::QUERIES, stage ^= 1) {
            copies_arrived();
            __syncthreads(); // and nobody reads the last pair any more
            if (query + C::QUERIES < end) fetch_pair(stage ^ 1, query + C::QUERIES);
            const Pointer<const act> q = pairs + stage * 2 * C::QUERIES * stride, d = q + C::QUERIES * stride;
            float s[C::QUERIES / 8][4] = {}, dp[C::QUERIES / 8][4] = {};
            warp_product<C::QUERIES / 8, D / 16, false, true>(s, k + 16 * warp * stride, stride, q, stride);
            warp_product<C::QUERIES / 8, D / 16, false, true>(dp, v + 16 * warp * stride, stride, d, stride);
            const bool edge = key + C::KEYS > place.length || !heads.sees_all(query, C::QUERIES, key, C::KEYS);
            if (edge) {
#pragma unroll
                for (int j = 0; j < C::QUERIES / 8; j++) {
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        const int k_row = key + row_of(e), q_row = query + column_of(j, e);
                        if ((k_row >= place.length) | !heads.sees(q_row, k_row)) s[j][e] = -INFINITE;
                    }
                }
            }
            const u32 index = index_of(site, heads, place, query + column_of(0, 0), key + row_of(0));
            const Pointer<const float> of_rows = rows + (2 * stage * C::QUERIES + column_of(0, 0));
#pragma unroll
            for (int j = 0; j < C::QUERIES / 8; j++) {
                float of_lse[2], of_delta[2];
                load<2, float>(of_rows + 8 * j, of_lse);
                load<2, float>(of_rows + (8 * j + C::QUERIES), of_delta);
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const float p = power_of_two(fmaf(s[j][e], scale, of_lse[e % 2] * -LOG2_E));
                    const float minus = -of_delta[e % 2];
                    // `scale` of the dropout multiplies the gradients of the values at the end, and that of the head the others.
                    s[j][e] = p;
                    dp[j][e] = p * fmaf(dp[j][e], site.dropout.scale, minus);
                    if (site.dropout.threshold != 0) {
                        const bool drops = site.dropout.drops(index + (8 * j + e % 2) * heads.longest + 8 * (e / 2));
                        s[j][e] = drops ? 0.0f : s[j][e];
                        dp[j][e] = drops ? p * minus : dp[j][e];
                    }
                }
            }
#pragma unroll
            for (int j = 0; j < C::QUERIES / 8; j++) {
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    const float pair[2] = {dp[j][2 * r], dp[j][2 * r + 1]};
                    store<2, act>(ds + (row_of(2 * r) * C::SCORES + column_of(j, 0)), pair);
                }
            }
            warp_product<D / 8, C::GROUPS, false>(dv, s, d, stride);
            warp_product<D / 8, C::GROUPS, false>(dk, dp, q, stride);
            __syncthreads();
            const int group = warp % C::GROUPS * 16, columns = warp / C::GROUPS * C::COLUMNS;
            const bool first = key == first_key || query >= end_of(key - C::KEYS);
            const bool last = key + C::KEYS >= end_keys || query < begin_of(key + C::KEYS);
            const int row = query + group + lane_id() / 4;
            float dq[C::COLUMNS / 8][4] = {};
            if (!first) {
#pragma unroll
                for (int r = 0; r < 2; r++) {
                    if (row + 8 * r >= place.length) continue;
                    const Pointer<const float> x =
                        sums + ((long long)(place.from + row + 8 * r) * heads.hidden + place.head * heads.size);
#pragma unroll
                    for (int j = 0; j < C::COLUMNS / 8; j++) {
                        load_pair(x, heads, columns + column_of(j, 0), dq[j][2 * r], dq[j][2 * r + 1]);
                    }
                }
            }
            warp_product<C::COLUMNS / 8, C::WARPS, true, false>(dq, ds + group, C::SCORES, k + columns, stride);
#pragma unroll
            for (int r = 0; r < 2; r++) {
                if (row + 8 * r >= place.length) continue;
                const long long at = place.from + row + 8 * r;
#pragma unroll
                for (int j = 0; j < C::COLUMNS / 8; j++) {
                    const int column = columns + column_of(j, 0);
                    const float x = dq[j][2 * r], y = dq[j][2 * r + 1];
                    if (last && parts == 1) {
                        const Pointer<act> to = d_qkv + (at * 3 * heads.hidden + place.head * heads.size);
                        store_pair<act>(to, heads, column, x * heads.scale, y * heads.scale);
                    } else {
                        store_pair<float>(sums + (at * heads.hidden + place.head * heads.size), heads, column, x, y);
                    }
                }
            }
        }
        place.first = key;
        const float of_keys[2] = {heads.scale, heads.scale}, of_values[2] = {site.dropout.scale, site.dropout.scale};
        store_tile<D>(d_qkv + heads.hidden, 3 * heads.hidden, dk, of_keys, heads, place);
        store_tile<D>(d_qkv + 2 * heads.hidden, 3 * heads.hidden, dv, of_values, heads, place);
    }
    if (!partials) return;
    __syncthreads(); // all is written, and nobody reads shared memory any more
#pragma unroll 1
    for (int i = 0; i < 3; i++) {
        const int width = 3 * heads.hidden, column = i * heads.hidden + place.head * heads.size;
        sum_columns_of_head<D, C::THREADS>(d_qkv + ((long long)place.from * width + column), width, place.length, heads.size,
                                           cast<float>(memory), partials + ((long long)blockIdx.x * width + column));
    }
}

/// The gradients of a tile of queries where several blocks have summed them: those whose keys it sees, in their order.
KERNEL(attention_sum_queries)(Heads heads, int parts, Pointer<const int> tiles, Pointer<const int> cu_seqlens,
                              Pointer<const float> sums, Pointer<act> d_qkv) {
    if (tiles[2 * blockIdx.x] < 0) return;
    const Place place = place_of_block(tiles, cu_seqlens);
    for (int i = threadIdx.x; i < TILE * heads.size; i += blockDim.x) {
        const int query = place.first + i / heads.size;
        if (query >= place.length) return;
        const long long row = place.from + query, column = (long long)place.head * heads.size + i % heads.size;
        float sum = 0.0f;
        for (int part = 0; part < parts; part++) {
            const int key = part * KEYS_OF_A_BLOCK, end = min(place.length, key + KEYS_OF_A_BLOCK);
            if (key >= place.length || (heads.causal && key > query)) break;
            if (key - query > heads.window || query - (end - 1) > heads.window) continue;
            sum += sums[((long long)part * heads.tokens + row) * heads.hidden + column];
        }
        d_qkv[row * 3 * heads.hidden + column] = narrow<act>(sum * heads.scale);
    }
}
EXPORT(attention_sum_queries)

// Grid: [sequences · parts, heads].
#define ATTENTION(D)                                                                                                       \
    BOUNDED_KERNEL(attention_backward_##D, Cut<D>::THREADS, Cut<D>::BLOCKS)                                                \
    (Heads heads, int parts, Pointer<const int> cu_seqlens, Pointer<const act> qkv, Pointer<const ScoreDropout> site,      \
     Pointer<const float> lse, Pointer<const float> delta, Pointer<const act> d_out, Pointer<act> d_qkv,                   \
     Pointer<float> sums, Pointer<float> partials) {                                                                       \
        attention_backward<D>(heads, parts, cu_seqlens, qkv, score_dropout_of(site), lse, delta, d_out, d_qkv, sums,       \
                              partials);                                                                                   \
    }                                                                                                                      \
    EXPORT(attention_backward_##D)
// Compiled apart, each takes half the time.
#if !defined(ATTENTION_HEAD) || ATTENTION_HEAD == 64
ATTENTION(64)
#endif
#if !defined(ATTENTION_HEAD) || ATTENTION_HEAD == 128
ATTENTION(128)
#endif
#undef ATTENTION
