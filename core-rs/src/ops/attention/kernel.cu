// Attention inside each packed sequence (Vaswani et al., 2017), without ever writing the scores: the online softmax and
// the recomputation of FlashAttention-2 (Dao, 2023), over tensor-core products of TILE × TILE scores.
//
// A block is one tile of one head of one sequence, a warp 16 of its rows. Backward runs twice over the scores, once for
// the keys' gradients and once for the queries', so that every sum has one owner and needs no atomics.

#ifdef ACTIVATION_BF16
const int TILE = 64, UNROLL = 8;
#else
const int TILE = 32, UNROLL = 1; // unrolled, the products of floats take NVRTC a minute
#endif
/// Elements behind each row in shared memory: rows stay aligned to 16 bytes and fall on different banks.
const int PAD = 16 / sizeof(act);
const int SCORE_STRIDE = TILE + PAD;

/// The packed batch and how it is cut into heads. A row sees keys up to `window` away.
struct Heads {
    int tokens, hidden, size, causal;
    u32 longest;
    int window;
    float scale;

    DEVICE bool sees(int query, int key) const {
        return !(causal && key > query) && key - query <= window && query - key <= window;
    }
    /// The first row of the first tile, and the end of the last one, that the rows of the tile at `first` see or are seen by.
    DEVICE int first_seen(int first) const { return max(first - window, 0) / TILE * TILE; }
    DEVICE int end_seen(int first, int length) const {
        const int last = first + TILE;
        return length - last <= window ? length : last + window;
    }
};

/// Dropout of the scores, or none. It counts the batch's own tokens: those that fill it up to a bucket draw no masks.
struct ScoreDropout {
    Dropout dropout;
    u32 tokens;
};

DEVICE ScoreDropout score_dropout_of(Pointer<const ScoreDropout> site) {
    return site ? *site : ScoreDropout{dropout_of(Pointer<const Dropout>()), 0};
}

/// One tile's place.
struct Place {
    int from, length, first, head;
};

DEVICE Place place_of_block(Pointer<const int> tiles, Pointer<const int> cu_seqlens) {
    const int sequence = tiles[2 * blockIdx.x], from = cu_seqlens[sequence];
    return {from, cu_seqlens[sequence + 1] - from, tiles[2 * blockIdx.x + 1], (int)blockIdx.y};
}

/// Elements of C that a lane holds: row of the tile for element e, column for element e of the j-th product.
DEVICE int row_of(int e) { return threadIdx.x / 32 * 16 + lane_id() / 4 + 8 * (e / 2); }
DEVICE int column_of(int j, int e) { return 8 * j + 2 * (lane_id() % 4) + e % 2; }

/// c[16, 8 J] += A[16, 16 K] · B[16 K, 8 J]
template <int J, int K, bool A_TRANSPOSED, bool B_TRANSPOSED>
DEVICE void warp_product(float (&c)[J][4], Pointer<const act> a, int a_stride, Pointer<const act> b, int b_stride) {
#pragma unroll UNROLL
    for (int k = 0; k < K; k++) {
        FragmentA<act> fa;
        load_a<A_TRANSPOSED>(fa, a + (A_TRANSPOSED ? 16 * k * a_stride : 16 * k), a_stride);
#pragma unroll
        for (int j = 0; j < J; j++) {
            FragmentB<act> fb;
            load_b<B_TRANSPOSED>(fb, b + (B_TRANSPOSED ? 8 * j * b_stride + 16 * k : 16 * k * b_stride + 8 * j), b_stride);
            multiply_add(c[j], fa, fb);
        }
    }
}

/// tile[TILE, D] = rows `first …` of x, zeros outside the sequence and beyond the head's size.
template <int D, int V>
DEVICE void copy_rows(Pointer<act> tile, Pointer<const act> x, int row_stride, int size, int rows) {
    for (int i = threadIdx.x; i < TILE * (D / V); i += blockDim.x) {
        const int row = i / (D / V), column = i % (D / V) * V;
        Packet<act, V> packet = {};
        if (row < rows && column < size) packet = *cast<const Packet<act, V>>(x + ((long long)row * row_stride + column));
        *cast<Packet<act, V>>(tile + (row * (D + PAD) + column)) = packet;
    }
}

template <int D>
DEVICE void load_tile(Pointer<act> tile, Pointer<const act> x, int row_stride, const Heads& heads, const Place& place, int first) {
    const Pointer<const act> start =
        x + ((long long)(place.from + first) * row_stride + (long long)place.head * heads.size);
    const int rows = place.length - first;
    if (heads.size % PAD == 0 && heads.hidden % PAD == 0) copy_rows<D, PAD>(tile, start, row_stride, heads.size, rows);
    else copy_rows<D, 1>(tile, start, row_stride, heads.size, rows);
}

