//! NCCL as simulated GPUs of one process have it, a thread for each: no more willing than the original, which waits for ever, or
//! mixes up what it sends, where this says what is wrong. What a process has given up, the others do not hear of.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cloze_core::driver::nccl::{Calls, ID_BYTES, UniqueId};
use cloze_core::driver::{Lane, Tensor};
use cloze_core::error::{Code, Error, Result};

use crate::lanes::Work;
use crate::simulator::{Simulator, bytes, bytes_mut};

/// What a process has called, in words, and what it has brought to be gathered.
type Call = (String, Vec<u8>);

/// All processes that have joined by one id.
#[derive(Default)]
struct Fabric {
    joined: Vec<bool>,
    /// What was sent and not yet received, by sender and receiver.
    mail: HashMap<(usize, usize), VecDeque<Vec<u8>>>,
    /// What each has called, in order, and what it has brought to be gathered.
    called: Vec<Vec<Option<Call>>>,
    failure: Option<String>,
}

static FABRICS: Mutex<Vec<(UniqueId, Arc<Mutex<Fabric>>)>> = Mutex::new(Vec::new());

/// One of them.
pub struct Communicator {
    fabric: Arc<Mutex<Fabric>>,
    rank: usize,
    size: usize,
    calls: AtomicUsize,
    lane: Mutex<Option<Lane>>,
    is_given_up: Arc<AtomicBool>,
}

impl Drop for Communicator {
    fn drop(&mut self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }
}

/// Fabric, rank, number of the call, whether it was given up, lane.
type Caller = (Arc<Mutex<Fabric>>, usize, usize, Arc<AtomicBool>, Lane);

/// What is sent and received between `begin_group` and `end_group`.
#[derive(Default)]
pub struct Group {
    depth: usize,
    parts: Vec<(usize, Tensor, bool)>,
    /// Of its first part: whose it is, and on what lane.
    with: Option<Caller>,
}

/// What is wrong with a use of memory, if anything.
type Wrong = Box<dyn Fn(Tensor) -> Option<String> + Send + Sync>;

/// A group of sending and receiving, or a gathering, on a lane.
pub struct Operation {
    fabric: Arc<Mutex<Fabric>>,
    rank: usize,
    number: usize,
    /// By other process: what is sent there, or received from there.
    parts: Vec<(usize, Tensor, bool)>,
    gathers: Option<(Tensor, Tensor)>,
    was_sent: AtomicBool,
    is_given_up: Arc<AtomicBool>,
    wrong: Wrong,
}

impl Operation {
    /// The memory that it uses, and whether it writes there.
    pub fn uses(&self) -> Vec<(Tensor, bool)> {
        let parts = self.parts.iter().map(|&(_, tensor, receives)| (tensor, receives));
        parts.chain(self.gathers.into_iter().flat_map(|(from, to)| [(from, false), (to, true)])).collect()
    }

    /// Sends, the first time, and says whether all has come that it receives.
    pub fn is_ready(&self) -> bool {
        if self.is_given_up.load(Ordering::Relaxed) {
            return true;
        }
        let fabric = &mut *self.fabric.lock().unwrap();
        if !self.was_sent.swap(true, Ordering::Relaxed) {
            if let Some(wrong) = self.uses().into_iter().find_map(|(tensor, _)| (self.wrong)(tensor)) {
                fabric.failure.get_or_insert(format!("NCCL uses memory of rank {} that is wrong: {wrong}", self.rank));
                return false;
            }
            self.send(fabric);
        }
        if fabric.failure.is_some() {
            return false; // the others wait for ever
        }
        match self.gathers {
            Some(_) => fabric.called[self.number].iter().all(Option::is_some),
            None => self.parts.iter().filter(|part| part.2).all(|&(peer, to, _)| {
                let next = fabric.mail.get(&(peer, self.rank)).and_then(VecDeque::front).map(Vec::len);
                if next.is_some_and(|len| len != to.bytes()) {
                    let rank = self.rank;
                    fabric.failure = Some(format!(
                        "rank {peer} sends {} bytes where rank {rank} receives {}",
                        next.unwrap_or(0),
                        to.bytes()
                    ));
                }
                next.is_some() && fabric.failure.is_none()
            }),
        }
    }

    fn send(&self, fabric: &mut Fabric) {
        let (call, brought) = match self.gathers {
            Some((from, _)) => (format!("gathers {} bytes of each", from.bytes()), bytes(from).to_vec()),
            None => ("sends and receives".into(), Vec::new()),
        };
        if fabric.called.len() <= self.number {
            let size = fabric.joined.len();
            fabric.called.resize_with(self.number + 1, || vec![None; size]);
        }
        let called = &mut fabric.called[self.number];
        let other = called.iter().flatten().find(|(other, _)| *other != call).map(|(other, _)| other.clone());
        called[self.rank] = Some((call.clone(), brought));
        if let Some(other) = other {
            let message = format!("call {}: rank {} {call}, where another {other}", self.number, self.rank);
            fabric.failure.get_or_insert(message);
        }
        for &(peer, from, _) in self.parts.iter().filter(|part| !part.2) {
            fabric.mail.entry((self.rank, peer)).or_default().push_back(bytes(from).to_vec());
        }
    }

    /// Receives, once it is ready.
    pub fn run(&self) {
        if self.is_given_up.load(Ordering::Relaxed) {
            return;
        }
        let fabric = &mut *self.fabric.lock().unwrap();
        for &(peer, to, _) in self.parts.iter().filter(|part| part.2) {
            let mail = fabric.mail.get_mut(&(peer, self.rank)).and_then(VecDeque::pop_front).expect("it was ready");
            bytes_mut(to).copy_from_slice(&mail);
        }
        if let Some((_, to)) = self.gathers {
            let brought = fabric.called[self.number].iter().flatten();
            let all: Vec<u8> = brought.flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            bytes_mut(to).copy_from_slice(&all);
        }
    }
}

