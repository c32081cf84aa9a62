// A GPU for tests: runs kernels on the CPU, one block after the other, every thread of a block as a fiber.
//
// It stands in front of driver/prelude.cuh and the kernels, which are then compiled as C++, and takes memory.h and races.h
// into itself. It is there to find mistakes, not to be fast: each access to global or shared memory is checked for bounds,
// alignment and races (races.h), memory starts as NaN, and so does shared memory in each block, warp operations and barriers
// have to be reached by all threads at the same place, and blocks, warps and lanes can run in another order.
// Asynchronous copies arrive as late as they may. What a fault ends is the launch, with a sentence that says where.
// program.rs compiles and loads it.
//
// Fibers switch by setjmp and longjmp; ucontext only makes their stacks.

#define CLOZE_SIMULATED
#ifdef ACTIVATION_BF16
// Loaded libraries share their inline variables. The two programs have cells of other sizes (races.h), so each has its own:
// in the same ones, one's accesses looked like another warp's of the other.
#define sim sim_bf16
#endif
#undef _FORTIFY_SOURCE
#ifdef __APPLE__
// Its ucontext.h refuses to be included without the first, which hides what is not POSIX without the second.
#define _XOPEN_SOURCE 700
#define _DARWIN_C_SOURCE
#endif
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <vector>

// A GPU's exp, erf and tanh are off by up to two units in the last place, each in its own way; so these are. At 0 they are
// exact there, too.
static inline float off(float x, float y) {
    unsigned bits;
    memcpy(&bits, &y, 4);
    const unsigned exponent = bits >> 23 & 255;
    if (x == 0.0f || exponent == 0 || exponent == 255) return y;
    bits += (bits * 2654435761u >> 30) % 3 * 2 - 2; // -2, 0 or 2
    memcpy(&y, &bits, 4);
    return y;
}
static inline float exp_of_a_gpu(float x) { return off(x, expf(x)); }
static inline float exp2_of_a_gpu(float x) { return off(x, exp2f(x)); }
static inline float erf_of_a_gpu(float x) { return off(x, erff(x)); }
static inline float tanh_of_a_gpu(float x) { return off(x, tanhf(x)); }
#define expf exp_of_a_gpu
#define exp2f exp2_of_a_gpu
#define erff erf_of_a_gpu
#define tanhf tanh_of_a_gpu

#define __device__
#define __forceinline__ inline
#define __global__

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

#include "memory.h"

namespace sim {

constexpr int WARP = 32;
constexpr size_t STACK = 64 << 10;
/// Bytes of shared memory that a block may ask for, and those that kernels may declare.
constexpr size_t LARGEST_SHARED = 227 << 10, LARGEST_STATIC = 48 << 10;
constexpr size_t SHARED_ROOM = LARGEST_SHARED + LARGEST_STATIC;

/// Where a thread stands.
enum State { RUNNING, AT_WARP, AT_BLOCK, DONE };

/// What is on its way to shared memory.
struct Copy {
    char* to;
    size_t count;
    char bytes[16];
};

struct Fiber {
    std::vector<Copy> copies;
    ucontext_t context;
    jmp_buf at;
    std::unique_ptr<char[]> stack{new char[STACK]};
    bool started;
    State state;
    /// The line and operation that it waits at.
    int line;
    const char* operation;
    dim3 index;
};

/// What lanes hand each other: two slots that take turns, because a lane may be one operation ahead of another.
struct Exchange {
    u_int32_t values[2][WARP][8];
    int turn[WARP];
    /// The tick of the last barrier.
    uint64_t met;
};

/// Declared shared memory.
struct Static {
    const void* key;
    size_t from, bytes;
};

struct Block {
    std::vector<Fiber> fibers;
    std::vector<Exchange> warps;
    /// Of SHARED_ROOM bytes: what the launch asked for, then what the kernel has declared so far.
    char* shared = nullptr;
    size_t shared_bytes, declared_to;
    std::vector<Static> declared;
    /// The ticks at which the launch and the block began and all threads of the block met last.
    uint64_t launched, began, met;
    dim3 grid, size, index;
    unsigned threads;
    unsigned current;
    jmp_buf scheduler, launch;
    void (*body)(void*);
    void* arguments;
    const char* kernel;
    char fault[512];
    /// 0 for ascending, 1 for descending, and else the seed of an order.
    unsigned seed;
    /// Threads in the order in which they run.
    std::vector<unsigned> order;
};

inline thread_local Block* block = nullptr;

/// Ends the launch.
[[noreturn]] inline void fault(const char* format, ...) {
    char what[320];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    const Fiber& f = block->fibers[block->current];
    snprintf(block->fault, sizeof block->fault, "%s: %s (block %u,%u,%u, thread %u,%u,%u)", block->kernel, what,
             block->index.x, block->index.y, block->index.z, f.index.x, f.index.y, f.index.z);
    _longjmp(block->launch, 1);
}

}  // namespace sim

