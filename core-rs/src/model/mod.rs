//! BERT as published (Devlin et al., 2019): embeddings, a post-LN encoder, and the heads that the objective asks for,
//! forward and backward, over any [`Backend`]. Buffers are planned once, for the largest batch that the engine takes.

mod encoder;
mod sequence_head;
mod token_head;

use crate::backend::{Backend, DataGradient, Embeddings, Linear, Norm};
use crate::config::ModelConfig;
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::Result;
use crate::ops::dropout::Dropout;
use crate::parameters::ParameterLayout;
use crate::rng::DropoutKey;

use encoder::{Encoder, Gradients};
pub use sequence_head::SequenceHead;
pub use token_head::TokenHead;

/// The dropout sites of one forward pass: all off in evaluation.
#[derive(Clone, Copy)]
pub struct DropoutPlan {
    /// Seed, step and micro-step; `None` without dropout.
    pub keys: Option<(u64, u64, u32)>,
    /// Rate of the hidden sites.
    pub hidden: f32,
    /// Rate of the attention probabilities.
    pub attention: f32,
    /// Encoder layers: the sites of the heads come behind theirs.
    pub layers: usize,
}

impl DropoutPlan {
    /// No dropout at all.
    pub fn off() -> Self {
        Self { keys: None, hidden: 0.0, attention: 0.0, layers: 0 }
    }

    fn site(&self, site: u32, rate: f32) -> Dropout {
        match self.keys {
            Some((seed, step, micro_step)) => Dropout::new(DropoutKey::new(seed, step, micro_step, site), rate),
            None => Dropout::none(),
        }
    }

    fn embeddings(&self) -> Dropout {
        self.site(0, self.hidden)
    }

    fn attention_probabilities(&self, layer: usize) -> Dropout {
        self.site(1 + 3 * layer as u32, self.attention)
    }

    fn attention_output(&self, layer: usize) -> Dropout {
        self.site(2 + 3 * layer as u32, self.hidden)
    }

    fn feed_forward_output(&self, layer: usize) -> Dropout {
        self.site(3 + 3 * layer as u32, self.hidden)
    }

    fn pooled(&self, rate: f32) -> Dropout {
        self.site(1 + 3 * self.layers as u32, rate)
    }
}

/// The model on a device: its activations, and gradients of activations if it was planned for training.
pub struct Bert<B: Backend> {
    embeddings: EmbeddingLayer<B>,
    encoder: Encoder<B>,
    /// The head on tokens, if the objective has one.
    pub tokens: Option<TokenHead<B>>,
    /// The head on sequences, if the objective has one.
    pub sequences: Option<SequenceHead<B>>,
    /// Gradients of activations; `None` where no gradient goes into the encoder.
    gradients: Option<Gradients<B>>,
}

struct EmbeddingLayer<B: Backend> {
    tables: Embeddings,
    norm: Norm,
    sum: B::Activations,
    statistics: B::Buffer,
    out: B::Activations,
}

/// Finds modules in the flat buffers.
struct Modules<'a> {
    layout: &'a ParameterLayout,
    config: &'a ModelConfig,
}

impl Modules<'_> {
    fn linear(&self, weight: &str, bias: &str, outputs: usize) -> Result<Linear> {
        let inputs = self.layout.find(weight)?.shape[1];
        Ok(Linear { weight: self.layout.find(weight)?.offset, bias: self.layout.find(bias)?.offset, inputs, outputs })
    }

    fn dense(&self, module: &str) -> Result<Linear> {
        let weight = format!("{module}.weight");
        self.linear(&weight, &format!("{module}.bias"), self.layout.find(&weight)?.shape[0])
    }

    fn norm(&self, module: &str) -> Result<Norm> {
        let weight = self.layout.find(&format!("{module}.weight"))?;
        Ok(Norm { weight: weight.offset, width: weight.len, eps: self.config.layer_norm_eps })
    }
}

