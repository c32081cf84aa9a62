//! Attention's kernels, on the batch that the embeddings have sent.

use super::plan::{Buffer, Cuda};
use crate::backend::Heads;
use crate::backend::attention::AttentionOps;
use crate::driver::{self, Device};
use crate::engine::batch::Batch;
use crate::ops::attention;
use crate::ops::dropout::Dropout;
use crate::ops::rotary::{self, Direction};

impl<D: Device> AttentionOps for Cuda<D> {
    fn rotate(
        &mut self,
        batch: &Batch,
        heads: Heads,
        table: &Buffer<D>,
        direction: Direction,
        qkv: &mut driver::Buffer<D>,
    ) {
        let sizes = [batch.input_ids.len(), heads.hidden, heads.hidden / heads.count];
        rotary::cuda::rotate(&self.queue, sizes, table.exact(), self.positions(), direction, qkv.tensor());
    }

    fn attention(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &driver::Buffer<D>,
        dropout: Dropout,
        out: &mut driver::Buffer<D>,
        lse: &mut Buffer<D>,
    ) {
        let packed = self.packed(batch, heads);
        let site = self.score_site(dropout);
        attention::cuda::forward(&self.queue, &packed, qkv.tensor(), site, out.tensor(), lse.exact());
    }

    fn attention_backward(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &driver::Buffer<D>,
        dropout: Dropout,
        out: &driver::Buffer<D>,
        lse: &Buffer<D>,
        d_out: &driver::Buffer<D>,
        d_qkv: &mut driver::Buffer<D>,
    ) {
        attention::cuda::backward(
            &self.queue,
            &self.packed(batch, heads),
            qkv.tensor(),
            self.score_site(dropout),
            out.tensor(),
            lse.exact(),
            d_out.tensor(),
            d_qkv.tensor(),
            self.scratch.tensor(),
        );
    }
}
