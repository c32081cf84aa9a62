//! Handles: numbers that stand for engines, handed out once and never reused.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::call::panicked;
use super::lane::Lane;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};

/// An engine and the thread that runs its calls.
struct Slot {
    /// `None` after a panic: the engine is gone, the handle says so.
    engine: Mutex<Option<Box<dyn Engine>>>,
    lane: Arc<Lane>,
}

static ENGINES: Mutex<BTreeMap<u32, Arc<Slot>>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU32 = AtomicU32::new(1);
/// Engines that may be open at once: handles stay few, and threads and mappings too.
const MOST_OPEN: usize = 4096;

fn engines() -> MutexGuard<'static, BTreeMap<u32, Arc<Slot>>> {
    ENGINES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unknown(handle: u32) -> Error {
    Error::new(Code::InvalidState, format!("engine {handle} is not open: it was closed, or never opened"))
}

/// Keeps an engine, whose calls the lane runs, and returns its handle.
///
/// # Errors
/// `InvalidState` if too many are open, or no number is left.
pub(super) fn register(engine: Box<dyn Engine>, lane: Arc<Lane>) -> Result<u32> {
    let slot = Arc::new(Slot { engine: Mutex::new(Some(engine)), lane });
    let mut open = engines();
    if open.len() >= MOST_OPEN {
        return Err(Error::new(
            Code::InvalidState,
            format!("{MOST_OPEN} engines are open, which is the most there may be"),
        )
        .with_hint("close those that are no longer used"));
    }
    let handle = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| next.checked_add(1));
    let handle = handle.map_err(|_| Error::new(Code::InvalidState, "no handle is left for another engine"))?;
    open.insert(handle, slot);
    Ok(handle)
}

/// Forgets a handle. A call still running on it finishes; its engine goes away then.
pub(super) fn close(handle: u32) -> Result<()> {
    let slot = engines().remove(&handle).ok_or_else(|| unknown(handle))?;
    drop(slot); // outside the lock: freeing a large engine takes a while
    Ok(())
}

/// Runs `call` on an engine that no other call is using.
pub(super) fn with_engine<T: Send>(handle: u32, call: impl FnOnce(&mut dyn Engine) -> Result<T> + Send) -> Result<T> {
    let slot = engines().get(&handle).cloned().ok_or_else(|| unknown(handle))?;
    let mut engine = match slot.engine.try_lock() {
        Ok(engine) => engine,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            return Err(Error::new(Code::InvalidState, format!("engine {handle} is busy with another call"))
                .with_hint("wait for a call to finish before the next one on the same engine"));
        }
    };
    let Some(running) = engine.as_deref_mut() else {
        return Err(Error::new(Code::InvalidState, format!("engine {handle} panicked in an earlier call"))
            .with_hint("close it and open another one"));
    };
    match slot.lane.run(|| catch_unwind(AssertUnwindSafe(|| call(running)))) {
        Ok(result) => result,
        Err(panic) => {
            *engine = None;
            Err(panicked(&panic))
        }
    }
}
