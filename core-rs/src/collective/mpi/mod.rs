//! MPI, opened at run time: no compiler, header or library of it is needed to build. Of the three binary interfaces there
//! are, [`table`] has what cloze calls. All calls come from one thread.
//!
//! Only point-to-point messages and a barrier are used. The library's own sums depend on the number of processes and on
//! its algorithms, and one library's blocking ones were seen to hang.

mod find;
mod table;

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
/// The one tag.
const TAG: c_int = 7;
/// A process that waits looks again after so long, and then less and less often: it must not take a core from one that works.
const SHORTEST_NAP: Duration = Duration::from_micros(50);
const LONGEST_NAP: Duration = Duration::from_millis(1);
/// Before it naps it looks so often, because processes that do equal work come at nearly the same time.
const LOOKS: usize = 50;

/// The processes that `mpirun` and its kin have started.
pub struct Mpi {
    table: Table,
    rank: usize,
    size: usize,
    /// Whether it has left the others.
    left: bool,
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
    pub fn join(found: &Found) -> Result<Self> {
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
        Ok(Self { table, rank: rank as usize, size: size as usize, left: false })
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

    /// Waits until all processes have come here.
    fn meet(&self, patience: Option<Duration>) -> Result<()> {
        let mut requests = self.requests(1);
        // SAFETY: the request is written to room of its own.
        let status = unsafe { (self.table.ibarrier)(self.table.constants.world, requests.next()) };
        self.table.check("MPI_Ibarrier", status)?;
        // The naps are counted and not the clock: a job that was suspended for a while is not stuck.
        let (mut slept, mut nap) = (Duration::ZERO, SHORTEST_NAP);
        for look in 0.. {
            if self.are_done(&mut requests)? {
                break;
            }
            if look < LOOKS {
                yield_now();
                continue;
            }
            sleep(nap);
            slept += nap;
            nap = (nap * 2).min(LONGEST_NAP);
            if patience.is_some_and(|patience| slept >= patience) {
                let minutes = slept.as_secs() / 60;
                let message = format!("another process has not come to the end of its work for {minutes} minutes");
                return Err(Error::new(Code::Io, message).with_hint("see whether all of them run, and on what machine"));
            }
        }
        Ok(())
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

    fn exchange(&mut self, to: &[&[u8]], from: &mut [&mut [u8]], patience: Option<Duration>) -> Result<()> {
        if self.left {
            return Err(Error::new(Code::InvalidState, "this process has left the others"));
        }
        self.meet(patience)?;
        from[self.rank].copy_from_slice(to[self.rank]);
        let pieces = |len: usize| len.div_ceil(LONGEST_MESSAGE);
        let most = to.iter().map(|x| pieces(x.len())).chain(from.iter().map(|x| pieces(x.len()))).sum();
        let mut requests = self.requests(most);
        let Table { isend, irecv, constants, .. } = &self.table;
        let others = |peer: &usize| *peer != self.rank;
        for peer in (0..self.size).filter(others) {
            for piece in from[peer].chunks_mut(LONGEST_MESSAGE) {
                let (start, len) = (piece.as_mut_ptr().cast(), piece.len() as c_int);
                // SAFETY: the piece is borrowed until all requests are done, below.
                let status =
                    unsafe { irecv(start, len, constants.byte, peer as c_int, TAG, constants.world, requests.next()) };
                self.table.check("MPI_Irecv", status)?;
            }
        }
        for peer in (0..self.size).filter(others) {
            for piece in to[peer].chunks(LONGEST_MESSAGE) {
                let (start, len) = (piece.as_ptr().cast_mut().cast(), piece.len() as c_int);
                // SAFETY: as above.
                let status =
                    unsafe { isend(start, len, constants.byte, peer as c_int, TAG, constants.world, requests.next()) };
                self.table.check("MPI_Isend", status)?;
            }
        }
        // All are here: no naps, which would make a transfer a hundred times as slow.
        let began = Instant::now();
        while !self.are_done(&mut requests)? {
            yield_now();
            if patience.is_some_and(|patience| began.elapsed() >= 2 * patience) {
                // The buffers are still MPI's: the process has to end.
                return Err(Error::new(Code::Io, "a message between the processes was not delivered"));
            }
        }
        Ok(())
    }
}
