//! [`super`] on a CUDA device.

use crate::driver::queue::Queue;
use crate::driver::{Device, Launch, Tensor};

fn launch<D: Device>(queue: &Queue<D>, kernel: &'static str, count: usize, from: Tensor, to: Tensor) {
    let act = queue.activations();
    let arguments = [(count as u64).into(), from.expect(count, act).into(), to.expect(count, act).into()];
    queue.launch(&Launch::threads(kernel, count), &arguments);
}

/// `y = tanh(x)`, `count` elements.
pub fn forward<D: Device>(queue: &Queue<D>, count: usize, x: Tensor, y: Tensor) {
    launch(queue, "tanh_forward", count, x, y);
}

/// `gradient *= 1 − y²`, where `y` is what forward made.
pub fn backward<D: Device>(queue: &Queue<D>, count: usize, y: Tensor, gradient: Tensor) {
    launch(queue, "tanh_backward", count, y, gradient);
}
