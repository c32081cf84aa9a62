//! The whole engine on a CUDA device against the engine on the CPU: the same batches, the same dropout, every gradient,
//! and what the weights are after a few updates.

use std::sync::atomic::{AtomicU32, Ordering};

use cloze_core::backend::cpu::Cpu;
use cloze_core::backend::cuda::Cuda;
use cloze_core::blueprint::families;
use cloze_core::config::{ClassifierPooling, ModelConfig, ModernBert};
use cloze_core::driver::{Device, Dtype};
use cloze_core::engine::batch::OwnedBatch;
use cloze_core::engine::{Engine, EngineOptions, LossSum, RowResults, Weights};
use cloze_core::error::Code;
use cloze_core::heads::{Heads, ProblemType, SequenceHead};
use cloze_core::machine::dtype;
use cloze_core::optim::{Optimizer, adamw, muon};
use cloze_core::trainer::{Trainer, room};

use crate::{modes, nvrtc};

/// A key's bias shifts every score of a row, which softmax does not see: its gradient is rounding.
fn is_key_bias(name: &str) -> bool {
    name.ends_with("key.bias") || name.ends_with("k_lin.bias")
}

/// A name and what is run on devices that it opens.
type Test<D> = (&'static str, fn(&dyn Fn() -> D));

/// All tests of this file.
pub fn tests<D: Device + 'static>() -> Vec<Test<D>> {
    vec![
        ("masked_lm", |open| training(open(), Heads::MASKED_LM)),
        ("masked_lm_and_next_sentence", |open| training(open(), Heads::PRE_TRAINING)),
        ("causal_lm", |open| training(open(), Heads::CAUSAL_LM)),
        ("classification", |open| training(open(), classification(false))),
        ("probe", |open| training(open(), classification(true))),
        ("token_classification", |open| training(open(), Heads::token_classification(5, 0.1))),
        ("multi_label", |open| training(open(), targeted(ProblemType::MultiLabelClassification, 3))),
        ("regression", |open| training(open(), targeted(ProblemType::Regression, 1))),
        ("other_families", families_but_bert),
        ("steps_of_one_shape_are_replayed", |open| replayed(open())),
        ("pairs_without_a_masked_token", |open| no_masked_token(open())),
        ("rows_alone", |open| rows_alone(open())),
        ("accumulation_and_resuming", |open| resuming(open, OPTIMIZER)),
        ("accumulation_and_resuming_with_muon", |open| resuming(open, MUON)),
        ("masked_lm_with_muon", |open| muon_like_the_cpu(open())),
        ("evaluation_and_prediction", |open| inference(open())),
        ("not_finite", |open| not_finite(open())),
        ("too_wide", |open| too_wide(open())),
    ]
}

/// With the memory that is counted beforehand an engine opens, with a byte less it does not: of every family, in training
/// and not, and with either optimizer.
pub fn memory_is_counted<D: Device + 'static>(open: &dyn Fn(usize) -> D) {
    for family in families() {
        let mut options = options(if family == "bert" { Heads::PRE_TRAINING } else { Heads::MASKED_LM });
        options.config.model_type = family.into();
        options.config.max_position_embeddings += 1; // RoBERTa's first is that of padding
        options.dtype = if open(0).activations() == Dtype::Bf16 { dtype::Dtype::Bf16 } else { dtype::Dtype::F32 };
        for optimizer in [None, Some(OPTIMIZER), Some(MUON)] {
            let options = EngineOptions { optimizer, ..options.clone() };
            let counted = room::bytes(&options).unwrap();
            let opens = |bytes| {
                let backend = Cuda::new(open(bytes), &options, None, modes());
                backend.and_then(|backend| Trainer::on(backend, options.clone(), None)).map(|_| ())
            };
            opens(counted).unwrap_or_else(|error| panic!("{family}: {counted} bytes: {error}"));
            let error = opens(counted - 1).expect_err("too little memory");
            assert_eq!(error.code, Code::OutOfMemory, "{family}: {error}");
        }
    }
}

fn classification(freeze_encoder: bool) -> Heads {
    let head = SequenceHead { classifier_dropout: 0.1, ..SequenceHead::classification(3) };
    Heads { freeze_encoder, ..Heads::classification(head) }
}

