//! Attention inside each sequence.

use super::Heads;
use super::memory::MemoryOps;
use crate::engine::batch::Batch;
use crate::ops::dropout::Dropout;
use crate::ops::rotary::Direction;

/// Scaled dot-product attention (Vaswani et al., 2017, section 3.2.1).
pub trait AttentionOps: MemoryOps {
    /// Turns the queries and keys in `qkv[N, 3C]` by their tokens' positions: `table` is
    /// [`fill_table`](crate::ops::rotary::fill_table)'s, for heads of this size.
    fn rotate(
        &mut self,
        batch: &Batch,
        heads: Heads,
        table: &Self::Buffer,
        direction: Direction,
        qkv: &mut Self::Activations,
    );

    /// Attention inside each sequence of the batch: `qkv[N, 3C]` → `out[N, C]`; `lse[H, N]` is kept for backward.
    fn attention(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Self::Activations,
        dropout: Dropout,
        out: &mut Self::Activations,
        lse: &mut Self::Buffer,
    );

    /// `d_qkv[N, 3C]` from `d_out[N, C]`.
    fn attention_backward(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Self::Activations,
        dropout: Dropout,
        out: &Self::Activations,
        lse: &Self::Buffer,
        d_out: &Self::Activations,
        d_qkv: &mut Self::Activations,
    );
}
