//! [`super`] on a CUDA device: cuBLASLt's products, and the kernels around them.

use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Matrix, Product, Tensor};

/// Bytes that a bias has to begin at a multiple of, for cuBLASLt to add it. It does not say so; others have met it on an
/// A100 (Marian's `REQUIRED_BIAS_ALIGNMENT`).
const EPILOGUE_ALIGNMENT: u64 = 16;

/// A dense layer, `[outputs, inputs]`.
#[derive(Clone, Copy)]
pub struct Layer {
    /// Columns of the weight.
    pub inputs: usize,
    /// Rows of the weight.
    pub outputs: usize,
    /// Elements from one row of the result, or of its gradient, to the next; at least `outputs`.
    pub stride: usize,
    /// As activations.
    pub weight: Tensor,
    /// `[outputs]`, of the result's type.
    pub bias: Option<Tensor>,
}

fn plain(elements: Tensor) -> Matrix {
    Matrix { elements, transposed: false }
}

fn transposed(elements: Tensor) -> Matrix {
    Matrix { elements, transposed: true }
}

/// Puts a product on the queue: cuBLASLt's, or, for shapes and addresses that it does not take, what stands in for it.
pub fn multiply<D: Device>(queue: &Queue<D>, product: &Product) {
    let aligned = product.bias.is_none_or(|bias| bias.address.is_multiple_of(EPILOGUE_ALIGNMENT));
    if aligned && queue.multiply(product) {
        return;
    }
    let without_bias = Product { bias: None, ..*product };
    if product.bias.is_none() || !queue.multiply(&without_bias) {
        plain_product(queue, &without_bias);
    }
    if let Some(bias) = product.bias {
        add_bias(queue, [product.m, product.n], bias, product.c, product.strides[2]);
    }
}

fn plain_product<D: Device>(queue: &Queue<D>, product: &Product) {
    let &Product { m, n, k, a, b, c, strides, accumulate, .. } = product;
    let kernel = match (a.elements.dtype, c.dtype) {
        (Dtype::F32, _) => "product_of_f32",
        (_, Dtype::F32) => "product_to_f32",
        _ => "product",
    };
    queue.launch(
        &Launch { grid: [m.div_ceil(16), n.div_ceil(16)], ..Launch::row(kernel, 1, 256) },
        &[
            (m as i32).into(),
            (n as i32).into(),
            (k as i32).into(),
            i32::from(a.transposed).into(),
            i32::from(b.transposed).into(),
            i32::from(accumulate).into(),
            (strides[0] as i32).into(),
            (strides[1] as i32).into(),
            (strides[2] as i32).into(),
            a.elements.into(),
            b.elements.into(),
            c.into(),
        ],
    );
}

/// `y[n, C] += bias`, rows of y `stride` elements apart.
fn add_bias<D: Device>(queue: &Queue<D>, [n, c]: [usize; 2], bias: Tensor, y: Tensor, stride: usize) {
    let kernel = if y.dtype == queue.activations() { "add_bias" } else { "add_bias_to_logits" };
    let (count, bias) = (n * c, bias.expect(c, y.dtype));
    let arguments = [(count as u64).into(), (c as i32).into(), (stride as i32).into(), bias.into(), y.into()];
    queue.launch(&Launch::threads(kernel, count), &arguments);
}

/// `y = x Wᵀ + b`, `n` rows; y may be of another type than x.
pub fn forward<D: Device>(queue: &Queue<D>, n: usize, layer: Layer, x: Tensor, y: Tensor) {
    let Layer { inputs, outputs, stride, weight, bias } = layer;
    let product = Product::dense([n, outputs, inputs], plain(x), transposed(weight), y);
    multiply(queue, &Product { bias, strides: [inputs, inputs, stride], ..product });
}

/// `dx = dy W`, or `dx += dy W`.
pub fn backward_data<D: Device>(queue: &Queue<D>, n: usize, layer: Layer, dy: Tensor, dx: Tensor, accumulate: bool) {
    let Layer { inputs, outputs, stride, weight, .. } = layer;
    let product = Product::dense([n, inputs, outputs], plain(dy), plain(weight), dx);
    multiply(queue, &Product { accumulate, strides: [stride, inputs, inputs], ..product });
}

