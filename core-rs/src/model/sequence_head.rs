//! The head on sequences: BERT's pooler (dense and tanh on each sequence's first token; on its last where attention is
//! causal), dropout, and a dense layer with one output a class. Next-sentence prediction (Devlin et al., 2019, section 3.1, task 2) and classification (section
//! 4.1) differ in that layer's name and in dropout only.

use super::{DropoutPlan, Modules};
use crate::backend::{Backend, DataGradient, Linear};
use crate::batch::Batch;
use crate::engine::EngineOptions;
use crate::error::Result;
use crate::objective::SequenceTask;
use crate::ops::cross_entropy::RowLoss;

/// The head and its activations.
pub struct SequenceHead<B: Backend> {
    pooler: Linear,
    output: Linear,
    /// Rate of dropout between them.
    rate: f32,
    pools_last: bool,
    /// `[B]` indices of the tokens that are pooled.
    tokens: Vec<i32>,
    /// `[B, C]` their hidden states.
    gathered: B::Buffer,
    pre: B::Buffer,
    /// `[B, C]` tanh of `pre`, before dropout and after it.
    pooled: B::Buffer,
    dropped: B::Buffer,
    /// `[B, K]`
    logits: B::Buffer,
    /// `[B, C]` gradients of `pooled` and of `gathered`, in training.
    gradients: Option<[B::Buffer; 2]>,
    /// `[B]`
    rows: Vec<RowLoss>,
}

impl<B: Backend> SequenceHead<B> {
    pub(super) fn new(backend: &B, options: &EngineOptions, modules: &Modules, task: SequenceTask) -> Result<Self> {
        let b = options.max_sequences;
        let matrix = || backend.activations(b * options.config.hidden_size);
        Ok(Self {
            pooler: modules.dense("bert.pooler.dense")?,
            output: modules.dense(task.module)?,
            rate: task.dropout,
            pools_last: task.pools_last,
            tokens: Vec::with_capacity(b),
            gathered: matrix()?,
            pre: matrix()?,
            pooled: matrix()?,
            dropped: matrix()?,
            logits: backend.logits_buffer(b * task.outputs)?,
            gradients: if options.training { Some([matrix()?, matrix()?]) } else { None },
            rows: vec![RowLoss::default(); b],
        })
    }

    /// K
    pub fn outputs(&self) -> usize {
        self.output.outputs
    }

    /// From the encoder's output to logits.
    pub(super) fn forward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        hidden: &B::Buffer,
        dropout: &DropoutPlan,
    ) {
        let (b, c) = (batch.sequences(), self.pooler.inputs);
        self.tokens.clear();
        let bounds = batch.cu_seqlens.windows(2);
        self.tokens.extend(bounds.map(|w| if self.pools_last { w[1] - 1 } else { w[0] }));
        backend.gather(&self.tokens, c, hidden, &mut self.gathered);
        backend.linear(b, self.pooler, weights, &self.gathered, &mut self.pre);
        backend.tanh(b, c, &self.pre, &mut self.pooled);
        backend.tanh(b, c, &self.pre, &mut self.dropped);
        backend.dropout(b, c, &mut self.dropped, dropout.pooled(self.rate));
        backend.linear(b, self.output, weights, &self.dropped, &mut self.logits);
    }

    /// `[B, K]`
    pub fn logits(&self) -> &B::Buffer {
        &self.logits
    }

    /// Cross-entropy of each sequence. With `gradients`, adds the last layer's, weighted, and keeps that of its input;
    /// the logits are gone then.
    pub fn loss(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        gradients: Option<&mut B::Buffer>,
    ) -> &[RowLoss] {
        let (b, k) = (batch.sequences(), self.output.outputs);
        let rows = &mut self.rows[..b];
        backend.cross_entropy(&mut self.logits, k, batch.sequence_labels, rows, gradients.is_some());
        if let (Some(gradients), Some([d_pooled, _])) = (gradients, &mut self.gradients) {
            backend.scale(b, k, batch.sequence_weight as f32, &mut self.logits);
            backend.linear_parameters_backward(b, self.output, &self.dropped, &self.logits, gradients);
            backend.linear_backward(b, self.output, weights, &self.logits, d_pooled, DataGradient::Store);
        }
        rows
    }

    /// After `loss` with gradients: adds the pooler's, and adds that of the encoder's output to `hidden` or writes it
    /// there, the other rows zero, as `how` says.
    pub(super) fn backward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        dropout: &DropoutPlan,
        hidden: Option<(&mut B::Buffer, DataGradient)>,
        gradients: &mut B::Buffer,
    ) {
        let (b, c) = (batch.sequences(), self.pooler.inputs);
        let [d_pooled, d_gathered] = self.gradients.as_mut().expect("planned for training");
        backend.dropout(b, c, d_pooled, dropout.pooled(self.rate));
        backend.tanh_backward(b, c, &self.pooled, d_pooled);
        backend.linear_parameters_backward(b, self.pooler, &self.gathered, d_pooled, gradients);
        let Some((hidden, how)) = hidden else { return };
        backend.linear_backward(b, self.pooler, weights, d_pooled, d_gathered, DataGradient::Store);
        match how {
            DataGradient::Store => backend.scatter(batch.input_ids.len(), &self.tokens, c, d_gathered, hidden),
            DataGradient::Add => backend.scatter_add(&self.tokens, c, d_gathered, hidden),
        }
    }
}
