//! [`super`] on a CUDA device, where backward starts from the argument instead of a slope.

use super::Activation;
use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};
use crate::ops::linear::cuda::{add_columns, column_blocks, sum_blocks};

/// The kernels forward, backward, and backward behind a gate.
fn kernels(activation: Activation) -> [&'static str; 3] {
    match activation {
        Activation::Gelu => ["gelu_forward", "gelu_backward", "gelu_gate_backward"],
        Activation::GeluTanh => ["gelu_tanh_forward", "gelu_tanh_backward", "gelu_tanh_gate_backward"],
        Activation::Relu => ["relu_forward", "relu_backward", "relu_gate_backward"],
        Activation::SquaredRelu => ["squared_relu_forward", "squared_relu_backward", "squared_relu_gate_backward"],
        Activation::Silu => ["silu_forward", "silu_backward", "silu_gate_backward"],
    }
}

/// `y = f(pre)`, `count` elements.
pub fn forward<D: Device>(queue: &Queue<D>, activation: Activation, count: usize, pre: Tensor, y: Tensor) {
    let act = queue.activations();
    queue.launch(
        &Launch::threads(kernels(activation)[0], count.div_ceil(4)),
        &[(count as u64).into(), pre.expect(count, act).into(), y.expect(count, act).into()],
    );
}

/// `gradient[n, C] *= f'(pre)`. With `bias`, a gradient f32`[C]` and scratch of [`sum_scratch`] elements, the sums of the
/// columns are added to that.
///
/// [`sum_scratch`]: crate::ops::linear::cuda::sum_scratch
pub fn backward<D: Device>(
    queue: &Queue<D>,
    activation: Activation,
    [n, c]: [usize; 2],
    pre: Tensor,
    gradient: Tensor,
    bias: Option<(Tensor, Tensor)>,
) {
    let (act, (rows, blocks)) = (queue.activations(), sum_blocks(n, c));
    let (d_bias, scratch) = bias.unzip();
    let partials = scratch.map(|scratch| scratch.expect(blocks * c, Dtype::F32));
    queue.launch(
        &Launch { grid: [column_blocks(c, c), blocks], ..Launch::row(kernels(activation)[1], 1, 256) },
        &[
            (n as i32).into(),
            (rows as i32).into(),
            (c as i32).into(),
            pre.expect(n * c, act).into(),
            gradient.expect(n * c, act).into(),
            partials.into(),
        ],
    );
    if let Some((partials, d_bias)) = partials.zip(d_bias) {
        add_columns(queue, blocks, partials, d_bias, None);
    }
}

/// `y = dropout(activated · y)`, where y is the gate, which goes to `activated`; `count` elements.
pub fn gate_forward<D: Device>(queue: &Queue<D>, count: usize, dropout: Option<Tensor>, activated: Tensor, y: Tensor) {
    let act = queue.activations();
    let [activated, y] = [activated, y].map(|x| x.expect(count, act));
    queue.launch(
        &Launch::threads("gate_forward", count),
        &[(count as u64).into(), dropout.into(), activated.into(), y.into()],
    );
}

/// From dy in `d_up`: `d_up = dy gate f'(up)` and `d_gate = dy f(up)`, with the dropout; `count` elements.
pub fn gate_backward<D: Device>(
    queue: &Queue<D>,
    activation: Activation,
    count: usize,
    dropout: Option<Tensor>,
    [up, gate]: [Tensor; 2],
    [d_up, d_gate]: [Tensor; 2],
) {
    let act = queue.activations();
    let [up, gate, d_up, d_gate] = [up, gate, d_up, d_gate].map(|x| x.expect(count, act));
    queue.launch(
        &Launch::threads(kernels(activation)[2], count),
        &[(count as u64).into(), dropout.into(), up.into(), gate.into(), d_up.into(), d_gate.into()],
    );
}
