// Attention inside each packed sequence (Vaswani et al., 2017), without ever writing the scores: the online softmax and
// the recomputation of FlashAttention-2 (Dao, 2023), over tensor-core products of TILE × TILE scores.
//
// A block is one tile of one head of one sequence, a warp 16 of its rows. Backward is in backward.cu.

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
        return !((causal != 0) & (key > query)) & (key - query <= window) & (query - key <= window);
    }
    /// Whether all queries of a tile see all keys of another: then nothing of the scores is masked.
    DEVICE bool sees_all(int query, int queries, int key, int keys) const {
        return !(causal && key + keys - 1 > query) && key + keys - 1 - query <= window && query + queries - 1 - key <= window;
    }
    /// The first row of the first tile of `step` rows, and the end of the last one, that some rows see or are seen by: those
    /// from `first` on, or those before `last`.
    DEVICE int first_seen(int first, int step) const { return max(first - window, 0) / step * step; }
    DEVICE int end_seen(int last, int length) const { return length - last <= window ? length : last + window; }
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

/// c[16, 8 J] += A[16, 16 K] · B[16 K, 8 J], where `load(f, k)` makes f the k-th 16 columns of A.
template <int J, int K, bool B_TRANSPOSED, int UNROLLED, class A>
DEVICE void multiply(float (&c)[J][4], const A& load, Pointer<const act> b, int b_stride) {
#pragma unroll UNROLLED
    for (int k = 0; k < K; k++) {
        FragmentA<act> fa;
        load(fa, k);
#pragma unroll
        for (int j = 0; j < J; j += 2) {
            FragmentB<act> fb[2];
            load_b<B_TRANSPOSED>(fb, b + (B_TRANSPOSED ? 8 * j * b_stride + 16 * k : 16 * k * b_stride + 8 * j), b_stride);
            multiply_add(c[j], fa, fb[0]);
            multiply_add(c[j + 1], fa, fb[1]);
        }
    }
}

/// The same with A in shared memory.
template <int J, int K, bool A_TRANSPOSED, bool B_TRANSPOSED>
DEVICE void warp_product(float (&c)[J][4], Pointer<const act> a, int a_stride, Pointer<const act> b, int b_stride) {
    const auto load = [&](FragmentA<act>& f, int k) {
        load_a<A_TRANSPOSED>(f, a + (A_TRANSPOSED ? 16 * k * a_stride : 16 * k), a_stride);
    };
    multiply<J, K, B_TRANSPOSED, UNROLL>(c, load, b, b_stride);
}

/// The same where A is what another product gave, and stays in registers.
template <int J, int K, bool B_TRANSPOSED>
DEVICE void warp_product(float (&c)[J][4], const float (&a)[2 * K][4], Pointer<const act> b, int b_stride) {
    const auto operand = [&](FragmentA<act>& f, int k) { as_a(f, a, k); };
    multiply<J, K, B_TRANSPOSED, K>(c, operand, b, b_stride);
}

/// tile[ROWS, D] ← the rows of x from `first` on, with zeros outside the sequence and beyond the head's size. They are there
/// after `copies_arrived` and a barrier.
template <int D, int ROWS, int THREADS>
DEVICE void fetch(Pointer<act> tile, Pointer<const act> x, int row_stride, const Heads& heads, const Place& place, int first) {
    typedef Packet<act, PAD> Sixteen;
    const int rows = place.length - first;
    const Pointer<const act> start =
        x + ((long long)(place.from + first) * row_stride + (long long)place.head * heads.size);
    if (heads.size % PAD == 0 && heads.hidden % PAD == 0) {
        const int each = D / PAD, step = THREADS / each, row = threadIdx.x / each, column = threadIdx.x % each * PAD;
        Pointer<act> to = tile + (row * (D + PAD) + column);
        Pointer<const act> from = start + ((long long)row * row_stride + column);
#pragma unroll
        for (int i = 0; i < ROWS; i += step) {
            // What is not wanted is not read.
            copy_async(cast<Sixteen>(to), cast<const Sixteen>(from), (row + i < rows) & (column < heads.size));
            to = to + step * (D + PAD);
            from = from + (long long)step * row_stride;
        }
    } else {
#pragma unroll 1
        for (int i = threadIdx.x; i < ROWS * D; i += THREADS) {
            const int row = i / D, column = i % D;
            act element = {};
            if (row < rows && column < heads.size) element = start[(long long)row * row_stride + column];
            tile[row * (D + PAD) + column] = element;
        }
    }
}

/// Two neighbours of a head's row; beyond its size nothing is written.
template <class T>
DEVICE void store_pair(Pointer<T> x, const Heads& heads, int column, float first, float second) {
    if (heads.size % 2 == 0) {
        const float pair[2] = {first, second};
        if (column < heads.size) store<2, T>(x + column, pair);
    } else {
        if (column < heads.size) x[column] = narrow<T>(first);
        if (column + 1 < heads.size) x[column + 1] = narrow<T>(second);
    }
}