#include "races.h"

namespace sim {

template <class T>
struct Pointer {
    T* at = nullptr;
    const char* begin = nullptr;
    const char* end = nullptr;

    Pointer() = default;
    Pointer(T* at, const char* begin, const char* end) : at(at), begin(begin), end(end) {}
    /// A pointer to const from a pointer to mutable.
    template <class U, class = decltype(static_cast<T*>(static_cast<U*>(nullptr)))>
    Pointer(const Pointer<U>& p) : at(p.at), begin(p.begin), end(p.end) {}

    T& checked(T* p) const {
        const char* from = reinterpret_cast<const char*>(p);
        if (begin == end) refuse(from);
        if (from < begin || from + sizeof(T) > end)
            fault("access out of bounds: byte %ld of %ld", long(from - begin), long(end - begin));
        if (reinterpret_cast<size_t>(from) % alignof(T) != 0)
            fault("misaligned access: byte %ld, which should be a multiple of %zu", long(from - begin), alignof(T));
        return *p;
    }
    /// Global memory that was freed, or never was.
    static void refuse(const char* from) {
        char what[128];
        if (wrong(from, sizeof(T), what, sizeof what)) fault("%s", what);
    }
    template <class I>
    T& operator[](I i) const { return checked(at + (long)i); }
    T& operator*() const { return checked(at); }
    T* operator->() const { return &checked(at); }
    template <class I>
    Pointer operator+(I i) const { return Pointer(at + (long)i, begin, end); }
    explicit operator bool() const { return at != nullptr; }
};

/// Runs the scheduler until this thread may go on.
inline void wait(State state, const char* operation, int line) {
    Fiber& f = block->fibers[block->current];
    f.state = state;
    f.operation = operation;
    f.line = line;
    if (_setjmp(f.at) == 0) _longjmp(block->scheduler, 1);
}

/// The values of all lanes: lane l reads `result[l']`.
template <class T>
const u_int32_t (*exchange(const T& mine, const char* operation, int line))[8] {
    static_assert(sizeof(T) <= 32, "a lane hands over eight words at most");
    const unsigned thread = block->current, lane = thread % WARP;
    Exchange& warp = block->warps[thread / WARP];
    const int turn = warp.turn[lane];
    warp.turn[lane] ^= 1;
    memcpy(warp.values[turn][lane], &mine, sizeof mine);
    wait(AT_WARP, operation, line);
    return warp.values[turn];
}

template <class T>
T shuffle(T mine, int from, const char* operation, int line) {
    const auto* values = exchange(mine, operation, line);
    if (from < 0 || from >= WARP) fault("%s (line %d) reads lane %d", operation, line, from);
    T result;
    memcpy(&result, values[from], sizeof result);
    return result;
}

/// Entered on a fiber's own stack.
inline void enter() {
    Fiber& f = block->fibers[block->current];
    block->body(block->arguments);
    if (!f.copies.empty()) fault("ends before its copies have arrived");
    f.state = DONE;
    _longjmp(block->scheduler, 1);
}

inline void resume(unsigned thread) {
    block->current = thread;
    Fiber& f = block->fibers[thread];
    f.state = RUNNING;
    if (_setjmp(block->scheduler) != 0) return;
    if (f.started) _longjmp(f.at, 1);
    f.started = true;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, enter, 0);
    setcontext(&f.context);
}

/// Whether all of `count` threads from `first` on wait at one place in state `state`.
inline bool together(unsigned first, unsigned count, State state) {
    const Fiber& a = block->fibers[first];
    for (unsigned t = first; t < first + count; t++) {
        const Fiber& f = block->fibers[t];
        if (f.state != state) return false;
        if (f.line != a.line || strcmp(f.operation, a.operation) != 0) {
            block->current = t;
            fault("threads meet at different places: %s (line %d) and %s (line %d)", a.operation, a.line, f.operation, f.line);
        }
    }
    return true;
}

