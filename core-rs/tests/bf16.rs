//! The bf16 engine against the f32 one, on every instruction set of this machine: losses, every gradient, updates, and the
//! same bits for any number of threads. One test, because it sets what the whole process may choose.

use cloze_core::blueprint::{Part, families};
use cloze_core::config::ModelConfig;
use cloze_core::engine::batch::Batch;
use cloze_core::engine::{Engine, EngineOptions};
use cloze_core::heads::{Heads, SequenceHead};
use cloze_core::machine::dtype::Dtype;
use cloze_core::machine::isa::Isa;
use cloze_core::optim::{Optimizer, adamw};
use cloze_core::trainer;

/// A key's bias shifts every score of a row, which softmax does not see: its gradient is rounding.
fn is_key_bias(name: &str) -> bool {
    name.ends_with("key.bias") || name.ends_with("k_lin.bias")
}

fn options(family: &str, dtype: Dtype, threads: usize) -> EngineOptions {
    let config = ModelConfig {
        model_type: family.into(),
        vocab_size: 301,
        hidden_size: 64,
        embedding_size: None,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 160,
        max_position_embeddings: 41,
        type_vocab_size: 2,
        hidden_dropout_prob: 0.1,
        attention_probs_dropout_prob: 0.1,
        layer_norm_eps: 1e-12,
        initializer_range: 0.1,
        hidden_act: "gelu".into(),
        pad_token_id: 0,
        tie_word_embeddings: true,
        modernbert: None,
    };
    EngineOptions {
        config,
        heads: Heads { sequence: Some(SequenceHead::classification(2)), ..Heads::MASKED_LM },
        seed: 5,
        dtype,
        threads,
        max_tokens: 128,
        max_sequences: 8,
        max_masked: 64,
        max_sequence_length: 40,
        optimizer: Some(OPTIMIZER),
        decoder_bias: None,
        inner_initializer_range: None,
        neighbour_attention: false,
        profile: false,
    }
}

const LENGTHS: [i32; 4] = [17, 40, 1, 33];
const OPTIMIZER: Optimizer =
    Optimizer::AdamW(adamw::Options { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weight_decay: 0.01, max_grad_norm: 1.0 });
const RATE: f64 = 2e-3;

/// Calls `each` with a batch of mixed lengths.
fn with_batch<R>(each: impl FnOnce(&Batch) -> R) -> R {
    let n: i32 = LENGTHS.iter().sum();
    let id = |i: i32| 1 + i * 7919 % 300;
    let cu_seqlens: Vec<i32> = (0..=4).map(|b| LENGTHS[..b].iter().sum()).collect();
    let masked_positions: Vec<i32> = (0..n).filter(|i| i % 4 == 1).collect();
    each(&Batch {
        input_ids: &(0..n).map(id).collect::<Vec<_>>(),
        token_type_ids: &(0..n).map(|i| i % 2).collect::<Vec<_>>(),
        position_ids: &LENGTHS.iter().flat_map(|&l| 0..l).collect::<Vec<_>>(),
        cu_seqlens: &cu_seqlens,
        labels: &masked_positions.iter().map(|&i| id(i + 500)).collect::<Vec<_>>(),
        masked_positions: &masked_positions,
        sequence_labels: &[0, 1, 1, 0],
        sequence_targets: &[],
        sequence_weight: 2.0,
    })
}

/// Losses of `steps` steps, and all parameters after them.
fn train(engine: &mut dyn Engine, steps: u64) -> (Vec<f64>, Vec<f32>) {
    let losses = with_batch(|batch| {
        (0..steps)
            .map(|step| {
                let sums = engine.losses(batch, step, 0).unwrap();
                engine.update(RATE, step).unwrap();
                sums.loss_sum / sums.masked as f64
            })
            .collect()
    });
    let names: Vec<String> = engine.layout().parameters().iter().map(|p| p.name.clone()).collect();
    (losses, names.iter().flat_map(|name| engine.parameter(name).unwrap()).collect())
}

fn norm(x: impl Iterator<Item = f32>) -> f64 {
    x.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// Loss within 0.5%, every gradient within 4% of its norm: bf16 keeps 8 bits, a product rounds each operand by up to
/// 2⁻⁹, and a gradient has passed through a dozen of them.
fn gradients_agree(family: &str, isa: Isa) {
    let mut exact = trainer::open(options(family, Dtype::F32, 2), None).unwrap();
    let mut narrow = trainer::open(options(family, Dtype::Bf16, 2), None).unwrap();
    let [a, b] = with_batch(|batch| [&mut exact, &mut narrow].map(|e| e.losses(batch, 0, 0).unwrap()));
    assert!((a.loss_sum / b.loss_sum - 1.0).abs() < 5e-3, "{}: {a:?} {b:?}", isa.name());
    for parameter in exact.layout().parameters().to_vec() {
        let name = &parameter.name;
        let [a, b] = [&mut exact, &mut narrow].map(|e| e.gradient(name).unwrap());
        let (size, error) = (norm(a.iter().copied()), norm(a.iter().zip(&b).map(|(a, b)| a - b)));
        // A key's bias has no gradient in theory.
        let tolerance = match parameter.part {
            _ if is_key_bias(name) => 0.05,
            Part::Classifier => 0.04 * size.max(0.2), // sums of four terms that cancel
            _ => 0.04 * size,
        };
        assert!(error < tolerance, "{}, {name}: {error} of {size}", isa.name());
    }
}

#[test]
fn bf16_agrees_with_f32_and_repeats_its_bits_on_every_instruction_set() {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        isa.limit();
        for family in families() {
            gradients_agree(family, isa);
            learns_and_repeats(family, isa);
        }
    }
}

fn learns_and_repeats(family: &str, isa: Isa) {
    let by = |dtype, threads| train(&mut *trainer::open(options(family, dtype, threads), None).unwrap(), 30);
    for dtype in [Dtype::F32, Dtype::Bf16] {
        let one = by(dtype, 1);
        assert!(one == by(dtype, 2) && one == by(dtype, 3), "{} {} threads", isa.name(), dtype.name());
    }
    let (exact, narrow) = (by(Dtype::F32, 2).0, by(Dtype::Bf16, 2).0);
    assert!(narrow[15] < 0.8 * narrow[0], "it does not learn: {narrow:?}");
    assert!((exact[15] - narrow[15]).abs() < 0.05 * exact[0], "{}: {exact:?} {narrow:?}", isa.name());
}
