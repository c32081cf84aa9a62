//! How much memory an engine needs on a GPU, and so how many tokens it can take at once.

use super::start::reserve_slots;
use crate::backend::cuda::Cuda;
use crate::backend::memory::MemoryOps;
use crate::backend::{Backend, bucket};
use crate::blueprint::Blueprint;
use crate::driver::counting::Counting;
use crate::driver::matmul::WORKSPACE;
use crate::driver::queue::Modes;
use crate::engine::EngineOptions;
use crate::error::Result;
use crate::machine::dtype::Dtype;
use crate::model::Model;

/// What is left free beside an engine: the scratch of products, kernels, graphs, and operands to measure algorithms on.
const RESERVE: usize = WORKSPACE + (2 << 30);

/// Bytes of device memory that an engine of these options plans. Its buffers are planned as they will be, on a device that
/// only counts.
///
/// # Errors
/// What is wrong with the options.
pub fn bytes(options: &EngineOptions) -> Result<usize> {
    let mut backend = Cuda::new(Counting::new(options.dtype.into()), options, None, Modes::default())?;
    let blueprint = Blueprint::of(&options.config, &options.heads)?;
    let layout = blueprint.layout();
    let _weights =
        (backend.zeroed(layout.len())?, (options.dtype == Dtype::Bf16).then(|| backend.activations(layout.len())));
    if let Some(optimizer) = &options.optimizer {
        let _gradients = backend.zeroed(layout.len())?;
        reserve_slots(&backend, optimizer, &layout, None)?;
    }
    let model = Model::new(&backend, &bucket::planned(options), &blueprint, &layout)?;
    backend.plan(&layout, &model.layers(), options.optimizer.as_ref())?;
    Ok(backend.queue().device().bytes())
}

/// The tokens of the largest batch that an engine can take in `free` bytes: those of the options, or these halved until
/// they fit, but never fewer than the longest sequence has.
///
/// # Errors
/// What is wrong with the options.
pub fn tokens(free: usize, options: &EngineOptions) -> Result<usize> {
    let room = free.saturating_sub(RESERVE);
    let mut options = options.clone();
    options.validate()?;
    while bytes(&options)? > room && options.max_tokens / 2 >= options.max_sequence_length {
        let halved = |x: usize| x.div_ceil(2);
        options.max_tokens /= 2;
        options.max_sequences = halved(options.max_sequences);
        options.max_masked = halved(options.max_masked).min(options.max_tokens);
    }
    Ok(options.max_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::heads::Heads;
    use crate::optim::{Optimizer, adamw};

    /// BERT-base in bf16, with 65,536 tokens at once.
    fn base() -> EngineOptions {
        let config = serde_json::json!({
            "model_type": "bert", "vocab_size": 30_522, "hidden_size": 768, "num_hidden_layers": 12,
            "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512, "type_vocab_size": 2,
            "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "layer_norm_eps": 1e-12,
            "initializer_range": 0.02, "hidden_act": "gelu", "pad_token_id": 0, "tie_word_embeddings": true,
        });
        EngineOptions {
            config: serde_json::from_value::<ModelConfig>(config).unwrap(),
            heads: Heads::MASKED_LM,
            seed: 1,
            threads: 1,
            dtype: Dtype::Bf16,
            max_tokens: 65_536,
            max_sequences: 512,
            max_masked: 16_384,
            max_sequence_length: 512,
            optimizer: Some(Optimizer::AdamW(adamw::Options {
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-6,
                weight_decay: 0.01,
                max_grad_norm: 1.0,
            })),
            decoder_bias: None,
            inner_initializer_range: None,
            neighbour_attention: false,
            profile: false,
        }
    }

    #[test]
    fn tokens_are_halved_until_they_fit() {
        const GIB: usize = 1 << 30;
        let options = base();
        let of = |free| tokens(free, &options).unwrap();
        assert_eq!(of(139 * GIB), 65_536);
        let needed = bytes(&options).unwrap() + RESERVE;
        assert!((20 * GIB..48 * GIB).contains(&needed), "{needed}");
        assert_eq!((of(needed), of(needed - 1)), (65_536, 32_768));
        assert_eq!(of(0), 512, "no fewer than the longest sequence has");
        // Once the fixed part is off, half the tokens take about half the memory.
        let [half, quarter] = [2, 4].map(|parts| {
            let (max_tokens, max_sequences, max_masked) = (65_536 / parts, 512 / parts, 16_384 / parts);
            bytes(&EngineOptions { max_tokens, max_sequences, max_masked, ..options.clone() }).unwrap()
        });
        let whole = needed - RESERVE;
        assert!((whole - half) as f64 / (half - quarter) as f64 > 1.9);
    }
}