/// x[rows, D] ← c, where the rows are inside the sequence; `scale` multiplies the lane's two rows.
template <int D>
DEVICE void store_tile(Pointer<act> x, int row_stride, const float (&c)[D / 8][4], const float (&scale)[2], const Heads& heads,
                       const Place& place) {
#pragma unroll
    for (int j = 0; j < D / 8; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int row = place.first + row_of(e), column = column_of(j, e);
            if (row >= place.length || column >= heads.size) continue;
            x[(long long)(place.from + row) * row_stride + place.head * heads.size + column] =
                narrow<act>(c[j][e] * scale[e / 2]);
        }
    }
}

/// What dropout multiplies a score by.
DEVICE float keep_score(const ScoreDropout& site, const Heads& heads, const Place& place, int query, int key) {
    return site.dropout.factor((place.head * site.tokens + place.from + query) * heads.longest + (u32)key);
}

template <int D>
DEVICE void attention_forward(Heads heads, Pointer<const int> tiles, Pointer<const int> cu_seqlens, Pointer<const act> qkv,
                              const ScoreDropout& dropout, Pointer<act> out, Pointer<float> lse) {
    const int stride = D + PAD;
    const Place place = place_of_block(tiles, cu_seqlens);
    DYNAMIC_SHARED(act, memory);
    const Pointer<act> q = memory, k = q + TILE * stride, v = k + TILE * stride, p = v + TILE * stride;
    const int warp_rows = threadIdx.x / 32 * 16;
    load_tile<D>(q, qkv, 3 * heads.hidden, heads, place, place.first);
    // Finite: of a first tile that it does not see, a row takes nothing.
    float o[D / 8][4] = {}, top[2] = {-1e30f, -1e30f}, total[2] = {};
    const int end = heads.causal ? min(place.length, place.first + TILE) : heads.end_seen(place.first, place.length);
    for (int first_key = heads.first_seen(place.first); first_key < end; first_key += TILE) {
        __syncthreads(); // nobody reads the last keys any more
        load_tile<D>(k, qkv + heads.hidden, 3 * heads.hidden, heads, place, first_key);
        load_tile<D>(v, qkv + 2 * heads.hidden, 3 * heads.hidden, heads, place, first_key);
        __syncthreads();
        float s[TILE / 8][4] = {};
        warp_product<TILE / 8, D / 16, false, true>(s, q + warp_rows * stride, stride, k, stride);
        float higher[2] = {top[0], top[1]};
#pragma unroll
        for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int query = place.first + row_of(e), key = first_key + column_of(j, e);
                const bool seen = key < place.length && heads.sees(query, key);
                s[j][e] = seen ? s[j][e] * heads.scale : -INFINITE;
                higher[e / 2] = fmaxf(higher[e / 2], s[j][e]);
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            // The four lanes of a row.
            higher[r] = fmaxf(higher[r], __shfl_xor_sync(ALL_LANES, higher[r], 1));
            higher[r] = fmaxf(higher[r], __shfl_xor_sync(ALL_LANES, higher[r], 2));
            const float correction = expf(top[r] - higher[r]);
            total[r] *= correction;
            top[r] = higher[r];
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                o[j][2 * r] *= correction;
                o[j][2 * r + 1] *= correction;
            }
        }
#pragma unroll
        for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int query = place.first + row_of(e), key = first_key + column_of(j, e);
                const float weight = expf(s[j][e] - top[e / 2]);
                total[e / 2] += weight;
                p[row_of(e) * SCORE_STRIDE + column_of(j, e)] =
                    narrow<act>(weight * keep_score(dropout, heads, place, query, key));
            }
        }
        __syncwarp();
        warp_product<D / 8, TILE / 16, false, false>(o, p + warp_rows * SCORE_STRIDE, SCORE_STRIDE, v, stride);
    }
    float inverse[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        total[r] += __shfl_xor_sync(ALL_LANES, total[r], 1);
        total[r] += __shfl_xor_sync(ALL_LANES, total[r], 2);
        inverse[r] = 1.0f / total[r];
        const int row = place.first + row_of(2 * r);
        if (lane_id() % 4 == 0 && row < place.length) {
            lse[(long long)place.head * heads.tokens + place.from + row] = top[r] + logf(total[r]);
        }
    }
    store_tile<D>(out, heads.hidden, o, inverse, heads, place);
}

