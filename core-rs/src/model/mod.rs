//! A model of any blueprint: embeddings, blocks, and its heads, forward and backward, over any
//! [`Backend`]. Buffers are planned once, for the largest batch that the engine takes.

mod attention;
mod block;
mod embeddings;
mod encoder;
mod heads;
mod mlp;
mod pass;
mod places;
mod residual;
mod rotary;
mod scratch;

use crate::backend::{Backend, Linear};
use crate::blueprint::{Blueprint, ParameterLayout};
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::Result;

use embeddings::EmbeddingLayer;
use encoder::{Encoder, Gradients};
pub use heads::{SequenceHead, TokenHead};
pub use pass::Pass;
use places::Places;

/// The model on a device: its activations, and gradients of activations if it was planned for training.
pub struct Model<B: Backend> {
    /// C
    width: usize,
    embeddings: EmbeddingLayer<B>,
    encoder: Encoder<B>,
    /// The head on tokens, if there is one.
    pub tokens: Option<TokenHead<B>>,
    /// The head on sequences, if there is one.
    pub sequences: Option<SequenceHead<B>>,
    /// Gradients of activations; `None` where no gradient goes into the encoder.
    gradients: Option<Gradients<B>>,
}

impl<B: Backend> Model<B> {
    /// Plans all buffers. `layout` is the blueprint's.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(backend: &B, options: &EngineOptions, blueprint: &Blueprint, layout: &ParameterLayout) -> Result<Self> {
        let (places, n) = (Places { layout }, options.max_tokens);
        let tokens = blueprint.tokens.as_ref();
        let tokens = tokens.map(|head| TokenHead::new(backend, options, blueprint, head, &places));
        let sequences = blueprint.sequences.as_ref();
        let sequences = sequences.map(|head| SequenceHead::new(backend, options, head, &places));
        let trains = options.training() && !blueprint.freezes_encoder;
        Ok(Self {
            width: blueprint.width(),
            embeddings: EmbeddingLayer::new(backend, &blueprint.embeddings, &places, n, trains)?,
            encoder: Encoder::new(backend, options, blueprint, &places)?,
            tokens: tokens.transpose()?,
            sequences: sequences.transpose()?,
            gradients: match trains {
                true => Some(Gradients::new(backend, blueprint, n)?),
                false => None,
            },
        })
    }

    /// Writes what stays as it is, once everything that is planned is known to fit.
    pub fn fill(&mut self, backend: &mut B) {
        self.encoder.fill(backend);
    }

    /// The dense layers whose products are worth preparing for: all but those of what tells classes.
    pub fn layers(&self) -> Vec<Linear> {
        let heads = self.tokens.iter().flat_map(TokenHead::layers);
        self.embeddings.layers().into_iter().chain(self.encoder.layers()).chain(heads).collect()
    }

    /// Runs embeddings, encoder and heads, up to what the decoder sees and to the sequences' logits. A frozen encoder runs
    /// without dropout: what a probe reads are its features.
    pub fn forward(&mut self, backend: &mut B, weights: &B::Buffer, batch: &Batch, pass: &Pass) {
        let evaluation = Pass::evaluation();
        let inside = if self.gradients.is_some() { pass } else { &evaluation };
        self.embeddings.forward(backend, weights, batch, inside);
        self.encoder.forward(backend, weights, batch, self.embeddings.output(), inside);
        let hidden = self.encoder.output(self.embeddings.output());
        if let Some(head) = &mut self.tokens {
            head.forward(backend, weights, batch.masked_positions, hidden, pass);
        }
        if let Some(head) = &mut self.sequences {
            head.forward(backend, weights, batch, hidden, pass);
        }
    }

    /// Without dropout: the probabilities `[H, T, T]` of the attention of one layer in the batch's first sequence.
    pub fn attention(&mut self, backend: &mut B, weights: &B::Buffer, batch: &Batch, layer: usize, out: &mut [f32]) {
        self.embeddings.forward(backend, weights, batch, &Pass::evaluation());
        self.encoder.probabilities(backend, weights, batch, self.embeddings.output(), layer, out);
    }

    /// What the encoder's last `forward` made of each token, `[N, C]`: what the heads see.
    pub fn hidden_states(&self) -> &B::Activations {
        self.encoder.output(self.embeddings.output())
    }

    /// The width of the encoder, C.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The losses of both heads, row by row, which the heads keep. With `gradients`, adds those of their last layers.
    pub fn loss(&mut self, backend: &mut B, weights: &B::Buffer, batch: &Batch, mut gradients: Option<&mut B::Buffer>) {
        if let Some(head) = &mut self.tokens {
            head.loss(backend, weights, batch.labels, gradients.as_deref_mut());
        }
        if let Some(head) = &mut self.sequences {
            head.loss(backend, weights, batch, gradients);
        }
    }

    /// After `loss`: adds what it found to the backend's totals.
    pub fn add_losses(&self, backend: &mut B, batch: &Batch) {
        if let Some(head) = &self.tokens {
            head.add_losses(backend, batch.labels.len());
        }
        if let Some(head) = &self.sequences {
            head.add_losses(backend, batch.labeled_sequences());
        }
    }

    /// After `loss` with gradients: adds the gradient of everything in front of it.
    ///
    /// # Panics
    /// If the model was not planned for training; the engine checks that.
    pub fn backward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        pass: &Pass,
        gradients: &mut B::Buffer,
    ) {
        let mut scratch = self.gradients.as_mut();
        if let Some(scratch) = &mut scratch {
            backend.clear_part(&mut scratch.hidden, 0..batch.input_ids.len() * self.width);
        }
        if let Some(head) = &mut self.tokens {
            let hidden = scratch.as_mut().map(|scratch| &mut scratch.hidden);
            head.backward(backend, weights, batch.masked_positions, pass, hidden, gradients);
        }
        if let Some(head) = &mut self.sequences {
            let hidden = scratch.as_mut().map(|scratch| &mut scratch.hidden);
            head.backward(backend, weights, batch, pass, hidden, gradients);
        }
        let Some(scratch) = scratch else { return };
        self.encoder.backward(backend, weights, batch, self.embeddings.output(), pass, scratch, gradients);
        self.embeddings.backward(backend, weights, batch, pass, &mut scratch.hidden, gradients);
    }

    /// Names the first activation of the last forward pass that is NaN or infinite, in the order of computation.
    pub fn first_non_finite(&mut self, backend: &mut B, tokens: usize) -> Option<String> {
        let found = self.embeddings.first_non_finite(backend, tokens);
        found.or_else(|| self.encoder.first_non_finite(backend, tokens))
    }
}