/// 0, 1, … in the order of a seed.
inline std::vector<unsigned> shuffled(unsigned count, unsigned seed, uint64_t more) {
    std::vector<unsigned> order(count);
    std::iota(order.begin(), order.end(), 0u);
    if (seed == 1) std::reverse(order.begin(), order.end());
    uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u ^ (more + 1) * 0xbf58476d1ce4e5b9u;
    for (unsigned i = count; seed > 1 && i > 1; i--) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        std::swap(order[i - 1], order[x % i]);
    }
    return order;
}

inline void run_block() {
    Block& b = *block;
    b.began = b.met = tick();
    forget(b.shared, b.declared_to);
    if (b.seed > 1 || b.order.size() != b.threads) {
        b.order.clear();
        const uint64_t where = b.index.x + uint64_t(b.grid.x) * (b.index.y + uint64_t(b.grid.y) * b.index.z);
        for (unsigned w : shuffled(b.threads / WARP, b.seed, where))
            for (unsigned l : shuffled(WARP, b.seed, where * WARP + w)) b.order.push_back(w * WARP + l);
    }
    for (unsigned t = 0; t < b.threads; t++) {
        Fiber& f = b.fibers[t];
        f.started = false;
        f.copies.clear();
        f.state = RUNNING;
        f.index = {t % b.size.x, t / b.size.x % b.size.y, t / (b.size.x * b.size.y)};
    }
    for (auto& warp : b.warps) {
        memset(warp.turn, 0, sizeof warp.turn);
        warp.met = b.met;
    }
    for (;;) {
        bool moved = false;
        for (unsigned t : b.order) {
            if (b.fibers[t].state != RUNNING) continue;
            resume(t);
            moved = true;
        }
        unsigned done = 0, at_block = 0;
        for (unsigned t = 0; t < b.threads; t++) {
            done += b.fibers[t].state == DONE;
            at_block += b.fibers[t].state == AT_BLOCK;
        }
        if (done == b.threads) return;
        if (at_block == b.threads && together(0, b.threads, AT_BLOCK)) {
            for (auto& f : b.fibers) f.state = RUNNING;
            b.met = tick();
            for (auto& warp : b.warps) warp.met = b.met;
            continue;
        }
        for (unsigned w = 0; w < b.threads; w += WARP) {
            if (!together(w, WARP, AT_WARP)) continue;
            if (strcmp(b.fibers[w].operation, "__syncwarp") == 0) b.warps[w / WARP].met = tick();
            for (unsigned t = w; t < w + WARP; t++) b.fibers[t].state = RUNNING;
            moved = true;
        }
        if (moved) continue;
        for (unsigned t = 0; t < b.threads; t++) {
            const Fiber& f = b.fibers[t];
            if (f.state == DONE) continue;
            b.current = t;
            fault("not all threads reach %s (line %d)", f.operation, f.line);
        }
    }
}

/// Runs `body(arguments)` in every thread of the grid. Returns nothing, or what went wrong.
inline const char* launch(const char* kernel, void (*body)(void*), void* arguments, dim3 grid, dim3 size, size_t shared,
                          unsigned seed) {
    static thread_local Block mine;
    block = &mine;
    Block& b = mine;
    b.kernel = kernel;
    b.grid = grid;
    b.size = size;
    b.threads = size.x * size.y * size.z;
    b.current = 0;
    b.body = body;
    b.arguments = arguments;
    b.seed = seed;
    b.order.clear();
    b.shared_bytes = shared;
    b.declared.clear();
    b.declared_to = (shared + 15) / 16 * 16;
    b.launched = tick();
    b.fault[0] = 0;
    if (b.threads == 0 || b.threads % WARP != 0 || b.threads > 1024) {
        snprintf(b.fault, sizeof b.fault, "%s: a block of %u threads, but whole warps and at most 1024 are needed", kernel,
                 b.threads);
        return b.fault;
    }
    if (shared > LARGEST_SHARED) {
        snprintf(b.fault, sizeof b.fault, "%s: %zu bytes of shared memory", kernel, shared);
        return b.fault;
    }
    if (b.fibers.size() != b.threads) b.fibers = std::vector<Fiber>(b.threads);
    b.warps.resize(b.threads / WARP);
    // Aligned to 16 bytes and no more, as on a GPU where something lies before it.
    if (b.shared == nullptr) b.shared = registry.allocate(SHARED_ROOM + 16) + 16;
    if (_setjmp(b.launch) != 0) return b.fault;
    static thread_local std::vector<unsigned> blocks;
    blocks = shuffled(grid.x * grid.y * grid.z, seed, b.threads);
    for (unsigned i : blocks) {
        b.index = {i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y)};
        run_block();
    }
    return nullptr;
}