/// delta[H, N] = Σ d_out · out over a head; one warp a head of a token.
KERNEL(attention_delta)(Heads heads, int count, Pointer<const act> out, Pointer<const act> d_out, Pointer<float> delta) {
    const int token = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (token >= heads.tokens) return;
    for (int head = 0; head < count; head++) {
        const long long at = (long long)token * heads.hidden + head * heads.size;
        float sum = 0.0f;
        for (int i = lane_id(); i < heads.size; i += 32) sum = fmaf(widen(out[at + i]), widen(d_out[at + i]), sum);
        sum = warp_sum(sum);
        if (lane_id() == 0) delta[(long long)head * heads.tokens + token] = sum;
    }
}
EXPORT(attention_delta)

/// Recomputes this warp's rows of one tile of scores: `p`, if wanted, receives what the values were weighted with, and
/// `ds` the gradient of q · k.
template <int D, bool WITH_P>
DEVICE void score_gradients(const Heads& heads, const Place& place, int first_query, int first_key, Pointer<const act> q,
                            Pointer<const act> k, Pointer<const act> v, Pointer<const act> d_out, Pointer<const float> lse,
                            Pointer<const float> delta, const ScoreDropout& dropout, Pointer<act> p, Pointer<act> ds) {
    const int stride = D + PAD, warp_rows = threadIdx.x / 32 * 16;
    float s[TILE / 8][4] = {}, dp[TILE / 8][4] = {};
    warp_product<TILE / 8, D / 16, false, true>(s, q + warp_rows * stride, stride, k, stride);
    warp_product<TILE / 8, D / 16, false, true>(dp, d_out + warp_rows * stride, stride, v, stride);
    float row_lse[2], row_delta[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int query = first_query + row_of(2 * r);
        const long long at = (long long)place.head * heads.tokens + place.from + query;
        row_lse[r] = query < place.length ? lse[at] : 0.0f;
        row_delta[r] = query < place.length ? delta[at] : 0.0f;
    }
#pragma unroll
    for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int query = first_query + row_of(e), key = first_key + column_of(j, e);
            const bool seen = query < place.length && key < place.length && heads.sees(query, key);
            const float probability = seen ? expf(fmaf(s[j][e], heads.scale, -row_lse[e / 2])) : 0.0f;
            const float keep = keep_score(dropout, heads, place, query, key);
            const int at = row_of(e) * SCORE_STRIDE + column_of(j, e);
            if (WITH_P) p[at] = narrow<act>(probability * keep);
            ds[at] = narrow<act>(probability * fmaf(dp[j][e], keep, -row_delta[e / 2]) * heads.scale);
        }
    }
}

/// Gradients of the keys and values of one tile.
template <int D>
DEVICE void attention_backward_keys(Heads heads, Pointer<const int> tiles, Pointer<const int> cu_seqlens,
                                    Pointer<const act> qkv, const ScoreDropout& dropout, Pointer<const float> lse,
                                    Pointer<const float> delta, Pointer<const act> d_out, Pointer<act> d_qkv) {
    const int stride = D + PAD, warp_keys = threadIdx.x / 32 * 16;
    const Place place = place_of_block(tiles, cu_seqlens);
    DYNAMIC_SHARED(act, memory);
    const Pointer<act> k = memory, v = k + TILE * stride, q = v + TILE * stride, d = q + TILE * stride;
    const Pointer<act> p = d + TILE * stride, ds = p + TILE * SCORE_STRIDE;
    load_tile<D>(k, qkv + heads.hidden, 3 * heads.hidden, heads, place, place.first);
    load_tile<D>(v, qkv + 2 * heads.hidden, 3 * heads.hidden, heads, place, place.first);
    float dk[D / 8][4] = {}, dv[D / 8][4] = {};
    const int end = heads.end_seen(place.first, place.length);
    for (int query = heads.causal ? place.first : heads.first_seen(place.first); query < end; query += TILE) {
        __syncthreads();
        load_tile<D>(q, qkv, 3 * heads.hidden, heads, place, query);
        load_tile<D>(d, d_out, heads.hidden, heads, place, query);
        __syncthreads();
        score_gradients<D, true>(heads, place, query, place.first, q, k, v, d, lse, delta, dropout, p, ds);
        __syncthreads();
        warp_product<D / 8, TILE / 16, true, false>(dv, p + warp_keys, SCORE_STRIDE, d, stride);
        warp_product<D / 8, TILE / 16, true, false>(dk, ds + warp_keys, SCORE_STRIDE, q, stride);
    }
    const float one[2] = {1.0f, 1.0f};
    store_tile<D>(d_qkv + heads.hidden, 3 * heads.hidden, dk, one, heads, place);
    store_tile<D>(d_qkv + 2 * heads.hidden, 3 * heads.hidden, dv, one, heads, place);
}

