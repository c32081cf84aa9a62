//! The head on sequences: a dense layer and tanh on one token of each (BERT calls it the pooler), dropout, and a dense layer
//! with one output a class. Next-sentence prediction (Devlin et al., 2019, section 3.1, task 2) and classification (section
//! 4.1) differ in that layer's name and in dropout only; some families drop out before the first layer, too.

use crate::backend::{Backend, DataGradient, Head, Linear};
use crate::blueprint::{self, Site};
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::Result;
use crate::machine::memory::zeros;
use crate::model::pass::Pass;
use crate::model::places::Places;

/// The head and its activations.
pub struct SequenceHead<B: Backend> {
    pooler: Linear,
    output: Linear,
    /// Before them, in families that drop out there, too.
    dropout_before: Option<Site>,
    /// Between them.
    dropout: Site,
    pools_last: bool,
    /// `[B]` indices of the tokens that are pooled.
    tokens: Vec<i32>,
    /// `[B, C]` their hidden states, dropped out.
    gathered: B::Activations,
    pre: B::Activations,
    /// `[B, C]` tanh of `pre`, before dropout and after it.
    pooled: B::Activations,
    dropped: B::Activations,
    /// `[B, K]`
    logits: B::Buffer,
    gradients: Option<Gradients<B>>,
    /// `[B]`
    rows: B::Rows,
}

/// Gradients of the head's activations, in training.
struct Gradients<B: Backend> {
    /// `[B, K]`
    logits: B::Activations,
    /// `[B, C]`
    pooled: B::Activations,
    /// `[B, C]`
    first: B::Buffer,
}

impl<B: Backend> SequenceHead<B> {
    pub(in crate::model) fn new(
        backend: &B,
        options: &EngineOptions,
        spec: &blueprint::SequenceHead,
        places: &Places,
    ) -> Result<Self> {
        let b = options.max_sequences;
        let [outputs, c] = spec.output.shape();
        let matrix = || backend.activations(b * c);
        let gradients = || {
            let (logits, first) = (backend.activations(b * outputs)?, backend.zeroed(b * c)?);
            Ok(Gradients { logits, pooled: matrix()?, first })
        };
        Ok(Self {
            pooler: places.dense(&spec.dense)?,
            output: places.dense(&spec.output)?,
            dropout_before: spec.dropout_before,
            dropout: spec.dropout,
            pools_last: spec.pools_last,
            tokens: zeros(b)?,
            gathered: matrix()?,
            pre: matrix()?,
            pooled: matrix()?,
            dropped: matrix()?,
            logits: backend.zeroed(b * outputs)?,
            gradients: if options.training() { Some(gradients()?) } else { None },
            rows: backend.rows(b)?,
        })
    }

    /// K
    pub fn outputs(&self) -> usize {
        self.output.outputs
    }

    /// From the encoder's output to logits.
    pub(in crate::model) fn forward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        hidden: &B::Activations,
        pass: &Pass,
    ) {
        let (b, c) = (batch.sequences(), self.pooler.inputs);
        self.tokens.clear();
        let bounds = batch.cu_seqlens.windows(2);
        self.tokens.extend(bounds.map(|w| match w[1] - w[0] {
            0 => -1, // fills a batch up
            _ if self.pools_last => w[1] - 1,
            _ => w[0],
        }));
        backend.gather(&self.tokens, c, hidden, &mut self.gathered);
        if let Some(site) = self.dropout_before {
            backend.dropout(b, c, &mut self.gathered, pass.at(site));
        }
        backend.linear(b, self.pooler, weights, &self.gathered, &mut self.pre);
        backend.tanh(b, c, &self.pre, &mut self.pooled);
        backend.tanh(b, c, &self.pre, &mut self.dropped);
        backend.dropout(b, c, &mut self.dropped, pass.at(self.dropout));
        backend.logits(0, b, self.output, weights, &self.dropped, &mut self.logits);
    }

    /// `[B, K]`
    pub fn logits(&self) -> &B::Buffer {
        &self.logits
    }

    /// Cross-entropy of each sequence. With `gradients`, adds the last layer's, weighted, and keeps that of its input;
    /// the logits are gone then.
    pub fn loss(&mut self, backend: &mut B, weights: &B::Buffer, batch: &Batch, gradients: Option<&mut B::Buffer>) {
        let (b, k) = (batch.sequences(), self.output.outputs);
        let mut both = gradients.zip(self.gradients.as_mut());
        let d_logits = both.as_mut().map(|(_, d)| &mut d.logits);
        backend.cross_entropy(&mut self.logits, k, batch.sequence_labels, 0, &mut self.rows, d_logits);
        if let Some((gradients, d)) = both {
            backend.scale(b, k, batch.sequence_weight as f32, &mut d.logits);
            backend.linear_parameters_backward(b, self.output, &self.dropped, &d.logits, gradients);
            backend.linear_backward(b, self.output, weights, &d.logits, DataGradient::Operand(&mut d.pooled));
        }
    }

    /// Adds what `loss` found to the backend's totals.
    pub(in crate::model) fn add_losses(&self, backend: &mut B, b: usize) {
        backend.add_losses(Head::Sequences, b, &self.rows);
    }

    /// `[B]`, from the last `loss`.
    pub fn rows(&self) -> &B::Rows {
        &self.rows
    }

    /// After `loss` with gradients: adds the pooler's, and that of the encoder's output to `hidden`.
    pub(in crate::model) fn backward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        pass: &Pass,
        hidden: Option<&mut B::Buffer>,
        gradients: &mut B::Buffer,
    ) {
        let (b, c) = (batch.sequences(), self.pooler.inputs);
        let Gradients { pooled, first, .. } = self.gradients.as_mut().expect("planned for training");
        backend.dropout(b, c, pooled, pass.at(self.dropout));
        backend.tanh_backward(b, c, &self.pooled, pooled);
        backend.linear_parameters_backward(b, self.pooler, &self.gathered, pooled, gradients);
        let Some(hidden) = hidden else { return };
        backend.linear_backward(b, self.pooler, weights, pooled, DataGradient::Store(first));
        if let Some(site) = self.dropout_before {
            backend.dropout_backward(b, c, first, pass.at(site));
        }
        backend.scatter_add(&self.tokens, c, first, hidden);
    }
}