fn targeted(problem_type: ProblemType, num_labels: usize) -> Heads {
    Heads::classification(SequenceHead { problem_type, ..SequenceHead::classification(num_labels) })
}

/// Sizes that are multiples of nothing much.
pub fn options(heads: Heads) -> EngineOptions {
    EngineOptions {
        config: ModelConfig {
            model_type: "bert".into(),
            vocab_size: 301,
            hidden_size: 24,
            embedding_size: None,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 38,
            max_position_embeddings: 80,
            type_vocab_size: 2,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            layer_norm_eps: 1e-12,
            initializer_range: 0.05,
            hidden_act: "gelu".into(),
            pad_token_id: 0,
            tie_word_embeddings: true,
            modernbert: Some(ModernBert {
                global_attn_every_n_layers: 2,
                local_attention: 20,
                embedding_dropout: 0.1,
                mlp_dropout: 0.1,
                classifier_pooling: ClassifierPooling::Mean,
                ..ModernBert::default()
            }),
        },
        heads,
        seed: 5,
        threads: 1,
        dtype: dtype::Dtype::F32,
        max_tokens: 200,
        max_sequences: 8,
        max_masked: 200,
        max_sequence_length: 80,
        optimizer: Some(OPTIMIZER),
        decoder_bias: None,
        inner_initializer_range: None,
        neighbour_attention: false,
        profile: false,
    }
}

/// Sequences of these lengths with what an heads predicts.
pub fn owned(heads: &Heads, lengths: &[i32], shift: i32) -> OwnedBatch {
    let n: i32 = lengths.iter().sum();
    let mut cu_seqlens = vec![0];
    cu_seqlens.extend(lengths.iter().scan(0, |at, length| {
        *at += length;
        Some(*at)
    }));
    let outputs = heads.tokens.map_or(1, |head| head.outputs(301)) as i32;
    let every = if *heads == Heads::CAUSAL_LM { 1 } else { 5 };
    let masked_positions: Vec<i32> =
        if heads.tokens.is_some() { (0..n).filter(|i| i % every == 0).collect() } else { Vec::new() };
    let targeted = heads.sequence.filter(|task| task.problem_type.target_loss().is_some());
    let targets = targeted.map_or(0, |task| task.num_labels);
    OwnedBatch {
        input_ids: (0..n).map(|i| (i * i + 3 * i + shift) % 301).collect(),
        token_type_ids: (0..n).map(|i| i / 4 % 2).collect(),
        position_ids: lengths.iter().flat_map(|&length| 0..length).collect(),
        labels: masked_positions.iter().map(|i| (i * 7 + shift) % outputs).collect(),
        sequence_labels: match heads.sequence {
            Some(task) if targets == 0 => (0..lengths.len()).map(|i| (i % task.num_labels) as i32).collect(),
            _ => Vec::new(),
        },
        sequence_targets: (0..targets * lengths.len()).map(|i| (i % 2) as f32).collect(),
        sequence_weight: if masked_positions.is_empty() { 1.0 } else { 4.0 },
        masked_positions,
        cu_seqlens,
    }
}

pub const OPTIMIZER: Optimizer = Optimizer::AdamW(adamw::Options {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-6,
    weight_decay: 0.01,
    max_grad_norm: 1.0,
});
pub const MUON: Optimizer = Optimizer::Muon(muon::Options {
    momentum: 0.95,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-6,
    weight_decay: 0.01,
    max_grad_norm: 1.0,
});
pub const RATE: f64 = 1e-3;

/// Both engines, and the tolerance of a gradient relative to the largest of its tensor.
type Both = (Box<dyn Engine>, Box<dyn Engine>, f64);

fn both<D: Device + 'static>(device: D, heads: Heads) -> Both {
    both_of(device, options(heads))
}

fn both_of<D: Device + 'static>(device: D, options: EngineOptions) -> Both {
    let tolerance = if device.activations() == Dtype::Bf16 { 6e-2 } else { 2e-4 };
    let cuda = Trainer::on(Cuda::new(device, &options, Some(&nvrtc::cache()), modes()).unwrap(), options.clone(), None)
        .unwrap();
    (Box::new(cuda), Box::new(Trainer::<Cpu<f32>>::new(options, None).unwrap()), tolerance)
}

