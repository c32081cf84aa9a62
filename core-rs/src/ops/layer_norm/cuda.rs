//! [`super`] on a CUDA device.

use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};
use crate::ops::linear::cuda::add_columns;

/// Rows that a block of 8 warps normalizes.
pub(crate) const ROWS: usize = 8;
/// Most blocks of the backward pass.
const MOST_BLOCKS: usize = 512;
/// Widest row: what a warp keeps in registers.
pub const MAX_WIDTH: usize = 2048;

const FORWARD: [&str; 5] =
    ["norm_forward_256", "norm_forward_512", "norm_forward_768", "norm_forward_1024", "norm_forward_2048"];
const RESIDUAL: [&str; 5] =
    ["residual_norm_256", "residual_norm_512", "residual_norm_768", "residual_norm_1024", "residual_norm_2048"];
const BACKWARD: [&str; 5] =
    ["norm_backward_256", "norm_backward_512", "norm_backward_768", "norm_backward_1024", "norm_backward_2048"];

/// Weight and bias of a LayerNorm, f32`[C]` each, or a weight alone.
#[derive(Clone, Copy)]
pub struct Parameters {
    /// C
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
    /// `[C]`
    pub weight: Tensor,
    /// `[C]`
    pub bias: Option<Tensor>,
}

impl Parameters {
    /// The kernels' version for this width, of those for up to 256, 512, 768, 1024 and 2048 columns. All but the last move
    /// four neighbours at once. Rows of activations are aligned for that where C is a multiple of four; the parameters
    /// depend on what lies before them.
    pub(crate) fn version(&self, kernels: [&'static str; 5]) -> &'static str {
        let aligned = [self.weight].iter().chain(&self.bias).all(|x| x.address.is_multiple_of(16));
        match self.width.is_multiple_of(4) && self.width <= 1024 && aligned {
            true => kernels[(self.width - 1) / 256],
            false => kernels[4],
        }
    }
}

/// `out = LayerNorm(x)`; `statistics[n, 2]` is kept for backward.
pub fn forward<D: Device>(queue: &Queue<D>, n: usize, norm: Parameters, x: Tensor, out: Tensor, statistics: Tensor) {
    let (c, act) = (norm.width, queue.activations());
    queue.launch(
        &Launch::row(norm.version(FORWARD), n.div_ceil(ROWS), 32 * ROWS),
        &[
            (n as i32).into(),
            (c as i32).into(),
            norm.eps.into(),
            x.expect(n * c, act).into(),
            norm.weight.expect(c, Dtype::F32).into(),
            norm.bias.map(|bias| bias.expect(c, Dtype::F32)).into(),
            out.expect(n * c, act).into(),
            statistics.expect(2 * n, Dtype::F32).into(),
        ],
    );
}

/// `sum = sum · dropout + residual`, and `out = LayerNorm(sum)`; `statistics[n, 2]` is kept for backward.
pub fn residual<D: Device>(
    queue: &Queue<D>,
    n: usize,
    norm: Parameters,
    residual: Tensor,
    dropout: Option<Tensor>,
    sum: Tensor,
    out: Tensor,
    statistics: Tensor,
) {
    let (c, act) = (norm.width, queue.activations());
    queue.launch(
        &Launch::row(norm.version(RESIDUAL), n.div_ceil(ROWS), 32 * ROWS),
        &[
            (n as i32).into(),
            (c as i32).into(),
            norm.eps.into(),
            residual.expect(n * c, act).into(),
            dropout.into(),
            norm.weight.expect(c, Dtype::F32).into(),
            norm.bias.map(|bias| bias.expect(c, Dtype::F32)).into(),
            sum.expect(n * c, act).into(),
            out.expect(n * c, act).into(),
            statistics.expect(2 * n, Dtype::F32).into(),
        ],
    );
}

/// Rows of a block of the backward pass and their number, by shape alone.
fn backward_blocks(n: usize) -> (usize, usize) {
    let rows = n.div_ceil(MOST_BLOCKS).next_multiple_of(ROWS).max(64);
    (rows, n.div_ceil(rows))
}

/// f32 elements of scratch that [`backward`] needs for up to `n` rows.
pub fn backward_scratch(n: usize, c: usize) -> usize {
    n.div_ceil(64).min(MOST_BLOCKS) * 3 * c
}

/// `gradient`, f32: d out → d x, in place; with `sum`, f32, d x is added to that instead. With `before`, its tensor receives the gradient of what the dropout before the residual
/// was applied to, and the sums of its columns are added to `d_bias`, f32`[C]`, if given. Adds to `d_parameters`: weight and
/// bias, f32`[2, C]`, or the weight's `[C]`.
pub fn backward<D: Device>(
    queue: &Queue<D>,
    n: usize,
    norm: Parameters,
    x: Tensor,
    statistics: Tensor,
    gradient: Tensor,
    sum: Option<Tensor>,
    before: Option<(Option<Tensor>, Tensor)>,
    d_parameters: Tensor,
    d_bias: Option<Tensor>,
    scratch: Tensor,
) {
    let (c, act) = (norm.width, queue.activations());
    let (rows, blocks) = backward_blocks(n);
    let (dropout, dropped) = before.unzip();
    let parameters = if norm.bias.is_some() { 2 } else { 1 };
    let (parts, shared) = if d_bias.is_some() { (parameters + 1, 2 + ROWS) } else { (parameters, 2) };
    let partials = scratch.expect(blocks * parts * c, Dtype::F32);
    queue.launch(
        &Launch { shared: shared * c * 4, ..Launch::row(norm.version(BACKWARD), blocks, 256) },
        &[
            (n as i32).into(),
            (rows as i32).into(),
            (parameters as i32).into(),
            (parts as i32).into(),
            (c as i32).into(),
            x.expect(n * c, act).into(),
            statistics.expect(2 * n, Dtype::F32).into(),
            norm.weight.expect(c, Dtype::F32).into(),
            gradient.expect(n * c, Dtype::F32).into(),
            sum.map(|sum| sum.expect(n * c, Dtype::F32)).into(),
            dropout.flatten().into(),
            dropped.map(|d| d.expect(n * c, act)).into(),
            partials.into(),
        ],
    );
    add_columns(queue, blocks, partials, d_parameters, d_bias);
}
