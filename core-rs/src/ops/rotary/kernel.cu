// Rotary positions (Su et al., 2021).

/// Turns the pairs of queries and keys in qkv[N, 3C]: C pairs a token, D / 2 a head. table[·, D]: cosines, then sines.
KERNEL(rotate_queries_and_keys)(u64 count, int c, int d, float sign, Pointer<const float> table, Pointer<const int> positions,
                                Pointer<act> qkv) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int token = (int)(i / c), pair = (int)(i % c), half = d / 2;
    const int head = pair / half, j = pair % half;
    const long long row = (long long)positions[token] * d, at = (long long)token * 3 * c + (long long)head * d + j;
    const float cosine = table[row + j], sine = sign * table[row + half + j];
    const float x = widen(qkv[at]), y = widen(qkv[at + half]);
    qkv[at] = narrow<act>(x * cosine - y * sine);
    qkv[at + half] = narrow<act>(y * cosine + x * sine);
}
EXPORT(rotate_queries_and_keys)
