//! [`super`] on a CUDA device.

use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};

/// Largest head that the kernels have a version for.
pub const MAX_HEAD: usize = 128;

/// The version of the kernels for heads of that size: its columns.
pub fn version(head: usize) -> usize {
    if head <= 64 { 64 } else { 128 }
}

/// The packed batch on the device and how it is cut into heads.
#[derive(Clone, Copy)]
pub struct Packed {
    /// N
    pub tokens: usize,
    /// H
    pub heads: usize,
    /// C = H · D
    pub hidden: usize,
    /// The stride of a dropout index.
    pub max_sequence_length: usize,
    /// Whether a token sees only itself and what stands before it.
    pub causal: bool,
    /// How far from itself a token sees, on each side; everything where it is `None`.
    pub window: Option<usize>,
    /// i32`[B + 1]`
    pub cu_seqlens: Tensor,
    /// i32`[tiles, 2]`, from [`tiles`]; a sequence of −1 is no tile.
    pub tiles: Tensor,
}

impl Packed {
    fn head(&self) -> usize {
        self.hidden / self.heads
    }

    /// The kernels' `Heads`.
    fn words(&self) -> [u32; 7] {
        let scale = 1.0 / (self.head() as f32).sqrt();
        [
            self.tokens as u32,
            self.hidden as u32,
            self.head() as u32,
            u32::from(self.causal),
            self.max_sequence_length as u32,
            self.window.unwrap_or(self.max_sequence_length).min(self.max_sequence_length) as u32,
            scale.to_bits(),
        ]
    }

    /// The version for this head: `kernels` are for up to 64 and up to 128 columns.
    fn launch<D: Device>(
        &self,
        queue: &Queue<D>,
        kernels: [&'static str; 2],
        row_tiles: usize,
        score_tiles: usize,
    ) -> Launch {
        let columns = version(self.head());
        let kernel = kernels[columns / 64 - 1];
        let (tile, size) = (tile(queue.activations()), queue.activations().size());
        let pad = 16 / size;
        let elements = row_tiles * tile * (columns + pad) + score_tiles * tile * (tile + pad);
        Launch { kernel, grid: [self.tiles.len / 2, self.heads], threads: 2 * tile, shared: elements * size }
    }
}

/// Rows of a tile: the kernels' `TILE`.
fn tile(activations: Dtype) -> usize {
    if activations == Dtype::Bf16 { 64 } else { 32 }
}

/// Every tile of every sequence: sequence and first row.
pub fn tiles(activations: Dtype, cu_seqlens: &[i32], to: &mut Vec<i32>) {
    to.clear();
    for (sequence, ends) in cu_seqlens.windows(2).enumerate() {
        for first in (0..ends[1] - ends[0]).step_by(tile(activations)) {
            to.extend([sequence as i32, first]);
        }
    }
}

/// Most entries that [`tiles`] makes.
pub fn most_tiles(tokens: usize, sequences: usize) -> usize {
    2 * (tokens / 32 + sequences)
}

/// `out[N, C]` and `lse[H, N]` from `qkv[N, 3C]`. The dropout is, on the device, [`Dropout::words`] and how many tokens
/// the batch has of its own, without padding.
///
/// [`Dropout::words`]: crate::ops::dropout::Dropout::words
pub fn forward<D: Device>(
    queue: &Queue<D>,
    batch: &Packed,
    qkv: Tensor,
    dropout: Option<Tensor>,
    out: Tensor,
    lse: Tensor,
) {
    let (n, c, act) = (batch.tokens, batch.hidden, queue.activations());
    queue.launch(
        &batch.launch(queue, ["attention_forward_64", "attention_forward_128"], 3, 1),
        &[
            batch.words().into(),
            batch.tiles.into(),
            batch.cu_seqlens.into(),
            qkv.expect(3 * n * c, act).into(),
            dropout.into(),
            out.expect(n * c, act).into(),
            lse.expect(n * batch.heads, Dtype::F32).into(),
        ],
    );
}

/// `d_qkv[N, 3C]` from `d_out[N, C]`; `scratch` is f32`[H, N]`.
pub fn backward<D: Device>(
    queue: &Queue<D>,
    batch: &Packed,
    qkv: Tensor,
    dropout: Option<Tensor>,
    out: Tensor,
    lse: Tensor,
    d_out: Tensor,
    d_qkv: Tensor,
    scratch: Tensor,
) {
    let (n, c, act) = (batch.tokens, batch.hidden, queue.activations());
    let delta = scratch.expect(n * batch.heads, Dtype::F32);
    let d_out = d_out.expect(n * c, act);
    queue.launch(
        &Launch::row("attention_delta", n.div_ceil(8), 256),
        &[batch.words().into(), (batch.heads as i32).into(), out.expect(n * c, act).into(), d_out.into(), delta.into()],
    );
    let arguments = [
        batch.words().into(),
        batch.tiles.into(),
        batch.cu_seqlens.into(),
        qkv.expect(3 * n * c, act).into(),
        dropout.into(),
        lse.expect(n * batch.heads, Dtype::F32).into(),
        delta.into(),
        d_out.into(),
        d_qkv.expect(3 * n * c, act).into(),
    ];
    let keys = ["attention_backward_keys_64", "attention_backward_keys_128"];
    queue.launch(&batch.launch(queue, keys, 4, 2), &arguments);
    let queries = ["attention_backward_queries_64", "attention_backward_queries_128"];
    queue.launch(&batch.launch(queue, queries, 4, 1), &arguments);
}