template <class T>
Pointer<T> dynamic_shared() {
    return {reinterpret_cast<T*>(block->shared), block->shared, block->shared + block->shared_bytes};
}

/// `count` elements of declared shared memory, which `key` tells apart.
template <class T>
Pointer<T> static_shared(const void* key, size_t count) {
    Block& b = *block;
    const auto has = [key](const Static& s) { return s.key == key; };
    auto found = std::find_if(b.declared.begin(), b.declared.end(), has);
    if (found == b.declared.end()) {
        const size_t from = b.declared_to, bytes = count * sizeof(T);
        b.declared_to += (bytes + 15) / 16 * 16;
        const size_t all = b.declared_to - (b.shared_bytes + 15) / 16 * 16;
        if (all > LARGEST_STATIC) fault("%zu bytes of declared shared memory", all);
        forget(b.shared + from, bytes);
        found = b.declared.insert(found, {key, from, bytes});
    }
    const char* begin = b.shared + found->from;
    return {reinterpret_cast<T*>(b.shared + found->from), begin, begin + found->bytes};
}

/// Of the warp's lanes, all have to take part.
inline void full(unsigned mask, const char* operation, int line) {
    if (mask != 0xffffffffu) fault("%s (line %d) names the lanes %08x and not all of them", operation, line, mask);
}

/// Turns one kernel argument from its eight bytes into its type.
template <class A>
struct Argument {
    static A take(const void* from) {
        A a;
        memcpy(&a, from, sizeof a);
        return a;
    }
};
template <class T>
struct Argument<Pointer<T>> {
    static Pointer<T> take(const void* from) {
        T* at;
        memcpy(&at, from, sizeof at);
        if (at == nullptr) return {};
        const char* begin = nullptr;
        const Allocation* a = registry.find(reinterpret_cast<const char*>(at), begin);
        // Of memory that is not there, every access faults.
        return a == nullptr || a->freed ? Pointer<T>(at, nullptr, nullptr) : Pointer<T>(at, begin, begin + a->bytes);
    }
};

template <class... A>
struct Call {
    void (*kernel)(A...);
    void** arguments;

    template <size_t... I>
    static void run(Call& c, std::index_sequence<I...>) { c.kernel(Argument<A>::take(c.arguments[I])...); }
    static void body(void* c) { run(*static_cast<Call*>(c), std::index_sequence_for<A...>()); }
};

template <class... A>
const char* call(const char* name, void (*kernel)(A...), unsigned count, void** arguments, const unsigned* size, size_t shared,
                 unsigned seed) {
    if (count != sizeof...(A)) return "the kernel takes another number of arguments";
    Call<A...> c{kernel, arguments};
    return launch(name, Call<A...>::body, &c, {size[0], size[1], size[2]}, {size[3], size[4], size[5]}, shared, seed);
}

}  // namespace sim

template <class T>
using Pointer = sim::Pointer<T>;
template <class U, class T>
Pointer<U> cast(Pointer<T> p) {
    return {reinterpret_cast<U*>(p.at), p.begin, p.end};
}

using std::max;
using std::min;

inline float __int_as_float(int bits) { return __builtin_bit_cast(float, bits); }
inline float __uint_as_float(unsigned bits) { return __builtin_bit_cast(float, bits); }

#define KERNEL(name) static void name
#define BOUNDED_KERNEL(name, threads, blocks) static void name
#define EXPORT(name)                                                                                                    \
    extern "C" const char* cloze_##name(unsigned count, void** arguments, const unsigned* size, size_t shared, unsigned seed) { \
        return sim::call(#name, name, count, arguments, size, shared, seed);                                            \
    }
