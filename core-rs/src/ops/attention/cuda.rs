//! [`super`] on a CUDA device.

use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};
use crate::ops::linear::cuda::add_columns;

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

    /// The version of `kernels` for this head, those for up to 64 and up to 128 columns.
    fn kernel(&self, kernels: [&'static str; 2]) -> &'static str {
        kernels[version(self.head()) / 64 - 1]
    }

    /// Whether [`backward`] sums columns, too.
    pub fn sums_columns(&self) -> bool {
        self.parts() == 1 && self.head().is_multiple_of(4)
    }

    /// Parts into which the backward kernel cuts the keys of a sequence.
    fn parts(&self) -> usize {
        parts(self.max_sequence_length)
    }
}

/// Keys of a block of the backward kernel: its `KEYS_OF_A_BLOCK`.
const KEYS_OF_A_BLOCK: usize = 1024;

fn parts(longest: usize) -> usize {
    longest.div_ceil(KEYS_OF_A_BLOCK).max(1)
}

/// f32 elements of the scratch of [`backward`], for `n` tokens in so many sequences up to `longest`.
pub fn backward_scratch(n: usize, sequences: usize, heads: usize, hidden: usize, longest: usize) -> usize {
    n * heads + (parts(longest) * n + 3 * sequences) * hidden
}

/// Rows of a tile: the kernels' `TILE`.
fn tile(activations: Dtype) -> usize {
    if activations == Dtype::Bf16 { 64 } else { 32 }
}

/// Elements of a row in shared memory: the kernels' `D + PAD`.
fn stride(batch: &Packed, activations: Dtype) -> usize {
    version(batch.head()) + 16 / activations.size()
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
    let tile = tile(act);
    let kernel = batch.kernel(["attention_forward_64", "attention_forward_128"]);
    // Queries, and keys and values twice.
    let shared = 5 * tile * stride(batch, act) * act.size();
    queue.launch(
        &Launch { kernel, grid: [batch.tiles.len / 2, batch.heads], threads: 2 * tile, shared },
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

/// `d_qkv[N, 3C]` from `d_out[N, C]`, whose columns' sums are added to `d_bias`, f32`[3C]`, if given, which takes a batch that
/// [`Packed::sums_columns`]; `scratch` has [`backward_scratch`] elements.
pub fn backward<D: Device>(
    queue: &Queue<D>,
    batch: &Packed,
    qkv: Tensor,
    dropout: Option<Tensor>,
    out: Tensor,
    lse: Tensor,
    d_out: Tensor,
    d_qkv: Tensor,
    d_bias: Option<Tensor>,
    scratch: Tensor,
) {
    let (n, c, act) = (batch.tokens, batch.hidden, queue.activations());
    let (parts, sequences) = (batch.parts(), batch.cu_seqlens.len - 1);
    let sums = scratch.expect(parts * n * c, Dtype::F32);
    let delta = scratch.part(sums.len, n * batch.heads);
    let partials = d_bias.map(|_| scratch.part(sums.len + delta.len, sequences * 3 * c));
    let (d_out, d_qkv) = (d_out.expect(n * c, act), d_qkv.expect(3 * n * c, act));
    queue.launch(
        &Launch::row("attention_delta", n.div_ceil(8), 256),
        &[batch.words().into(), (batch.heads as i32).into(), out.expect(n * c, act).into(), d_out.into(), delta.into()],
    );
    // The kernels' `Cut`.
    let (of_block, queries) = if act == Dtype::Bf16 { (512, 32) } else { (256, 16) };
    let warps = of_block / version(batch.head());
    let keys = 16 * warps;
    let elements = (2 * keys + 4 * queries) * stride(batch, act) + keys * (queries + 16 / act.size());
    queue.launch(
        &Launch {
            kernel: batch.kernel(["attention_backward_64", "attention_backward_128"]),
            grid: [parts * sequences, batch.heads],
            threads: 32 * warps,
            shared: elements * act.size() + 4 * queries * Dtype::F32.size(),
        },
        &[
            batch.words().into(),
            (parts as i32).into(),
            batch.cu_seqlens.into(),
            qkv.expect(3 * n * c, act).into(),
            dropout.into(),
            lse.expect(n * batch.heads, Dtype::F32).into(),
            delta.into(),
            d_out.into(),
            d_qkv.into(),
            sums.into(),
            partials.into(),
        ],
    );
    if parts > 1 {
        queue.launch(
            &Launch {
                kernel: "attention_sum_queries",
                grid: [batch.tiles.len / 2, batch.heads],
                threads: 256,
                shared: 0,
            },
            &[
                batch.words().into(),
                (parts as i32).into(),
                batch.tiles.into(),
                batch.cu_seqlens.into(),
                sums.into(),
                d_qkv.into(),
            ],
        );
    }
    if let Some((partials, d_bias)) = partials.zip(d_bias) {
        add_columns(queue, sequences, partials, d_bias, None);
    }
}
