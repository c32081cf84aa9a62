//! The head on tokens, on the M rows that are asked for only. One that predicts them is a transform (dense, activation,
//! LayerNorm), then the decoder, which is the word embedding matrix, or one of its own where they are not tied, plus a bias
//! (Devlin et al., 2019, section 3.1). One that tells their classes (section 4.3) is dropout and a dense layer; ModernBERT's
//! has the transform, too. Logits exist for one chunk of rows at a time.

use crate::backend::loss::LogitRows;
use crate::backend::{Backend, DataGradient, Head, Linear, Norm};
use crate::blueprint::{self, Blueprint, Site};
use crate::engine::EngineOptions;
use crate::error::Result;
use crate::model::pass::Pass;
use crate::model::places::Places;
use crate::ops::activation::Activation;
use crate::ops::dropout::Dropout;

/// The head and its activations.
pub struct TokenHead<B: Backend> {
    transform: Option<Transform<B>>,
    /// In front of the decoder, in heads that tell classes.
    dropout: Option<Site>,
    decoder: Linear,
    layout: LogitRows,
    /// Rows of a chunk.
    chunk: usize,
    /// `[M, E]` what the decoder sees.
    out: B::Activations,
    /// `[chunk, V]`, as `layout` has it.
    logits: B::Buffer,
    gradients: Option<Gradients<B>>,
    /// `[M]`
    rows: B::Rows,
}

/// What stands in front of the decoder.
struct Transform<B: Backend> {
    dense: Linear,
    activation: Activation,
    norm: Norm,
    /// `[M, C]` the masked rows of the encoder's output.
    gathered: B::Activations,
    /// `[M, E]` what the backward of the activation needs.
    kept: B::Activations,
    activated: B::Activations,
    statistics: B::Buffer,
    /// `[M, E]`: its gradient, in training.
    gradient: Option<B::Activations>,
}

/// Gradients of the head's activations, in training.
struct Gradients<B: Backend> {
    /// `[chunk, V]`, likewise.
    logits: B::Activations,
    /// `[M, E]`: of `out`, then of `activated`; then `[M, C]`: of `gathered`.
    out: B::Buffer,
}

impl<B: Backend> TokenHead<B> {
    pub(in crate::model) fn new(
        backend: &B,
        options: &EngineOptions,
        blueprint: &Blueprint,
        spec: &blueprint::TokenHead,
        places: &Places,
    ) -> Result<Self> {
        let decoder = places.decoder(&spec.decoder, &blueprint.embeddings.words)?;
        let (m, e) = (options.max_masked, decoder.inputs);
        let layout = backend.logit_rows(decoder.outputs);
        let chunk = backend.logits_at_a_time(m, layout);
        let matrix = || backend.activations(m * e);
        let gradients = || {
            let (logits, out) =
                (backend.activations(chunk * layout.stride)?, backend.zeroed(m * blueprint.width().max(e))?);
            Ok(Gradients { logits, out })
        };
        let transform = |spec: &blueprint::Transform| {
            let dense = places.dense(&spec.dense)?;
            Ok(Transform {
                dense,
                activation: spec.activation,
                norm: places.norm(&spec.norm)?,
                gathered: backend.activations(m * dense.inputs)?,
                kept: matrix()?,
                activated: matrix()?,
                statistics: backend.zeroed(2 * m)?,
                gradient: if options.training() { Some(matrix()?) } else { None },
            })
        };
        Ok(Self {
            transform: spec.transform.as_ref().map(transform).transpose()?,
            dropout: spec.dropout,
            decoder,
            layout,
            chunk,
            out: matrix()?,
            logits: backend.zeroed(chunk * layout.stride)?,
            gradients: if options.training() { Some(gradients()?) } else { None },
            rows: backend.rows(m)?,
        })
    }

