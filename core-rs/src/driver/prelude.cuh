// What every kernel is written in: checked pointers, bfloat16, warp sums, tensor-core products, the dropout hash.
//
// It stands in front of all kernel.cu files in one program. NVRTC compiles that program without any header of CUDA; the
// tests compile the same text with the C++ compiler, after simulator.h, which defines CLOZE_SIMULATED and stands in for
// the hardware. `ACTIVATION_BF16` makes activations bfloat16; without it they are float.
//
// Kernels write nothing that depends on the order in which blocks run, use no atomics, and need blocks of whole warps.

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned long long u64;

#ifndef CLOZE_SIMULATED
/// A pointer to global or shared memory. The simulator's checks bounds and alignment at every access.
template <class T>
using Pointer = T*;
template <class U, class T>
__device__ __forceinline__ Pointer<U> cast(T* p) { return reinterpret_cast<U*>(p); }
#define KERNEL(name) extern "C" __global__ void name
/// A kernel whose blocks have `threads` threads, with registers for `blocks` of them on a multiprocessor.
#define BOUNDED_KERNEL(name, threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks) name
#define EXPORT(name)
/// All dynamic shared memory of the block, as elements of one type.
#define DYNAMIC_SHARED(type, name)                            \
    extern __shared__ __align__(16) unsigned char dynamic_[]; \
    type* name = reinterpret_cast<type*>(dynamic_)
#define SHARED(type, name, count) __shared__ type name[count]
#endif

#define DEVICE __device__ __forceinline__
const u32 ALL_LANES = 0xffffffffu;
#define INFINITE __int_as_float(0x7f800000)

/// bfloat16: the upper half of a float.
struct bf16 {
    u16 bits;
};

#ifdef ACTIVATION_BF16
typedef bf16 act;
#else
typedef float act;
#endif

DEVICE float widen(float x) { return x; }

DEVICE float widen(bf16 x) { return __uint_as_float((u32)x.bits << 16); }

/// Rounds to the nearest value of T, ties to even.
template <class T>
DEVICE T narrow(float x);
template <>
DEVICE float narrow<float>(float x) { return x; }
template <>
DEVICE bf16 narrow<bf16>(float x) {
    bf16 r;
#ifdef CLOZE_SIMULATED
    const u32 bits = __builtin_bit_cast(u32, x);
    r.bits = x != x ? 0x7fff : (u16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
#else
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r.bits) : "f"(x));
#endif
    return r;
}

/// Two neighbours in one word, the first one low.
DEVICE u32 narrow_pair(float low, float high) {
    u32 r;
#ifdef CLOZE_SIMULATED
    r = narrow<bf16>(low).bits | (u32)narrow<bf16>(high).bits << 16;
#else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
#endif
    return r;
}

/// V neighbours that are moved by one instruction.
template <class T, int V>
struct alignas(sizeof(T) * V) Packet {
    T v[V];
};

template <int V, class T>
DEVICE void load(Pointer<const T> from, float (&to)[V]) {
    const Packet<T, V> packet = *cast<const Packet<T, V>>(from);
#pragma unroll
    for (int i = 0; i < V; i++) to[i] = widen(packet.v[i]);
}

template <int V, class T>
DEVICE void store(Pointer<T> to, const float (&from)[V]) {
    Packet<T, V> packet;
#pragma unroll
    for (int i = 0; i < V; i++) packet.v[i] = narrow<T>(from[i]);
    *cast<Packet<T, V>>(to) = packet;
}

DEVICE int lane_id() { return threadIdx.x % 32; }

DEVICE float warp_sum(float x) {
#pragma unroll
    for (int m = 16; m > 0; m /= 2) x += __shfl_xor_sync(ALL_LANES, x, m);
    return x;
}

DEVICE float warp_max(float x) {
#pragma unroll
    for (int m = 16; m > 0; m /= 2) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, m));
    return x;
}

const int SUMMED_WARPS = 8;

/// The sum over a block of SUMMED_WARPS warps, in a fixed order.
DEVICE double block_sum(double x) {
    SHARED(double, sums, SUMMED_WARPS);
#pragma unroll
    for (int m = 16; m > 0; m /= 2) x += __shfl_xor_sync(ALL_LANES, x, m);
    if (lane_id() == 0) sums[threadIdx.x / 32] = x;
    __syncthreads();
    double total = 0.0;
    for (int w = 0; w < SUMMED_WARPS; w++) total += sums[w];
    return total;
}

