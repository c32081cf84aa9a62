// Finds races: two threads touch the same bytes, one of them writes, and nothing puts one access behind the other. Within a
// block that is __syncthreads, within a warp also __syncwarp; shuffles and matrix loads order no memory (CUDA's guide says
// so). Between blocks of one launch nothing is. It does not matter in which order the accesses happen to run here.
//
// The kernels are compiled with -fsanitize=thread, for which the compiler calls a hook before every access to memory; the
// hooks are these instead of the sanitizer's own, which knows nothing of blocks.

namespace sim {

/// Bytes that share a cell: no kernel moves fewer.
#ifdef ACTIVATION_BF16
constexpr size_t GRAIN = 2;
#else
constexpr size_t GRAIN = 4;
#endif

/// Counts barriers of all kinds, beginnings of blocks and launches: an access is as old as the last one before it.
inline uint64_t ticks = 0;
UNTRACKED inline uint64_t tick() { return __atomic_add_fetch(&ticks, 1, __ATOMIC_RELAXED); }

/// Who wrote and read last: the tick, three flags about readers, and the thread. A written cell forgets its readers, because
/// whoever is ordered behind the write is ordered behind them.
struct Cell {
    uint64_t written, read;
};
constexpr int TICK = 13;
constexpr uint64_t THREAD = 1023;
/// Besides that thread, in the same period between barriers of the block, or of the warp, or in the same launch.
constexpr uint64_t OTHER_WARPS = 1 << 10, OTHER_LANES = 1 << 11, OTHER_BLOCKS = 1 << 12;
inline Cell* const cells = reinterpret_cast<Cell*>(reserve(ARENA / GRAIN * sizeof(Cell)));

/// When the launch, the block, its period between barriers and that of the thread's warp began.
struct Period {
    uint64_t launch, block, barrier, warp;
};

enum Order { BEHIND, SAME_THREAD, SAME_WARP, OTHER_WARP, OTHER_BLOCK };

/// How an earlier access stands to one of `thread` now.
UNTRACKED inline Order order(uint64_t earlier, const Period& now, uint64_t thread) {
    const uint64_t at = earlier >> TICK, by = earlier & THREAD;
    if (at < now.launch) return BEHIND;
    if (at < now.block) return OTHER_BLOCK;
    if (at < now.barrier) return BEHIND;
    if (by == thread) return SAME_THREAD;
    if (by / WARP != thread / WARP) return OTHER_WARP;
    return at < now.warp ? BEHIND : SAME_WARP;
}

/// Notes a read; null, or what the cell's writer is to the reader.
UNTRACKED inline const char* note_read(Cell& cell, const Period& now, uint64_t thread) {
    const Order write = order(cell.written, now, thread);
    if (write == OTHER_BLOCK) return "another block wrote it";
    if (write == OTHER_WARP) return "another warp wrote it since the last __syncthreads";
    if (write == SAME_WARP) return "another lane wrote it since the last __syncwarp";
    uint64_t others = 0;
    if (cell.read >> TICK >= now.launch) others |= cell.read & OTHER_BLOCKS;
    if (cell.read >> TICK >= now.barrier) others |= cell.read & OTHER_WARPS;
    switch (order(cell.read, now, thread)) {
        case OTHER_BLOCK: others |= OTHER_BLOCKS; break;
        case OTHER_WARP: others |= OTHER_WARPS; break;
        case SAME_WARP: others |= OTHER_LANES; break;
        case SAME_THREAD:
            if (cell.read >> TICK >= now.warp) others |= cell.read & OTHER_LANES;
            break;
        case BEHIND: break;
    }
    cell.read = now.warp << TICK | others | thread;
    return nullptr;
}

UNTRACKED inline const char* note_write(Cell& cell, const Period& now, uint64_t thread) {
    const Order write = order(cell.written, now, thread), read = order(cell.read, now, thread);
    const bool behind = cell.read >> TICK < now.launch;
    if (write == OTHER_BLOCK) return "another block wrote it";
    if (read == OTHER_BLOCK || (!behind && cell.read & OTHER_BLOCKS)) return "another block read it";
    if (write == OTHER_WARP) return "another warp wrote it since the last __syncthreads";
    if (read == OTHER_WARP || (cell.read >> TICK >= now.barrier && cell.read & OTHER_WARPS))
        return "another warp read it since the last __syncthreads";
    if (write == SAME_WARP) return "another lane wrote it since the last __syncwarp";
    if (read == SAME_WARP || (read == SAME_THREAD && cell.read >> TICK >= now.warp && cell.read & OTHER_LANES))
        return "another lane read it since the last __syncwarp";
    cell = {now.warp << TICK | thread, 0};
    return nullptr;
}

template <bool WRITES>
UNTRACKED inline void touched(const void* p, size_t bytes) {
    const size_t at = static_cast<const char*>(p) - arena;
    if (at >= ARENA) return; // the thread's own
    const Block& b = *block;
    const bool shared = at - (b.shared - arena) < SHARED_ROOM;
    Period now = {b.launched, b.began, b.met, b.warps[b.current / WARP].met};
    if (shared) now.launch = now.block; // a block's shared memory is nobody else's
    if (at % GRAIN != 0 || bytes % GRAIN != 0) fault("access to %zu bytes: the race detector was told %zu at least", bytes, GRAIN);
    for (size_t i = at / GRAIN; i < (at + bytes) / GRAIN; i++) {
        const char* other = WRITES ? note_write(cells[i], now, b.current) : note_read(cells[i], now, b.current);
        if (other == nullptr) continue;
        const char* begin = b.shared;
        if (!shared) registry.find(arena + i * GRAIN, begin);
        fault("race: a thread %s byte %zu of %s, and %s", WRITES ? "writes" : "reads", arena + i * GRAIN - begin,
              shared ? "shared memory" : "an allocation", other);
    }
}

}  // namespace sim

#define HOOK(name) extern "C" UNTRACKED __attribute__((visibility("hidden"))) void __tsan_##name
#define HOOKS(bytes)                                                   \
    HOOK(read##bytes)(void* p) { sim::touched<false>(p, bytes); }      \
    HOOK(write##bytes)(void* p) { sim::touched<true>(p, bytes); }      \
    HOOK(unaligned_read##bytes)(void* p) { sim::touched<false>(p, bytes); } \
    HOOK(unaligned_write##bytes)(void* p) { sim::touched<true>(p, bytes); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
HOOK(read_range)(void* p, size_t bytes) { sim::touched<false>(p, bytes); }
HOOK(write_range)(void* p, size_t bytes) { sim::touched<true>(p, bytes); }
// Clang's, for packets.
extern "C" UNTRACKED __attribute__((visibility("hidden"))) void* __tsan_memcpy(void* to, const void* from, size_t bytes) {
    sim::touched<false>(from, bytes);
    sim::touched<true>(to, bytes);
    return memcpy(to, from, bytes);
}
extern "C" UNTRACKED __attribute__((visibility("hidden"))) void* __tsan_memset(void* to, int value, size_t bytes) {
    sim::touched<true>(to, bytes);
    return memset(to, value, bytes);
}
HOOK(vptr_update)(void**, void*) {}
HOOK(vptr_read)(void**) {}
HOOK(func_entry)(void*) {}
HOOK(func_exit)(void*) {}
HOOK(init)() {}
