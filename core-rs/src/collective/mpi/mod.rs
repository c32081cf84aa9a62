//! MPI, opened at run time: no compiler, header or library of it is needed to build. Of the three binary interfaces there
//! are, [`table`] has what cloze calls. All calls come from one thread.
//!
//! Only point-to-point messages are used. The library's own sums depend on the number of processes and on its algorithms, one
//! library's blocking ones were seen to hang, and its barrier does not tell who is missing.

mod find;
mod table;

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

pub use find::{Found, Search, all, find};
use table::Table;

use super::Collective;
use crate::error::{Code, Error, Result};

/// Most bytes of a message: lengths are C's int.
const LONGEST_MESSAGE: usize = 1 << 28;
/// Tags of what is sent, and of the empty messages by which processes meet before.
const TAG: c_int = 7;
const MEETING: c_int = 8;
/// A process that waits looks again after so long, and then less and less often: it must not take a core from one that works.
const SHORTEST_NAP: Duration = Duration::from_micros(50);
const LONGEST_NAP: Duration = Duration::from_millis(1);
/// What a look and a nap take at most, if nobody suspends the process.
const SUSPENDED: Duration = Duration::from_millis(200);
/// Before it naps it looks so often, because processes that do equal work come at nearly the same time.
const LOOKS: usize = 50;

/// The processes that `mpirun` and its kin have started.
pub struct Mpi {
    table: Table,
    rank: usize,
    size: usize,
    /// How long it waits for the others before it says that one of them is stuck.
    patience: Duration,
    /// Whether it has left the others.
    left: bool,
    /// How long it has waited in meetings.
    waited: Cell<Duration>,
}

/// Ends all processes.
#[derive(Clone, Copy)]
pub struct Abort {
    call: unsafe extern "C" fn(usize, c_int) -> c_int,
    world: usize,
}

impl Abort {
    /// Ends all processes, this one included, from whatever thread, whatever another one is doing.
    pub fn now(self, code: i32) {
        // SAFETY: MPI is initialized.
        unsafe { (self.call)(self.world, code) };
    }
}

impl Mpi {
    /// Opens a library that was found and joins the other processes. The calling thread has to make all further calls.
    ///
    /// # Errors
    /// `Unsupported` if the library cannot be used.
    pub fn join(found: &Found, patience: Duration) -> Result<Self> {
        let table = Table::open(&found.path, true)?;
        let mut granted = 0;
        // SAFETY: MPI_Init_thread may be given no arguments.
        let status = unsafe { (table.init_thread)(null_mut(), null_mut(), table.constants.serialized, &mut granted) };
        table.check("MPI_Init_thread", status)?;
        if granted < table.constants.serialized {
            let message = format!("{} cannot be called from a thread of its own", found.path.display());
            return Err(Error::new(Code::Unsupported, message).with_hint("use an MPI library built with threads"));
        }
        let (world, mut rank, mut size) = (table.constants.world, 0, 0);
        // SAFETY: MPI is initialized, and the pointers are to integers.
        unsafe {
            table.check("MPI_Comm_set_errhandler", (table.set_errhandler)(world, table.constants.errors_return))?;
            table.check("MPI_Comm_rank", (table.comm_rank)(world, &mut rank))?;
            table.check("MPI_Comm_size", (table.comm_size)(world, &mut size))?;
        }
        Ok(Self { table, rank: rank as usize, size: size as usize, patience, left: false, waited: Cell::default() })
    }

    /// Leaves the others, who have to leave, too.
    ///
    /// # Errors
    /// What MPI says.
    pub fn leave(&mut self) -> Result<()> {
        self.left = true;
        // SAFETY: MPI is initialized, and `exchange` calls it no more.
        self.table.check("MPI_Finalize", unsafe { (self.table.finalize)() })
    }

    /// What ends all processes.
    pub fn aborter(&self) -> Abort {
        Abort { call: self.table.abort, world: self.table.constants.world }
    }

    /// Exchanges as [`Collective::exchange`] does, and waits for the others as long as it takes unless there is a limit.
    ///
    /// # Errors
    /// As there.
    pub fn exchange_within(&self, to: &[&[u8]], from: &mut [&mut [u8]], patience: Option<Duration>) -> Result<()> {
        if self.left {
            return Err(Error::new(Code::InvalidState, "this process has left the others"));
        }
        // All wait for one that is stuck, but one of them should say so first: the first, which knows who has come.
        let patience = patience.map(|patience| patience * (4 + self.rank.min(2) as u32) / 4);
        let began = Instant::now();
        self.meet(patience)?;
        self.waited.set(self.waited.get() + began.elapsed());
        from[self.rank].copy_from_slice(to[self.rank]);
        let mut pending = Vec::with_capacity(self.size);
        for peer in (0..self.size).filter(|peer| *peer != self.rank) {
            let (to, from) = (to[peer].chunks(LONGEST_MESSAGE), from[peer].chunks_mut(LONGEST_MESSAGE));
            let mut requests = self.requests(to.len() + from.len());
            for piece in from {
                self.receive(piece, peer, TAG, &mut requests)?;
            }
            for piece in to {
                self.send(piece, peer, TAG, &mut requests)?;
            }
            pending.push((peer, requests));
        }
        self.wait(pending, patience, Naps::None)
    }

    /// Waits until all processes have come here: they tell the first one, and it tells them.
    fn meet(&self, patience: Option<Duration>) -> Result<()> {
        if self.rank > 0 {
            return self.wait(vec![self.empty(0, true)?, self.empty(0, false)?], patience, Naps::Longer);
        }
        for tells in [false, true] {
            let all = (1..self.size).map(|peer| self.empty(peer, tells)).collect::<Result<_>>()?;
            self.wait(all, patience, Naps::Longer)?;
        }
        Ok(())
    }