/// Of the 32 V columns of which each lane has V neighbours, the sum of the t-th over a block's warps, in their order, for
/// thread t < 32 V.
template <int WARPS, int V>
DEVICE float add_warps(const float (&sum)[V]) {
    SHARED(float, sums, WARPS * 32 * V);
#pragma unroll
    for (int i = 0; i < V; i++) sums[threadIdx.x * V + i] = sum[i];
    __syncthreads();
    float total = 0.0f;
    if (threadIdx.x < 32 * V) {
        for (int w = 0; w < WARPS; w++) total += sums[w * 32 * V + threadIdx.x];
    }
    return total;
}

const float LOG2_E = 1.44269504f, LN_2 = 0.69314718f;

/// 2^x, one instruction, off by up to two units. What is below 2^−126 becomes 0.
DEVICE float power_of_two(float x) {
#ifdef CLOZE_SIMULATED
    return exp2f(x);
#else
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
#endif
}

/// 1 / x within one unit, one instruction.
DEVICE float reciprocal(float x) {
#ifdef CLOZE_SIMULATED
    return 1.0f / x;
#else
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
#endif
}

/// Φ(x) and φ(x) of the standard normal distribution. The error function is that of Abramowitz and Stegun (1964), 7.1.26,
/// within 1.5e-7: a polynomial times the exponential that the density is made of, too. So the tails do not cancel.
DEVICE void normal(float x, float& cdf, float& pdf) {
    const float e = power_of_two(x * x * (-0.5f * LOG2_E)), t = reciprocal(fmaf(fabsf(x), 0.3275911f * 0.70710678f, 1.0f));
    float polynomial = fmaf(t, 0.5f * 1.061405429f, 0.5f * -1.453152027f);
    polynomial = fmaf(t, polynomial, 0.5f * 1.421413741f);
    polynomial = fmaf(t, polynomial, 0.5f * -0.284496736f);
    polynomial = fmaf(t, polynomial, 0.5f * 0.254829592f);
    const float tail = t * polynomial * e;
    cdf = x < 0.0f ? tail : 1.0f - tail;
    pdf = e * 0.39894228f;
}

/// Dropout whose mask is a hash of a key and an element's index: the same bits as rng.rs gives.
struct Dropout {
    u32 low, high, threshold;
    float scale;

    DEVICE bool drops(u32 index) const {
        u32 x = (index ^ low) * 0x7feb352du;
        x = ((x ^ (x >> 15)) + high) * 0x846ca68bu;
        return (x ^ (x >> 16)) < threshold;
    }
    DEVICE float factor(u32 index) const {
        if (threshold == 0) return 1.0f;
        return drops(index) ? 0.0f : scale;
    }
};

/// The dropout of a site, which differs from step to step and so lies in memory; without one, everything is kept.
DEVICE Dropout dropout_of(Pointer<const Dropout> site) { return site ? *site : Dropout{0, 0, 0, 1.0f}; }

// Products of a warp: C[16, 8] += A[16, 16] · B[16, 8] over tiles in shared memory. Lane l holds four elements of C: rows
// l / 4 and l / 4 + 8, columns 2 (l % 4) and the next (PTX ISA, mma.m16n8k16). A tile may lie transposed.

template <class T>
struct FragmentA;
template <class T>
struct FragmentB;

template <>
struct FragmentA<float> {
    float v[2][16];
};
template <>
struct FragmentB<float> {
    float v[2][16];
};
template <>
struct FragmentA<bf16> {
    u32 v[4];
};
template <>
struct FragmentB<bf16> {
    u32 v[2];
};

/// A[i, k] is at `tile[i * stride + k]`, or, transposed, at `tile[k * stride + i]`.
template <bool TRANSPOSED>
DEVICE void load_a(FragmentA<float>& f, Pointer<const float> tile, int stride) {
    const int row = lane_id() / 4;
#pragma unroll
    for (int k = 0; k < 16; k++) {
        f.v[0][k] = tile[TRANSPOSED ? k * stride + row : row * stride + k];
        f.v[1][k] = tile[TRANSPOSED ? k * stride + row + 8 : (row + 8) * stride + k];
    }
}