#define DYNAMIC_SHARED(type, name) Pointer<type> name = sim::dynamic_shared<type>()
#define SHARED(type, name, count)  \
    static char name##_key;           \
    const Pointer<type> name = sim::static_shared<type>(&name##_key, count)

#define threadIdx (sim::block->fibers[sim::block->current].index)
#define blockIdx (sim::block->index)
#define blockDim (sim::block->size)
#define gridDim (sim::block->grid)
#define __syncthreads() sim::wait(sim::AT_BLOCK, "__syncthreads", __LINE__)
#define __syncwarp() sim::wait(sim::AT_WARP, "__syncwarp", __LINE__)
#define __shfl_xor_sync(mask, value, m)             \
    (sim::full(mask, "__shfl_xor_sync", __LINE__), \
     sim::shuffle(value, int(sim::block->current % 32) ^ (m), "__shfl_xor_sync", __LINE__))
#define __shfl_sync(mask, value, lane) \
    (sim::full(mask, "__shfl_sync", __LINE__), sim::shuffle(value, lane, "__shfl_sync", __LINE__))

/// cp.async: what it writes to is nothing until it has arrived.
template <class T>
void copy_async(Pointer<T> to, Pointer<const T> from, bool wanted) {
    sim::Copy copy = {(char*)&*to, sizeof(T), {}};
    if (wanted) {
        sim::touched<false>(&*from, sizeof(T));
        memcpy(copy.bytes, &*from, sizeof(T));
    }
    sim::touched<true>(copy.to, sizeof(T));
    sim::forget(copy.to, sizeof(T));
    sim::block->fibers[sim::block->current].copies.push_back(copy);
}
inline void copies_arrived() {
    auto& copies = sim::block->fibers[sim::block->current].copies;
    for (const auto& copy : copies) {
        sim::touched<true>(copy.to, copy.count);
        memcpy(copy.to, copy.bytes, copy.count);
    }
    copies.clear();
}

struct bf16;

/// ldmatrix: lane 8m + r gives row r of the m-th 8×8 matrix; lane l receives elements 2 (l % 4) and the next of row l / 4.
template <int COUNT, bool TRANSPOSED, class B>
void simulate_ldmatrix(unsigned (&r)[COUNT], Pointer<const B> row, int line) {
    struct alignas(16) Row {
        unsigned short bits[8];
    };
    const int lane = sim::block->current % 32;
    Row mine = {};
    if (lane < 8 * COUNT) mine = *cast<const Row>(row);
    const auto* rows = sim::exchange(mine, "ldmatrix", line);
    for (int m = 0; m < COUNT; m++) {
        unsigned short pair[2];
        for (int e = 0; e < 2; e++) {
            const int i = lane / 4, j = 2 * (lane % 4) + e;
            const int from = TRANSPOSED ? j : i, at = TRANSPOSED ? i : j;
            memcpy(&pair[e], (const char*)rows[8 * m + from] + 2 * at, 2);
        }
        memcpy(&r[m], pair, 4);
    }
}
#define ldmatrix_x4(r, row) simulate_ldmatrix<4, false, bf16>(r, row, __LINE__)
#define ldmatrix_x4_trans(r, row) simulate_ldmatrix<4, true, bf16>(r, row, __LINE__)

/// mma.sync.m16n8k16 with bfloat16 operands and float sums.
inline void simulate_mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line) {
    unsigned mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    const auto* lanes = sim::exchange(mine, "mma", line);
    const auto value = [](unsigned word, int half) {
        const unsigned bits = half ? word & 0xffff0000u : word << 16;
        return __builtin_bit_cast(float, bits);
    };
    const int lane = sim::block->current % 32;
    for (int e = 0; e < 4; e++) {
        const int row = lane / 4, column = 2 * (lane % 4) + e % 2;
        float sum = c[e];
        for (int k = 0; k < 16; k++) {
            const unsigned* from_a = lanes[row * 4 + k % 8 / 2];
            const unsigned* from_b = lanes[column * 4 + k % 8 / 2];
            sum += value(from_a[e / 2 + 2 * (k / 8)], k % 2) * value(from_b[4 + k / 8], k % 2);
        }
        c[e] = sum;
    }
}
#define mma_m16n8k16(c, a, b) simulate_mma(c, a, b, __LINE__)