/// Compares a named tensor of both engines, relative to its largest element on the CPU, but not to less than `floor`.
#[track_caller]
fn compare(what: &str, found: &[f32], expected: &[f32], tolerance: f64, floor: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(floor, |m, &v| m.max(f64::from(v.abs())));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let error = f64::from((f - e).abs()) / largest;
        assert!(error <= tolerance, "{what}[{i}] is {f}, the CPU has {e}: {error:.1e} of {largest:.1e}");
    }
}

/// BERT has a test for each set of heads; of the others these two have every part.
fn families_but_bert<D: Device + 'static>(open: &dyn Fn() -> D) {
    for family in families().filter(|family| *family != "bert") {
        for heads in [Heads::MASKED_LM, classification(false), Heads::token_classification(5, 0.1)] {
            // Of an argument of relu that bf16 rounds to the other side of zero the gradient is another one.
            if family == "distilbert" && heads.sequence.is_some() && open().activations() == Dtype::Bf16 {
                continue;
            }
            let mut options = options(heads.clone());
            options.config.model_type = family.into();
            options.config.max_position_embeddings += 1; // RoBERTa's first is that of padding
            train_both(both_of(open(), options), &heads);
        }
    }
}

fn training<D: Device + 'static>(device: D, heads: Heads) {
    train_both(both(device, heads.clone()), &heads);
}

fn train_both((mut cuda, mut cpu, tolerance): Both, heads: &Heads) {
    let names: Vec<String> = cpu.layout().parameters().iter().map(|p| p.name.clone()).collect();
    for step in 0..3 {
        let owned = owned(heads, &[70, 1, 33, 8][..4 - step as usize], step as i32);
        let (found, expected) =
            (cuda.losses(&owned.batch(), step, 0).unwrap(), cpu.losses(&owned.batch(), step, 0).unwrap());
        assert_eq!((found.masked, found.sequences), (expected.masked, expected.sequences));
        // ModernBERT's classifier reads what a norm made, so that its logits are large, and as exact as the norm's input.
        let losses =
            [(found.loss_sum, expected.loss_sum, 0.05), (found.sequence_loss_sum, expected.sequence_loss_sum, 0.2)];
        for (f, e, share) in losses {
            assert!((f - e).abs() <= tolerance * share * e.abs().max(1.0), "loss {f}, the CPU has {e}");
        }
        for name in &names {
            let (found, expected) = (cuda.gradient(name).unwrap(), cpu.gradient(name).unwrap());
            // The keys' biases change no score, so their gradient is rounding; the gradients of other biases are sums of
            // what cancels, and as exact as their terms, which are probabilities at the end.
            let floor = match name {
                _ if is_key_bias(name) || name == "classifier.bias" => 1.0,
                _ if name.ends_with("bias") => 1e-1,
                _ => 1e-2,
            };
            compare(&format!("step {step}: the gradient of {name}"), &found, &expected, tolerance, floor);
        }
        let (found, expected) = (cuda.update_now(RATE, step).unwrap(), cpu.update_now(RATE, step).unwrap());
        assert!((found.grad_norm / expected.grad_norm - 1.0).abs() < tolerance, "{found:?} and {expected:?}");
        assert_eq!(found.units, expected.units);
    }
    // AdamW moves each weight by about the learning rate whatever its gradient, so a gradient of rounding may move one
    // the other way: three updates apart by at most twice three rates, and on average far less.
    for name in &names {
        let (found, expected) = (cuda.parameter(name).unwrap(), cpu.parameter(name).unwrap());
        let differences: Vec<f64> = found.iter().zip(&expected).map(|(f, e)| f64::from((f - e).abs())).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        assert!(differences.iter().all(|&d| d <= 6.1e-3), "{name}");
        let allowed = if tolerance > 1e-3 { 3e-4 } else { 3e-5 };
        assert!(mean <= allowed || is_key_bias(name), "{name}: weights differ by {mean:.1e} on average");
    }
}

