//! Where the time of an engine goes, by operation of its [`crate::backend::Backend`]. Off, it costs one comparison an
//! operation.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Calls and time of one operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry {
    /// Name of the operation.
    pub operation: &'static str,
    /// How often it ran.
    pub calls: u64,
    /// Wall clock of all calls.
    pub time: Duration,
    /// Bytes that it sent to other processes.
    pub bytes: u64,
}

/// Collects the times of operations, if it is on.
#[derive(Clone, Default)]
pub struct Profile(Option<Arc<Mutex<Vec<Entry>>>>);

impl Profile {
    /// A profile that collects, or one that does not.
    pub fn new(on: bool) -> Self {
        Self(on.then(Arc::default))
    }

    /// Times an operation until the result is dropped.
    #[inline]
    pub fn start(&self, operation: &'static str) -> Option<Timer> {
        let entries = self.0.as_ref()?;
        Some(Timer { entries: Arc::clone(entries), operation, start: Instant::now() })
    }

    /// Whether it collects.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Adds a call of an operation that was timed otherwise.
    pub fn add(&self, operation: &'static str, time: Duration) {
        let Some(entries) = &self.0 else { return };
        add(entries, operation, time);
    }

    /// What has been collected, the longest first.
    pub fn entries(&self) -> Vec<Entry> {
        let Some(entries) = &self.0 else { return Vec::new() };
        let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.time));
        entries
    }
}

/// An operation that runs.
pub struct Timer {
    entries: Arc<Mutex<Vec<Entry>>>,
    operation: &'static str,
    start: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        add(&self.entries, self.operation, self.start.elapsed());
    }
}

fn add(entries: &Mutex<Vec<Entry>>, operation: &'static str, time: Duration) {
    let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    match entries.iter_mut().find(|entry| entry.operation == operation) {
        Some(entry) => (entry.calls, entry.time) = (entry.calls + 1, entry.time + time),
        None => entries.push(Entry { operation, calls: 1, time, bytes: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_counts_calls_when_it_is_on_and_nothing_when_it_is_off() {
        for (on, expected) in [(true, vec![("a", 2), ("b", 1)]), (false, vec![])] {
            let profile = Profile::new(on);
            for operation in ["a", "b", "a"] {
                let _timer = profile.start(operation);
            }
            let mut found: Vec<_> = profile.entries().iter().map(|e| (e.operation, e.calls)).collect();
            found.sort_unstable();
            assert_eq!(found, expected);
        }
    }
}
