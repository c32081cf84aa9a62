//! What the simulated GPU has to do, when it does it, and whether anything orders what two lanes do with the same memory.
//!
//! A GPU works on each lane in order and on both at once. Here one thing runs after the other, so a schedule decides how far
//! each lane is when the host or the other lane waits: work that lacks an event comes out right on one schedule and wrong on
//! another. The order itself is checked, too, whatever the schedule: a clock for each lane, and for the host and each lane how
//! much of the others' work is known to lie behind it (Mattern, 1988). That check takes an allocation for one thing, and a
//! kernel to use all memory that its arguments name.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cloze_core::driver::matmul::Matmul;
use cloze_core::driver::{Algorithm, Argument, Lane, Launch, Tensor};
use cloze_core::error::{Code, Error};
use cloze_core::rng::splitmix64;

use crate::blas;
use crate::nccl::Operation;

/// When lanes work.
#[derive(Clone, Copy, Debug)]
pub enum Schedule {
    /// Once somebody waits for them: as late as can be.
    Late,
    /// Uploads as early as can be, kernels late.
    UploadsFirst,
    /// The other way round.
    KernelsFirst,
    /// By a seed.
    Random(u64),
}

/// Does a piece of a lane's work.
type Run<'a> = &'a dyn Fn(&mut Lanes, Lane, Work);

/// What a lane has to do.
#[derive(Clone)]
pub enum Work {
    Launch(Launch, Vec<Argument>),
    Multiply(Matmul, Algorithm),
    Clear(Tensor),
    /// So many bytes of new memory.
    Zero(u64, usize),
    CopyIn(Tensor, Arc<Host>, usize),
    Copy(Tensor, Tensor),
    /// With the GPUs of other processes.
    Peers(Arc<Operation>),
    Record(Event),
    Wait(Event, usize),
}

impl Work {
    /// What messages call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Launch(launch, _) => launch.kernel,
            Self::Multiply(..) => "multiply",
            Self::Clear(_) => "clear",
            Self::Zero(..) => "zeroing",
            Self::CopyIn(..) => "copy_in",
            Self::Copy(..) => "copy",
            Self::Peers(_) => "nccl",
            Self::Record(..) => "record",
            Self::Wait(..) => "wait",
        }
    }

    /// The memory that it uses: address, bytes, whether it writes there. What a kernel does is for its launch to see.
    pub fn uses(&self) -> Vec<(u64, usize, bool)> {
        let part = |x: &Tensor, writes| (x.address, x.bytes(), writes);
        match self {
            Self::Multiply(matmul, _) => blas::uses(matmul).map(|(x, writes)| part(&x, writes)).collect(),
            Self::Clear(x) => vec![part(x, true)],
            Self::Zero(address, bytes) => vec![(*address, *bytes, true)],
            Self::CopyIn(to, _, bytes) => vec![(to.address, *bytes, true)],
            Self::Copy(to, from) => vec![(to.address, from.bytes(), true), part(from, false)],
            Self::Peers(operation) => operation.uses().iter().map(|(x, writes)| part(x, *writes)).collect(),
            Self::Launch(..) | Self::Record(..) | Self::Wait(..) => Vec::new(),
        }
    }
}

/// Page-locked memory, and the last upload from it on each lane.
pub struct Host {
    pub start: *mut u8,
    pub len: usize,
    pub uploads: [AtomicU64; 2],
}

// SAFETY: plain memory; the queue and the lanes take turns, which `Lanes` checks.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    pub fn new(len: usize) -> Self {
        let start = Box::into_raw(vec![0u8; len].into_boxed_slice()).cast();
        Self { start, len, uploads: Default::default() }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.start, self.len)) });
    }
}

/// What is said of a host that would.
const FOR_EVER: &str = "the host waits for other processes' GPUs, which may be for ever, without looking after them";

/// How much of each lane's work is done, or known to be.
type Clock = [u64; 2];

fn join(a: &mut Clock, b: Clock) {
    *a = [a[0].max(b[0]), a[1].max(b[1])];
}

/// How often it was recorded, and what lay behind it each time that it was passed.
#[derive(Clone, Default)]
pub struct Event(Arc<Mutex<(usize, Vec<Clock>, f32)>>);

impl Event {
    pub fn recorded(&self) -> usize {
        self.0.lock().unwrap().0
    }

    fn passed(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }

    /// Whether it has been passed since it was recorded last.
    pub fn is_passed(&self) -> bool {
        let event = self.0.lock().unwrap();
        event.0 == event.1.len()
    }

    /// When it was passed last, if it has been since it was recorded last.
    pub fn milliseconds(&self) -> Option<f32> {
        let event = self.0.lock().unwrap();
        (event.0 == event.1.len()).then_some(event.2)
    }

    /// What lay behind it at its `times`-th passing.
    fn behind(&self, times: usize) -> Clock {
        times.checked_sub(1).map_or([0; 2], |last| self.0.lock().unwrap().1.get(last).copied().unwrap_or_default())
    }
}