/// Steps whose sizes differ but round up to the same: one graph of each kind, and nobody waits for the device in between.
/// Losses, norm and weights are those of the CPU.
fn replayed<D: Device + 'static>(device: D) {
    let heads = Heads::PRE_TRAINING;
    let options = options(heads.clone());
    let exact = device.activations() == Dtype::F32;
    let backend = Cuda::new(device, &options, Some(&nvrtc::cache()), modes()).unwrap();
    let mut cuda = Trainer::on(backend, options.clone(), None).unwrap();
    let mut cpu = Trainer::<Cpu<f32>>::new(options, None).unwrap();
    for (step, lengths) in [[40, 33, 30], [38, 33, 29], [20, 41, 41], [40, 31, 32], [2, 70, 30]].iter().enumerate() {
        let owned = owned(&heads, lengths, step as i32);
        for engine in [&mut cuda as &mut dyn Engine, &mut cpu] {
            engine.forward_backward(&owned.batch(), step as u64, 0).unwrap();
            engine.update(1e-4 * (step + 1) as f64, step as u64).unwrap();
        }
    }
    assert_eq!(cuda.backend().queue().graphs(), 2);
    let (found, expected) = (cuda.report().unwrap(), cpu.report().unwrap());
    let owned = owned(&heads, &[39, 33, 30], 9);
    cuda.forward_backward(&owned.batch(), 5, 0).unwrap();
    cuda.update(RATE, 5).unwrap();
    cpu.forward_backward(&owned.batch(), 5, 0).unwrap();
    cpu.update(RATE, 5).unwrap();
    assert_eq!(cuda.backend().queue().graphs(), 2, "a report between steps changes no step");
    let tolerance = if exact { 1e-5 } else { 2e-2 };
    let (f, e) = (found.sums, expected.sums);
    assert_eq!((f.masked, f.sequences, found.units), (e.masked, e.sequences, expected.units));
    for (f, e) in
        [(f.loss_sum, e.loss_sum), (f.sequence_loss_sum, e.sequence_loss_sum), (found.grad_norm, expected.grad_norm)]
    {
        assert!((f / e - 1.0).abs() <= tolerance, "{found:?}, the CPU has {expected:?}");
    }
    for name in ["bert.embeddings.word_embeddings.weight", "bert.encoder.layer.1.attention.self.query.weight"] {
        let (found, expected) = (cuda.parameter(name).unwrap(), cpu.parameter(name).unwrap());
        let differences: Vec<f64> = found.iter().zip(&expected).map(|(f, e)| f64::from((f - e).abs())).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        assert!(mean <= if exact { 3e-6 } else { 1e-4 }, "{name}: weights differ by {mean:.1e} on average");
    }
}

/// Three updates: matrices move as they do on the CPU.
fn muon_like_the_cpu<D: Device + 'static>(device: D) {
    let options = EngineOptions { optimizer: Some(MUON), ..options(Heads::MASKED_LM) };
    let exact = device.activations() == Dtype::F32;
    let backend = Cuda::new(device, &options, Some(&nvrtc::cache()), modes()).unwrap();
    let mut cuda = Trainer::on(backend, options.clone(), None).unwrap();
    let mut cpu = Trainer::<Cpu<f32>>::new(options, None).unwrap();
    let names: Vec<String> = cpu.layout().parameters().iter().map(|p| p.name.clone()).collect();
    let start: Vec<Vec<f32>> = names.iter().map(|name| cpu.parameter(name).unwrap()).collect();
    for step in 0..3 {
        let owned = owned(&Heads::MASKED_LM, &[70, 1, 33], step as i32);
        for engine in [&mut cuda as &mut dyn Engine, &mut cpu] {
            engine.forward_backward(&owned.batch(), step, 0).unwrap();
            engine.update(RATE, step).unwrap();
        }
    }
    for (name, start) in
        names.iter().zip(start).filter(|(name, _)| name.contains(".layer.") && name.ends_with("weight"))
    {
        let (found, expected) = (cuda.parameter(name).unwrap(), cpu.parameter(name).unwrap());
        let norm = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
        let (apart, moved) = (norm(&found, &expected), norm(&expected, &start));
        assert!(apart <= if exact { 2e-2 } else { 0.4 } * moved, "{name}: {apart:.1e} apart, {moved:.1e} moved");
    }
}

