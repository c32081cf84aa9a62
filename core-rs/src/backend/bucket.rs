//! Rounds batches up to few shapes, for a device that replays work of a shape that it has seen ([`crate::driver::queue`]).
//! What fills a batch up changes no result: its tokens are sequences of their own that predict nothing, so their gradient
//! is exactly zero, and a row to predict that is −1, or a target that is no number, counts for nothing. Used by the trainer; the CPU runs batches as they
//! are.

use crate::engine::EngineOptions;
use crate::engine::batch::{Batch, OwnedBatch};

/// Tokens of one sequence of padding: a tile of the attention kernels, which then do no more work than for text.
const PADDING: usize = 64;

/// Sizes are multiples of `least` and of a share of the power of two below them: `shares` sizes from one power to the next.
fn rounded(size: usize, shares: usize, least: usize, most: usize) -> usize {
    let step = (size.next_power_of_two() / 2 / shares).max(least);
    size.next_multiple_of(step).min(most)
}

fn rounded_tokens(n: usize, most: usize) -> usize {
    rounded(n, 16, PADDING, most)
}

fn rounded_sequences(b: usize) -> usize {
    rounded(b, 4, 4, usize::MAX)
}

/// The options that buffers have to be planned for, so that there is room for every batch of `options`.
pub fn planned(options: &EngineOptions) -> EngineOptions {
    let most_padding = options.max_tokens / 16 + PADDING;
    let max_sequences = rounded_sequences(options.max_sequences + most_padding.div_ceil(PADDING));
    EngineOptions { max_sequences, ..options.clone() }
}

/// A batch that was rounded up; the memory is used again.
#[derive(Debug, Default)]
pub struct Bucket(OwnedBatch);

impl Bucket {
    /// The batch, rounded up within the engine's `options`. Labels that it lacks stay absent.
    pub fn fill(&mut self, batch: &Batch, options: &EngineOptions) -> Batch<'_> {
        let Self(to) = self;
        let (n, m) = (batch.input_ids.len(), batch.masked_positions.len());
        let tokens = rounded_tokens(n, options.max_tokens);
        for (from, ids) in [
            (batch.input_ids, &mut to.input_ids),
            (batch.token_type_ids, &mut to.token_type_ids),
            (batch.position_ids, &mut to.position_ids),
        ] {
            refill(ids, from, tokens, 0);
        }
        let b = rounded_sequences(batch.sequences() + (tokens - n).div_ceil(PADDING));
        refill(&mut to.cu_seqlens, batch.cu_seqlens, batch.cu_seqlens.len(), 0);
        to.cu_seqlens.extend((n..tokens).step_by(PADDING).map(|first| (first + PADDING).min(tokens) as i32));
        to.cu_seqlens.resize(b + 1, tokens as i32); // sequences of no token
        let rows = rounded(m, 16, 8, options.max_masked);
        refill(&mut to.masked_positions, batch.masked_positions, rows, -1);
        refill(&mut to.labels, batch.labels, if batch.labels.is_empty() { 0 } else { rows }, -1);
        let sequences = if batch.sequence_labels.is_empty() { 0 } else { b };
        refill(&mut to.sequence_labels, batch.sequence_labels, sequences, -1);
        let targets = batch.sequence_targets.len() / batch.sequences() * b;
        refill(&mut to.sequence_targets, batch.sequence_targets, targets, f32::NAN);
        to.sequence_weight = batch.sequence_weight;
        to.batch()
    }
}

/// `from`, and `filler` up to `len`.
fn refill<T: Copy>(to: &mut Vec<T>, from: &[T], len: usize, filler: T) {
    to.clear();
    to.extend_from_slice(from);
    to.resize(len.max(from.len()), filler);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::heads::Heads;
    use crate::machine::dtype::Dtype;

    fn options(max_tokens: usize, max_sequences: usize, max_masked: usize) -> EngineOptions {
        EngineOptions {
            config: ModelConfig {
                model_type: "bert".into(),
                vocab_size: 100,
                hidden_size: 8,
                embedding_size: None,
                num_hidden_layers: 1,
                num_attention_heads: 1,
                intermediate_size: 8,
                max_position_embeddings: 512,
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
            max_tokens,
            max_sequences,
            max_masked,
            max_sequence_length: 512,
            optimizer: None,
            decoder_bias: None,
            inner_initializer_range: None,
            neighbour_attention: false,
            profile: false,
        }
    }

    fn filled(lengths: &[usize], masked: usize, options: &EngineOptions) -> (usize, usize, usize) {
        let n: usize = lengths.iter().sum();
        let mut cu_seqlens = vec![0];
        for length in lengths {
            cu_seqlens.push(cu_seqlens.last().unwrap() + *length as i32);
        }
        let (ids, positions) = (vec![7; n], (0..masked as i32).collect::<Vec<_>>());
        let batch = Batch {
            input_ids: &ids,
            token_type_ids: &ids,
            position_ids: &ids,
            cu_seqlens: &cu_seqlens,
            masked_positions: &positions,
            labels: &ids[..masked],
            sequence_labels: &[],
            sequence_targets: &[],
            sequence_weight: 1.0,
        };
        let mut bucket = Bucket::default();
        let found = bucket.fill(&batch, options);
        let (to, b, m) = (found.input_ids.len(), found.sequences(), found.masked_positions.len());
        assert_eq!(found.input_ids[..n], ids);
        assert_eq!((found.token_type_ids.len(), found.position_ids.len(), found.labels.len()), (to, to, m));
        assert_eq!(found.cu_seqlens[..cu_seqlens.len()], cu_seqlens);
        assert_eq!(found.cu_seqlens[b] as usize, to);
        let padding = found.cu_seqlens[lengths.len()..].windows(2);
        assert!(padding.map(|w| w[1] - w[0]).all(|length| (0..=PADDING as i32).contains(&length)));
        assert!(found.masked_positions[masked..].iter().chain(&found.labels[masked..]).all(|&x| x == -1));
        assert!(to <= options.max_tokens && m <= options.max_masked && b <= planned(options).max_sequences);
        (to, b, m)
    }

    #[test]
    fn fill_stays_inside_what_is_planned_and_makes_few_shapes() {
        let options = options(16_384, 300, 4000);
        let shapes: std::collections::HashSet<_> =
            (0..200).map(|i| filled(&vec![128; 120 + i % 8], 2300 + 3 * i, &options)).collect();
        assert!(shapes.len() <= 24, "{} shapes", shapes.len());
        for n in [1, 63, 64, 65, 1000, 15_000, 16_384] {
            let (to, ..) = filled(&[n], n.min(3), &options);
            assert!(to - n <= (n / 16).max(PADDING - 1), "{n} tokens become {to}");
        }
        filled(&vec![1; 300], 300, &options);
        filled(&vec![54; 300], 4000, &options);
    }

    #[test]
    fn fill_of_nothing_to_predict_has_nothing_to_predict() {
        assert_eq!(filled(&[9], 0, &options(20, 1, 1)).2, 0);
    }
}