/// x[rows, D] ← c, where the rows are inside the sequence; `scale` multiplies the lane's two rows.
template <int D>
DEVICE void store_tile(Pointer<act> x, int row_stride, const float (&c)[D / 8][4], const float (&scale)[2], const Heads& heads,
                       const Place& place) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int row = place.first + row_of(2 * r);
        if (row >= place.length) continue;
        const Pointer<act> to = x + ((long long)(place.from + row) * row_stride + place.head * heads.size);
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
            store_pair(to, heads, column_of(j, 0), c[j][2 * r] * scale[r], c[j][2 * r + 1] * scale[r]);
        }
    }
}

/// The number of a score for dropout.
DEVICE u32 index_of(const ScoreDropout& site, const Heads& heads, const Place& place, int query, int key) {
    return (place.head * site.tokens + place.from + query) * heads.longest + (u32)key;
}

template <int D>
DEVICE void attention_forward(Heads heads, Pointer<const int> tiles, Pointer<const int> cu_seqlens, Pointer<const act> qkv,
                              const ScoreDropout& site, Pointer<act> out, Pointer<float> lse) {
    const int stride = D + PAD, size = TILE * stride, threads = 2 * TILE;
    const Place place = place_of_block(tiles, cu_seqlens);
    DYNAMIC_SHARED(act, memory);
    // Queries, and keys and values twice: one pair is multiplied while the next one arrives.
    const Pointer<act> q = memory + threadIdx.x / 32 * 16 * stride, pairs = memory + size;
    const auto fetch_pair = [&](int stage, int first) {
        const Pointer<act> k = pairs + stage * 2 * size;
        fetch<D, TILE, threads>(k, qkv + heads.hidden, 3 * heads.hidden, heads, place, first);
        fetch<D, TILE, threads>(k + size, qkv + 2 * heads.hidden, 3 * heads.hidden, heads, place, first);
    };
    fetch<D, TILE, threads>(memory, qkv, 3 * heads.hidden, heads, place, place.first);
    const int begin = heads.first_seen(place.first, TILE), last = place.first + TILE;
    const int end = heads.causal ? min(place.length, last) : heads.end_seen(last, place.length);
    fetch_pair(0, begin);
    // Scores are powers of two. What a row's are taken less, `shift`, is finite: of a first tile that it does not see, a row
    // takes nothing.
    const float scale = heads.scale * LOG2_E;
    float o[D / 8][4] = {}, shift[2] = {-1e30f, -1e30f}, total[2] = {};
    for (int first = begin, stage = 0; first < end; first += TILE, stage ^= 1) {
        copies_arrived();
        __syncthreads(); // and nobody reads the last pair any more
        if (first + TILE < end) fetch_pair(stage ^ 1, first + TILE);
        const Pointer<const act> k = pairs + stage * 2 * size;
        float s[TILE / 8][4] = {};
        warp_product<TILE / 8, D / 16, false, true>(s, q, stride, k, stride);
        if (first + TILE > place.length || !heads.sees_all(place.first, TILE, first, TILE)) {
#pragma unroll
            for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int query = place.first + row_of(e), key = first + column_of(j, e);
                    if ((key >= place.length) | !heads.sees(query, key)) s[j][e] = -INFINITE;
                }
            }
        }
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float highest = -INFINITE;
#pragma unroll
            for (int j = 0; j < TILE / 8; j++) highest = fmaxf(highest, fmaxf(s[j][2 * r], s[j][2 * r + 1]));
            // The four lanes of a row.
            highest = fmaxf(highest, __shfl_xor_sync(ALL_LANES, highest, 1));
            highest = fmaxf(highest, __shfl_xor_sync(ALL_LANES, highest, 2));
            const float before = shift[r];
            shift[r] = fmaxf(before, highest * scale);
            const float correction = power_of_two(before - shift[r]);
            total[r] *= correction;
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                o[j][2 * r] *= correction;
                o[j][2 * r + 1] *= correction;
            }
#pragma unroll
            for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
                for (int e = 2 * r; e < 2 * r + 2; e++) {
                    s[j][e] = power_of_two(fmaf(s[j][e], scale, -shift[r]));
                    total[r] += s[j][e];
                }
            }
        }
        if (site.dropout.threshold != 0) {
            const u32 index = index_of(site, heads, place, place.first + row_of(0), first + column_of(0, 0));
#pragma unroll
            for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    if (site.dropout.drops(index + e / 2 * 8 * heads.longest + 8 * j + e % 2)) s[j][e] = 0.0f;
                }
            }
        }
        warp_product<D / 8, TILE / 16, false>(o, s, k + size, stride);
    }
    float inverse[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        total[r] += __shfl_xor_sync(ALL_LANES, total[r], 1);
        total[r] += __shfl_xor_sync(ALL_LANES, total[r], 2);
        inverse[r] = site.dropout.scale / total[r];
        const int row = place.first + row_of(2 * r);
        if (lane_id() % 4 == 0 && row < place.length) {
            lse[(long long)place.head * heads.tokens + place.from + row] = fmaf(shift[r], LN_2, logf(total[r]));
        }
    }
    store_tile<D>(out, heads.hidden, o, inverse, heads, place);
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
    EXPORT(attention_forward_##D)
// Compiled apart, each takes half the time.
#if !defined(ATTENTION_HEAD) || ATTENTION_HEAD == 64
ATTENTION(64)
#endif
#if !defined(ATTENTION_HEAD) || ATTENTION_HEAD == 128
ATTENTION(128)
#endif
#undef ATTENTION
