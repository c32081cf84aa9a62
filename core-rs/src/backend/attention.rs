//! Attention inside each sequence.

use super::linear::LinearOps;
use super::{Heads, Linear};
use crate::engine::batch::Batch;
use crate::ops::dropout::Dropout;
use crate::ops::rotary::Direction;

/// Scaled dot-product attention (Vaswani et al., 2017, section 3.2.1).
pub trait AttentionOps: LinearOps {
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

    /// The same where qkv is what `layer` made of `x`: also adds to the gradients of its weight and bias.
    fn attention_backward_to_layer(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Self::Activations,
        dropout: Dropout,
        out: &Self::Activations,
        lse: &Self::Buffer,
        d_out: &Self::Activations,
        d_qkv: &mut Self::Activations,
        layer: Linear,
        x: &Self::Activations,
        gradients: &mut Self::Buffer,
    ) {
        attention_backward_to_layer(self, batch, heads, qkv, dropout, out, lse, d_out, d_qkv, layer, x, gradients);
    }
}

/// [`AttentionOps::attention_backward_to_layer`] in two steps.
pub fn attention_backward_to_layer<B: AttentionOps + ?Sized>(
    backend: &mut B,
    batch: &Batch,
    heads: Heads,
    qkv: &B::Activations,
    dropout: Dropout,
    out: &B::Activations,
    lse: &B::Buffer,
    d_out: &B::Activations,
    d_qkv: &mut B::Activations,
    layer: Linear,
    x: &B::Activations,
    gradients: &mut B::Buffer,
) {
    backend.attention_backward(batch, heads, qkv, dropout, out, lse, d_out, d_qkv);
    backend.linear_parameters_backward(batch.input_ids.len(), layer, x, d_qkv, gradients);
}