/// A batch of which only the head on sequences has anything to say.
fn no_masked_token<D: Device + 'static>(device: D) {
    let heads = Heads::PRE_TRAINING;
    let (mut cuda, mut cpu, tolerance) = both(device, heads.clone());
    let mut owned = owned(&heads, &[20, 9], 0);
    (owned.masked_positions, owned.labels) = (Vec::new(), Vec::new());
    owned.sequence_weight = 1.0;
    let (found, expected) = (cuda.losses(&owned.batch(), 0, 0).unwrap(), cpu.losses(&owned.batch(), 0, 0).unwrap());
    assert_eq!((found.masked, found.sequences, found.loss_sum), (0, 2, 0.0));
    assert!((found.sequence_loss_sum / expected.sequence_loss_sum - 1.0).abs() <= tolerance);
    for name in ["bert.pooler.dense.weight", "bert.embeddings.position_embeddings.weight"] {
        compare(name, &cuda.gradient(name).unwrap(), &cpu.gradient(name).unwrap(), tolerance, 1e-2);
    }
}

/// Rows that are trained alone, then everything: what is not trained keeps its bits, and the rest is that of the CPU.
fn rows_alone<D: Device + 'static>(device: D) {
    let heads = Heads::MASKED_LM;
    let (mut cuda, mut cpu, tolerance) = both(device, heads.clone());
    let names: Vec<String> = cpu.layout().parameters().iter().map(|p| p.name.clone()).collect();
    let before: Vec<Vec<f32>> = names.iter().map(|name| cuda.parameter(name).unwrap()).collect();
    for step in 0..3 {
        let owned = owned(&heads, &[70, 1, 33], step as i32);
        let [found, expected] = [&mut cuda, &mut cpu].map(|engine| {
            engine.train_rows((step < 2).then_some(290..301)).unwrap();
            engine.losses(&owned.batch(), step, 0).unwrap();
            engine.update_now(RATE, step).unwrap().grad_norm
        });
        assert!((found / expected - 1.0).abs() < tolerance, "step {step}: {found} and {expected}");
        for (name, before) in names.iter().zip(&before).filter(|_| step == 1) {
            let (found, expected) = (cuda.parameter(name).unwrap(), cpu.parameter(name).unwrap());
            let rows = found.iter().zip(before).position(|(f, b)| f != b);
            let has_rows = name.ends_with("word_embeddings.weight") || name.ends_with("predictions.bias");
            assert_eq!(rows, has_rows.then_some(290 * before.len() / 301), "{name}: the first that has changed");
            compare(name, &found, &expected, if tolerance > 1e-3 { 2e-2 } else { 1e-3 }, 1e-1);
        }
    }
    let name = "bert.encoder.layer.0.output.dense.weight";
    assert_ne!(cuda.parameter(name).unwrap(), before[names.iter().position(|n| n == name).unwrap()]);
}

/// Two micro-steps an update, a checkpoint, and going on from it in a fresh engine: the same bits.
fn resuming<D: Device + 'static>(open: &dyn Fn() -> D, optimizer: Optimizer) {
    let heads = Heads::MASKED_LM;
    let options = EngineOptions { optimizer: Some(optimizer), ..options(heads.clone()) };
    let batches = [0, 1, 2, 3].map(|i| owned(&heads, &[20, 9, 31], i));
    let engine = |file: Option<&Weights>| {
        Trainer::on(Cuda::new(open(), &options, Some(&nvrtc::cache()), modes()).unwrap(), options.clone(), file)
            .unwrap()
    };
    let run = |engine: &mut dyn Engine, step: u64| {
        for micro_step in 0..2 {
            let batch = &batches[2 * step as usize + micro_step as usize];
            engine.forward_backward(&batch.batch(), step, micro_step).unwrap();
        }
        engine.update(RATE, step).unwrap();
        engine.parameter("bert.encoder.layer.0.output.dense.weight").unwrap()
    };
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(format!("cloze-cuda-{process}-{count}"));
    std::fs::create_dir_all(&folder).unwrap();
    let (path, state) = (folder.join("model.safetensors"), folder.join("state.safetensors"));
    let mut whole = engine(None);
    run(&mut whole, 0);
    whole.save_weights(&path).unwrap();
    whole.save_training_state(&state).unwrap();
    let expected = run(&mut whole, 1);
    drop(whole);
    let mut resumed = engine(Some(&Weights { path, may_be_missing: Vec::new() }));
    resumed.load_training_state(&state).unwrap();
    assert_eq!(run(&mut resumed, 1), expected);
    std::fs::remove_dir_all(&folder).unwrap();
}