fn refused(why: impl Into<String>) -> Error {
    Error::new(Code::Io, format!("NCCL refuses {}", why.into()))
}

impl Simulator {
    /// What NCCL does not take, of a call with a tensor.
    fn check_call(&self, with: &Communicator, tensors: &[Tensor], lane: Lane) -> Result<()> {
        drop(self.called_outside("nccl")?);
        if !self.is_ready(with)? {
            return Err(refused("a call while another one is in progress"));
        }
        if *with.lane.lock().unwrap().get_or_insert(lane) != lane {
            return Err(refused("one communicator on two streams"));
        }
        match tensors.iter().find_map(|&tensor| self.wrong(tensor)) {
            Some(wrong) => Err(refused(format!("memory that is wrong: {wrong}"))),
            None => Ok(()),
        }
    }

    fn add_to_group(&self, with: &Communicator, peer: usize, tensor: Tensor, receives: bool, lane: Lane) -> Result<()> {
        self.check_call(with, &[tensor], lane)?;
        let group = &mut *self.group().lock().unwrap();
        if group.depth == 0 {
            return Err(refused("to send or receive outside of a group, where each waits for the other"));
        }
        if peer >= with.size || peer == with.rank {
            return Err(refused(format!("rank {peer} as the other end for rank {} of {}", with.rank, with.size)));
        }
        group.parts.push((peer, tensor, receives));
        let fabric = Arc::clone(&with.fabric);
        let given_up = Arc::clone(&with.is_given_up);
        let number = || with.calls.fetch_add(1, Ordering::Relaxed);
        group.with.get_or_insert_with(|| (fabric, with.rank, number(), given_up, lane));
        Ok(())
    }
}

impl Calls for Simulator {
    type Communicator = Communicator;

    fn nccl_version(&self) -> Result<String> {
        Ok("simulated".into())
    }

    fn unique_id(&self) -> Result<UniqueId> {
        let fabrics = &mut *FABRICS.lock().unwrap();
        let mut id = [7; ID_BYTES];
        id[..8].copy_from_slice(&fabrics.len().to_le_bytes());
        fabrics.push((id, Arc::default()));
        Ok(id)
    }

    fn join(&self, id: &UniqueId, rank: usize, size: usize) -> Result<Communicator> {
        let known = FABRICS.lock().unwrap().iter().find(|(known, _)| known == id).map(|(_, fabric)| Arc::clone(fabric));
        let fabric = known.ok_or_else(|| refused("an id that nobody has made"))?;
        let mut all = fabric.lock().unwrap();
        all.joined.resize(size, false);
        if rank >= size || std::mem::replace(&mut all.joined[rank], true) {
            return Err(refused(format!("rank {rank} of {size}: it is too large, or has joined already")));
        }
        drop(all);
        let (calls, lane, is_given_up) = Default::default();
        Ok(Communicator { fabric, rank, size, calls, lane, is_given_up })
    }

    fn begin_group(&self) -> Result<()> {
        self.group().lock().unwrap().depth += 1;
        Ok(())
    }

    fn end_group(&self) -> Result<()> {
        let group = &mut *self.group().lock().unwrap();
        group.depth = group.depth.checked_sub(1).ok_or_else(|| refused("the end of a group that has not begun"))?;
        let Group { parts, with: Some((fabric, rank, number, is_given_up, lane)), .. } = std::mem::take(group) else {
            return Ok(());
        };
        let (was_sent, wrong) = (AtomicBool::new(false), self.checks_memory());
        let operation = Operation { fabric, rank, number, parts, gathers: None, was_sent, is_given_up, wrong };
        self.put(lane, Work::Peers(Arc::new(operation)))
    }

    fn send(&self, with: &Communicator, from: Tensor, to: usize, lane: Lane) -> Result<()> {
        self.add_to_group(with, to, from, false, lane)
    }

    fn receive(&self, with: &Communicator, to: Tensor, from: usize, lane: Lane) -> Result<()> {
        self.add_to_group(with, from, to, true, lane)
    }

    fn all_gather(&self, with: &Communicator, from: Tensor, to: Tensor, lane: Lane) -> Result<()> {
        self.check_call(with, &[from, to], lane)?;
        let overlaps = from.address < to.address + to.bytes() as u64 && to.address < from.address + from.bytes() as u64;
        let own = to.address + (with.rank * from.bytes()) as u64;
        if to.bytes() != with.size * from.bytes() || overlaps && from.address != own {
            return Err(refused("to gather parts that do not fill the whole, or in another place than their own"));
        }
        let (fabric, rank, number) = (Arc::clone(&with.fabric), with.rank, with.calls.fetch_add(1, Ordering::Relaxed));
        let (was_sent, is_given_up) = (AtomicBool::new(false), Arc::clone(&with.is_given_up));
        let (parts, gathers, wrong) = (Vec::new(), Some((from, to)), self.checks_memory());
        let operation = Operation { fabric, rank, number, parts, gathers, was_sent, is_given_up, wrong };
        self.put(lane, Work::Peers(Arc::new(operation)))
    }

    fn is_ready(&self, with: &Communicator) -> Result<bool> {
        let fabric = with.fabric.lock().unwrap();
        match &fabric.failure {
            Some(failure) => Err(Error::new(Code::Io, format!("NCCL: {failure}"))),
            None => Ok(fabric.joined.iter().all(|joined| *joined)),
        }
    }

    fn abort(&self, with: Communicator) {
        drop(with);
    }
}
