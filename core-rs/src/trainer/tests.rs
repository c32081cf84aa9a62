//! Whole-model tests of the fused engine: gradients by differences, packing, accumulation, determinism.

use super::*;
use crate::blueprint::families;
use crate::config::tests::tiny;
use crate::config::{ClassifierPooling, ModelConfig, ModernBert};
use crate::engine::batch::OwnedBatch as Packed;
use crate::heads::tests::classification;
use crate::heads::{Heads, Pools, ProblemType, SequenceHead};
use crate::machine::memory::LARGEST;
use crate::ops::tests::random;
use crate::optim::{Optimizer, adamw, muon};

mod divided;
mod refusals;

fn options(config: ModelConfig, threads: usize) -> EngineOptions {
    EngineOptions {
        config,
        heads: Heads::MASKED_LM,
        seed: 11,
        dtype: Dtype::F32,
        threads,
        max_tokens: 64,
        max_sequences: 16,
        max_masked: 64,
        max_sequence_length: 10,
        optimizer: Some(OPTIMIZER),
        decoder_bias: None,
        inner_initializer_range: None,
        neighbour_attention: false,
        profile: false,
    }
}

const OPTIMIZER: Optimizer = Optimizer::AdamW(adamw::Options {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-6,
    weight_decay: 0.01,
    max_grad_norm: 1.0,
});
const MUON: Optimizer = Optimizer::Muon(muon::Options {
    momentum: 0.95,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-6,
    weight_decay: 0.01,
    max_grad_norm: 1.0,
});
const RATE: f64 = 0.01;

impl Packed {
    /// `lengths` sequences of pseudo-random ids with every third token masked, numbered from `first`.
    fn new(lengths: &[usize], first: u64) -> Self {
        let mut packed = Self { cu_seqlens: vec![0], sequence_weight: 1.0, ..Self::default() };
        for (b, &length) in lengths.iter().enumerate() {
            let ids = random(2 * length, 77 + first + b as u64);
            let id = |i: usize| 1 + ((ids[i] + 1.0) * 11.0) as i32;
            for i in 0..length {
                if i % 3 == 1 {
                    packed.masked_positions.push(packed.input_ids.len() as i32);
                    packed.labels.push(id(length + i));
                }
                packed.input_ids.push(id(i));
                packed.token_type_ids.push(i32::from(i > length / 2));
                packed.position_ids.push(i as i32);
            }
            packed.cu_seqlens.push(packed.input_ids.len() as i32);
        }
        packed
    }

    /// The same sequences with what an heads predicts.
    fn for_heads(mut self, heads: &Heads) -> Self {
        let b = self.cu_seqlens.len() - 1;
        if *heads == Heads::CAUSAL_LM {
            let last = |i: &i32| self.cu_seqlens.contains(&(i + 1));
            self.masked_positions = (0..self.input_ids.len() as i32).filter(|i| !last(i)).collect();
            self.labels = self.masked_positions.iter().map(|&i| self.input_ids[i as usize + 1]).collect();
        } else if heads.tokens.is_none() {
            (self.masked_positions, self.labels) = (Vec::new(), Vec::new());
        }
        self.labels.iter_mut().for_each(|label| *label %= heads.tokens.map_or(1, |head| head.outputs(23)) as i32);
        if let Some(task) = heads.sequence {
            let first = |b: usize| self.input_ids[self.cu_seqlens[b] as usize];
            match task.problem_type.target_loss() {
                Some(_) => {
                    let (b, k) = (b as i32, task.num_labels as i32);
                    self.sequence_targets = (0..b * k).map(|i| ((first((i / k) as usize) + i) % 2) as f32).collect();
                }
                None => self.sequence_labels = (0..b).map(|b| first(b) % task.num_labels as i32).collect(),
            }
            if heads.tokens.is_some() {
                self.sequence_weight = self.labels.len() as f64 / b as f64;
            }
        }
        self
    }
}

fn trainer(config: ModelConfig, threads: usize) -> Trainer {
    trainer_for(Heads::MASKED_LM, config, threads)
}

fn trainer_for(heads: Heads, config: ModelConfig, threads: usize) -> Trainer {
    Trainer::<Cpu>::new(EngineOptions { heads, ..options(config, threads) }, None).unwrap()
}

