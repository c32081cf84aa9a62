//! A thread of an engine's own, which runs its calls. Not a queue: callers take turns elsewhere, and wait for their call.
//!
//! Deno runs each call on any thread of its pool. Where an engine has as many threads as there are cores, Linux wakes such
//! a thread on the core that it had last, or that its waker has, even if another thread of the engine is there and the
//! other core idles, and lets the two share it until a tick comes (docs/experiments.md, 4). Threads that stay the same keep
//! their cores.

use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

type Job = Box<dyn FnOnce() + Send>;

/// The thread; it starts with the first call and ends with the lane.
#[derive(Default)]
pub(super) struct Lane {
    /// `None` if the system refuses a thread.
    jobs: OnceLock<Option<SyncSender<Job>>>,
}

impl Lane {
    /// Runs `work`, which does not panic, on the thread and returns what it returns.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let Some(jobs) = self.jobs.get_or_init(start) else { return work() };
        let (done, result) = sync_channel(1);
        let job: Box<dyn FnOnce() + Send + '_> = Box::new(move || {
            let _ = done.send(work());
        });
        // SAFETY: only the lifetime is erased; the job is over when its result is there, and nothing returns before.
        let job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Job>(job) };
        jobs.send(job).expect("the thread lives as long as the lane");
        result.recv().expect("every job sends its result")
    }
}

fn start() -> Option<SyncSender<Job>> {
    let (jobs, queue) = sync_channel::<Job>(1);
    Builder::new().name("cloze-0".into()).spawn(move || queue.iter().for_each(|job| job())).ok()?;
    Some(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_lends_what_its_caller_has_to_one_thread_that_stays_the_same() {
        let lane = Lane::default();
        let mut numbers = vec![1, 2, 3];
        let first = lane.run(|| {
            numbers.push(4);
            std::thread::current().id()
        });
        let second = std::thread::scope(|scope| scope.spawn(|| lane.run(|| std::thread::current().id())).join());
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert_eq!(second.unwrap(), first);
        assert_ne!(first, std::thread::current().id());
    }
}
