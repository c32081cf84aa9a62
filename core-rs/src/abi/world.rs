//! The processes that this one has joined, if it has. Everything that they do together runs on one thread, which is also
//! that of the engines that they share: MPI is initialized there and called from nowhere else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::call::{panicked, parse};
use super::lane::Lane;
use crate::collective::mpi::{Abort, Mpi, Search, check_descriptor, find};
use crate::collective::{Collective, Single};
use crate::error::{Code, Error, Result};
use crate::machine;

/// What `cloze_join` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinRequest {
    search: Search,
    /// How many processes the launcher says that it has started, if it does.
    #[serde(default)]
    size: Option<usize>,
    /// The descriptor by which the launcher is spoken to, if it is one that was inherited.
    #[serde(default)]
    descriptor: Option<i32>,
    /// How long a process waits for the others, in milliseconds, before it says that one of them is stuck.
    patience_ms: u32,
}

struct World {
    lane: Arc<Lane>,
    mpi: Arc<Mutex<Mpi>>,
    abort: Abort,
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

fn world() -> Result<(Arc<Lane>, Arc<Mutex<Mpi>>)> {
    let world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    let World { lane, mpi, .. } = world.as_ref().ok_or_else(|| {
        Error::new(Code::InvalidState, "this process has not joined any others: cloze_join was not called")
    })?;
    Ok((Arc::clone(lane), Arc::clone(mpi)))
}

/// Runs a call on the thread of all calls to MPI.
fn on<T: Send>(lane: &Lane, call: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    lane.run(|| catch_unwind(AssertUnwindSafe(call))).unwrap_or_else(|panic| Err(panicked(&panic)))
}

/// Joins the others, and says in JSON which process of how many this is.
pub(super) fn join(request: &[u8]) -> Result<String> {
    let JoinRequest { search, size, descriptor, patience_ms } = parse(request)?;
    let mut world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if world.is_some() {
        return Err(Error::new(Code::InvalidState, "this process has joined the others already"));
    }
    descriptor.map_or(Ok(()), check_descriptor)?;
    let found = find(&search)?;
    let lane = Arc::new(Lane::default());
    let patience = Duration::from_millis(patience_ms.into());
    let mpi = on(&lane, || Mpi::join(&found, patience))?;
    if let Some(size) = size.filter(|size| *size != mpi.size()) {
        let message = format!(
            "the launcher started {size} processes, but the MPI library {} knows of {}: it is not the launcher's own",
            found.path.display(),
            mpi.size()
        );
        return Err(Error::new(Code::Mismatch, message));
    }
    let about = serde_json::json!({
        "rank": mpi.rank(),
        "size": mpi.size(),
        "library": found,
        "host": machine::host::name(),
        "cpus": machine::host::cpus(),
    });
    let abort = mpi.aborter();
    *world = Some(World { lane, mpi: Arc::new(Mutex::new(mpi)), abort });
    Ok(about.to_string())
}

/// Gives `own` to every process and fills `all` with what each has given, in their order. Waits for them as long as it takes
/// if it is `patient`.
pub(super) fn gather(own: &[u8], all: &mut [u8], patient: bool) -> Result<()> {
    let (lane, mpi) = world()?;
    on(&lane, || {
        let mpi = mpi.lock().unwrap_or_else(PoisonError::into_inner);
        let size = mpi.size();
        crate::engine::expect_len("all", all.len(), own.len() * size)?;
        let mut from: Vec<_> = all.chunks_mut(own.len().max(1)).collect();
        if own.is_empty() {
            from = (0..size).map(|_| &mut [][..]).collect();
        }
        mpi.exchange_within(&vec![own; size], &mut from, (!patient).then_some(mpi.patience()))
    })
}

/// Leaves the others after they have all come here; with a code other than 0 it ends all processes at once, and does not
/// return.
pub(super) fn leave(code: u32) -> Result<()> {
    let (lane, mpi) = world()?;
    let mut world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if let (1.., Some(World { abort, .. })) = (code, &*world) {
        abort.now(code as i32); // on this thread: the other one may hang in a call
        return Ok(());
    }
    *world = None;
    drop(world);
    on(&lane, || mpi.lock().unwrap_or_else(PoisonError::into_inner).leave())
}

/// The processes for an engine's updates, and the thread that all of their calls are made on.
pub(super) fn collective() -> (Box<dyn Collective>, Arc<Lane>) {
    match world() {
        Ok((lane, mpi)) => (Box::new(Shared(mpi)), lane),
        Err(_) => (Box::new(Single), Arc::default()),
    }
}

/// The processes, as one of their engines holds them.
struct Shared(Arc<Mutex<Mpi>>);

impl Collective for Shared {
    fn rank(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rank()
    }

    fn size(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size()
    }

    fn exchange(&mut self, to: &[&[u8]], from: &mut [&mut [u8]]) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).exchange(to, from)
    }

    fn waited(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waited()
    }

    fn patience(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).patience()
    }
}