    /// From the encoder's output to what the decoder sees.
    pub(in crate::model) fn forward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        masked_positions: &[i32],
        hidden: &B::Activations,
        pass: &Pass,
    ) {
        let m = masked_positions.len();
        if m == 0 {
            return;
        }
        match &mut self.transform {
            None => backend.gather(masked_positions, self.decoder.inputs, hidden, &mut self.out),
            Some(Transform { dense, activation, norm, gathered, kept, activated, statistics, .. }) => {
                backend.gather(masked_positions, dense.inputs, hidden, gathered);
                backend.linear_activation(m, *dense, *activation, weights, gathered, kept, activated);
                backend.norm(m, *norm, weights, activated, &mut self.out, statistics);
            }
        }
        if let Some(site) = self.dropout {
            backend.dropout(m, self.decoder.inputs, &mut self.out, pass.at(site));
        }
    }

    /// Cross-entropy of each masked row. With `gradients`, adds the decoder's and keeps that of `out`.
    pub fn loss(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        labels: &[i32],
        mut gradients: Option<&mut B::Buffer>,
    ) {
        for (i, labels) in labels.chunks(self.chunk).enumerate() {
            let (first, n) = (i * self.chunk, labels.len());
            backend.logits(first, n, self.decoder, self.layout, weights, &self.out, &mut self.logits);
            let mut both = gradients.as_deref_mut().zip(self.gradients.as_mut());
            let d_logits = both.as_mut().map(|(_, d)| &mut d.logits);
            backend.cross_entropy(&mut self.logits, self.layout, labels, first, &mut self.rows, d_logits);
            if let Some((gradients, d)) = both {
                let Gradients { logits, out, .. } = d;
                let (decoder, layout) = (self.decoder, self.layout);
                backend.logits_backward(first, n, decoder, layout, weights, &self.out, logits, out, gradients);
            }
        }
    }

    /// Adds what `loss` found to the backend's totals.
    pub(in crate::model) fn add_losses(&self, backend: &mut B, m: usize) {
        backend.add_losses(Head::Tokens, m, &self.rows);
    }

    /// `[M]`, from the last `loss`.
    pub fn rows(&self) -> &B::Rows {
        &self.rows
    }

    /// After `loss` with gradients: adds the transform's, and that of the encoder's output to `hidden`.
    pub(in crate::model) fn backward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        masked_positions: &[i32],
        pass: &Pass,
        hidden: Option<&mut B::Buffer>,
        gradients: &mut B::Buffer,
    ) {
        let m = masked_positions.len();
        let Gradients { out, .. } = self.gradients.as_mut().expect("planned for training");
        if m == 0 {
            return;
        }
        if let Some(site) = self.dropout {
            backend.dropout_backward(m, self.decoder.inputs, out, pass.at(site));
        }
        let mut width = self.decoder.inputs;
        if let Some(Transform { dense, activation, norm, gathered, kept, activated, statistics, gradient }) =
            &mut self.transform
        {
            let (pre, none) = (gradient.as_mut().expect("planned for training"), Dropout::none());
            backend.norm_backward_to_operand(m, *norm, weights, activated, statistics, out, none, pre, gradients);
            backend.activation_backward(m, dense.outputs, *activation, kept, pre);
            backend.linear_parameters_backward(m, *dense, gathered, pre, gradients);
            backend.linear_backward(m, *dense, weights, pre, DataGradient::Store(out));
            width = dense.inputs;
        }
        if let Some(hidden) = hidden {
            backend.scatter_add(masked_positions, width, out, hidden);
        }
    }

    /// Its dense layers, without the last one of a classifier.
    pub(in crate::model) fn layers(&self) -> Vec<Linear> {
        let decoder = self.dropout.is_none().then_some(self.decoder);
        self.transform.iter().map(|transform| transform.dense).chain(decoder).collect()
    }

    /// Calls `each(backend, first_row, rows, logits, layout)` for every chunk of the `m` rows.
    pub fn for_each_chunk(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        m: usize,
        mut each: impl FnMut(&mut B, usize, usize, &B::Buffer, LogitRows),
    ) {
        for first in (0..m).step_by(self.chunk) {
            let n = self.chunk.min(m - first);
            backend.logits(first, n, self.decoder, self.layout, weights, &self.out, &mut self.logits);
            each(backend, first, n, &self.logits, self.layout);
        }
    }
}
