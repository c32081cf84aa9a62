//! [`super`] on a CUDA device; a block a sequence.

use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};

fn launch<D: Device>(queue: &Queue<D>, kernel: &'static str, c: usize, cu_seqlens: Tensor, [x, y]: [Tensor; 2]) {
    let sequences = cu_seqlens.expect(cu_seqlens.len, Dtype::I32).len - 1;
    queue.launch(&Launch::row(kernel, sequences, 128), &[(c as i32).into(), cu_seqlens.into(), x.into(), y.into()]);
}

/// `out[b]` = the mean of the rows of sequence b of `x`.
pub fn mean<D: Device>(queue: &Queue<D>, c: usize, cu_seqlens: Tensor, x: Tensor, out: Tensor) {
    let act = queue.activations();
    launch(queue, "mean_of_rows", c, cu_seqlens, [x.expect(x.len, act), out.expect(out.len, act)]);
}

/// `dx += ` each sequence's gradient, shared out among its rows; f32.
pub fn backward<D: Device>(queue: &Queue<D>, c: usize, cu_seqlens: Tensor, gradient: Tensor, dx: Tensor) {
    launch(queue, "share_among_rows", c, cu_seqlens, [gradient, dx].map(|x| x.expect(x.len, Dtype::F32)));
}