/// Each heads; the classifier with dropout.
fn all_heads() -> [Heads; 9] {
    let classify = |freeze_encoder, is_decoder| {
        let pools = if is_decoder { Pools::Last } else { Pools::First };
        let head = SequenceHead { classifier_dropout: 0.25, pools, ..SequenceHead::classification(3) };
        Heads { freeze_encoder, is_decoder, ..Heads::classification(head) }
    };
    [
        Heads::MASKED_LM,
        Heads::PRE_TRAINING,
        Heads::CAUSAL_LM,
        classify(false, false),
        classify(true, false),
        classify(false, true),
        Heads::token_classification(5, 0.25),
        targeted(ProblemType::MultiLabelClassification, 3),
        targeted(ProblemType::Regression, 1),
    ]
}

/// A head that is compared with targets.
fn targeted(problem_type: ProblemType, num_labels: usize) -> Heads {
    Heads::classification(SequenceHead { problem_type, ..SequenceHead::classification(num_labels) })
}

fn all_gradients(trainer: &mut Trainer) -> Vec<f32> {
    let names: Vec<String> = trainer.layout.parameters().iter().map(|p| p.name.clone()).collect();
    names.iter().flat_map(|name| trainer.gradient(name).unwrap()).collect()
}

/// The configuration for each family; no row is lost where texts begin behind that of padding.
fn of_families(config: ModelConfig) -> impl Iterator<Item = ModelConfig> {
    let max_position_embeddings = config.max_position_embeddings + 1 + config.pad_token_id;
    let behind = ModelConfig { max_position_embeddings, ..config.clone() };
    families().map(move |family| {
        let config = if family == "roberta" { &behind } else { &config };
        let modernbert = Some(ModernBert {
            global_attn_every_n_layers: 2,
            local_attention: 4,
            embedding_dropout: config.hidden_dropout_prob,
            mlp_dropout: config.hidden_dropout_prob,
            classifier_pooling: ClassifierPooling::Mean,
            ..ModernBert::default()
        });
        ModelConfig { model_type: family.into(), modernbert, ..config.clone() }
    })
}

/// The configurations of families that have these heads.
fn with_heads(heads: &Heads, configs: impl Iterator<Item = ModelConfig>) -> Vec<(Heads, ModelConfig)> {
    let have = configs.filter(|config| Blueprint::of(config, heads).is_ok());
    have.map(|config| (heads.clone(), config)).collect()
}

fn dropout() -> ModelConfig {
    ModelConfig { hidden_dropout_prob: 0.2, attention_probs_dropout_prob: 0.3, ..tiny() }
}

#[test]
fn forward_backward_equals_finite_differences_with_and_without_dropout() {
    let configs = || of_families(tiny()).chain(of_families(dropout()));
    for (heads, config) in all_heads().iter().flat_map(|heads| with_heads(heads, configs())) {
        let packed = Packed::new(&[7, 4, 9], 0).for_heads(&heads);
        let mut t = trainer_for(heads, config, 2);
        t.losses(&packed.batch(), 3, 1).unwrap(); // reported, so that it is no part of the losses below
        let analytic = all_gradients(&mut t);
        let weights = t.weights.to_vec();
        let largest = analytic.iter().fold(0.0f64, |m, &g| m.max(f64::from(g.abs())));
        // Every parameter is checked at its largest gradient and at one more place.
        for p in t.layout.clone().parameters() {
            let part = &analytic[p.range()];
            if !p.trainable {
                assert!(part.iter().all(|&g| g == 0.0), "{} is frozen", p.name);
                continue;
            }
            let top = (0..p.len).max_by(|&a, &b| part[a].abs().total_cmp(&part[b].abs())).unwrap();
            for i in [p.offset + top, p.offset + p.len / 2] {
                let mut at = |shift: f32| {
                    t.weights[i] = weights[i] + shift;
                    let sums = t.losses(&packed.batch(), 3, 1).unwrap();
                    t.weights[i] = weights[i];
                    sums.loss_sum + packed.sequence_weight * sums.sequence_loss_sum
                };
                let numeric = (at(4e-3) - at(-4e-3)) / 8e-3;
                let error = (numeric - f64::from(analytic[i])).abs();
                let key_bias = p.name.ends_with("key.bias") || p.name.ends_with("k_lin.bias"); // its gradient is exactly zero in theory
                assert!(error < 5e-3 * largest, "{}: {numeric} by differences, {} analytic", p.name, analytic[i]);
                assert!(key_bias || part[top] != 0.0, "{} has no gradient", p.name);
            }
        }
    }
}

