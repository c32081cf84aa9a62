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
        let n = batch.input_ids.len();
        self.embed(batch, tables, weights, sum);
        self.norm(n, norm, weights, sum, out, statistics);
        self.dropout(n, tables.width, out, dropout);
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

    /// `out[n, width] = 0; out[rows[m]] = x[m]`
    fn scatter(&mut self, n: usize, rows: &[i32], width: usize, x: &Self::Buffer, out: &mut Self::Buffer);

    /// `out[rows[m]] += x[m]`
    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Self::Buffer, out: &mut Self::Buffer);
}
