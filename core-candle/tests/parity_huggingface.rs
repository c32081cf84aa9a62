//! Both engines against what Hugging Face's classes of every family computed (tests/golden/generate_models.py): logits, loss, every
//! gradient, ten AdamW losses. The golden was made from a padded batch and is compared with the packed one, so it also
//! shows that packing changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cloze_candle::CandleEngine;
use cloze_core::blueprint::{Blueprint, families};
use cloze_core::config::{ClassifierPooling, ModelConfig, ModernBert};
use cloze_core::engine::batch::Batch;
use cloze_core::engine::{Engine, EngineOptions, LossSum, Weights};
use cloze_core::heads::{Heads, ProblemType, SequenceHead};
use cloze_core::machine::dtype::Dtype;
use cloze_core::ops::activation::Activation;
use cloze_core::optim::{Optimizer, adamw};
use cloze_core::trainer;
use safetensors::SafeTensors;
use serde::Deserialize;

/// A key's bias shifts every score of a row, which softmax does not see: its gradient is rounding.
fn is_key_bias(name: &str) -> bool {
    name.ends_with("key.bias") || name.ends_with("k_lin.bias")
}

#[derive(Deserialize)]
struct Golden {
    /// But for `tie_word_embeddings`.
    config: ModelConfig,
    learning_rate: f64,
    input_ids: Vec<i32>,
    token_type_ids: Vec<i32>,
    position_ids: Vec<i32>,
    cu_seqlens: Vec<i32>,
    objectives: BTreeMap<String, Answers>,
}

/// What Hugging Face's class for an objective was asked and answered.
#[derive(Deserialize)]
struct Answers {
    losses: Vec<f64>,
    grad_norms: Vec<f64>,
    masked_positions: Vec<i32>,
    labels: Vec<i32>,
    sequence_labels: Vec<i32>,
    #[serde(default)]
    sequence_targets: Vec<f32>,
}

impl Golden {
    fn batch<'a>(&'a self, answers: &'a Answers) -> Batch<'a> {
        let (m, b) = (answers.labels.len(), answers.sequence_labels.len());
        Batch {
            input_ids: &self.input_ids,
            token_type_ids: &self.token_type_ids,
            position_ids: &self.position_ids,
            cu_seqlens: &self.cu_seqlens,
            masked_positions: &answers.masked_positions,
            labels: &answers.labels,
            sequence_labels: &answers.sequence_labels,
            sequence_targets: &answers.sequence_targets,
            sequence_weight: if m > 0 && b > 0 { m as f64 / b as f64 } else { 1.0 },
        }
    }
}

/// The objectives of the golden, each with the heads of its class.
const OBJECTIVES: [(&str, Heads); 8] = [
    ("mlm", Heads::MASKED_LM),
    ("mlm-untied", Heads::MASKED_LM), // with a decoder of its own
    ("mlm+nsp", Heads::PRE_TRAINING),
    ("clm", Heads::CAUSAL_LM),
    ("sequence_classification", Heads::classification(SequenceHead::classification(3))),
    ("token_classification", Heads::token_classification(3, 0.0)),
    ("multi_label_classification", Heads::classification(targeted(ProblemType::MultiLabelClassification))),
    ("regression", Heads::classification(targeted(ProblemType::Regression))),
];

const fn targeted(problem_type: ProblemType) -> SequenceHead {
    SequenceHead { problem_type, ..SequenceHead::classification(3) }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

/// The golden's tensors whose names begin with `prefix`, without it.
fn tensors(family: &str, prefix: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(folder().join(format!("{family}.safetensors"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let value = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    file.tensors()
        .into_iter()
        .filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), (t.shape().to_vec(), value(t.data())))))
        .collect()
}

/// Writes the golden's weights as a model file, as transformers would.
fn weights_file(family: &str, name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("cloze-parity-{}-{family}-{name}.safetensors", std::process::id()));
    let weights = tensors(family, "weight.");
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = weights
        .into_iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, shape, data)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap();
        (name.clone(), view)
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    path
}

/// The largest difference of two vectors.
fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check(family: &str, name: &str, open: impl Fn(EngineOptions, &Weights) -> Box<dyn Engine>) {
    let golden: Golden =
        serde_json::from_slice(&std::fs::read(folder().join(format!("{family}.json"))).unwrap()).unwrap();
    let path = weights_file(family, name);
    for (objective, heads) in OBJECTIVES {
        let config = ModelConfig { tie_word_embeddings: objective != "mlm-untied", ..golden.config.clone() };
        let answers = golden.objectives.get(objective);
        assert_eq!(answers.is_some(), Blueprint::of(&config, &heads).is_ok(), "{family}: {objective}");
        let Some(answers) = answers else { continue };
        let options = options(config, heads.clone(), golden.input_ids.len());
        let mut engine = open(options, &Weights { path: path.clone(), may_be_missing: vec![] });
        check_objective(objective, &heads, &golden, answers, engine.as_mut());
    }
    // The same weights with other activations, of which the golden of BERT has every one.
    let activations: Vec<_> = golden.objectives.iter().filter(|(name, _)| name.starts_with("mlm:")).collect();
    assert_eq!(activations.len(), if family == "bert" { Activation::names().count() - 1 } else { 0 });
    for (name, answers) in activations {
        let config = ModelConfig { hidden_act: name["mlm:".len()..].into(), ..golden.config.clone() };
        let options = options(config, Heads::MASKED_LM, golden.input_ids.len());
        let mut engine = open(options, &Weights { path: path.clone(), may_be_missing: vec![] });
        check_objective(name, &Heads::MASKED_LM, &golden, answers, engine.as_mut());
    }
    let (name, heads) = ("sequence_classification-mean", OBJECTIVES[4].1.clone());
    let answers = golden.objectives.get(name);
    assert_eq!(answers.is_some(), family == "modernbert", "{family}: {name}");
    if let (Some(answers), Some(own)) = (answers, &golden.config.modernbert) {
        let own = ModernBert { classifier_pooling: ClassifierPooling::Mean, ..own.clone() };
        let config = ModelConfig { modernbert: Some(own), ..golden.config.clone() };
        let options = options(config, heads.clone(), golden.input_ids.len());
        let mut engine = open(options, &Weights { path: path.clone(), may_be_missing: vec![] });
        check_objective(name, &heads, &golden, answers, engine.as_mut());
    }
    std::fs::remove_file(&path).unwrap();
}

