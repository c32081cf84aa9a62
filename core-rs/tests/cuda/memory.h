// Memory of the simulated GPU, global and shared: one range of addresses, none of which is given out twice, so that a use of
// freed memory is known to be one however late it comes.

#define UNTRACKED __attribute__((no_sanitize("thread"))) // see races.h

namespace sim {

/// Addresses; the system gives memory to those that are touched.
constexpr size_t ARENA = size_t(64) << 30;

/// Memory for `bytes` addresses, zeroed as far as it is touched.
inline char* reserve(size_t bytes) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        fprintf(stderr, "the simulator cannot reserve %zu GiB of addresses\n", bytes >> 30);
        abort();
    }
    return static_cast<char*>(p);
}
inline char* const arena = reserve(ARENA);

/// Makes memory NaN.
UNTRACKED inline void forget(char* p, size_t bytes) { memset(p, 0xff, bytes); }

struct Allocation {
    size_t bytes;
    bool freed;
};

struct Registry {
    std::mutex mutex;
    std::map<const char*, Allocation> allocations;
    char* next = arena;

    /// Memory that is NaN, or nothing.
    char* allocate(size_t bytes) {
        std::lock_guard<std::mutex> lock(mutex);
        const size_t taken = (bytes + 511) / 256 * 256; // a gap behind each keeps neighbours apart
        if (bytes > ARENA || taken > size_t(arena + ARENA - next)) return nullptr;
        char* p = next;
        next += taken;
        forget(p, bytes);
        allocations[p] = {bytes, false};
        return p;
    }

    /// The memory goes back to the system; the addresses are never used again.
    void release(char* p) {
        std::lock_guard<std::mutex> lock(mutex);
        Allocation& a = allocations[p];
        a.freed = true;
        const size_t page = sysconf(_SC_PAGESIZE), from = (size_t(p) + page - 1) / page * page, to = size_t(p + a.bytes) / page * page;
        if (from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
    }

    /// The allocation that `p` lies in or at the end of; null if there never was one.
    const Allocation* find(const char* p, const char*& begin) {
        std::lock_guard<std::mutex> lock(mutex);
        auto after = allocations.upper_bound(p);
        if (after == allocations.begin()) return nullptr;
        --after;
        begin = after->first;
        return p <= begin + after->second.bytes ? &after->second : nullptr;
    }
};
inline Registry registry;

/// What is wrong with a use of these bytes; false if nothing is.
inline bool wrong(const char* p, size_t bytes, char* what, size_t room) {
    const char* begin = nullptr;
    const Allocation* a = registry.find(p, begin);
    if (a == nullptr) snprintf(what, room, "access to memory that was never allocated");
    else if (a->freed) snprintf(what, room, "access to freed memory: byte %ld of %zu", long(p - begin), a->bytes);
    else if (p + bytes > begin + a->bytes) snprintf(what, room, "access out of bounds: byte %ld of %zu", long(p - begin), a->bytes);
    else return false;
    return true;
}

}  // namespace sim

extern "C" void* cloze_allocate(size_t bytes) { return sim::registry.allocate(bytes); }

extern "C" void cloze_release(void* p) { sim::registry.release(static_cast<char*>(p)); }

/// What is wrong with a copy from or to these bytes, or null.
extern "C" const char* cloze_wrong(const void* p, size_t bytes) {
    static thread_local char what[128];
    return sim::wrong(static_cast<const char*>(p), bytes, what, sizeof what) ? what : nullptr;
}

/// Where the allocation begins that `p` lies in, or null.
extern "C" const void* cloze_begin(const void* p) {
    const char* begin = nullptr;
    return sim::registry.find(static_cast<const char*>(p), begin) == nullptr ? nullptr : begin;
}