/// The last uses of an allocation by each lane.
#[derive(Default)]
struct Uses {
    wrote: [(u64, &'static str); 2],
    read: [(u64, &'static str); 2],
}

/// Both lanes.
#[derive(Default)]
pub struct Lanes {
    queues: [VecDeque<Work>; 2],
    /// Pieces of work that were put on each lane.
    queued: Clock,
    /// What lies behind each lane's next piece of work, of its own and of the other's.
    behind: [Clock; 2],
    /// What the host has waited for.
    pub known: Clock,
    uses: HashMap<u64, Uses>,
    draws: u64,
    /// Milliseconds of the work that has been done.
    pub clock: f32,
    pub failure: Option<Error>,
}

impl Lanes {
    /// Puts work on a lane.
    pub fn push(&mut self, lane: Lane, work: Work) {
        let lane = lane as usize;
        self.queued[lane] += 1;
        if let Work::CopyIn(_, host, _) = &work {
            host.uploads[lane].store(self.queued[lane], Ordering::Relaxed);
        }
        self.queues[lane].push_back(work);
    }

    pub fn record(&mut self, event: &Event, lane: Lane) {
        event.0.lock().unwrap().0 += 1;
        self.push(lane, Work::Record(event.clone()));
    }

    pub fn wait(&mut self, event: &Event, lane: Lane) {
        self.push(lane, Work::Wait(event.clone(), event.recorded()));
    }

    pub fn fail(&mut self, message: String) {
        self.failure.get_or_insert_with(|| Error::new(Code::Panic, message));
    }

    /// Fails if the host may not change this memory yet.
    pub fn changes(&mut self, host: &Host, what: &str) {
        let uploaded = |lane: usize| host.uploads[lane].load(Ordering::Relaxed) <= self.known[lane];
        if !uploaded(0) || !uploaded(1) {
            self.fail(format!("page-locked memory is {what} before its upload has been waited for"));
        }
    }

    /// Works on the lanes as far as a schedule has it. `run` does a piece of work.
    pub fn advance(&mut self, schedule: Schedule, run: Run<'_>) {
        let eager = match schedule {
            Schedule::Late => return,
            Schedule::UploadsFirst => Lane::Copy,
            Schedule::KernelsFirst => Lane::Compute,
            Schedule::Random(seed) => {
                self.draws += 1;
                let draw = splitmix64(seed ^ self.draws << 20);
                for i in 0..draw % 4 {
                    let lane = [Lane::Compute, Lane::Copy][(draw >> (8 + i) & 1) as usize];
                    self.ready(lane).then(|| self.next(lane, run));
                }
                return;
            }
        };
        while self.ready(eager) {
            self.next(eager, run);
        }
    }

    /// Whether a lane has something to do that waits for nothing.
    fn ready(&self, lane: Lane) -> bool {
        let next = self.queues[lane as usize].front();
        next.is_some_and(|work| match work {
            Work::Wait(event, times) => event.passed() >= *times,
            Work::Peers(operation) => self.failure.is_some() || operation.is_ready(),
            _ => true,
        })
    }

    /// Works on the lanes until an event has been passed so many times.
    pub fn until(&mut self, event: &Event, times: usize, run: Run<'_>) {
        while event.passed() < times {
            let records = |work: &Work| matches!(work, Work::Record(e) if Arc::ptr_eq(&e.0, &event.0));
            let lane = [Lane::Compute, Lane::Copy].into_iter().find(|&l| self.queues[l as usize].iter().any(records));
            if !self.next(lane.expect("an event that is recorded somewhere"), run) {
                self.fail(FOR_EVER.into());
            }
        }
    }

    /// Works towards an event as far as nobody has to be waited for.
    pub fn towards(&mut self, event: &Event, run: Run<'_>) {
        let records = |work: &Work| matches!(work, Work::Record(e) if Arc::ptr_eq(&e.0, &event.0));
        while !event.is_passed() {
            let lane = [Lane::Compute, Lane::Copy].into_iter().find(|&l| self.queues[l as usize].iter().any(records));
            if !self.next(lane.expect("an event that is recorded somewhere"), run) {
                return;
            }
        }
    }

    /// The host has waited for an event.
    pub fn finished(&mut self, event: &Event) {
        join(&mut self.known, event.behind(event.recorded()));
    }

    /// Works until a lane is empty; the host then knows of it.
    pub fn drain(&mut self, lane: Lane, run: Run<'_>) {
        while self.next(lane, run) {}
        if !self.queues[lane as usize].is_empty() {
            self.fail(FOR_EVER.into());
            while self.next(lane, run) {}
        }
        join(&mut self.known, self.behind[lane as usize]);
    }

    /// Does the next thing on a lane; false if there is none, or one that others have to come for.
    fn next(&mut self, lane: Lane, run: Run<'_>) -> bool {
        let l = lane as usize;
        if matches!(self.queues[l].front(), Some(Work::Peers(_))) && !self.ready(lane) {
            return false;
        }
        let Some(work) = self.queues[l].pop_front() else { return false };
        match &work {
            Work::Wait(event, times) => {
                self.until(event, *times, run);
                join(&mut self.behind[l], event.behind(*times));
                self.behind[l][l] += 1;
            }
            Work::Record(event) => {
                self.behind[l][l] += 1;
                let mut event = event.0.lock().unwrap();
                event.1.push(self.behind[l]);
                event.2 = self.clock;
            }
            _ => {
                self.behind[l][l] += 1;
                if self.failure.is_none() {
                    run(self, lane, work);
                }
            }
        }
        true
    }

    /// Notes that a lane's work uses an allocation; fails if the other lane does and nothing says which comes first.
    pub fn uses(&mut self, lane: Lane, name: &'static str, allocation: u64, writes: bool) {
        let (l, other) = (lane as usize, 1 - lane as usize);
        let behind = self.behind[l];
        let uses = self.uses.entry(allocation).or_default();
        let before = [Some(uses.wrote[other]), writes.then_some(uses.read[other])];
        let unordered = before.into_iter().flatten().find(|(at, _)| *at > behind[other]);
        *(if writes { &mut uses.wrote[l] } else { &mut uses.read[l] }) = (behind[l], name);
        if let Some((_, earlier)) = unordered {
            self.fail(format!("{name} and {earlier} use the same memory on two lanes, and no event orders them"));
        }
    }
}