fn inference<D: Device + 'static>(device: D) {
    let exact = device.activations() == Dtype::F32;
    let (mut cuda, mut cpu, _) = both(device, Heads::PRE_TRAINING);
    let owned = owned(&Heads::PRE_TRAINING, &[70, 1, 33, 8], 0);
    let (batch, m, b) = (owned.batch(), owned.labels.len(), 4);
    let results = [&mut cuda, &mut cpu].map(|engine| {
        let (mut loss, mut rank) = (vec![0.0; m], vec![0; m]);
        let (mut sequence_loss, mut sequence_rank) = (vec![0.0; b], vec![0; b]);
        let results = RowResults {
            loss: &mut loss,
            rank: &mut rank,
            sequence_loss: &mut sequence_loss,
            sequence_rank: &mut sequence_rank,
        };
        engine.evaluate(&batch, results).unwrap();
        let (mut ids, mut probabilities) = (vec![0; 5 * m], vec![0.0; 5 * m]);
        engine.top_k(&batch, 5, &mut ids, &mut probabilities).unwrap();
        let (mut logits, mut sequence_logits) = (vec![0.0; 301 * m], vec![0.0; 2 * b]);
        engine.logits(&batch, &mut logits).unwrap();
        engine.sequence_logits(&batch, &mut sequence_logits).unwrap();
        (loss, sequence_loss, probabilities, logits, sequence_logits, rank, ids)
    });
    let [found, expected] = &results;
    let tolerance = if exact { 1e-5 } else { 2e-2 };
    compare("loss", &found.0, &expected.0, tolerance, 1.0);
    compare("sequence loss", &found.1, &expected.1, tolerance, 0.1);
    compare("probabilities", &found.2, &expected.2, 2.0 * tolerance, 1e-3);
    compare("logits", &found.3, &expected.3, tolerance, 0.1);
    compare("sequence logits", &found.4, &expected.4, tolerance, 0.1);
    if exact {
        assert_eq!((&found.5, &found.6), (&expected.5, &expected.6), "ranks and ids");
    }
}

/// A learning rate without measure: the loss is NaN at the next step, and that is an error that names something.
fn not_finite<D: Device + 'static>(device: D) {
    let (mut cuda, ..) = both(device, Heads::MASKED_LM);
    let owned = owned(&Heads::MASKED_LM, &[20, 9], 0);
    cuda.forward_backward(&owned.batch(), 0, 0).unwrap();
    cuda.update(1e30, 0).unwrap();
    cuda.report().unwrap();
    let name = "bert.pooler.dense.weight";
    let name = if cuda.parameter(name).is_ok() { name } else { "bert.encoder.layer.0.output.dense.weight" };
    let before = cuda.parameter(name).unwrap();
    // Nobody asks for three steps; the first of them is named, and none of them has changed a weight.
    for step in 1..4 {
        cuda.forward_backward(&owned.batch(), step, 0).unwrap();
        cuda.update(RATE, step).unwrap();
    }
    let error = cuda.report().unwrap_err();
    assert_eq!(error.code, Code::NonFinite);
    assert!(error.message.ends_with("is NaN or infinite at step 1"), "{}", error.message);
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(cuda.parameter(name).unwrap()), bits(before));
    assert!(cuda.gradient(name).unwrap().iter().all(|&g| g == 0.0), "the gradient is discarded");
    assert_eq!(cuda.report().unwrap().sums, LossSum::default());
}

fn too_wide<D: Device + 'static>(device: D) {
    let mut options = options(Heads::MASKED_LM);
    options.config.hidden_size = 300;
    let error = Cuda::new(device, &options, None, modes()).err().unwrap();
    assert_eq!(error.code, Code::Unsupported);
    assert!(error.message.contains("num_attention_heads is 150, but the CUDA kernels take up to 128"), "{error}");
}
