//! [`super`] on a CUDA device, where backward starts from the argument instead of a slope.

use super::Activation;
use crate::driver::queue::Queue;
use crate::driver::{Device, Launch, Tensor};

/// The kernels forward and backward.
fn kernels(activation: Activation) -> [&'static str; 2] {
    match activation {
        Activation::Gelu => ["gelu_forward", "gelu_backward"],
        Activation::GeluTanh => ["gelu_tanh_forward", "gelu_tanh_backward"],
        Activation::Relu => ["relu_forward", "relu_backward"],
        Activation::SquaredRelu => ["squared_relu_forward", "squared_relu_backward"],
        Activation::Silu => ["silu_forward", "silu_backward"],
    }
}

fn launch<D: Device>(queue: &Queue<D>, kernel: &'static str, count: usize, pre: Tensor, other: Tensor) {
    let act = queue.activations();
    queue.launch(
        &Launch::threads(kernel, count.div_ceil(4)),
        &[(count as u64).into(), pre.expect(count, act).into(), other.expect(count, act).into()],
    );
}

/// `y = f(pre)`, `count` elements.
pub fn forward<D: Device>(queue: &Queue<D>, activation: Activation, count: usize, pre: Tensor, y: Tensor) {
    launch(queue, kernels(activation)[0], count, pre, y);
}

/// `gradient *= f'(pre)`, `count` elements.
pub fn backward<D: Device>(queue: &Queue<D>, activation: Activation, count: usize, pre: Tensor, gradient: Tensor) {
    launch(queue, kernels(activation)[1], count, pre, gradient);
}