/// Gradient of the queries of one tile.
template <int D>
DEVICE void attention_backward_queries(Heads heads, Pointer<const int> tiles, Pointer<const int> cu_seqlens,
                                       Pointer<const act> qkv, const ScoreDropout& dropout, Pointer<const float> lse,
                                       Pointer<const float> delta, Pointer<const act> d_out, Pointer<act> d_qkv) {
    const int stride = D + PAD, warp_rows = threadIdx.x / 32 * 16;
    const Place place = place_of_block(tiles, cu_seqlens);
    DYNAMIC_SHARED(act, memory);
    const Pointer<act> q = memory, d = q + TILE * stride, k = d + TILE * stride, v = k + TILE * stride;
    const Pointer<act> ds = v + TILE * stride;
    load_tile<D>(q, qkv, 3 * heads.hidden, heads, place, place.first);
    load_tile<D>(d, d_out, heads.hidden, heads, place, place.first);
    float dq[D / 8][4] = {};
    const int end = heads.causal ? min(place.length, place.first + TILE) : heads.end_seen(place.first, place.length);
    for (int key = heads.first_seen(place.first); key < end; key += TILE) {
        __syncthreads();
        load_tile<D>(k, qkv + heads.hidden, 3 * heads.hidden, heads, place, key);
        load_tile<D>(v, qkv + 2 * heads.hidden, 3 * heads.hidden, heads, place, key);
        __syncthreads();
        score_gradients<D, false>(heads, place, place.first, key, q, k, v, d, lse, delta, dropout, ds, ds);
        __syncwarp();
        warp_product<D / 8, TILE / 16, false, false>(dq, ds + warp_rows * SCORE_STRIDE, SCORE_STRIDE, k, stride);
    }
    const float one[2] = {1.0f, 1.0f};
    store_tile<D>(d_qkv, 3 * heads.hidden, dq, one, heads, place);
}

// Heads of up to 64 and up to 128 columns. Grid: [tiles, heads]; tiles[·, 2]: sequence and first row. A sequence of −1 is
// padding, and its block does nothing.
#define ATTENTION(D)                                                                                                       \
    KERNEL(attention_forward_##D)(Heads heads, Pointer<const int> tiles, Pointer<const int> cu_seqlens,                    \
                                  Pointer<const act> qkv, Pointer<const ScoreDropout> site, Pointer<act> out,              \
                                  Pointer<float> lse) {                                                                    \
        if (tiles[2 * blockIdx.x] < 0) return;                                                                             \
        attention_forward<D>(heads, tiles, cu_seqlens, qkv, score_dropout_of(site), out, lse);                             \
    }                                                                                                                      \
    EXPORT(attention_forward_##D)                                                                                          \
    KERNEL(attention_backward_keys_##D)(Heads heads, Pointer<const int> tiles, Pointer<const int> cu_seqlens,              \
                                        Pointer<const act> qkv, Pointer<const ScoreDropout> site,                          \
                                        Pointer<const float> lse, Pointer<const float> delta, Pointer<const act> d_out,    \
                                        Pointer<act> d_qkv) {                                                              \
        if (tiles[2 * blockIdx.x] < 0) return;                                                                             \
        attention_backward_keys<D>(heads, tiles, cu_seqlens, qkv, score_dropout_of(site), lse, delta, d_out, d_qkv);       \
    }                                                                                                                      \
    EXPORT(attention_backward_keys_##D)                                                                                    \
    KERNEL(attention_backward_queries_##D)(Heads heads, Pointer<const int> tiles, Pointer<const int> cu_seqlens,           \
                                           Pointer<const act> qkv, Pointer<const ScoreDropout> site,                       \
                                           Pointer<const float> lse, Pointer<const float> delta, Pointer<const act> d_out, \
                                           Pointer<act> d_qkv) {                                                           \
        if (tiles[2 * blockIdx.x] < 0) return;                                                                             \
        attention_backward_queries<D>(heads, tiles, cu_seqlens, qkv, score_dropout_of(site), lse, delta, d_out, d_qkv);    \
    }                                                                                                                      \
    EXPORT(attention_backward_queries_##D)
// Compiled apart, each takes half the time.
#if !defined(ATTENTION_HEAD) || ATTENTION_HEAD == 64
ATTENTION(64)
#endif
#if !defined(ATTENTION_HEAD) || ATTENTION_HEAD == 128
ATTENTION(128)
#endif
