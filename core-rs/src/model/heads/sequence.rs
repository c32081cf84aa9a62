//! The head on sequences: a dense layer and tanh on one token of each (BERT calls it the pooler) or another activation and a
//! norm, on one or on the mean of all, then dropout and a dense layer with one output a class. Next-sentence prediction (Devlin et al., 2019, section 3.1, task 2) and classification (section
//! 4.1) differ in that layer's name and in dropout only; some families drop out before the first layer, too.

use crate::backend::loss::LogitRows;
use crate::backend::{Backend, DataGradient, Head, Linear, Norm};
use crate::blueprint::{self, Site};
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::Result;
use crate::heads::Pools;
use crate::machine::memory::zeros;
use crate::model::pass::Pass;
use crate::model::places::Places;
use crate::ops::activation::Activation;
use crate::ops::dropout::Dropout;
use crate::ops::target_loss::TargetLoss;

/// The head and its activations.
pub struct SequenceHead<B: Backend> {
    pooler: Linear,
    output: Linear,
    /// Before them, in families that drop out there, too.
    dropout_before: Option<Site>,
    /// Behind the first, instead of tanh.
    activation: Option<Activated<B>>,
    /// Between them.
    dropout: Site,
    pools: Pools,
    /// What the outputs are compared with, if it is not one class.
    target_loss: Option<TargetLoss>,
    /// `[B]` indices of the tokens that are pooled, if some are.
    tokens: Vec<i32>,
    /// `[B, C]` what is pooled, dropped out.
    gathered: B::Activations,
    /// `[B, C]` what the first layer makes, or what the backward of its activation needs.
    pre: B::Activations,
    /// `[B, C]` tanh of `pre`, or another activation, before dropout; `dropped` is what the last layer reads.
    pooled: B::Activations,
    dropped: B::Activations,
    /// `[B, K]`
    logits: B::Buffer,
    gradients: Option<Gradients<B>>,
    /// `[B]`
    rows: B::Rows,
}

/// An activation, and the norm behind it with its statistics, in families that have one.
struct Activated<B: Backend> {
    activation: Activation,
    norm: Option<(Norm, B::Buffer)>,
}

/// Gradients of the head's activations, in training.
struct Gradients<B: Backend> {
    /// `[B, K]`
    logits: B::Activations,
    /// `[B, C]`
    pooled: B::Activations,
    /// `[B, C]`: of what the norm makes, if there is one, then of what is pooled.
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
        let activated = |(activation, norm): &(Activation, Option<blueprint::Norm>)| {
            let norm = norm.as_ref().map(|norm| Ok((places.norm(norm)?, backend.zeroed(2 * b)?)));
            Ok(Activated { activation: *activation, norm: norm.transpose()? })
        };
        Ok(Self {
            pooler: places.dense(&spec.dense)?,
            activation: spec.activation.as_ref().map(activated).transpose()?,
            output: places.dense(&spec.output)?,
            dropout_before: spec.dropout_before,
            dropout: spec.dropout,
            pools: spec.pools,
            target_loss: options.limits().target_loss,
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
        if self.pools == Pools::Mean {
            backend.mean(batch, c, hidden, &mut self.gathered);
        } else {
            self.tokens.clear();
            let bounds = batch.cu_seqlens.windows(2);
            self.tokens.extend(bounds.map(|w| match w[1] - w[0] {
                0 => -1, // fills a batch up
                _ if self.pools == Pools::Last => w[1] - 1,
                _ => w[0],
            }));
            backend.gather(&self.tokens, c, hidden, &mut self.gathered);
        }
        if let Some(site) = self.dropout_before {
            backend.dropout(b, c, &mut self.gathered, pass.at(site));
        }
        let Self { gathered, pre, pooled, dropped, .. } = self;
        match &mut self.activation {
            Some(Activated { activation, norm: Some((norm, statistics)) }) => {
                backend.linear_activation(b, self.pooler, *activation, weights, gathered, pre, pooled);
                backend.norm(b, *norm, weights, pooled, dropped, statistics);
            }
            Some(Activated { activation, norm: None }) => {
                backend.linear_activation(b, self.pooler, *activation, weights, gathered, pre, dropped);
            }
            None => {
                backend.linear(b, self.pooler, weights, gathered, pre);
                backend.tanh(b, c, pre, pooled);
                backend.tanh(b, c, pre, dropped);
            }
        }
        backend.dropout(b, c, &mut self.dropped, pass.at(self.dropout));
        let layout = LogitRows::dense(self.output.outputs);
        backend.logits(0, b, self.output, layout, weights, &self.dropped, &mut self.logits);
    }

    /// `[B, K]`
    pub fn logits(&self) -> &B::Buffer {
        &self.logits
    }

    /// Loss of each sequence. With `gradients`, adds the last layer's, weighted, and keeps that of its input;
    /// the logits are gone then.
    pub fn loss(&mut self, backend: &mut B, weights: &B::Buffer, batch: &Batch, gradients: Option<&mut B::Buffer>) {
        let (b, k) = (batch.sequences(), self.output.outputs);
        let mut both = gradients.zip(self.gradients.as_mut());
        let d_logits = both.as_mut().map(|(_, d)| &mut d.logits);
        match self.target_loss {
            Some(loss) => {
                backend.target_loss(loss, b, &self.logits, batch.sequence_targets, &mut self.rows, d_logits);
            }
            None => backend.cross_entropy(
                &mut self.logits,
                LogitRows::dense(k),
                batch.sequence_labels,
                0,
                &mut self.rows,
                d_logits,
            ),
        }
        if let Some((gradients, d)) = both {
            backend.scale(b, k, batch.sequence_weight as f32, &mut d.logits);
            backend.linear_parameters_backward(b, self.output, &self.dropped, &d.logits, gradients);
            let to = match self.activation {
                Some(Activated { norm: Some(_), .. }) => DataGradient::Store(&mut d.first),
                _ => DataGradient::Operand(&mut d.pooled),
            };
            backend.linear_backward(b, self.output, weights, &d.logits, to);
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
        let dropout = pass.at(self.dropout);
        match &self.activation {
            Some(Activated { activation, norm: Some((norm, statistics)) }) => {
                backend.dropout_backward(b, c, first, dropout);
                let (norm, x, none) = (*norm, &self.pooled, Dropout::none());
                backend.norm_backward_to_operand(b, norm, weights, x, statistics, first, none, pooled, gradients);
                backend.activation_backward(b, c, *activation, &self.pre, pooled);
            }
            Some(Activated { activation, norm: None }) => {
                backend.dropout(b, c, pooled, dropout);
                backend.activation_backward(b, c, *activation, &self.pre, pooled);
            }
            None => {
                backend.dropout(b, c, pooled, dropout);
                backend.tanh_backward(b, c, &self.pooled, pooled);
            }
        }
        backend.linear_parameters_backward(b, self.pooler, &self.gathered, pooled, gradients);
        let Some(hidden) = hidden else { return };
        backend.linear_backward(b, self.pooler, weights, pooled, DataGradient::Store(first));
        if let Some(site) = self.dropout_before {
            backend.dropout_backward(b, c, first, pass.at(site));
        }
        match self.pools {
            Pools::Mean => backend.mean_backward(batch, c, first, hidden),
            Pools::First | Pools::Last => backend.scatter_add(&self.tokens, c, first, hidden),
        }
    }
}