impl<B: Backend> Bert<B> {
    /// Plans all buffers.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(backend: &B, options: &EngineOptions, layout: &ParameterLayout) -> Result<Self> {
        let (config, objective) = (&options.config, &options.objective);
        let modules = Modules { layout, config };
        let (n, c) = (options.max_tokens, config.hidden_size);
        let embeddings = EmbeddingLayer {
            tables: Embeddings {
                rows: [config.vocab_size, config.max_position_embeddings, config.type_vocab_size],
                width: c,
            },
            norm: modules.norm("bert.embeddings.LayerNorm")?,
            sum: backend.activations(n * c)?,
            statistics: backend.zeroed(2 * n)?,
            out: backend.activations(n * c)?,
        };
        Ok(Self {
            embeddings,
            encoder: Encoder::new(backend, options, &modules)?,
            tokens: match objective.predicts_tokens() {
                true => Some(TokenHead::new(backend, options, &modules)?),
                false => None,
            },
            sequences: match objective.sequence_task() {
                Some(task) => Some(SequenceHead::new(backend, options, &modules, task)?),
                None => None,
            },
            gradients: match options.training && !objective.freezes_encoder() {
                true => Some(Gradients::new(backend, options)?),
                false => None,
            },
        })
    }

    /// The dense layers whose products are worth preparing for: all but those of a head on sequences.
    pub fn layers(&self) -> Vec<Linear> {
        let heads = self.tokens.iter().flat_map(TokenHead::layers);
        self.encoder.layers().into_iter().chain(heads).collect()
    }

    /// Runs embeddings, encoder and heads, up to what the decoder sees and to the sequences' logits. A frozen encoder runs
    /// without dropout: what a probe reads are its features.
    pub fn forward(&mut self, backend: &mut B, weights: &B::Buffer, batch: &Batch, dropout: &DropoutPlan) {
        let off = DropoutPlan::off();
        let inside = if self.gradients.is_some() { dropout } else { &off };
        let EmbeddingLayer { tables, norm, sum, statistics, out } = &mut self.embeddings;
        backend.embed_norm(batch, *tables, *norm, weights, inside.embeddings(), sum, out, statistics);
        let hidden = self.encoder.forward(backend, weights, batch, out, inside);
        if let Some(head) = &mut self.tokens {
            head.forward(backend, weights, batch.masked_positions, hidden);
        }
        if let Some(head) = &mut self.sequences {
            head.forward(backend, weights, batch, hidden, dropout);
        }
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
            head.add_losses(backend, batch.sequence_labels.len());
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
        dropout: &DropoutPlan,
        gradients: &mut B::Buffer,
    ) {
        let n = batch.input_ids.len();
        let mut scratch = self.gradients.as_mut();
        let mut how = DataGradient::Store;
        if let (Some(head), Some(scratch)) = (&mut self.tokens, &mut scratch) {
            head.backward(backend, weights, n, batch.masked_positions, &mut scratch.hidden, gradients);
            how = DataGradient::Add;
        }
        if let Some(head) = &mut self.sequences {
            let hidden = scratch.as_mut().map(|scratch| (&mut scratch.hidden, how));
            head.backward(backend, weights, batch, dropout, hidden, gradients);
        }
        let Some(scratch) = scratch else { return };
        let EmbeddingLayer { tables, norm, sum, statistics, out } = &self.embeddings;
        self.encoder.backward(backend, weights, batch, out, dropout, scratch, gradients);
        backend.dropout_backward(n, tables.width, &mut scratch.hidden, dropout.embeddings());
        backend.norm_backward(n, *norm, weights, sum, statistics, &mut scratch.hidden, None, gradients);
        backend.embed_backward(batch, *tables, &scratch.hidden, gradients);
    }

    /// Names the first activation of the last forward pass that is NaN or infinite, in the order of computation.
    pub fn first_non_finite(&mut self, backend: &mut B, tokens: usize) -> Option<String> {
        let width = self.embeddings.tables.width;
        if backend.first_non_finite_activation(&self.embeddings.out, tokens * width).is_some() {
            return Some("the output of bert.embeddings".into());
        }
        self.encoder.first_non_finite(backend, tokens)
    }
}
