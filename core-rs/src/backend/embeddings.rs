//! What picks rows of matrices.

use super::norm::NormOps;
use super::{Embeddings, Norm};
use crate::engine::batch::Batch;
use crate::ops::dropout::Dropout;

/// Embedding tables, and the rows that the heads see.
pub trait EmbeddingOps: NormOps {
    /// `out[N, C]` = the sum of each token's rows of the three tables. The first operation on a batch: those that follow are
    /// given the same one.
    fn embed(&mut self, batch: &Batch, tables: Embeddings, weights: &Self::Buffer, out: &mut Self::Activations);

    /// `sum` = what `embed` makes; `out = dropout(LayerNorm(sum))`; `statistics[N, 2]` is kept for backward.
    fn embed_norm(
        &mut self,
        batch: &Batch,
        tables: Embeddings,
        norm: Norm,
        weights: &Self::Buffer,
        dropout: Dropout,
        sum: &mut Self::Activations,
        out: &mut Self::Activations,
        statistics: &mut Self::Buffer,
    ) {
        embed_norm(self, batch, tables, norm, weights, dropout, sum, out, statistics);
    }

    /// Adds the gradient `[N, C]` to the rows that were looked up.
    fn embed_backward(
        &mut self,
        batch: &Batch,
        tables: Embeddings,
        gradient: &Self::Buffer,
        gradients: &mut Self::Buffer,
    );

    /// `out[m] = x[rows[m]]`. A batch that was rounded up has rows of −1, here and below, which are zeros and go nowhere.
    fn gather(&mut self, rows: &[i32], width: usize, x: &Self::Activations, out: &mut Self::Activations);

    /// `out[rows[m]] += x[m]`; rows are distinct.
    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Self::Buffer, out: &mut Self::Buffer);

    /// `out[B, width]` = the mean of each sequence's rows of `x[N, width]`; zeros of a sequence of none.
    fn mean(&mut self, batch: &Batch, width: usize, x: &Self::Activations, out: &mut Self::Activations);

    /// `dx[N, width] += ` each sequence's gradient, shared out among its rows.
    fn mean_backward(&mut self, batch: &Batch, width: usize, gradient: &Self::Buffer, dx: &mut Self::Buffer);
}

/// [`EmbeddingOps::embed_norm`] in three steps.
pub fn embed_norm<B: EmbeddingOps + ?Sized>(
    backend: &mut B,
    batch: &Batch,
    tables: Embeddings,
    norm: Norm,
    weights: &B::Buffer,
    dropout: Dropout,
    sum: &mut B::Activations,
    out: &mut B::Activations,
    statistics: &mut B::Buffer,
) {
    let n = batch.input_ids.len();
    backend.embed(batch, tables, weights, sum);
    backend.norm(n, norm, weights, sum, out, statistics);
    backend.dropout(n, tables.width, out, dropout);
}
