//! A team of threads that runs a fixed number of blocks. Which thread runs a block never changes what it computes,
//! so results are the same bits for any team size.

/// The team. (Skeleton: runs on the caller until the real team lands.)
pub struct Threads {
    count: usize,
}

impl Threads {
    /// A team of `count` threads, the caller among them. Threads start at the first `run`, not here.
    pub fn new(count: usize) -> Self {
        Self { count: count.max(1) }
    }

    /// Number of threads in the team.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Calls `block(thread, i)` once for every `i < blocks` and returns when all are done; `thread < count()` may
    /// index per-thread scratch. Allocates nothing. A panic in a block is propagated to the caller.
    pub fn run(&self, blocks: usize, block: &(dyn Fn(usize, usize) + Sync)) {
        for i in 0..blocks {
            block(0, i);
        }
    }
}
