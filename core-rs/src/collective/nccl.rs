//! Exchanges between the GPUs of several processes, by NCCL. Its own sums are not used: they depend on the number of processes
//! and on its algorithms, and the bits of a run must not.
//!
//! NCCL does not say who is missing, and waits for ever. So the processes meet over MPI before each exchange, which names
//! whoever does not come; and what is under way is looked after until it is done, so that it can be given up.

use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

use super::Collective;
use crate::driver::nccl::{ID_BYTES, UniqueId};
use crate::driver::{Device, Lane, Tensor};
use crate::error::{Code, Error, Result};

/// Looks before it naps, and how long it naps then.
const LOOKS: usize = 200;
const NAP: Duration = Duration::from_micros(50);

/// The GPUs of all processes, as one of them sees them.
pub struct Nccl<D: Device> {
    /// Nothing once it was given up.
    communicator: Option<D::Communicator>,
    done: D::Event,
    patience: Duration,
}

impl<D: Device> Nccl<D> {
    /// Joins the GPUs of all processes.
    ///
    /// # Errors
    /// `Unsupported` if NCCL is not there, what it says, or `Io` if another process did not come.
    pub fn join(device: &D, collective: &mut dyn Collective) -> Result<Self> {
        device.nccl_version()?;
        let (rank, size) = (collective.rank(), collective.size());
        let own = if rank == 0 { device.unique_id()? } else { [0; ID_BYTES] };
        let mut ids: Vec<UniqueId> = vec![[0; ID_BYTES]; size];
        let mut from: Vec<_> = ids.iter_mut().map(|id| &mut id[..]).collect();
        collective.exchange(&vec![&own[..]; size], &mut from)?;
        let communicator = Some(device.join(&ids[0], rank, size)?);
        let mut joined = Self { communicator, done: device.event()?, patience: collective.patience() };
        joined.wait(device, "the GPUs join", |device, communicator, _| device.is_ready(communicator))?;
        Ok(joined)
    }

    /// Sends each process the first of its two tensors, and receives the second, behind all work so far on the lane of kernels.
    /// Waits until it is done. This process's own are left alone.
    ///
    /// # Errors
    /// `Io` if it did not come to its end; the processes can do nothing together after that.
    pub fn exchange(&mut self, device: &D, rank: usize, tensors: &[(Tensor, Tensor)]) -> Result<()> {
        let what = "an exchange of gradients";
        self.attempt(device, what, |device, communicator| {
            device.begin_group()?;
            let mut called = Ok(());
            for (peer, (to, from)) in tensors.iter().enumerate().filter(|(peer, _)| *peer != rank) {
                let send = || if to.len > 0 { device.send(communicator, *to, peer, Lane::Compute) } else { Ok(()) };
                let receive =
                    || if from.len > 0 { device.receive(communicator, *from, peer, Lane::Compute) } else { Ok(()) };
                called = called.and_then(|()| send()).and_then(|()| receive());
            }
            let ended = device.end_group();
            called.and(ended)
        })
    }

    /// Fills `all`, whose parts of equal length are the processes', each of which has its own there. Waits until it is done.
    ///
    /// # Errors
    /// As [`Nccl::exchange`].
    pub fn gather(&mut self, device: &D, rank: usize, size: usize, all: Tensor) -> Result<()> {
        let each = all.len / size;
        self.attempt(device, "a gathering of weights", |device, communicator| {
            device.all_gather(communicator, all.part(rank * each, each), all, Lane::Compute)
        })
    }

    /// Makes calls, and waits until they are taken over and done.
    fn attempt(&mut self, device: &D, what: &str, call: impl FnOnce(&D, &D::Communicator) -> Result<()>) -> Result<()> {
        let communicator = self.communicator.as_ref().ok_or_else(given_up)?;
        if let Err(error) = call(device, communicator) {
            return Err(self.give_up(device, error));
        }
        self.wait(device, what, |device, communicator, _| device.is_ready(communicator))?;
        device.record(&self.done, Lane::Compute)?;
        self.wait(device, what, |device, communicator, done| {
            device.is_ready(communicator)?;
            device.is_passed(done)
        })
    }

    /// Waits for something, but not for ever, and gives the communicator up if it does not come.
    fn wait(
        &mut self,
        device: &D,
        what: &str,
        is_there: impl Fn(&D, &D::Communicator, &D::Event) -> Result<bool>,
    ) -> Result<()> {
        let began = Instant::now();
        for look in 0.. {
            let communicator = self.communicator.as_ref().ok_or_else(given_up)?;
            match is_there(device, communicator, &self.done) {
                Ok(true) => break,
                Ok(false) if began.elapsed() >= self.patience => {
                    let message = format!("{what} was not done after {} s", self.patience.as_secs());
                    let error = Error::new(Code::Io, message)
                        .with_hint("one of the processes stands still; NCCL_DEBUG=INFO in the environment tells more");
                    return Err(self.give_up(device, error));
                }
                Ok(false) if look < LOOKS => yield_now(),
                Ok(false) => sleep(NAP),
                Err(error) => return Err(self.give_up(device, error)),
            }
        }
        Ok(())
    }

    fn give_up(&mut self, device: &D, error: Error) -> Error {
        if let Some(communicator) = self.communicator.take() {
            device.abort(communicator);
        }
        error
    }
}

fn given_up() -> Error {
    Error::new(Code::InvalidState, "the GPUs of the processes were parted by an earlier failure")
}
