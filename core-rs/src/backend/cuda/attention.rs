//! Attention's kernels, on the batch that the embeddings have sent.

use super::plan::{Buffer, Cuda};
use crate::backend::attention::{AttentionOps, attention_backward_to_layer};
use crate::backend::{Heads, Linear};
use crate::driver::{self, Device, Tensor};
use crate::engine::batch::Batch;
use crate::ops::attention;
use crate::ops::dropout::Dropout;
use crate::ops::rotary::{self, Direction};

impl<D: Device> Cuda<D> {
    /// `d_bias` is the gradient of a bias of what made `qkv`, if it is wanted, too.
    fn backward_of_attention(
        &self,
        batch: &Batch,
        heads: Heads,
        qkv: &driver::Buffer<D>,
        dropout: Dropout,
        out: &driver::Buffer<D>,
        lse: &Buffer<D>,
        d_out: &driver::Buffer<D>,
        d_qkv: &driver::Buffer<D>,
        d_bias: Option<Tensor>,
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
            d_bias,
            self.scratch.tensor(),
        );
    }
}

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
        self.backward_of_attention(batch, heads, qkv, dropout, out, lse, d_out, d_qkv, None);
    }

    fn attention_backward_to_layer(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &driver::Buffer<D>,
        dropout: Dropout,
        out: &driver::Buffer<D>,
        lse: &Buffer<D>,
        d_out: &driver::Buffer<D>,
        d_qkv: &mut driver::Buffer<D>,
        layer: Linear,
        x: &driver::Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        if !self.packed(batch, heads).sums_columns() {
            return attention_backward_to_layer(
                self, batch, heads, qkv, dropout, out, lse, d_out, d_qkv, layer, x, gradients,
            );
        }
        let d_bias = layer.bias.map(|bias| gradients.exact().part(bias, layer.outputs));
        self.backward_of_attention(batch, heads, qkv, dropout, out, lse, d_out, d_qkv, d_bias);
        self.weight_backward(batch.input_ids.len(), layer, x.tensor(), d_qkv.tensor(), gradients);
    }
}
