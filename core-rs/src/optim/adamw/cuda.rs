//! [`super`] on a CUDA device.

use super::{Options, SLOTS};
use crate::blueprint::ParameterLayout;
use crate::driver::queue::Queue;
use crate::driver::{Device, Launch, Tensor};
use crate::error::Result;
use crate::optim::Update;
use crate::optim::cuda::{OnCuda, Places, Tensors};
use crate::optim::slots::SlotLayout;

/// The update on the device.
pub struct Cuda<D: Device> {
    options: Options,
    places: Places<D>,
}

impl<D: Device> Cuda<D> {
    /// For the parameters that have the slots.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(queue: &Queue<D>, options: Options, layout: &ParameterLayout, slots: &[SlotLayout]) -> Result<Self> {
        Ok(Self { options, places: Places::new(queue, layout, slots, SLOTS[0])? })
    }
}

impl<D: Device> OnCuda<D> for Cuda<D> {
    fn update(&self, queue: &Queue<D>, state: &Tensors, scale: Tensor, update: Update) {
        let super::Factors { beta1, beta2, one_minus_beta1, one_minus_beta2, rate, root, epsilon, kept } =
            self.options.factors(update);
        let factors = [beta1, beta2, one_minus_beta1, one_minus_beta2, rate, root, epsilon, kept];
        let factors = queue.input(&factors, factors.len());
        // Of the slots' elements, those that are here.
        let before = update.share.map_or(0, |share| share.before);
        let count = if update.share.is_some() { state.slot_len(SLOTS[0]) } else { self.places.len() };
        if count == 0 {
            return;
        }
        let [exp_avg, exp_avg_sq] = SLOTS.map(|name| state.slot(name, count));
        queue.launch(
            &Launch::threads("adamw", count.div_ceil(4)),
            &[
                (before as u64).into(),
                ((before + count) as u64).into(),
                self.places.parameters().into(),
                self.places.starts().into(),
                self.places.shifts().into(),
                self.places.decays().into(),
                factors.into(),
                scale.into(),
                state.weights.into(),
                state.gradients.into(),
                exp_avg.into(),
                exp_avg_sq.into(),
                state.copy.into(),
            ],
        );
    }
}
