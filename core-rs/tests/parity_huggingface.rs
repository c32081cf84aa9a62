//! Both engines against what Hugging Face's BertForMaskedLM computed (tests/golden/generate_bert.py): logits, loss, every
//! gradient, ten AdamW losses. The golden was made from a padded batch and is compared with the packed one, so it also
//! shows that packing changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cloze_core::batch::Batch;
use cloze_core::config::ModelConfig;
use cloze_core::engine::{AdamW, Engine, EngineOptions};
use cloze_core::reference::CandleEngine;
use cloze_core::trainer::Trainer;
use safetensors::SafeTensors;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    config: ModelConfig,
    loss: f64,
    losses: Vec<f64>,
    grad_norms: Vec<f64>,
    learning_rate: f64,
    input_ids: Vec<i32>,
    token_type_ids: Vec<i32>,
    position_ids: Vec<i32>,
    cu_seqlens: Vec<i32>,
    masked_positions: Vec<i32>,
    labels: Vec<i32>,
}

impl Golden {
    fn batch(&self) -> Batch<'_> {
        Batch {
            input_ids: &self.input_ids,
            token_type_ids: &self.token_type_ids,
            position_ids: &self.position_ids,
            cu_seqlens: &self.cu_seqlens,
            masked_positions: &self.masked_positions,
            labels: &self.labels,
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

/// The golden's tensors whose names begin with `prefix`, without it.
fn tensors(prefix: &str) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(folder().join("bert.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let value = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    file.tensors()
        .into_iter()
        .filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), (t.shape().to_vec(), value(t.data())))))
        .collect()
}

/// Writes the golden's weights as a model file, as transformers would.
fn weights_file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("cloze-parity-{}-{name}.safetensors", std::process::id()));
    let weights = tensors("weight.");
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

fn check(name: &str, open: impl Fn(EngineOptions, &Path) -> Box<dyn Engine>) {
    let golden: Golden = serde_json::from_slice(&std::fs::read(folder().join("bert.json")).unwrap()).unwrap();
    let options = EngineOptions {
        config: golden.config.clone(),
        seed: 0,
        threads: 2,
        max_tokens: golden.input_ids.len(),
        max_sequences: 4,
        max_masked: golden.labels.len(),
        max_sequence_length: 24,
        training: true,
    };
    let path = weights_file(name);
    let mut engine = open(options, &path);
    std::fs::remove_file(&path).unwrap();

    let mut logits = vec![0.0; golden.labels.len() * golden.config.vocab_size];
    engine.logits(&golden.batch(), &mut logits).unwrap();
    let (_, expected) = &tensors("logits")[""];
    let worst = logits.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "logits differ by {worst}");

    let sums = engine.forward_backward(&golden.batch(), 0, 0).unwrap();
    let masked = sums.masked as f64;
    assert!((sums.loss_sum / masked - golden.loss).abs() < 2e-5, "{} {}", sums.loss_sum / masked, golden.loss);
    let gradients = tensors("gradient.");
    assert_eq!(gradients.len(), engine.layout().parameters().len(), "every parameter has a golden gradient");
    for (name, (_, expected)) in gradients {
        let found = engine.gradient(&name).unwrap();
        let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
        let size = norm(&mut expected.iter().map(|&v| f64::from(v)));
        let error = norm(&mut found.iter().zip(&expected).map(|(a, b)| f64::from(*a) / masked - f64::from(*b)));
        assert!(found.iter().all(|v| v.is_finite()), "{name} is not finite");
        if name.ends_with("key.bias") {
            assert!(error < 1e-6, "{name}: zero in theory, {error} apart");
        } else {
            assert!(size > 0.0 && error < 2e-4 * size, "{name}: {error} of {size}");
        }
    }

    let hyper = AdamW {
        learning_rate: golden.learning_rate,
        beta1: 0.9,
        beta2: 0.98,
        epsilon: 1e-6,
        weight_decay: 0.01,
        max_grad_norm: 1.0,
    };
    for (step, (loss, norm)) in golden.losses.iter().zip(&golden.grad_norms).enumerate() {
        if step > 0 {
            let sums = engine.forward_backward(&golden.batch(), step as u64, 0).unwrap();
            let found = sums.loss_sum / sums.masked as f64;
            assert!((found - loss).abs() < 2e-4, "step {step}: loss {found}, expected {loss}");
        }
        let report = engine.update(&hyper, step as u64).unwrap();
        assert!(
            (report.grad_norm / norm - 1.0).abs() < 1e-3,
            "step {step}: norm {}, expected {norm}",
            report.grad_norm
        );
    }
}

#[test]
fn fused_engine_equals_hugging_face() {
    check("fused", |options, path| Box::new(Trainer::new(options, Some(path)).unwrap()));
}

#[test]
fn candle_engine_equals_hugging_face() {
    check("candle", |options, path| Box::new(CandleEngine::new(options, Some(path)).unwrap()));
}
