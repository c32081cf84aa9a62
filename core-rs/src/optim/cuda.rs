//! [`super::adamw`] on a CUDA device.

use crate::cuda::{Buffer, Device, Dtype, Launch, Tensor, bytes_of};
use crate::engine::AdamW;
use crate::error::Result;
use crate::parameters::ParameterLayout;

/// Elements whose squares one block sums.
const BLOCK: usize = 1 << 15;

/// Where parameters begin and which of them are updated and decay, on the device, and scratch of the norm.
pub struct Plan<D: Device> {
    starts: Buffer<D>,
    treatments: Buffer<D>,
    partials: Buffer<D>,
    squared_norm: Buffer<D>,
}

/// The flat buffers of an update.
#[derive(Clone, Copy)]
pub struct State {
    /// f32
    pub weights: Tensor,
    /// The weights as activations, where they are not f32.
    pub copy: Option<Tensor>,
    /// f32
    pub gradients: Tensor,
    /// f32
    pub exp_avg: Tensor,
    /// f32
    pub exp_avg_sq: Tensor,
}

impl<D: Device> Plan<D> {
    /// For one model.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(device: &D, layout: &ParameterLayout) -> Result<Self> {
        let parameters = layout.parameters();
        let starts: Vec<u64> = parameters.iter().map(|p| p.offset as u64).collect();
        let treatments: Vec<i32> =
            parameters.iter().map(|p| i32::from(p.trainable) * (1 + i32::from(p.decay))).collect();
        let plan = Self {
            starts: Buffer::zeroed(device, starts.len(), Dtype::Wide)?,
            treatments: Buffer::zeroed(device, treatments.len(), Dtype::I32)?,
            partials: Buffer::zeroed(device, layout.len().div_ceil(BLOCK), Dtype::Wide)?,
            squared_norm: Buffer::zeroed(device, 1, Dtype::Wide)?,
        };
        device.upload(plan.starts.tensor(), bytes_of(&starts));
        device.upload(plan.treatments.tensor(), bytes_of(&treatments));
        Ok(plan)
    }

    /// Σ x² in f64, on the device: blocks are added in a fixed order.
    pub fn squared_norm(&self, device: &D, x: Tensor) -> Tensor {
        let (partials, total) = (self.partials.tensor(), self.squared_norm.tensor());
        let blocks = x.len.div_ceil(BLOCK);
        device.launch(
            &Launch::row("squared_norm_partials", blocks, 256),
            &[(x.len as u64).into(), (BLOCK as u32).into(), x.into(), partials.part(0, blocks).into()],
        );
        let arguments = [(blocks as u32).into(), partials.into(), total.into()];
        device.launch(&Launch::row("sum_partials", 1, 256), &arguments);
        total
    }

    /// One update, number `step` from 0, of gradients that are sums over `masked` tokens. Nothing changes if their norm,
    /// `squared_norm`, is not finite.
    pub fn update(&self, device: &D, state: &State, hyper: &AdamW, masked: u64, step: u64, squared_norm: Tensor) {
        let power = i32::try_from(step + 1).unwrap_or(i32::MAX);
        let (correction1, correction2) = (1.0 - hyper.beta1.powi(power), 1.0 - hyper.beta2.powi(power));
        let words = [
            hyper.beta1,
            hyper.beta2,
            1.0 - hyper.beta1,
            1.0 - hyper.beta2,
            hyper.learning_rate / correction1,
            1.0 / correction2.sqrt(),
            hyper.epsilon,
            1.0 - hyper.learning_rate * hyper.weight_decay,
        ]
        .map(|x| (x as f32).to_bits());
        let count = state.weights.len;
        device.launch(
            &Launch::threads("adamw", count),
            &[
                (count as u64).into(),
                (self.starts.tensor().len as u32).into(),
                self.starts.tensor().into(),
                self.treatments.tensor().into(),
                words.into(),
                (masked as f64).into(),
                hyper.max_grad_norm.into(),
                squared_norm.into(),
                state.weights.into(),
                state.gradients.expect(count, Dtype::F32).into(),
                state.exp_avg.expect(count, Dtype::F32).into(),
                state.exp_avg_sq.expect(count, Dtype::F32).into(),
                state.copy.map(|copy| copy.expect(count, device.activations())).into(),
            ],
        );
    }
}

/// `to = from`, as activations.
pub fn narrow<D: Device>(device: &D, from: Tensor, to: Tensor) {
    device.launch(
        &Launch::threads("narrow_weights", from.len),
        &[(from.len as u64).into(), from.into(), to.expect(from.len, device.activations()).into()],
    );
}