#[test]
fn forward_backward_overfits_one_batch() {
    for heads in [Heads::MASKED_LM, Heads::PRE_TRAINING, Heads::CAUSAL_LM, classification(false)] {
        let packed = Packed::new(&[10, 10, 8], 0).for_heads(&heads);
        let mut t = trainer_for(heads, tiny(), 2);
        let mut losses = Vec::new();
        for step in 0..300 {
            losses.push(t.losses(&packed.batch(), step, 0).unwrap());
            t.update(RATE, step).unwrap();
        }
        let (first, last) = (losses[0], losses[299]);
        let total = |sums: &LossSum| sums.loss_sum + packed.sequence_weight * sums.sequence_loss_sum;
        assert!(total(&last) < 0.1 * total(&first), "{first:?} {last:?}");
        assert_eq!((last.correct, last.sequences_correct), (last.masked, last.sequences));
    }
}

#[test]
fn update_leaves_a_frozen_encoder_as_it_is() {
    let heads = classification(true);
    let mut t = trainer_for(heads.clone(), dropout(), 2);
    let packed = Packed::new(&[9, 5, 7, 10], 0).for_heads(&heads);
    let before = t.weights.to_vec();
    for step in 0..20 {
        t.forward_backward(&packed.batch(), step, 0).unwrap();
        t.update(RATE, step).unwrap();
    }
    for p in t.layout.parameters() {
        assert_eq!(before[p.range()] == t.weights[p.range()], !p.trainable, "{}", p.name);
    }
}

#[test]
fn same_seed_gives_the_same_bits_for_any_number_of_threads() {
    let config = ModelConfig { vocab_size: 700, hidden_size: 64, intermediate_size: 200, ..dropout() };
    for (heads, config) in all_heads().iter().flat_map(|heads| with_heads(heads, of_families(config.clone()))) {
        let run = |threads| {
            let mut t = trainer_for(heads.clone(), config.clone(), threads);
            for step in 0..4 {
                for micro in 0..2 {
                    let packed = Packed::new(&[9, 3, 10, 10, 7], step * 10 + micro).for_heads(&heads);
                    t.forward_backward(&packed.batch(), step, micro as u32).unwrap();
                }
                t.update(RATE, step).unwrap();
            }
            t.weights.to_vec()
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3), "{heads:?}");
    }
}

#[test]
fn a_causal_model_predicts_from_what_stands_before() {
    let packed = Packed::new(&[5, 9], 0).for_heads(&Heads::CAUSAL_LM);
    let mut t = trainer_for(Heads::CAUSAL_LM, tiny(), 2);
    let (m, v) = (packed.labels.len(), 23);
    let mut logits = |packed: &Packed| {
        let mut out = vec![0.0; m * v];
        t.logits(&packed.batch(), &mut out).unwrap();
        out
    };
    let before = logits(&packed);
    let mut edited = packed.clone();
    edited.input_ids[10] = 22 - edited.input_ids[10]; // token 5 of the second sequence; four rows of the first
    let after = logits(&edited);
    let row = 4 + 5;
    assert_eq!(before[..row * v], after[..row * v]);
    assert!((row..m).all(|r| before[r * v..(r + 1) * v] != after[r * v..(r + 1) * v]));
}

#[test]
fn packed_equals_each_sequence_alone_and_does_not_leak() {
    of_families(tiny()).for_each(packed_equals_alone);
}

fn packed_equals_alone(config: ModelConfig) {
    let mut t = trainer(config, 2);
    let v = 23;
    let mut logits = |packed: &Packed| {
        let mut out = vec![0.0; packed.masked_positions.len() * v];
        t.logits(&packed.batch(), &mut out).unwrap();
        out
    };
    let lengths = [5, 9, 1, 7];
    let together = logits(&Packed::new(&lengths, 0));
    let alone: Vec<f32> = lengths
        .iter()
        .enumerate()
        .filter(|(_, l)| **l > 1)
        .flat_map(|(b, &l)| logits(&Packed::new(&[l], b as u64)))
        .collect();
    assert_eq!(together.len(), alone.len());
    assert!(together.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5));
    let mut edited = Packed::new(&lengths, 0);
    edited.input_ids[6] = 22 - edited.input_ids[6]; // in the second sequence
    let after = logits(&edited);
    assert_eq!(after[..2 * v], together[..2 * v], "the first sequence");
    assert_eq!(after[5 * v..], together[5 * v..], "the last sequence");
    assert_ne!(after[2 * v..5 * v], together[2 * v..5 * v]);
}

