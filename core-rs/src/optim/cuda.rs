//! [`super::adamw`] on a CUDA device.

use crate::blueprint::ParameterLayout;
use crate::driver::queue::Queue;
use crate::driver::{Buffer, Device, Dtype, Launch, Tensor, bytes_of};
use crate::engine::AdamW;
use crate::error::Result;

/// Elements whose squares one block sums.
const BLOCK: usize = 1 << 15;

/// Where parameters begin and which of them are updated and decay, on the device, and scratch of the norm.
pub struct Plan<D: Device> {
    starts: Buffer<D>,
    treatments: Buffer<D>,
    partials: Buffer<D>,
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

/// What an update multiplies by, for the inputs of the step: the kernels' `Update`.
pub fn words(hyper: &AdamW, masked: u64, step: u64) -> [u32; 14] {
    let power = i32::try_from(step + 1).unwrap_or(i32::MAX);
    let (correction1, correction2) = (1.0 - hyper.beta1.powi(power), 1.0 - hyper.beta2.powi(power));
    let singles = [
        hyper.beta1,
        hyper.beta2,
        1.0 - hyper.beta1,
        1.0 - hyper.beta2,
        hyper.learning_rate / correction1,
        1.0 / correction2.sqrt(),
        hyper.epsilon,
        1.0 - hyper.learning_rate * hyper.weight_decay,
    ];
    let mut words = [0; 14];
    for (word, x) in words.iter_mut().zip(singles) {
        *word = (x as f32).to_bits();
    }
    for (pair, x) in words[8..].chunks_exact_mut(2).zip([masked as f64, hyper.max_grad_norm, (step + 1) as f64]) {
        pair.copy_from_slice(&[x.to_bits() as u32, (x.to_bits() >> 32) as u32]);
    }
    words
}

impl<D: Device> Plan<D> {
    /// For one model.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(queue: &Queue<D>, layout: &ParameterLayout) -> Result<Self> {
        let parameters = layout.parameters();
        let starts: Vec<u64> = parameters.iter().map(|p| p.offset as u64).collect();
        let treatments: Vec<i32> =
            parameters.iter().map(|p| i32::from(p.trainable) * (1 + i32::from(p.decays()))).collect();
        let zeroed = |len, dtype| Buffer::zeroed(queue.device(), len, dtype);
        let plan = Self {
            starts: zeroed(starts.len(), Dtype::Wide)?,
            treatments: zeroed(treatments.len(), Dtype::I32)?,
            partials: zeroed(layout.len().div_ceil(BLOCK), Dtype::Wide)?,
        };
        queue.write(plan.starts.tensor(), bytes_of(&starts));
        queue.write(plan.treatments.tensor(), bytes_of(&treatments));
        Ok(plan)
    }

    /// f64 `squared_norm` = Σ x², blocks added in a fixed order. If that is not finite, f64 `failed` receives the number of
    /// the `update` unless it says something already.
    pub fn squared_norm(&self, queue: &Queue<D>, x: Tensor, update: Tensor, squared_norm: Tensor, failed: Tensor) {
        let (partials, blocks) = (self.partials.tensor(), x.len.div_ceil(BLOCK));
        queue.launch(
            &Launch::row("squared_norm_partials", blocks, 256),
            &[(x.len as u64).into(), (BLOCK as u32).into(), x.into(), partials.part(0, blocks).into()],
        );
        let (squared_norm, failed) = (squared_norm.expect(1, Dtype::Wide), failed.expect(1, Dtype::Wide));
        queue.launch(
            &Launch::row("sum_partials", 1, 256),
            &[(blocks as u32).into(), partials.into(), update.into(), squared_norm.into(), failed.into()],
        );
    }

    /// One update of gradients that are sums, as `update` says, which is [`words`] in the inputs of the step. Nothing
    /// changes if their norm, which [`Plan::squared_norm`] has left, is not finite.
    pub fn update(&self, queue: &Queue<D>, state: &State, update: Tensor, squared_norm: Tensor) {
        let count = state.weights.len;
        queue.launch(
            &Launch::threads("adamw", count),
            &[
                (count as u64).into(),
                (self.starts.tensor().len as u32).into(),
                self.starts.tensor().into(),
                self.treatments.tensor().into(),
                update.into(),
                squared_norm.expect(1, Dtype::Wide).into(),
                state.weights.into(),
                state.gradients.expect(count, Dtype::F32).into(),
                state.exp_avg.expect(count, Dtype::F32).into(),
                state.exp_avg_sq.expect(count, Dtype::F32).into(),
                state.copy.map(|copy| copy.expect(count, queue.activations())).into(),
            ],
        );
    }
}

/// `to = from`, as activations.
pub fn narrow<D: Device>(queue: &Queue<D>, from: Tensor, to: Tensor) {
    queue.launch(
        &Launch::threads("narrow_weights", from.len),
        &[(from.len as u64).into(), from.into(), to.expect(from.len, queue.activations()).into()],
    );
}
