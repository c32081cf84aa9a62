//! The same model as the core's in plain candle tensors with candle's autograd: the oracle that the fused engine is tested
//! against, and the portable engine behind `--engine candle`. Simple on purpose, and slow. A crate of its own, because
//! candle takes several times as long to build as the core, and who trains does not need it.
//!
//! Only primitives whose gradients candle has are used: the fused `layer_norm` and `softmax_last_dim` of candle-nn drop
//! gradients silently. Dropout masks come from the same counter hash as the fused engine's, so the two agree with
//! dropout on, too.

mod engine;
mod model;
mod optimizer;

pub use engine::CandleEngine;

/// Says to `cloze_open` how this engine is opened. The library has all calls of the core; this one comes first.
#[unsafe(no_mangle)]
pub extern "C" fn cloze_provide_candle() {
    cloze_core::abi::provide_candle(|options, weights| Ok(Box::new(CandleEngine::new(options, weights)?)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloze_core::config::ModelConfig;
    use cloze_core::engine::EngineOptions;
    use cloze_core::error::Code;
    use cloze_core::heads::Heads;
    use cloze_core::machine::dtype::Dtype;

    #[test]
    fn new_says_that_memory_is_short_where_candle_would_end_the_process() {
        let options = EngineOptions {
            config: ModelConfig {
                model_type: "bert".into(),
                vocab_size: 30_000,
                hidden_size: 8,
                embedding_size: None,
                num_hidden_layers: 1,
                num_attention_heads: 1,
                intermediate_size: 8,
                max_position_embeddings: 16,
                type_vocab_size: 2,
                hidden_dropout_prob: 0.0,
                attention_probs_dropout_prob: 0.0,
                layer_norm_eps: 1e-12,
                initializer_range: 0.02,
                hidden_act: "gelu".into(),
                pad_token_id: 0,
                tie_word_embeddings: true,
                modernbert: None,
            },
            heads: Heads::MASKED_LM,
            seed: 1,
            dtype: Dtype::F32,
            threads: 1,
            max_tokens: 16,
            max_sequences: 1,
            max_masked: i32::MAX as usize,
            max_sequence_length: 16,
            optimizer: None,
            decoder_bias: None,
            inner_initializer_range: None,
            neighbour_attention: false,
            profile: false,
        };
        assert_eq!(CandleEngine::new(options, None).err().map(|error| error.code), Some(Code::OutOfMemory));
    }
}
