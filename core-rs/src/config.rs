//! The fields of a Hugging Face `config.json` that a blueprint is made of.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::ops::activation::Activation;

/// An encoder: its family and its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Hugging Face's name of the architecture; see [`crate::blueprint`].
    #[serde(default = "bert")]
    pub model_type: String,
    /// V
    pub vocab_size: usize,
    /// C
    pub hidden_size: usize,
    /// E, of the embeddings, in families where it may be another; C where it is `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// H
    pub num_attention_heads: usize,
    /// F
    pub intermediate_size: usize,
    /// Rows of the position embedding.
    pub max_position_embeddings: usize,
    /// Rows of the token type embedding.
    pub type_vocab_size: usize,
    /// Dropout after the embeddings, the attention output and the feed-forward output.
    pub hidden_dropout_prob: f32,
    /// Dropout of the attention probabilities.
    pub attention_probs_dropout_prob: f32,
    /// Added to the variance.
    pub layer_norm_eps: f32,
    /// Standard deviation of the initial weights.
    pub initializer_range: f32,
    /// Name of an [`Activation`].
    pub hidden_act: String,
    /// Row of the word embedding that starts at zero.
    pub pad_token_id: usize,
    /// Whether the decoder is the word embedding matrix, as BERT's is, or has one of its own.
    pub tie_word_embeddings: bool,
    /// What only ModernBERT has. Its `hidden_activation`, `norm_eps` and `attention_dropout` stand above, under BERT's names.
    #[serde(default)]
    pub modernbert: Option<ModernBert>,
}

/// Fields of ModernBERT's `config.json` that BERT's has not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModernBert {
    /// Layers from one that sees everything to the next.
    pub global_attn_every_n_layers: usize,
    /// Tokens that the others see, half of them on each side.
    pub local_attention: usize,
    /// Base of the rotary angles in layers that see everything.
    pub global_rope_theta: f32,
    /// The same in the others.
    pub local_rope_theta: f32,
    /// Dropout of the embeddings.
    pub embedding_dropout: f32,
    /// Dropout behind the gate of the feed-forward part.
    pub mlp_dropout: f32,
    /// Deviations beyond which no weight starts.
    pub initializer_cutoff_factor: f32,
    /// Whether norms have a bias.
    pub norm_bias: bool,
    /// Whether the layers of attention have one.
    pub attention_bias: bool,
    /// Whether those of the feed-forward part have one.
    pub mlp_bias: bool,
    /// Whether the first layer of both heads has one.
    pub classifier_bias: bool,
    /// Name of the [`Activation`] of both heads.
    pub classifier_activation: String,
    /// What a classifier reads.
    pub classifier_pooling: ClassifierPooling,
}

/// What a classifier reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassifierPooling {
    /// The first token.
    Cls,
    /// The mean of all.
    Mean,
}

impl Default for ModernBert {
    /// As transformers' `ModernBertConfig`.
    fn default() -> Self {
        Self {
            global_attn_every_n_layers: 3,
            local_attention: 128,
            global_rope_theta: 160_000.0,
            local_rope_theta: 10_000.0,
            embedding_dropout: 0.0,
            mlp_dropout: 0.0,
            initializer_cutoff_factor: 2.0,
            norm_bias: false,
            attention_bias: false,
            mlp_bias: false,
            classifier_bias: false,
            classifier_activation: "gelu".into(),
            classifier_pooling: ClassifierPooling::Cls,
        }
    }
}

impl ModernBert {
    /// Checks it for heads of a size.
    fn validate(&self, head_size: usize) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::InvalidArgument, message));
        if !head_size.is_multiple_of(2) {
            return invalid(format!("config.json: heads have {head_size} columns, but rotary positions need pairs"));
        }
        check_activation("classifier_activation", &self.classifier_activation)?;
        let every = self.global_attn_every_n_layers;
        if every == 0 {
            return invalid(format!("config.json: global_attn_every_n_layers is {every}, but has to be 1 or more"));
        }
        for (name, value, range) in [
            ("embedding_dropout", self.embedding_dropout, 0.0..1.0),
            ("mlp_dropout", self.mlp_dropout, 0.0..1.0),
            ("global_rope_theta", self.global_rope_theta, 1.0..1e30),
            ("local_rope_theta", self.local_rope_theta, 1.0..1e30),
            ("initializer_cutoff_factor", self.initializer_cutoff_factor, 0.1..1e30),
        ] {
            if !range.contains(&value) {
                let std::ops::Range { start, end } = range;
                return invalid(format!(
                    "config.json: {name} is {value}, outside {start} (inclusive) to {end} (exclusive)"
                ));
            }
        }
        Ok(())
    }
}

