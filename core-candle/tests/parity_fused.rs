//! The fused engine against the candle oracle: loss, every parameter's gradient, updates, evaluation.

use cloze_candle::CandleEngine;
use cloze_core::blueprint::{Blueprint, families};
use cloze_core::config::{ClassifierPooling, ModelConfig, ModernBert};
use cloze_core::engine::batch::OwnedBatch;
use cloze_core::engine::{Engine, EngineOptions};
use cloze_core::heads::{Heads, Pools, ProblemType, SequenceHead, TokenHead};
use cloze_core::machine::dtype::Dtype;
use cloze_core::ops::activation::Activation;
use cloze_core::optim::{Optimizer, adamw, muon};
use cloze_core::trainer;

/// A key's bias shifts every score of a row, which softmax does not see: its gradient is rounding.
fn is_key_bias(name: &str) -> bool {
    name.ends_with("key.bias") || name.ends_with("k_lin.bias")
}

fn config(hidden: usize, layers: usize, heads: usize, vocab: usize, dropout: f32) -> ModelConfig {
    ModelConfig {
        model_type: String::new(),
        vocab_size: vocab,
        hidden_size: hidden,
        embedding_size: None,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        intermediate_size: 3 * hidden + 1,
        max_position_embeddings: 41, // one more than the longest sequence: RoBERTa's begin in row 1
        type_vocab_size: 2,
        hidden_dropout_prob: dropout,
        attention_probs_dropout_prob: dropout,
        layer_norm_eps: 1e-12,
        initializer_range: 0.1,
        hidden_act: "gelu".into(),
        pad_token_id: 0,
        tie_word_embeddings: true,
        modernbert: Some(ModernBert {
            global_attn_every_n_layers: 2,
            local_attention: 12,
            embedding_dropout: dropout,
            mlp_dropout: dropout,
            norm_bias: hidden == 64,
            attention_bias: hidden == 64,
            mlp_bias: hidden == 16,
            classifier_bias: hidden == 16,
            classifier_pooling: if hidden == 64 { ClassifierPooling::Mean } else { ClassifierPooling::Cls },
            ..ModernBert::default()
        }),
    }
}

/// A packed batch with what an heads predicts.
fn arrays(lengths: &[usize], vocab: usize, heads: &Heads, salt: usize) -> OwnedBatch {
    let n: usize = lengths.iter().sum();
    let id = |i: usize| ((i * 7919 + salt * 104_729) % vocab) as i32;
    let mut cu = vec![0];
    let mut positions = Vec::new();
    for &length in lengths {
        cu.push(cu.last().copied().unwrap_or(0) + length as i32);
        positions.extend(0..length as i32);
    }
    let chosen = |i: &i32| heads.tokens.is_some() && (heads.is_decoder || (i + salt as i32) % 6 == 0);
    let masked_positions: Vec<i32> = (0..n as i32).filter(chosen).collect();
    let outputs = heads.tokens.map_or(1, |head| head.outputs(vocab)) as i32;
    let class = |b: usize| heads.sequence.map(|task| ((b + salt) % task.num_labels) as i32);
    let targeted = heads.sequence.filter(|task| task.problem_type.target_loss().is_some());
    let targets = targeted.map_or(0, |task| task.num_labels);
    OwnedBatch {
        input_ids: (0..n).map(id).collect(),
        token_type_ids: (0..n).map(|i| (i / 3 % 2) as i32).collect(),
        position_ids: positions,
        cu_seqlens: cu,
        labels: masked_positions.iter().map(|&i| id(i as usize + 1000) % outputs).collect(),
        sequence_labels: if targets == 0 { (0..lengths.len()).filter_map(class).collect() } else { Vec::new() },
        sequence_targets: (0..targets * lengths.len()).map(|i| ((i * 5 + salt) % 3 / 2) as f32).collect(),
        sequence_weight: if masked_positions.is_empty() { 1.0 } else { 7.5 },
        masked_positions,
    }
}

