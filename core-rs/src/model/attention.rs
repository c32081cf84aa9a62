//! The first branch of a block: self-attention (Vaswani et al., 2017, section 3.2) and its output layer.

use super::pass::Pass;
use super::places::Places;
use super::residual::{self, Behind};
use super::rotary::RotaryTable;
use super::scratch::Scratch;
use crate::backend::{Backend, DataGradient, Heads, Linear};
use crate::blueprint::{self, Site};
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::Result;
use crate::ops::attention::Shape;
use crate::ops::attention::probabilities::probabilities;
use crate::ops::rotary::Direction;

/// Where its parameters are, and how it drops out.
pub(super) struct Attention {
    qkv: Linear,
    output: Linear,
    heads: Heads,
    /// The table of its rotary positions.
    table: Option<usize>,
    probabilities: Site,
    pub dropout: Site,
}

/// What its forward pass leaves for its backward pass.
pub(super) struct Kept<B: Backend> {
    /// `[N, 3C]`
    qkv: B::Activations,
    /// `[H, N]`
    lse: B::Buffer,
    /// `[N, C]`
    context: B::Activations,
}

impl Attention {
    /// `bases` are those of the tables of rotary positions.
    pub fn new(
        spec: &blueprint::Attention,
        places: &Places,
        options: &EngineOptions,
        causal: bool,
        bases: &[f32],
    ) -> Result<Self> {
        let qkv = places.side_by_side(&spec.qkv)?;
        let heads = Heads {
            count: spec.heads,
            hidden: qkv.inputs,
            max_sequence_length: options.max_sequence_length,
            causal,
            window: spec.window,
        };
        let table = spec.rotary.and_then(|base| bases.iter().position(|known| *known == base));
        let (probabilities, dropout) = (spec.probabilities, spec.dropout);
        Ok(Self { qkv, output: places.dense(&spec.output)?, heads, table, probabilities, dropout })
    }

    pub fn keep<B: Backend>(&self, backend: &B, n: usize) -> Result<Kept<B>> {
        Ok(Kept {
            qkv: backend.activations(n * self.qkv.outputs)?,
            lse: backend.zeroed(n * self.heads.count)?,
            context: backend.activations(n * self.heads.hidden)?,
        })
    }

    /// The probabilities `[H, T, T]` of the one sequence that the last `forward` was about.
    pub fn probabilities<B: Backend>(&self, backend: &mut B, kept: &Kept<B>, out: &mut [f32]) {
        let t = (out.len() / self.heads.count).isqrt();
        let mut qkv = vec![0.0; t * self.qkv.outputs];
        backend.read_activations(&kept.qkv, &mut qkv);
        let Heads { count, hidden, max_sequence_length, causal, window } = self.heads;
        let cu_seqlens = &[0, t as i32];
        probabilities(Shape { heads: count, hidden, cu_seqlens, max_sequence_length, causal, window }, &qkv, out);
    }

    pub fn layers(&self) -> [Linear; 2] {
        [self.qkv, self.output]
    }

    /// `sum = dropout(attention(x)) + residual`, and the norm `behind` that, if there is one.
    pub fn forward<B: Backend>(
        &self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        pass: &Pass,
        tables: &[RotaryTable<B>],
        kept: &mut Kept<B>,
        x: &B::Activations,
        residual: &B::Activations,
        sum: &mut B::Activations,
        behind: Option<Behind<B>>,
    ) {
        let (n, Kept { qkv, lse, context }) = (batch.input_ids.len(), kept);
        backend.linear(n, self.qkv, weights, x, qkv);
        if let Some(table) = self.table {
            backend.rotate(batch, self.heads, tables[table].rows(), Direction::Forward, qkv);
        }
        backend.attention(batch, self.heads, qkv, pass.at(self.probabilities), context, lse);
        residual::add(backend, n, self.output, weights, context, pass.at(self.dropout), residual, sum, behind);
    }

    /// The output layer and what it read.
    pub fn last<'a, B: Backend>(&self, kept: &'a Kept<B>) -> (Linear, &'a B::Activations) {
        (self.output, &kept.context)
    }

    /// From `scratch.dropped`, the gradient of what the output layer made: that of x to `dx`. The output layer's own are
    /// there.
    pub fn backward<B: Backend>(
        &self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        pass: &Pass,
        tables: &[RotaryTable<B>],
        kept: &Kept<B>,
        x: &B::Activations,
        scratch: &mut Scratch<B>,
        dx: DataGradient<B>,
        gradients: &mut B::Buffer,
    ) {
        let (n, Kept { qkv, lse, context }) = (batch.input_ids.len(), kept);
        let Scratch { dropped, context: d_context, qkv: d_qkv, .. } = scratch;
        backend.linear_backward(n, self.output, weights, dropped, DataGradient::Operand(d_context));
        let probabilities = pass.at(self.probabilities);
        if let Some(table) = self.table {
            backend.attention_backward(batch, self.heads, qkv, probabilities, context, lse, d_context, d_qkv);
            backend.rotate(batch, self.heads, tables[table].rows(), Direction::Backward, d_qkv);
            backend.linear_parameters_backward(n, self.qkv, x, d_qkv, gradients);
        } else {
            let (heads, layer) = (self.heads, self.qkv);
            backend.attention_backward_to_layer(
                batch,
                heads,
                qkv,
                probabilities,
                context,
                lse,
                d_context,
                d_qkv,
                layer,
                x,
                gradients,
            );
        }
        backend.linear_backward(n, self.qkv, weights, d_qkv, dx);
    }
}