/// Checks the name of an activation.
fn check_activation(field: &str, name: &str) -> Result<()> {
    if Activation::named(name).is_some() {
        return Ok(());
    }
    let names: Vec<_> = Activation::names().map(|name| format!("{name:?}")).collect();
    let message = format!("config.json: {field} is {name:?}, but has to be one of {}", names.join(", "));
    Err(Error::new(Code::Unsupported, message))
}

/// What a `config.json` without `model_type` describes.
fn bert() -> String {
    "bert".into()
}

impl ModelConfig {
    /// D
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field, what it is and what it has to be.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::InvalidArgument, message));
        // The upper bounds are far beyond any model; they keep products of sizes from overflowing.
        for (name, value, most) in [
            ("vocab_size", self.vocab_size, 1 << 28),
            ("hidden_size", self.hidden_size, 1 << 17),
            ("num_hidden_layers", self.num_hidden_layers, 1 << 10),
            ("num_attention_heads", self.num_attention_heads, 1 << 12),
            ("intermediate_size", self.intermediate_size, 1 << 19),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 20),
            ("type_vocab_size", self.type_vocab_size, 1 << 16),
        ] {
            if value == 0 || value > most {
                return invalid(format!("config.json: {name} is {value}, outside 1..={most}"));
            }
        }
        if let Some(width @ (0 | 131_073..)) = self.embedding_size {
            return invalid(format!("config.json: embedding_size is {width}, outside 1..=131072"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return invalid(format!(
                "config.json: hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        check_activation("hidden_act", &self.hidden_act)?;
        self.modernbert.as_ref().map_or(Ok(()), |modernbert| modernbert.validate(self.head_size()))?;
        for (name, rate) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
        ] {
            if !(0.0..1.0).contains(&rate) {
                return invalid(format!("config.json: {name} is {rate}, outside 0 (inclusive) to 1 (exclusive)"));
            }
        }
        for (name, value) in [("layer_norm_eps", self.layer_norm_eps), ("initializer_range", self.initializer_range)] {
            if !value.is_finite() || value < 0.0 {
                return invalid(format!("config.json: {name} is {value}, but has to be a number from 0"));
            }
        }
        if self.pad_token_id >= self.vocab_size {
            return invalid(format!(
                "config.json: pad_token_id {} is outside the vocabulary of {}",
                self.pad_token_id, self.vocab_size
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A model small enough for finite differences.
    pub(crate) fn tiny() -> ModelConfig {
        ModelConfig {
            model_type: bert(),
            vocab_size: 23,
            hidden_size: 8,
            embedding_size: None,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 12,
            max_position_embeddings: 10,
            type_vocab_size: 2,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            layer_norm_eps: 1e-12,
            initializer_range: 0.2,
            hidden_act: "gelu".into(),
            pad_token_id: 0,
            tie_word_embeddings: true,
            modernbert: None,
        }
    }

    #[test]
    fn validate_names_the_field_that_is_wrong() {
        let modern = |change: fn(&mut ModernBert)| {
            let mut own = ModernBert::default();
            change(&mut own);
            ModelConfig { modernbert: Some(own), ..tiny() }
        };
        assert!(tiny().validate().is_ok() && modern(|_| ()).validate().is_ok());
        for (config, field) in [
            (ModelConfig { vocab_size: 0, ..tiny() }, "vocab_size"),
            (ModelConfig { embedding_size: Some(0), ..tiny() }, "embedding_size"),
            (ModelConfig { intermediate_size: usize::MAX, ..tiny() }, "intermediate_size"),
            (ModelConfig { num_attention_heads: 3, ..tiny() }, "num_attention_heads"),
            (ModelConfig { hidden_act: "quick_gelu".into(), ..tiny() }, "hidden_act"),
            (ModelConfig { hidden_dropout_prob: 1.0, ..tiny() }, "hidden_dropout_prob"),
            (ModelConfig { pad_token_id: 23, ..tiny() }, "pad_token_id"),
            (ModelConfig { layer_norm_eps: f32::INFINITY, ..tiny() }, "layer_norm_eps"),
            (ModelConfig { layer_norm_eps: -1e-12, ..tiny() }, "layer_norm_eps"),
            (ModelConfig { initializer_range: f32::NAN, ..tiny() }, "initializer_range"),
            (modern(|own| own.mlp_dropout = 1.0), "mlp_dropout"),
            (modern(|own| own.local_rope_theta = f32::NAN), "local_rope_theta"),
            (modern(|own| own.initializer_cutoff_factor = 0.0), "initializer_cutoff_factor"),
            (modern(|own| own.global_attn_every_n_layers = 0), "global_attn_every_n_layers"),
            (modern(|own| own.classifier_activation = "tanh".into()), "classifier_activation"),
            (ModelConfig { num_attention_heads: 8, ..modern(|_| ()) }, "heads have 1 columns"),
        ] {
            let message = config.validate().unwrap_err().message;
            assert!(message.contains(field), "{message}");
        }
    }
}