fn all_heads() -> [Heads; 10] {
    let classify = |freeze_encoder, is_decoder| {
        let pools = if is_decoder { Pools::Last } else { Pools::First };
        let head = SequenceHead { classifier_dropout: 0.25, pools, ..SequenceHead::classification(3) };
        Heads { freeze_encoder, is_decoder, ..Heads::classification(head) }
    };
    let targeted = |problem_type, num_labels| {
        let head = SequenceHead { problem_type, classifier_dropout: 0.25, ..SequenceHead::classification(num_labels) };
        Heads::classification(head)
    };
    [
        Heads::MASKED_LM,
        Heads::PRE_TRAINING,
        Heads::CAUSAL_LM,
        classify(false, false),
        classify(true, false),
        classify(false, true),
        Heads::token_classification(5, 0.25),
        Heads { freeze_encoder: true, ..Heads::token_classification(5, 0.25) },
        targeted(ProblemType::MultiLabelClassification, 4),
        targeted(ProblemType::Regression, 1),
    ]
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

fn options(config: &ModelConfig, heads: &Heads, threads: usize) -> EngineOptions {
    EngineOptions {
        config: config.clone(),
        heads: heads.clone(),
        seed: 5,
        dtype: Dtype::F32,
        threads,
        max_tokens: 128,
        max_sequences: 8,
        max_masked: 128,
        max_sequence_length: 40,
        optimizer: Some(OPTIMIZER),
        decoder_bias: None,
        inner_initializer_range: None,
        neighbour_attention: false,
        profile: false,
    }
}

#[test]
fn fused_equals_candle_in_loss_every_gradient_and_ten_updates() {
    let large = config(128, 3, 2, 301, 0.0);
    let mut cases = vec![(Heads::MASKED_LM, large, 2)];
    for heads in all_heads() {
        cases.push((heads.clone(), config(12, 2, 3, 50, 0.0), 1));
        cases.push((heads.clone(), config(12, 2, 3, 50, 0.2), 2));
        let untied = ModelConfig { tie_word_embeddings: false, ..config(12, 1, 3, 50, 0.1) };
        if heads.tokens == Some(TokenHead::MaskedLm) {
            cases.push((heads.clone(), untied, 2));
        }
        cases.push((heads, config(64, 1, 4, 97, 0.1), 3));
    }
    for hidden_act in Activation::names() {
        cases.push((Heads::MASKED_LM, ModelConfig { hidden_act: hidden_act.into(), ..config(16, 1, 2, 50, 0.1) }, 2));
    }
    for (family, (heads, config, threads)) in families().flat_map(|f| cases.iter().cloned().map(move |c| (f, c))) {
        let config = ModelConfig { model_type: family.into(), ..config };
        if Blueprint::of(&config, &heads).is_err() {
            continue; // the family has no such heads
        }
        let options = options(&config, &heads, threads);
        let mut fused = trainer::open(options.clone(), None).unwrap();
        let mut candle = CandleEngine::new(options, None).unwrap();
        for step in 0..10 {
            for micro in 0..2u32 {
                let arrays = arrays(&[17, 40, 1, 30], config.vocab_size, &heads, 2 * step as usize + micro as usize);
                let a = fused.losses(&arrays.batch(), step, micro).unwrap();
                let b = candle.losses(&arrays.batch(), step, micro).unwrap();
                let close = |a: f64, b: f64| (a - b).abs() <= 3e-5 * b;
                assert!(close(a.loss_sum, b.loss_sum), "step {step}: {a:?} {b:?}");
                assert!(close(a.sequence_loss_sum, b.sequence_loss_sum), "step {step}: {a:?} {b:?}");
                assert_eq!((a.masked, a.sequences), (b.masked, b.sequences));
            }
            if step == 0 {
                compare_gradients(&mut *fused, &mut candle);
            }
            let (a, b) = (fused.update_now(1e-3, step).unwrap(), candle.update_now(1e-3, step).unwrap());
            assert!((a.grad_norm / b.grad_norm - 1.0).abs() < 1e-3, "step {step}: {a:?} {b:?}");
        }
        let arrays = arrays(&[5, 33], config.vocab_size, &heads, 99);
        let batch = arrays.batch();
        let close = |[a, b]: [Vec<f32>; 2]| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 5e-3);
        if let Some(head) = heads.tokens {
            let mut logits = [0, 1].map(|_| vec![0.0; batch.labels.len() * head.outputs(config.vocab_size)]);
            fused.logits(&batch, &mut logits[0]).unwrap();
            candle.logits(&batch, &mut logits[1]).unwrap();
            assert!(close(logits), "{heads:?}: logits after ten updates");
        }
        let mut hidden = [0, 1].map(|_| vec![0.0; batch.input_ids.len() * config.hidden_size]);
        fused.hidden_states(&batch, &mut hidden[0]).unwrap();
        candle.hidden_states(&batch, &mut hidden[1]).unwrap();
        assert!(hidden[0].iter().any(|x| x.abs() > 0.1) && close(hidden), "{heads:?}: hidden states after ten updates");
        let one = arrays_of_one(&config, &heads);
        let square = config.num_attention_heads * one.batch().input_ids.len().pow(2);
        for layer in 0..config.num_hidden_layers {
            let mut attention = [0, 1].map(|_| vec![0.0; square]);
            fused.attention(&one.batch(), layer, &mut attention[0]).unwrap();
            candle.attention(&one.batch(), layer, &mut attention[1]).unwrap();
            assert!(close(attention), "{heads:?}: attention of layer {layer}");
        }
        let too_many = fused.attention(&batch, 0, &mut vec![0.0; square]).unwrap_err();
        assert!(too_many.message.contains("attention is of one sequence"), "{}", too_many.message);
        let too_deep = fused.attention(&one.batch(), config.num_hidden_layers, &mut vec![0.0; square]).unwrap_err();
        assert!(too_deep.message.contains("layer is"), "{}", too_deep.message);
        if let Some(task) = heads.sequence {
            let mut logits = [0, 1].map(|_| vec![0.0; 2 * task.num_labels]);
            fused.sequence_logits(&batch, &mut logits[0]).unwrap();
            candle.sequence_logits(&batch, &mut logits[1]).unwrap();
            assert!(close(logits), "{heads:?}: logits of sequences after ten updates");
        }
    }
}

