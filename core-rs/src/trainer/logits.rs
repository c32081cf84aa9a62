//! Logits of the rows to predict, a part of them at a time.

use super::{Trainer, bucketed};
use crate::backend::Backend;
use crate::engine::batch::Batch;
use crate::engine::no_head;
use crate::error::Result;
use crate::ops::cross_entropy::LogitRows;

impl<B: Backend> Trainer<B> {
    /// Calls `each(backend, first_row, rows, logits, layout)` for every chunk of the rows to predict.
    pub(super) fn for_each_logits(
        &mut self,
        batch: &Batch,
        mut each: impl FnMut(&mut B, usize, usize, &B::Buffer, LogitRows),
    ) -> Result<()> {
        let m = batch.masked_positions.len();
        let mut bucket = std::mem::take(&mut self.bucket);
        let tokens = batch.input_ids.len();
        let batch = bucketed::<B>(&mut bucket, batch, &self.options);
        self.infer(tokens, &batch);
        let Self { backend, model, weights, .. } = self;
        let head = model.tokens.as_mut().ok_or_else(|| no_head("tokens"))?;
        head.for_each_chunk(backend, weights, batch.masked_positions.len(), |backend, first, n, logits, layout| {
            each(backend, first, n.min(m.saturating_sub(first)), logits, layout);
        });
        self.bucket = bucket;
        self.backend.check()
    }
}
