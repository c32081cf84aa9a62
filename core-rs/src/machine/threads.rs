//! A team of threads that runs a fixed number of blocks. Which thread runs a block never changes what it computes,
//! so results are the same bits for any team size.
//!
//! What it is not: a general scheduler. Work is cut by shape alone (never by the number of threads), one `run` is in
//! flight at a time, and a block that itself calls `run` runs those blocks alone.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

type Block = dyn Fn(usize, usize) + Sync;

/// Iterations that a worker spins for the next run before it sleeps: some tens of microseconds, which is longer than
/// the gaps inside a training step and far shorter than the gaps between a user's requests.
const SPINS: usize = 4_000;

thread_local! {
    /// The index of this thread in the team whose block it is running.
    static RUNNING_AS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The team.
pub struct Threads {
    count: usize,
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    left: Condvar,
    /// Number of runs so far; workers spin on it.
    generation: AtomicUsize,
    /// The next block to hand out.
    next: AtomicUsize,
    /// Workers inside the open run; changed under `state`'s lock, read without it by the caller that waits.
    inside: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// The open run, if there is one.
    job: Option<Job>,
    /// Workers that sleep: waking costs a system call, which is spared where all of them spin.
    sleeping: usize,
    /// Whether the caller sleeps until the last worker has left.
    caller_sleeps: bool,
    panic: Option<Box<dyn Any + Send>>,
    closing: bool,
}

#[derive(Clone, Copy)]
struct Job {
    /// Borrowed from `run`, which does not return while a worker is inside.
    block: *const Block,
    blocks: usize,
}

// SAFETY: the pointer is to a `Sync` closure and is only followed while `run` keeps that closure alive.
unsafe impl Send for Job {}

impl Threads {
    /// A team of `count` threads, the caller among them. Threads start at the first `run`, not here.
    pub fn new(count: usize) -> Self {
        Self { count: count.max(1), shared: Arc::default(), workers: Mutex::default() }
    }

    /// Number of threads in the team.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Calls `block(thread, i)` once for every `i < blocks` and returns when all are done; `thread < count()` may
    /// index per-thread scratch. Allocates nothing after the first call. A panic in a block is propagated to the
    /// caller once every thread has left.
    pub fn run(&self, blocks: usize, block: &(dyn Fn(usize, usize) + Sync)) {
        if let Some(thread) = RUNNING_AS.get() {
            return (0..blocks).for_each(|i| block(thread, i));
        }
        if self.count == 1 || blocks <= 1 {
            return (0..blocks).for_each(|i| block(0, i));
        }
        // Holding the workers' lock makes runs from several callers take turns.
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if workers.is_empty() {
            self.start(&mut workers);
        }
        // SAFETY: only the lifetime is erased; the job is withdrawn below, before `block` can go away.
        let block: *const Block =
            unsafe { std::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + '_), *const Block>(block) };
        let job = Job { block, blocks };
        {
            let mut state = self.shared.lock();
            self.shared.next.store(0, Ordering::Relaxed);
            state.job = Some(job);
            self.shared.generation.fetch_add(1, Ordering::Release);
            if state.sleeping > 0 {
                self.shared.wake.notify_all();
            }
        }
        let mine = self.shared.work(job, 0);
        self.shared.lock().job = None;
        // The others are about to finish their last block: spin for them, and sleep only if they take long.
        for _ in 0..SPINS {
            if self.shared.inside.load(Ordering::Acquire) == 0 {
                break;
            }
            std::hint::spin_loop();
        }
        let mut state = self.shared.lock();
        state.caller_sleeps = true;
        while self.shared.inside.load(Ordering::Acquire) > 0 {
            state = self.shared.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.caller_sleeps = false;
        let panic = mine.err().or(state.panic.take());
        drop(state);
        drop(workers);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    fn start(&self, workers: &mut Vec<JoinHandle<()>>) {
        for thread in 1..self.count {
            let shared = Arc::clone(&self.shared);
            // A team that is refused a thread is smaller, not wrong: blocks go to whoever asks.
            if let Ok(worker) =
                std::thread::Builder::new().name(format!("cloze-{thread}")).spawn(move || shared.serve(thread))
            {
                workers.push(worker);
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.generation.fetch_add(1, Ordering::Release);
        self.shared.wake.notify_all();
        for worker in self.workers.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes blocks until none is left.
    fn work(&self, job: Job, thread: usize) -> Result<(), Box<dyn Any + Send>> {
        RUNNING_AS.set(Some(thread));
        let result = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let i = self.next.fetch_add(1, Ordering::Relaxed);
                if i >= job.blocks {
                    return;
                }
                // SAFETY: see `Job::block`.
                unsafe { (*job.block)(thread, i) };
            }
        }));
        RUNNING_AS.set(None);
        result
    }

    /// A worker's life.
    fn serve(&self, thread: usize) {
        let mut seen = 0;
        loop {
            for _ in 0..SPINS {
                if self.generation.load(Ordering::Acquire) != seen {
                    break;
                }
                std::hint::spin_loop();
            }
            let mut state = self.lock();
            while self.generation.load(Ordering::Acquire) == seen && !state.closing {
                state.sleeping += 1;
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.sleeping -= 1;
            }
            seen = self.generation.load(Ordering::Acquire);
            if state.closing {
                return;
            }
            let Some(job) = state.job else { continue }; // the run was over before this thread woke
            self.inside.fetch_add(1, Ordering::Relaxed);
            drop(state);
            let result = self.work(job, thread);
            let mut state = self.lock();
            if let Err(panic) = result {
                state.panic.get_or_insert(panic);
            }
            if self.inside.fetch_sub(1, Ordering::Release) == 1 && state.caller_sleeps {
                self.left.notify_one();
            }
        }
    }
}

/// A mutable slice whose disjoint parts are written by different blocks of one [`Threads::run`].
#[derive(Clone, Copy)]
pub struct Shards<T> {
    data: *mut T,
    len: usize,
}

// SAFETY: access goes through `part`, whose caller promises disjoint ranges.
unsafe impl<T: Send> Sync for Shards<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shards<T> {}

impl<T> Shards<T> {
    /// Lends `data` to the blocks of a run.
    pub fn new(data: &mut [T]) -> Self {
        Self { data: data.as_mut_ptr(), len: data.len() }
    }

    /// The same from memory that its owner shares out itself.
    pub(crate) fn of_raw(data: *mut T, len: usize) -> Self {
        Self { data, len }
    }

    /// Where element `at` would be; nothing is read there.
    pub fn address(&self, at: usize) -> *const T {
        self.data.wrapping_add(at)
    }

    /// Elements of the slice.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements `range`.
    ///
    /// # Safety
    /// No other block may touch any element of `range` during the run, and the slice given to `new` has to outlive it.
    ///
    /// # Panics
    /// If `range` is not inside the slice.
    pub unsafe fn part<'a>(self, range: std::ops::Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len, "shard {range:?} outside 0..{}", self.len);
        // SAFETY: inside the slice by the assertion, disjoint by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(range.start), range.end - range.start) }
    }

    /// The elements `range`, to read.
    ///
    /// # Safety
    /// No block may write any element of `range` during the run, and the slice given to `new` has to outlive it.
    ///
    /// # Panics
    /// If `range` is not inside the slice.
    pub unsafe fn read<'a>(self, range: std::ops::Range<usize>) -> &'a [T] {
        assert!(range.start <= range.end && range.end <= self.len, "shard {range:?} outside 0..{}", self.len);
        // SAFETY: inside the slice by the assertion, not written by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.data.add(range.start), range.end - range.start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_calls_every_block_once_for_any_team() {
        for count in [1, 2, 3, 5] {
            let threads = Threads::new(count);
            for blocks in [0, 1, 2, 7, 1000] {
                let calls: Vec<AtomicUsize> = (0..blocks).map(|_| AtomicUsize::new(0)).collect();
                threads.run(blocks, &|thread, i| {
                    assert!(thread < count);
                    calls[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(calls.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn run_propagates_a_panic_and_the_team_goes_on() {
        let threads = Threads::new(3);
        let panicked =
            catch_unwind(AssertUnwindSafe(|| threads.run(64, &|_, i| assert!(i != 33, "block thirty-three"))));
        let message = panicked.unwrap_err();
        assert_eq!(message.downcast_ref::<&str>(), Some(&"block thirty-three"));
        let done = AtomicUsize::new(0);
        threads.run(64, &|_, _| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.load(Ordering::Relaxed), 64);
    }

    /// Plain memory, so that Miri sees a race if one run does not happen before the next.
    #[test]
    fn run_hands_what_was_written_before_it_to_its_blocks_and_what_they_write_to_the_caller() {
        let threads = Threads::new(3);
        let mut x = [0; 8];
        for round in 0..20 {
            x.iter_mut().for_each(|x| *x += 1);
            let shards = Shards::new(&mut x);
            threads.run(8, &|_, i| {
                // SAFETY: an element a block.
                let mine = unsafe { shards.part(i..i + 1) };
                mine[0] += 1;
            });
            assert_eq!(x, [2 * (round + 1); 8]);
        }
    }

    #[test]
    fn run_inside_a_block_runs_alone_with_the_same_thread_index() {
        let threads = Threads::new(2);
        let done = AtomicUsize::new(0);
        threads.run(4, &|outer, _| {
            threads.run(3, &|inner, _| {
                assert_eq!(inner, outer);
                done.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(done.load(Ordering::Relaxed), 12);
    }

    #[test]
    fn run_from_several_callers_takes_turns() {
        let threads = Threads::new(2);
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        threads.run(5, &|_, i| {
                            total.fetch_add(i, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(total.load(Ordering::Relaxed), 4 * 200 * 10);
    }
}