/// A batch of one sequence.
fn arrays_of_one(config: &ModelConfig, heads: &Heads) -> OwnedBatch {
    arrays(&[23], config.vocab_size, heads, 7)
}

/// Every matrix of a block moves as in the reference, which computes in f64: what is apart after ten updates is small beside
/// what has moved.
#[test]
fn muon_equals_candle_in_ten_updates() {
    let heads = Heads::MASKED_LM;
    let cases = [(config(12, 2, 3, 50, 0.1), 2), (config(64, 1, 4, 97, 0.1), 3)];
    for (family, (config, threads)) in families().flat_map(|f| cases.iter().cloned().map(move |c| (f, c))) {
        let config = ModelConfig { model_type: family.into(), ..config };
        let options = EngineOptions { optimizer: Some(MUON), ..options(&config, &heads, threads) };
        let mut fused = trainer::open(options.clone(), None).unwrap();
        let mut candle = CandleEngine::new(options, None).unwrap();
        let parameters = fused.layout().parameters().to_vec();
        let start: Vec<Vec<f32>> = parameters.iter().map(|p| fused.parameter(&p.name).unwrap()).collect();
        for step in 0..10 {
            let arrays = arrays(&[17, 40, 1, 30], config.vocab_size, &heads, step as usize);
            let a = fused.losses(&arrays.batch(), step, 0).unwrap();
            let b = candle.losses(&arrays.batch(), step, 0).unwrap();
            assert!((a.loss_sum / b.loss_sum - 1.0).abs() < 1e-4, "step {step}: {a:?} {b:?}");
            fused.update(1e-3, step).unwrap();
            candle.update(1e-3, step).unwrap();
        }
        for (p, start) in parameters.iter().zip(start).filter(|(p, _)| !is_key_bias(&p.name)) {
            let (a, b) = (fused.parameter(&p.name).unwrap(), candle.parameter(&p.name).unwrap());
            let norm =
                |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
            let (apart, moved) = (norm(&a, &b), norm(&a, &start));
            assert!(moved > 0.0 && apart < 1e-2 * moved, "{}: {apart:.1e} apart, {moved:.1e} moved", p.name);
        }
    }
}

#[test]
fn fused_equals_candle_where_rows_are_trained_alone() {
    for (family, tie_word_embeddings) in families().flat_map(|f| [(f, true), (f, false)]) {
        let config = ModelConfig { model_type: family.into(), tie_word_embeddings, ..config(12, 2, 3, 50, 0.1) };
        let options = options(&config, &Heads::MASKED_LM, 2);
        let mut fused = trainer::open(options.clone(), None).unwrap();
        let mut candle = CandleEngine::new(options, None).unwrap();
        for step in 0..4 {
            let rows = (step < 3).then_some(40..50);
            let arrays = arrays(&[17, 40, 1, 30], 50, &Heads::MASKED_LM, step as usize);
            let [a, b] = [&mut *fused, &mut candle as &mut dyn Engine].map(|engine| {
                engine.train_rows(rows.clone()).unwrap();
                engine.losses(&arrays.batch(), step, 0).unwrap();
                engine.update_now(1e-3, step).unwrap().grad_norm
            });
            assert!((a / b - 1.0).abs() < 1e-3, "step {step}: {a} {b}");
        }
        for parameter in fused.layout().parameters().to_vec() {
            let (a, b) = (fused.parameter(&parameter.name).unwrap(), candle.parameter(&parameter.name).unwrap());
            let mean = a.iter().zip(&b).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / a.len() as f64;
            assert!(mean < 2e-5 || is_key_bias(&parameter.name), "{}: {mean:.1e}", parameter.name);
        }
    }
}

fn compare_gradients(fused: &mut dyn Engine, candle: &mut CandleEngine) {
    for parameter in fused.layout().parameters().to_vec() {
        let name = &parameter.name;
        if !parameter.trainable {
            continue;
        }
        let (a, b) = (fused.gradient(name).unwrap(), candle.gradient(name).unwrap());
        assert!(a.iter().all(|x| x.is_finite()), "{name} is not finite");
        let norm = |x: &[f32]| x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let difference: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        // Softmax does not change when every score of a row shifts, so a key bias has no gradient but rounding.
        if is_key_bias(name) {
            assert!(
                norm(&a)
                    < 1e-4
                        * norm(&fused.gradient(&name.replace("key", "query").replace("k_lin", "q_lin")).unwrap())
                            .max(1.0),
                "{name}"
            );
            continue;
        }
        assert!(norm(&b) > 0.0, "{name} is all zero");
        assert!(norm(&difference) < 2e-4 * norm(&b), "{name}: {} of {}", norm(&difference), norm(&b));
    }
}