#[test]
fn accumulating_four_times_two_equals_eight_at_once() {
    let lengths = [5, 9, 10, 7, 4, 10, 8, 6];
    for heads in [Heads::MASKED_LM, Heads::PRE_TRAINING, Heads::CAUSAL_LM, classification(false)] {
        let all = Packed::new(&lengths, 0).for_heads(&heads);
        let mut whole = trainer_for(heads.clone(), tiny(), 2);
        whole.forward_backward(&all.batch(), 0, 0).unwrap();
        let mut parts = trainer_for(heads.clone(), tiny(), 2);
        for (i, pair) in lengths.chunks(2).enumerate() {
            let part = Packed::new(pair, 2 * i as u64).for_heads(&heads);
            // The weight is of the whole update, whose sequences have fewer or more tokens to predict than these two.
            let part = Packed { sequence_weight: all.sequence_weight, ..part };
            parts.forward_backward(&part.batch(), 0, i as u32).unwrap();
        }
        let (g, h) = (all_gradients(&mut whole), all_gradients(&mut parts));
        let largest = g.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(g.iter().zip(&h).all(|(a, b)| (a - b).abs() < 1e-5 * largest), "{heads:?}");
        let (a, b) = (whole.update_now(RATE, 0).unwrap(), parts.update_now(RATE, 0).unwrap());
        assert_eq!(a.units, b.units);
        assert!((a.grad_norm / b.grad_norm - 1.0).abs() < 1e-5);
        // Adam's first step is nearly the sign of the gradient, so compare where the gradient is not noise: everywhere,
        // with the tolerance of that.
        let far = whole.weights.iter().zip(parts.weights.iter()).filter(|(a, b)| (*a - *b).abs() > 1e-4).count();
        assert!(far < whole.weights.len() / 100, "{far} of {} weights differ", whole.weights.len());
    }
}

#[test]
fn a_saved_and_reopened_engine_goes_on_bit_for_bit() {
    let folder = std::env::temp_dir().join(format!("cloze-trainer-{}", std::process::id()));
    let muon = [(Heads::MASKED_LM, MUON), (classification(true), MUON)];
    for (heads, optimizer) in all_heads().into_iter().map(|heads| (heads, OPTIMIZER)).chain(muon) {
        std::fs::create_dir_all(&folder).unwrap();
        let step = |t: &mut Trainer, number: u64| {
            let packed = Packed::new(&[9, 3, 10], number).for_heads(&heads);
            t.forward_backward(&packed.batch(), number, 0).unwrap();
            t.update(RATE, number).unwrap();
        };
        let opened = EngineOptions { heads: heads.clone(), optimizer: Some(optimizer), ..options(dropout(), 2) };
        let mut whole = Trainer::<Cpu>::new(opened.clone(), None).unwrap();
        (0..3).for_each(|number| step(&mut whole, number));
        let weights = Weights { path: folder.join("model.safetensors"), may_be_missing: vec![] };
        let moments = folder.join("training_state.safetensors");
        whole.save_weights(&weights.path).unwrap();
        whole.save_training_state(&moments).unwrap();
        let mut resumed = Trainer::<Cpu>::new(opened, Some(&weights)).unwrap();
        resumed.load_training_state(&moments).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        for number in 3..6 {
            step(&mut whole, number);
            step(&mut resumed, number);
        }
        assert!(whole.weights[..] == resumed.weights[..], "{heads:?}");
    }
}

#[test]
fn inference_engine_gives_the_same_answers_from_two_slots() {
    of_families(ModelConfig { num_hidden_layers: 5, ..tiny() }).for_each(same_from_two_slots);
}

fn same_from_two_slots(config: ModelConfig) {
    let packed = Packed::new(&[10, 6], 0);
    let m = packed.masked_positions.len();
    let run = |training: bool| {
        let optimizer = training.then_some(OPTIMIZER);
        let mut t = Trainer::<Cpu>::new(EngineOptions { optimizer, ..options(config.clone(), 2) }, None).unwrap();
        let (mut loss, mut rank) = (vec![0.0; m], vec![0; m]);
        let results = RowResults { loss: &mut loss, rank: &mut rank, sequence_loss: &mut [], sequence_rank: &mut [] };
        t.evaluate(&packed.batch(), results).unwrap();
        let (mut ids, mut p) = (vec![0; m * 3], vec![0.0; m * 3]);
        t.top_k(&packed.batch(), 3, &mut ids, &mut p).unwrap();
        (loss, rank, ids, p)
    };
    assert_eq!(run(true), run(false));
    let (loss, rank, ids, p) = run(false);
    for i in 0..m {
        if let Some(at) = ids[i * 3..i * 3 + 3].iter().position(|&id| id == packed.labels[i]) {
            assert_eq!(rank[i] as usize, at);
            assert!((p[i * 3 + at].ln() + loss[i]).abs() < 1e-5);
        }
    }
}

