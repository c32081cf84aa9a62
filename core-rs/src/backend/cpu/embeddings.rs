//! Tables as slices of the weights, and rows of matrices.

use super::Cpu;
use crate::backend::Embeddings;
use crate::backend::embeddings::EmbeddingOps;
use crate::engine::batch::Batch;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::ops::embeddings::{self, Lookup};

impl Embeddings {
    /// Lengths of the three tables.
    fn lengths(&self) -> [usize; 3] {
        self.rows.map(|rows| rows * self.width)
    }
}

impl<T: Element> EmbeddingOps for Cpu<T> {
    fn embed(&mut self, batch: &Batch, tables: Embeddings, weights: &Buffer, out: &mut Buffer<T>) {
        let _timer = self.profile.start("embed");
        let [word, position, _] = tables.lengths();
        let lookups = [
            Lookup { table: &weights[..], ids: batch.input_ids },
            Lookup { table: &weights[word..], ids: batch.position_ids },
            Lookup { table: &weights[word + position..], ids: batch.token_type_ids },
        ];
        let len = batch.input_ids.len() * tables.width;
        embeddings::forward(&self.threads, lookups, tables.width, &mut out[..len]);
    }

    fn embed_backward(&mut self, batch: &Batch, tables: Embeddings, gradient: &Buffer, gradients: &mut Buffer) {
        let _timer = self.profile.start("embed_backward");
        let [word, position, token_type] = tables.lengths();
        let (words, rest) = gradients.split_at_mut(word);
        let (positions, rest) = rest.split_at_mut(position);
        let lookups = [
            Lookup { table: words, ids: batch.input_ids },
            Lookup { table: positions, ids: batch.position_ids },
            Lookup { table: &mut rest[..token_type], ids: batch.token_type_ids },
        ];
        let len = batch.input_ids.len() * tables.width;
        embeddings::backward(&self.threads, &gradient[..len], tables.width, lookups);
    }

    fn gather(&mut self, rows: &[i32], width: usize, x: &Buffer<T>, out: &mut Buffer<T>) {
        let _timer = self.profile.start("gather");
        embeddings::gather(x, rows, width, &mut out[..rows.len() * width]);
    }

    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Buffer, out: &mut Buffer) {
        embeddings::scatter_add(&x[..rows.len() * width], rows, width, out);
    }
}
