//! Table rows and where they collide, sent by batch, and rows of matrices.

use super::plan::{Buffer, Cuda};
use crate::backend::embeddings::EmbeddingOps;
use crate::backend::{Embeddings, Norm};
use crate::driver::{self, Device};
use crate::engine::batch::Batch;
use crate::ops::dropout::Dropout;
use crate::ops::{embeddings, pooling};

impl<D: Device> EmbeddingOps for Cuda<D> {
    fn embed(&mut self, batch: &Batch, tables: Embeddings, weights: &Buffer<D>, out: &mut driver::Buffer<D>) {
        let rows = self.send_batch(batch, tables);
        let (n, c) = (batch.input_ids.len(), tables.width);
        let tables = weights.exact().part(0, tables.rows.iter().sum::<usize>() * c);
        embeddings::cuda::sum(&self.queue, n, c, rows, tables, out.tensor());
    }

    fn embed_norm(
        &mut self,
        batch: &Batch,
        tables: Embeddings,
        norm: Norm,
        weights: &Buffer<D>,
        dropout: Dropout,
        sum: &mut driver::Buffer<D>,
        out: &mut driver::Buffer<D>,
        statistics: &mut Buffer<D>,
    ) {
        let rows = self.send_batch(batch, tables);
        let tables = weights.exact().part(0, tables.rows.iter().sum::<usize>() * tables.width);
        embeddings::cuda::forward(
            &self.queue,
            batch.input_ids.len(),
            self.norm_of(norm, weights),
            rows,
            tables,
            self.site(dropout),
            sum.tensor(),
            out.tensor(),
            statistics.exact(),
        );
    }

    fn embed_backward(&mut self, batch: &Batch, tables: Embeddings, gradient: &Buffer<D>, gradients: &mut Buffer<D>) {
        let (rows, c, n) = (tables.rows.iter().sum(), tables.width, batch.input_ids.len());
        let planned = self.send_collisions(n, rows);
        let gradient = gradient.exact().part(0, n * c);
        embeddings::cuda::backward(&self.queue, c, planned, gradient, gradients.exact().part(0, rows * c));
    }

    fn gather(&mut self, rows: &[i32], width: usize, x: &driver::Buffer<D>, out: &mut driver::Buffer<D>) {
        let rows = self.queue.input(rows, rows.len());
        embeddings::cuda::gather(&self.queue, width, rows, x.tensor(), out.tensor());
    }

    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Buffer<D>, out: &mut Buffer<D>) {
        let rows = self.queue.input(rows, rows.len());
        embeddings::cuda::scatter_add(&self.queue, width, rows, x.exact(), out.exact());
    }

    fn mean(&mut self, _batch: &Batch, width: usize, x: &driver::Buffer<D>, out: &mut driver::Buffer<D>) {
        // Where the batch's sequences end has been sent.
        pooling::cuda::mean(&self.queue, width, self.bounds(), x.tensor(), out.tensor());
    }

    fn mean_backward(&mut self, _batch: &Batch, width: usize, gradient: &Buffer<D>, dx: &mut Buffer<D>) {
        pooling::cuda::backward(&self.queue, width, self.bounds(), gradient.exact(), dx.exact());
    }
}