/// `dW += dyᵀ x`, and `db += Σ dy` where there is a bias; both f32. Rows of dy are `stride` elements apart.
pub fn backward_parameters<D: Device>(
    queue: &Queue<D>,
    n: usize,
    [inputs, outputs, stride]: [usize; 3],
    x: Tensor,
    dy: Tensor,
    d_weight: Tensor,
    d_bias: Option<Tensor>,
    scratch: Tensor,
) {
    backward_weight(queue, n, [inputs, outputs, stride], x, dy, d_weight);
    let Some(d_bias) = d_bias else { return };
    let (rows, blocks) = sum_blocks(n, outputs);
    let partials = scratch.expect(blocks * outputs, Dtype::F32);
    queue.launch(
        &Launch { grid: [column_blocks(outputs, stride), blocks], ..Launch::row("sum_activation_columns", 1, 256) },
        &[
            (n as i32).into(),
            (rows as i32).into(),
            (outputs as i32).into(),
            (stride as i32).into(),
            dy.expect(n * stride, queue.activations()).into(),
            partials.into(),
        ],
    );
    add_columns(queue, blocks, partials, d_bias, None);
}

/// `dW += dyᵀ x`, f32. Rows of dy are `stride` elements apart.
pub fn backward_weight<D: Device>(
    queue: &Queue<D>,
    n: usize,
    [inputs, outputs, stride]: [usize; 3],
    x: Tensor,
    dy: Tensor,
    d_weight: Tensor,
) {
    let d_weight = d_weight.expect(inputs * outputs, Dtype::F32);
    let product = Product::dense([outputs, inputs, n], transposed(dy), plain(x), d_weight);
    multiply(queue, &Product { accumulate: true, strides: [stride, inputs, inputs], ..product });
}

/// Rows of a block of column sums and the number of blocks, by shape alone.
pub(crate) fn sum_blocks(n: usize, c: usize) -> (usize, usize) {
    let rows = n.div_ceil(most_blocks(c)).max(64);
    (rows, n.div_ceil(rows))
}

/// Keeps the partial sums at 4 MiB.
fn most_blocks(c: usize) -> usize {
    ((1 << 20) / c).max(1)
}

/// f32 elements of scratch that sums of the columns of up to `n` rows need.
pub fn sum_scratch(n: usize, c: usize) -> usize {
    most_blocks(c).min(n.div_ceil(64)) * c
}

/// Blocks for `c` columns, of which a lane takes four where rows are aligned to that.
pub(crate) fn column_blocks(c: usize, stride: usize) -> usize {
    c.div_ceil(if stride.is_multiple_of(4) { 128 } else { 32 })
}

/// Adds the sums of the columns of f32 `partials[n, …]`, in a fixed order: the first ones to `to`, and those behind them to
/// `rest`.
pub(crate) fn add_columns<D: Device>(queue: &Queue<D>, n: usize, partials: Tensor, to: Tensor, rest: Option<Tensor>) {
    let first = to.len;
    let c = first + rest.map_or(0, |rest| rest.len);
    queue.launch(
        &Launch::row("add_columns", c.div_ceil(32), 1024),
        &[
            (n as i32).into(),
            (c as i32).into(),
            (first as i32).into(),
            partials.expect(n * c, Dtype::F32).into(),
            to.expect(first, Dtype::F32).into(),
            rest.map(|rest| rest.expect(c - first, Dtype::F32)).into(),
        ],
    );
}

/// `x *= factor`, `count` elements; the factor, f32, lies in the inputs of the step.
pub fn scale<D: Device>(queue: &Queue<D>, count: usize, factor: Tensor, x: Tensor) {
    let x = x.expect(count, queue.activations());
    queue.launch(&Launch::threads("scale_elements", count), &[(count as u64).into(), factor.into(), x.into()]);
}