    /// Begins to send or to receive an empty message.
    fn empty(&self, peer: usize, sends: bool) -> Result<(usize, Requests)> {
        let mut requests = self.requests(1);
        match sends {
            true => self.send(&[], peer, MEETING, &mut requests)?,
            false => self.receive(&mut [], peer, MEETING, &mut requests)?,
        }
        Ok((peer, requests))
    }

    /// Waits for messages of and to other processes. What they are in is MPI's until then: after an error the process has to
    /// end.
    fn wait(&self, mut pending: Vec<(usize, Requests)>, patience: Option<Duration>, naps: Naps) -> Result<()> {
        let (mut waited, mut nap) = (Duration::ZERO, SHORTEST_NAP);
        for look in 0.. {
            let began = Instant::now();
            let mut undone = Vec::with_capacity(pending.len());
            for (peer, mut requests) in pending {
                if !self.are_done(&mut requests)? {
                    undone.push((peer, requests));
                }
            }
            pending = undone;
            if pending.is_empty() {
                break;
            }
            if look < LOOKS || naps == Naps::None {
                yield_now();
            } else {
                sleep(nap);
                nap = (nap * 2).min(LONGEST_NAP);
            }
            // A job that was suspended for a while is not stuck.
            waited += began.elapsed().min(SUSPENDED);
            if patience.is_some_and(|patience| waited >= patience) {
                let mut ranks: Vec<_> = pending.iter().map(|(peer, _)| format!("rank {peer}")).collect();
                ranks.dedup();
                let who = ranks.join(", ");
                let message =
                    format!("waited {} s for {who}, which did not come to the end of its work", waited.as_secs());
                return Err(Error::new(Code::Io, message).with_hint("see whether it runs, and on what machine"));
            }
        }
        Ok(())
    }

    /// Begins to send a piece, which has to stay as it is until the request is done.
    fn send(&self, piece: &[u8], peer: usize, tag: c_int, requests: &mut Requests) -> Result<()> {
        let Table { isend, constants, .. } = &self.table;
        let (start, len) = (piece.as_ptr().cast_mut().cast(), piece.len() as c_int);
        // SAFETY: the piece is alive until the request is done, or the process ends.
        let status = unsafe { isend(start, len, constants.byte, peer as c_int, tag, constants.world, requests.next()) };
        self.table.check("MPI_Isend", status)
    }

    /// Begins to receive a piece, which has to be left alone until the request is done.
    fn receive(&self, piece: &mut [u8], peer: usize, tag: c_int, requests: &mut Requests) -> Result<()> {
        let Table { irecv, constants, .. } = &self.table;
        let (start, len) = (piece.as_mut_ptr().cast(), piece.len() as c_int);
        // SAFETY: as above.
        let status = unsafe { irecv(start, len, constants.byte, peer as c_int, tag, constants.world, requests.next()) };
        self.table.check("MPI_Irecv", status)
    }

    fn requests(&self, most: usize) -> Requests {
        let bytes = self.table.constants.request_bytes;
        Requests { room: vec![0; (most * bytes).div_ceil(size_of::<u64>())], bytes, count: 0 }
    }

    fn are_done(&self, requests: &mut Requests) -> Result<bool> {
        let mut flag = 0;
        // SAFETY: there are as many requests, and statuses are not asked for.
        let status = unsafe {
            (self.table.testall)(requests.count, requests.start(), &mut flag, self.table.constants.statuses_ignore)
        };
        self.table.check("MPI_Testall", status)?;
        Ok(flag != 0)
    }
}

/// Checks that a descriptor by which a launcher is spoken to was inherited: a program in between may not have passed it on, and
/// its number then belongs to something else.
///
/// # Errors
/// `Unsupported`
#[cfg(unix)]
pub fn check_descriptor(descriptor: i32) -> Result<()> {
    // SAFETY: only flags are asked for.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    match flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
        true => Ok(()),
        false => {
            Err(Error::new(Code::Unsupported, "a program between the launcher and cloze has closed their connection")
                .with_hint("start deno itself and not npx; or give mpiexec -pmi-port, which needs no open connection"))
        }
    }
}

/// No launcher of Windows is known.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn check_descriptor(_: i32) -> Result<()> {
    Ok(())
}

/// How a process waits.
#[derive(PartialEq, Eq)]
enum Naps {
    /// A transfer between processes that are all there: with naps it would take a hundred times as long.
    None,
    /// For processes that work.
    Longer,
}

/// Requests as MPI lays them out: an array of its handles, which are ints or pointers.
struct Requests {
    room: Vec<u64>,
    bytes: usize,
    count: c_int,
}

impl Requests {
    fn start(&mut self) -> *mut c_void {
        self.room.as_mut_ptr().cast()
    }

    /// Where the next one is to be written.
    fn next(&mut self) -> *mut c_void {
        let offset = self.count as usize * self.bytes;
        assert!(offset + self.bytes <= self.room.len() * size_of::<u64>(), "room for all requests");
        self.count += 1;
        self.start().wrapping_byte_add(offset)
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&mut self, to: &[&[u8]], from: &mut [&mut [u8]]) -> Result<()> {
        self.exchange_within(to, from, Some(self.patience))
    }

    fn waited(&self) -> Duration {
        self.waited.get()
    }

    fn patience(&self) -> Duration {
        self.patience
    }
}
