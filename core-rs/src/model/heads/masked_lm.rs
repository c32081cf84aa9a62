//! The head on tokens, on the M rows to predict only: transform (dense, activation, LayerNorm), then the decoder, which is the
//! word embedding matrix, or one of its own where they are not tied, plus a bias (Devlin et al., 2019, section 3.1). Logits
//! exist for one chunk of rows at a time.

use crate::backend::{Backend, DataGradient, Head, Linear, Norm};
use crate::blueprint::{self, Blueprint};
use crate::engine::EngineOptions;
use crate::error::Result;
use crate::model::places::Places;
use crate::ops::activation::Activation;
use crate::ops::dropout::Dropout;

/// The head and its activations.
pub struct MaskedLmHead<B: Backend> {
    transform: Linear,
    activation: Activation,
    norm: Norm,
    decoder: Linear,
    /// Rows of a chunk.
    chunk: usize,
    /// `[M, C]` the masked rows of the encoder's output.
    gathered: B::Activations,
    /// `[M, E]` what the backward of the activation needs.
    kept: B::Activations,
    activated: B::Activations,
    statistics: B::Buffer,
    /// `[M, E]` what the decoder sees.
    out: B::Activations,
    /// `[chunk, V]`
    logits: B::Buffer,
    gradients: Option<Gradients<B>>,
    /// `[M]`
    rows: B::Rows,
}

/// Gradients of the head's activations, in training.
struct Gradients<B: Backend> {
    /// `[chunk, V]`
    logits: B::Activations,
    /// `[M, E]`: of `out`, then of `activated`; then `[M, C]`: of `gathered`.
    out: B::Buffer,
    /// `[M, E]`
    pre: B::Activations,
}

impl<B: Backend> MaskedLmHead<B> {
    pub(in crate::model) fn new(
        backend: &B,
        options: &EngineOptions,
        blueprint: &Blueprint,
        spec: &blueprint::TokenHead,
        places: &Places,
    ) -> Result<Self> {
        let decoder = places.decoder(&spec.decoder, &blueprint.embeddings.words)?;
        let transform = places.dense(&spec.dense)?;
        let (m, v, Linear { inputs: c, outputs: e, .. }) = (options.max_masked, decoder.outputs, transform);
        let chunk = backend.logits_at_a_time(m, v);
        let matrix = || backend.activations(m * e);
        let gradients = || {
            let (logits, out) = (backend.activations(chunk * v)?, backend.zeroed(m * c.max(e))?);
            Ok(Gradients { logits, out, pre: matrix()? })
        };
        Ok(Self {
            transform,
            activation: spec.activation,
            norm: places.norm(&spec.norm)?,
            decoder,
            chunk,
            gathered: backend.activations(m * c)?,
            kept: matrix()?,
            activated: matrix()?,
            statistics: backend.zeroed(2 * m)?,
            out: matrix()?,
            logits: backend.zeroed(chunk * v)?,
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
    ) {
        let m = masked_positions.len();
        if m == 0 {
            return;
        }
        backend.gather(masked_positions, self.transform.inputs, hidden, &mut self.gathered);
        let (kept, activated) = (&mut self.kept, &mut self.activated);
        backend.linear_activation(m, self.transform, self.activation, weights, &self.gathered, kept, activated);
        backend.norm(m, self.norm, weights, &self.activated, &mut self.out, &mut self.statistics);
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
            backend.logits(first, n, self.decoder, weights, &self.out, &mut self.logits);
            let mut both = gradients.as_deref_mut().zip(self.gradients.as_mut());
            let d_logits = both.as_mut().map(|(_, d)| &mut d.logits);
            backend.cross_entropy(&mut self.logits, self.decoder.outputs, labels, first, &mut self.rows, d_logits);
            if let Some((gradients, d)) = both {
                let Gradients { logits, out, .. } = d;
                backend.logits_backward(first, n, self.decoder, weights, &self.out, logits, out, gradients);
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

    /// After `loss` with gradients: adds the gradient of the encoder's output to `hidden`.
    pub(in crate::model) fn backward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        masked_positions: &[i32],
        hidden: &mut B::Buffer,
        gradients: &mut B::Buffer,
    ) {
        let m = masked_positions.len();
        let Gradients { out, pre, .. } = self.gradients.as_mut().expect("planned for training");
        if m > 0 {
            let (norm, x, statistics, none) = (self.norm, &self.activated, &self.statistics, Dropout::none());
            backend.norm_backward_to_operand(m, norm, weights, x, statistics, out, none, pre, gradients);
            backend.activation_backward(m, self.transform.outputs, self.activation, &self.kept, pre);
            backend.linear_parameters_backward(m, self.transform, &self.gathered, pre, gradients);
            backend.linear_backward(m, self.transform, weights, pre, DataGradient::Store(out));
            backend.scatter_add(masked_positions, self.transform.inputs, out, hidden);
        }
    }

    /// Its dense layers.
    pub(in crate::model) fn layers(&self) -> [Linear; 2] {
        [self.transform, self.decoder]
    }

    /// Calls `each(backend, first_row, rows, logits)` for every chunk of the `m` rows.
    pub fn for_each_chunk(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        m: usize,
        mut each: impl FnMut(&mut B, usize, usize, &B::Buffer),
    ) {
        for first in (0..m).step_by(self.chunk) {
            let n = self.chunk.min(m - first);
            backend.logits(first, n, self.decoder, weights, &self.out, &mut self.logits);
            each(backend, first, n, &self.logits);
        }
    }
}