/// Two neighbours, 8 columns each. B[k, j] is at `tile[k * stride + j]`, or, transposed, at `tile[j * stride + k]`.
template <bool TRANSPOSED>
DEVICE void load_b(FragmentB<float> (&f)[2], Pointer<const float> tile, int stride) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int column = 8 * (i / 2) + 2 * (lane_id() % 4) + i % 2;
#pragma unroll
        for (int k = 0; k < 16; k++) f[i / 2].v[i % 2][k] = tile[TRANSPOSED ? column * stride + k : k * stride + column];
    }
}

/// Columns 16 k … of a product as the left operand of the next one.
template <int J>
DEVICE void as_a(FragmentA<float>& f, const float (&c)[J][4], int k) {
#pragma unroll
    for (int i = 0; i < 16; i++) {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            f.v[r][i] = __shfl_sync(ALL_LANES, c[2 * k + i / 8][2 * r + i % 2], lane_id() / 4 * 4 + i % 8 / 2);
        }
    }
}

DEVICE void multiply_add(float (&c)[4], const FragmentA<float>& a, const FragmentB<float>& b) {
#pragma unroll
    for (int k = 0; k < 16; k++) {
#pragma unroll
        for (int e = 0; e < 4; e++) c[e] = fmaf(a.v[e / 2][k], b.v[e % 2][k], c[e]);
    }
}

#ifndef CLOZE_SIMULATED
/// An address in shared memory. The compiler sees through this one, and counts in 32 bits.
DEVICE u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }

/// Copies 4 or 16 bytes from global to shared memory, or zeros unless `wanted`. They are there for this thread after
/// `copies_arrived`, and for the others after a barrier behind that.
template <class T>
DEVICE void copy_async(T* to, const T* from, bool wanted) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 16, "what cp.async takes");
    const int bytes = wanted ? sizeof(T) : 0;
    if (sizeof(T) == 4) {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                     :: "r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
    } else {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                     :: "r"(shared_address(to)), "l"(from), "r"(bytes) : "memory");
    }
}

DEVICE void copies_arrived() { asm volatile("cp.async.wait_all;" ::: "memory"); }

DEVICE void ldmatrix_x4(u32 (&r)[4], const bf16* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}

DEVICE void ldmatrix_x4_trans(u32 (&r)[4], const bf16* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)) : "memory");
}

DEVICE void mma_m16n8k16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

template <bool TRANSPOSED>
DEVICE void load_a(FragmentA<bf16>& f, Pointer<const bf16> tile, int stride) {
    // Lanes 8m..8m+7 give the rows of the m-th 8×8 matrix: (0, 0), (8, 0), (0, 8), (8, 8) in rows and columns of A.
    const int l = lane_id(), low = l % 8 + 8 * (l / 8 % 2), high = 8 * (l / 16);
    if (TRANSPOSED) ldmatrix_x4_trans(f.v, tile + ((l % 8 + high) * stride + 8 * (l / 8 % 2)));
    else ldmatrix_x4(f.v, tile + (low * stride + high));
}

template <bool TRANSPOSED>
DEVICE void load_b(FragmentB<bf16> (&f)[2], Pointer<const bf16> tile, int stride) {
    const int l = lane_id();
    u32 r[4];
    if (TRANSPOSED) ldmatrix_x4(r, tile + ((l % 8 + 8 * (l / 16)) * stride + 8 * (l / 8 % 2)));
    else ldmatrix_x4_trans(r, tile + (l % 16 * stride + 8 * (l / 16)));
#pragma unroll
    for (int i = 0; i < 4; i++) f[i / 2].v[i % 2] = r[i];
}

template <int J>
DEVICE void as_a(FragmentA<bf16>& f, const float (&c)[J][4], int k) {
#pragma unroll
    for (int i = 0; i < 4; i++) f.v[i] = narrow_pair(c[2 * k + i / 2][2 * (i % 2)], c[2 * k + i / 2][2 * (i % 2) + 1]);
}

DEVICE void multiply_add(float (&c)[4], const FragmentA<bf16>& a, const FragmentB<bf16>& b) {
    mma_m16n8k16(c, a.v, b.v);
}
