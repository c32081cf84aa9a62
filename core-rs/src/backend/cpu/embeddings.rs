//! Tables as slices of the weights, and rows of matrices.

use super::Cpu;
use crate::backend::Embeddings;
use crate::backend::embeddings::EmbeddingOps;
use crate::engine::batch::Batch;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::ops::embeddings::{self, Lookup};
use crate::ops::pooling;

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
        let (threads, c) = (&self.threads, tables.width);
        let out = &mut out[..batch.input_ids.len() * c];
        let words = Lookup { table: &weights[..], ids: batch.input_ids };
        let positions = Lookup { table: &weights[word..], ids: batch.position_ids };
        let types = Lookup { table: &weights[word + position..], ids: batch.token_type_ids };
        match tables.rows {
            [_, 0, 0] => embeddings::forward(threads, [words], c, out),
            [_, _, 0] => embeddings::forward(threads, [words, positions], c, out),
            [_, 0, _] => embeddings::forward(threads, [words, types], c, out),
            _ => embeddings::forward(threads, [words, positions, types], c, out),
        }
    }

    fn embed_backward(&mut self, batch: &Batch, tables: Embeddings, gradient: &Buffer, gradients: &mut Buffer) {
        let _timer = self.profile.start("embed_backward");
        self.sums.settle(gradients); // the words' table may be the decoder's weight
        let [word, position, token_type] = tables.lengths();
        let (threads, c) = (&self.threads, tables.width);
        let gradient = &gradient[..batch.input_ids.len() * c];
        let (words, rest) = gradients.split_at_mut(word);
        let (positions, rest) = rest.split_at_mut(position);
        let words = Lookup { table: words, ids: batch.input_ids };
        let positions = Lookup { table: positions, ids: batch.position_ids };
        let types = Lookup { table: &mut rest[..token_type], ids: batch.token_type_ids };
        match tables.rows {
            [_, 0, 0] => embeddings::backward(threads, gradient, c, [words]),
            [_, _, 0] => embeddings::backward(threads, gradient, c, [words, positions]),
            [_, 0, _] => embeddings::backward(threads, gradient, c, [words, types]),
            _ => embeddings::backward(threads, gradient, c, [words, positions, types]),
        }
    }

    fn gather(&mut self, rows: &[i32], width: usize, x: &Buffer<T>, out: &mut Buffer<T>) {
        let _timer = self.profile.start("gather");
        embeddings::gather(x, rows, width, &mut out[..rows.len() * width]);
    }

    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Buffer, out: &mut Buffer) {
        embeddings::scatter_add(&x[..rows.len() * width], rows, width, out);
    }

    fn mean(&mut self, batch: &Batch, width: usize, x: &Buffer<T>, out: &mut Buffer<T>) {
        pooling::mean(batch.cu_seqlens, width, x, out);
    }

    fn mean_backward(&mut self, batch: &Batch, width: usize, gradient: &Buffer, dx: &mut Buffer) {
        pooling::backward(batch.cu_seqlens, width, gradient, dx);
    }
}
