//! [`super`] on a CUDA device.

use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};

/// `x[i] *= factor(i)`, `count` elements. Here as in the other operations, a dropout is [`super::Dropout::words`] in the
/// inputs of the step, or none.
pub fn apply<D: Device>(queue: &Queue<D>, count: usize, x: Tensor, dropout: Option<Tensor>) {
    if dropout.is_some() {
        let x = x.expect(count, queue.activations());
        let arguments = [(count as u64).into(), dropout.into(), x.into()];
        queue.launch(&Launch::threads("dropout_elements", count), &arguments);
    }
}

/// The same to a gradient in f32.
pub fn apply_to_gradient<D: Device>(queue: &Queue<D>, count: usize, x: Tensor, dropout: Option<Tensor>) {
    if dropout.is_some() {
        let arguments = [(count as u64).into(), dropout.into(), x.expect(count, Dtype::F32).into()];
        queue.launch(&Launch::threads("dropout_gradient", count), &arguments);
    }
}

/// `x[i] = x[i] factor(i) + residual[i]`, `count` elements.
pub fn add_residual<D: Device>(queue: &Queue<D>, count: usize, x: Tensor, dropout: Option<Tensor>, residual: Tensor) {
    let act = queue.activations();
    let (x, residual) = (x.expect(count, act), residual.expect(count, act));
    let arguments = [(count as u64).into(), dropout.into(), residual.into(), x.into()];
    queue.launch(&Launch::threads("dropout_residual", count.div_ceil(4)), &arguments);
}

/// `to[i] = x[i] factor(i)`, `count` elements of a gradient in f32, as activations.
pub fn apply_to<D: Device>(queue: &Queue<D>, count: usize, x: Tensor, dropout: Option<Tensor>, to: Tensor) {
    let (x, to) = (x.expect(count, Dtype::F32), to.expect(count, queue.activations()));
    let arguments = [(count as u64).into(), dropout.into(), x.into(), to.into()];
    queue.launch(&Launch::threads("dropout_to_operand", count), &arguments);
}

/// `to[i] += x[i]`, `count` elements of gradients in f32.
pub fn add<D: Device>(queue: &Queue<D>, count: usize, x: Tensor, to: Tensor) {
    let (x, to) = (x.expect(count, Dtype::F32), to.expect(count, Dtype::F32));
    queue.launch(&Launch::threads("add_gradient", count), &[(count as u64).into(), x.into(), to.into()]);
}
