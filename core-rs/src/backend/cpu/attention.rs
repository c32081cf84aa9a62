//! Attention of [`crate::ops::attention`].

use super::Cpu;
use crate::backend::Heads;
use crate::backend::attention::AttentionOps;
use crate::engine::batch::Batch;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::ops::attention::{self, Shape};
use crate::ops::dropout::Dropout;
use crate::ops::rotary::{self, Direction};

fn shape<'a>(batch: &Batch<'a>, heads: Heads) -> Shape<'a> {
    Shape {
        heads: heads.count,
        hidden: heads.hidden,
        cu_seqlens: batch.cu_seqlens,
        max_sequence_length: heads.max_sequence_length,
        causal: heads.causal,
        window: heads.window,
    }
}

impl<T: Element> AttentionOps for Cpu<T> {
    fn rotate(&mut self, batch: &Batch, heads: Heads, table: &Buffer, direction: Direction, qkv: &mut Buffer<T>) {
        let _timer = self.profile.start("rotate");
        let (positions, d) = (batch.position_ids, heads.hidden / heads.count);
        rotary::rotate(&self.threads, table, d, positions, direction, &mut qkv[..positions.len() * 3 * heads.hidden]);
    }

    fn attention(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Buffer<T>,
        dropout: Dropout,
        out: &mut Buffer<T>,
        lse: &mut Buffer,
    ) {
        let _timer = self.profile.start("attention");
        attention::forward(&self.gemm, &self.threads, &self.attention, shape(batch, heads), qkv, dropout, out, lse);
    }

    fn attention_backward(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Buffer<T>,
        dropout: Dropout,
        out: &Buffer<T>,
        lse: &Buffer,
        d_out: &Buffer<T>,
        d_qkv: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("attention_backward");
        let (gemm, threads, team, shape) = (&self.gemm, &self.threads, &self.attention, shape(batch, heads));
        attention::backward(gemm, threads, team, shape, qkv, dropout, out, lse, d_out, d_qkv);
    }
}