#[test]
fn non_finite_values_are_named_and_leave_weights_alone() {
    let packed = Packed::new(&[7, 4], 0);
    let mut t = trainer(tiny(), 1);
    t.forward_backward(&packed.batch(), 0, 0).unwrap();
    let p = t.layout.find("bert.encoder.layer.1.output.dense.weight").unwrap().clone();
    t.training.as_mut().unwrap().gradients[p.offset] = f32::NAN;
    let before = t.weights.to_vec();
    let error = t.update(RATE, 5).unwrap_err();
    assert!(
        error.code == Code::NonFinite && error.message.contains(&p.name) && error.message.contains("step 5"),
        "{error}"
    );
    assert_eq!(before, t.weights.to_vec());
    assert_eq!(t.update(RATE, 5).unwrap_err().code, Code::InvalidState, "the gradient is gone");
    t.weights[p.offset] = f32::INFINITY;
    let error = t.forward_backward(&packed.batch(), 6, 0).unwrap_err();
    assert!(error.code == Code::NonFinite && error.message.contains(&p.name), "{error}");
    t.weights[p.offset] = 0.0;
    t.forward_backward(&packed.batch(), 7, 0).unwrap();
    t.update(RATE, 7).unwrap();
}

#[test]
fn a_product_without_memory_is_an_error_with_a_hint_and_the_engine_goes_on() {
    for config in [dropout(), ModelConfig { hidden_size: 48, intermediate_size: 96, ..tiny() }] {
        let packed = Packed::new(&[9, 3, 10], 0);
        let mut t = trainer_for(Heads::MASKED_LM, config.clone(), 2);
        let before = t.weights.to_vec();
        LARGEST.set(0);
        let error = t.forward_backward(&packed.batch(), 0, 0).unwrap_err();
        assert!(error.code == Code::OutOfMemory && error.hint.contains("--batch-tokens"), "{error}");
        assert_eq!(t.update(RATE, 0).unwrap_err().code, Code::InvalidState, "the gradient is gone");
        let (mut ids, mut p) = (vec![0; packed.labels.len()], vec![0.0; packed.labels.len()]);
        assert_eq!(t.top_k(&packed.batch(), 1, &mut ids, &mut p).unwrap_err().code, Code::OutOfMemory);
        LARGEST.set(usize::MAX);
        assert!(before == t.weights[..]);
        let mut fresh = trainer_for(Heads::MASKED_LM, config, 2);
        for t in [&mut t, &mut fresh] {
            t.forward_backward(&packed.batch(), 0, 0).unwrap();
            t.update(RATE, 0).unwrap();
        }
        assert!(t.weights[..] == fresh.weights[..]);
        assert_eq!(t.report().unwrap(), fresh.report().unwrap());
    }
}

#[test]
fn rows_that_are_trained_alone_change_alone_and_leave_no_trace_where_nothing_was_trained() {
    for tie_word_embeddings in [true, false] {
        let config = ModelConfig { tie_word_embeddings, ..dropout() };
        let (v, batch) = (config.vocab_size, Packed::new(&[7, 4, 9], 0));
        let step = |t: &mut Trainer, step: u64| {
            t.losses(&batch.batch(), step, 0).unwrap();
            t.update_now(RATE, step).unwrap().grad_norm
        };
        let mut t = trainer(config.clone(), 2);
        let before = t.weights.to_vec();
        t.train_rows(Some(v - 3..v)).unwrap();
        let norms = [0, 1].map(|n| step(&mut t, n));
        assert!(norms.iter().all(|&norm| norm > 0.0));
        for range in
            Blueprint::of(&t.options.config, &t.options.heads).unwrap().outside_rows(&t.layout, &(v - 3..v)).unwrap()
        {
            assert_eq!(t.weights[range.clone()], before[range.clone()]);
            for slot in &t.training.as_ref().unwrap().slots {
                assert!(slot.values[range.clone()].iter().all(|&x| x == 0.0));
            }
        }
        let last = t.layout.find("bert.embeddings.word_embeddings.weight").unwrap().range().end - 1;
        assert_ne!(t.weights[last], before[last]);
        t.train_rows(None).unwrap();
        assert!(step(&mut t, 2) > norms[1]);
        let dense = t.layout.find("bert.encoder.layer.0.output.dense.weight").unwrap().offset;
        assert_ne!(t.weights[dense], before[dense]);

        let (mut plain, mut undone) = (trainer(config.clone(), 2), trainer(config, 1));
        undone.train_rows(Some(0..1)).unwrap();
        undone.train_rows(None).unwrap();
        step(&mut plain, 0);
        step(&mut undone, 0);
        assert_eq!(plain.weights[..], undone.weights[..]);
        assert_eq!(plain.train_rows(Some(v..v + 1)).unwrap_err().code, Code::InvalidArgument);
    }
}
