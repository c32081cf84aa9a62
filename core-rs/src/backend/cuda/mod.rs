//! A CUDA device as a [`Backend`]: hands tensors to the operations' `cuda` modules; what they share is in [`plan`].
//!
//! Nothing here waits for the device but what is read from it. Activations are of the device's type; weights, gradients,
//! moments, statistics and logits are f32. What differs between two batches of one shape goes through
//! [`Queue::input`](crate::driver::queue::Queue::input), so that a step of the second is the same work as one of the first.

mod attention;
mod elements;
mod embeddings;
mod linear;
mod loss;
mod memory;
mod norm;
mod plan;
pub mod program;
mod sharing;

use super::{Backend, Linear, Totals};
use crate::blueprint::ParameterLayout;
use crate::driver::{self, Device, bytes_of_mut};
use crate::error::Result;
use crate::machine::profile::Entry;
use crate::optim::cuda::{Clip, Tensors};
use crate::optim::{self, Optimizer, State, Update};
pub use plan::{Buffer, Cuda, Rows};
use plan::{FAILED, SQUARED_NORM, TOTALS};

impl<D: Device> Backend for Cuda<D> {
    const DEFERS: bool = true;

    fn device(&self) -> &'static str {
        "cuda"
    }

    fn name(&self) -> String {
        self.queue.device().name()
    }

    fn profile(&self) -> Vec<Entry> {
        self.queue.profile()
    }

    fn plan(&mut self, layout: &ParameterLayout, _layers: &[Linear], optimizer: Option<&Optimizer>) -> Result<()> {
        if let Some(optimizer) = optimizer {
            let clip = Clip::new(&self.queue, layout.len(), optimizer.max_grad_norm())?;
            self.optimizer = Some((clip, optimizer.on_cuda(&self.queue, layout)?));
        }
        Ok(())
    }

    fn weights_changed(&mut self, weights: &Buffer<D>) {
        if let Some(copy) = &weights.copy {
            optim::cuda::narrow(&self.queue, weights.exact(), copy.tensor());
        }
    }

    fn check(&mut self) -> Result<()> {
        self.queue.check()
    }

    fn begin(&mut self, tokens: usize, step: u64) {
        self.queue.submit(false); // what is not part of the work that repeats
        (self.tokens, self.step) = (tokens, step);
    }

    fn end(&mut self) {
        self.queue.submit(true);
    }

    fn update(&mut self, state: State<Buffer<D>>, update: Update) {
        let Some((clip, optimizer)) = &self.optimizer else { return };
        let tensors = Tensors {
            weights: state.weights.exact(),
            copy: state.weights.copy.as_ref().map(driver::Buffer::tensor),
            gradients: state.gradients.exact(),
            slots: state.slots.iter().map(|slot| (slot.layout.name, slot.values.exact())).collect(),
        };
        let totals = self.totals.tensor();
        let (norm, failed) = (totals.part(SQUARED_NORM, 1), totals.part(FAILED, 1));
        let scale = clip.run(&self.queue, tensors.gradients, update, norm, failed);
        optimizer.update(&self.queue, &tensors, scale, update);
        self.updated = Some(update.units);
    }

    fn take_totals(&mut self) -> Totals {
        let mut values = [0f64; TOTALS];
        self.queue.read(self.totals.tensor(), bytes_of_mut(&mut values));
        self.queue.clear(self.totals.tensor());
        let grad_norm = self.updated.take().map(|units| values[SQUARED_NORM].sqrt() / units as f64);
        Totals { grad_norm, ..totals_of(values) }
    }
}

/// Totals as they lie on the device.
fn totals_of([tokens, tokens_correct, sequences, sequences_correct, _, failed]: [f64; TOTALS]) -> Totals {
    Totals {
        loss: [tokens, sequences],
        correct: [tokens_correct, sequences_correct].map(|count| count as u64),
        grad_norm: None,
        failed_step: (failed as u64).checked_sub(1),
    }
}
