//! What stands between the gradient and the update when several processes train one model. Nothing else of the core knows
//! that there are others. [`mpi`] carries bytes between processes; how gradients are added is not its business, but the
//! trainer's, so that the order of sums, and with it every bit, does not depend on a library or on the number of processes.
//! [`nccl`] carries what lies on GPUs; the processes still meet, and say numbers, over MPI.

pub mod mpi;
pub mod nccl;

use std::time::Duration;

use crate::error::{Code, Error, Result};

/// The processes that train one model, as one of them sees them. All of them make the same calls in the same order.
pub trait Collective: Send {
    /// This process's number, from 0.
    fn rank(&self) -> usize;

    /// How many processes there are.
    fn size(&self) -> usize;

    /// Sends `to[r]` to each process r and fills `from[r]` with what it has sent here, whose length both know. Waits without
    /// working until all have come, but not for ever.
    ///
    /// # Errors
    /// `Io` if another process did not come, or the transfer failed. The processes can do nothing together after that.
    fn exchange(&mut self, to: &[&[u8]], from: &mut [&mut [u8]]) -> Result<()>;

    /// Waits until all have come.
    ///
    /// # Errors
    /// As [`Collective::exchange`].
    fn meet(&mut self) -> Result<()> {
        let size = self.size();
        self.exchange(&vec![&[][..]; size], &mut (0..size).map(|_| &mut [][..]).collect::<Vec<_>>())
    }

    /// How long it has waited, in all exchanges so far, for others that worked.
    fn waited(&self) -> Duration;

    /// How long it waits for the others before it says that one of them is stuck.
    fn patience(&self) -> Duration;
}

/// One process alone.
pub struct Single;

impl Collective for Single {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn exchange(&mut self, to: &[&[u8]], from: &mut [&mut [u8]]) -> Result<()> {
        from[0].copy_from_slice(to[0]);
        Ok(())
    }

    fn waited(&self) -> Duration {
        Duration::ZERO
    }

    fn patience(&self) -> Duration {
        Duration::MAX
    }
}

/// How an update is cut: into as many micro-batches, a power of two, whose gradients are the leaves of a balanced tree of
/// sums. Each process has as many consecutive leaves, so a whole subtree.
pub struct Division {
    /// Micro-batches of an update, over all processes.
    pub micro_batches: usize,
    /// The processes.
    pub collective: Box<dyn Collective>,
}

/// Most micro-batches of an update.
pub const MOST_MICRO_BATCHES: usize = 1 << 16;

impl Division {
    /// Checks that each process gets as many leaves.
    ///
    /// # Errors
    /// `InvalidArgument`
    pub fn validate(&self) -> Result<()> {
        let (cut, size) = (self.micro_batches, self.collective.size());
        if cut.is_power_of_two() && cut <= MOST_MICRO_BATCHES && cut.is_multiple_of(size) {
            return Ok(());
        }
        let message = format!(
            "an update is cut into {cut} micro-batches for {size} processes, but that has to be a power of two up to \
             {MOST_MICRO_BATCHES} that the number of processes divides"
        );
        Err(Error::new(Code::InvalidArgument, message))
    }

    /// Leaves of each process.
    pub fn own(&self) -> usize {
        self.micro_batches / self.collective.size()
    }

    /// The first leaf of this process.
    pub fn first(&self) -> usize {
        self.own() * self.collective.rank()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Arc, Barrier, Mutex};

    type Mail = Arc<Vec<Vec<Mutex<Vec<u8>>>>>;

    /// Threads of one process that stand for processes.
    pub(crate) struct Local {
        rank: usize,
        barrier: Arc<Barrier>,
        /// By receiver and sender.
        mail: Mail,
    }

    impl Local {
        pub(crate) fn all(size: usize) -> Vec<Self> {
            let boxes = || (0..size).map(|_| Mutex::new(Vec::new())).collect();
            let (barrier, mail) = (Arc::new(Barrier::new(size)), Arc::new((0..size).map(|_| boxes()).collect()));
            let one = |rank| Self { rank, barrier: Arc::clone(&barrier), mail: Arc::clone(&mail) };
            (0..size).map(one).collect()
        }
    }

    impl Collective for Local {
        fn rank(&self) -> usize {
            self.rank
        }

        fn size(&self) -> usize {
            self.mail.len()
        }

        fn exchange(&mut self, to: &[&[u8]], from: &mut [&mut [u8]]) -> Result<()> {
            for (receiver, bytes) in to.iter().enumerate() {
                *self.mail[receiver][self.rank].lock().unwrap() = bytes.to_vec();
            }
            self.barrier.wait();
            for (sender, bytes) in from.iter_mut().enumerate() {
                bytes.copy_from_slice(&self.mail[self.rank][sender].lock().unwrap());
            }
            self.barrier.wait();
            Ok(())
        }

        fn waited(&self) -> Duration {
            Duration::ZERO
        }

        fn patience(&self) -> Duration {
            Duration::from_secs(60)
        }
    }

    #[test]
    fn validate_wants_a_power_of_two_that_the_processes_divide() {
        let cut = |micro_batches, size| {
            let collective = Box::new(Local::all(size).pop().unwrap());
            Division { micro_batches, collective }.validate().is_ok()
        };
        assert!(cut(8, 1) && cut(8, 4) && cut(1, 1) && cut(8, 8));
        assert!(!cut(8, 3) && !cut(6, 2) && !cut(0, 1) && !cut(4, 8) && !cut(1 << 17, 1));
    }
}