fn options(config: ModelConfig, heads: Heads, tokens: usize) -> EngineOptions {
    EngineOptions {
        config,
        heads,
        seed: 0,
        dtype: Dtype::F32,
        threads: 2,
        max_tokens: tokens,
        max_sequences: 4,
        max_masked: tokens,
        max_sequence_length: 24,
        optimizer: Some(OPTIMIZER),
        decoder_bias: None,
        inner_initializer_range: None,
        neighbour_attention: false,
        profile: false,
    }
}

fn check_objective(name: &str, heads: &Heads, golden: &Golden, answers: &Answers, engine: &mut dyn Engine) {
    let (batch, family) = (golden.batch(answers), &golden.config.model_type);
    if let Some(head) = heads.tokens {
        let mut logits = vec![0.0; answers.labels.len() * head.outputs(golden.config.vocab_size)];
        engine.logits(&batch, &mut logits).unwrap();
        let worst = worst(&logits, &tensors(family, &format!("{name}.logits"))[""].1);
        assert!(worst < 1e-4, "{name}: logits differ by {worst}");
    }
    if let Some(task) = heads.sequence {
        let mut logits = vec![0.0; 4 * task.num_labels];
        engine.sequence_logits(&batch, &mut logits).unwrap();
        let worst = worst(&logits, &tensors(family, &format!("{name}.sequence_logits"))[""].1);
        assert!(worst < 1e-4, "{name}: logits of sequences differ by {worst}");
    }

    let mean = |sums: &LossSum| {
        let of = |sum: f64, count: u64| if count > 0 { sum / count as f64 } else { 0.0 };
        of(sums.loss_sum, sums.masked) + of(sums.sequence_loss_sum, sums.sequences)
    };
    let sums = engine.losses(&batch, 0, 0).unwrap();
    assert!((mean(&sums) - answers.losses[0]).abs() < 2e-5, "{name}: {} {}", mean(&sums), answers.losses[0]);
    let gradients = tensors(family, &format!("{name}.gradient."));
    let expected = if name.contains(':') { 0 } else { engine.layout().parameters().len() };
    assert_eq!(gradients.len(), expected, "{name}: every parameter has a golden gradient");
    let units = sums.units(heads) as f64;
    for (parameter, (_, expected)) in gradients {
        let found = engine.gradient(&parameter).unwrap();
        let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
        let size = norm(&mut expected.iter().map(|&v| f64::from(v)));
        let error = norm(&mut found.iter().zip(&expected).map(|(a, b)| f64::from(*a) / units - f64::from(*b)));
        assert!(found.iter().all(|v| v.is_finite()), "{name}: {parameter} is not finite");
        if is_key_bias(&parameter) {
            assert!(error < 1e-6, "{name}: {parameter}: zero in theory, {error} apart");
        } else {
            assert!(size > 0.0 && error < 2e-4 * size, "{name}: {parameter}: {error} of {size}");
        }
    }

    for (step, (loss, norm)) in answers.losses.iter().zip(&answers.grad_norms).enumerate() {
        if step > 0 {
            let found = mean(&engine.losses(&batch, step as u64, 0).unwrap());
            assert!((found - loss).abs() < 2e-4, "{name}, step {step}: loss {found}, expected {loss}");
        }
        let report = engine.update_now(golden.learning_rate, step as u64).unwrap();
        assert!(
            (report.grad_norm / norm - 1.0).abs() < 1e-3,
            "{name}, step {step}: norm {}, expected {norm}",
            report.grad_norm
        );
    }
}

const OPTIMIZER: Optimizer =
    Optimizer::AdamW(adamw::Options { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weight_decay: 0.01, max_grad_norm: 1.0 });

#[test]
fn fused_engine_equals_hugging_face() {
    for family in families() {
        check(family, "fused", |options, weights| trainer::open(options, Some(weights)).unwrap());
    }
}

#[test]
fn candle_engine_equals_hugging_face() {
    for family in families() {
        check(family, "candle", |options, weights| Box::new(CandleEngine::new(options, Some(weights)).unwrap()));
    }
}
