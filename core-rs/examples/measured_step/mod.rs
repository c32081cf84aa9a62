//! What `step_rate` and `gpu_rate` measure: BERT of a size, a batch of full sequences, and how it is updated.

use cloze_core::config::ModelConfig;
use cloze_core::engine::batch::OwnedBatch;
use cloze_core::optim::{Optimizer, adamw};

/// How weights are updated.
pub const OPTIMIZER: Optimizer = Optimizer::AdamW(adamw::Options {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-6,
    weight_decay: 0.01,
    max_grad_norm: 1.0,
});

/// Learning rate of each update.
pub const RATE: f64 = 1e-4;

/// BERT with heads of 64 and a feed-forward layer four times as wide as the hidden size.
pub fn bert(hidden_size: usize, num_hidden_layers: usize, vocab_size: usize, dropout: f32) -> ModelConfig {
    ModelConfig {
        model_type: "bert".into(),
        vocab_size,
        hidden_size,
        embedding_size: None,
        num_hidden_layers,
        num_attention_heads: hidden_size / 64,
        intermediate_size: 4 * hidden_size,
        max_position_embeddings: 512,
        type_vocab_size: 2,
        hidden_dropout_prob: dropout,
        attention_probs_dropout_prob: dropout,
        layer_norm_eps: 1e-12,
        initializer_range: 0.02,
        hidden_act: "gelu".into(),
        pad_token_id: 0,
        tie_word_embeddings: true,
        modernbert: None,
    }
}

/// `sequences` of `t` tokens, of which 15% are masked.
pub fn batch(vocab_size: usize, sequences: usize, t: usize) -> OwnedBatch {
    let n = sequences * t;
    let id = |i: usize| 5 + (i * 7919 % (vocab_size - 5)) as i32;
    let masked_positions: Vec<i32> = (0..n as i32).filter(|i| i % 20 < 3).collect();
    OwnedBatch {
        input_ids: (0..n).map(id).collect(),
        token_type_ids: vec![0; n],
        position_ids: (0..n).map(|i| (i % t) as i32).collect(),
        cu_seqlens: (0..=sequences).map(|b| (b * t) as i32).collect(),
        labels: masked_positions.iter().map(|&i| id(i as usize + 1)).collect(),
        masked_positions,
        sequence_labels: Vec::new(),
        sequence_targets: Vec::new(),
        sequence_weight: 1.0,
    }
}
