//! Nothing is allocated inside a training step once the engine has seen a batch of that size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cloze_core::blueprint::{Blueprint, families};
use cloze_core::config::ModelConfig;
use cloze_core::engine::EngineOptions;
use cloze_core::engine::batch::Batch;
use cloze_core::heads::{Heads, ProblemType, SequenceHead};
use cloze_core::machine::dtype::Dtype;
use cloze_core::optim::{Optimizer, adamw, muon};
use cloze_core::trainer;

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

/// Counts what it hands on to the system's allocator.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_training_step_allocates_nothing() {
    let config = ModelConfig {
        model_type: "bert".into(),
        vocab_size: 211,
        hidden_size: 64,
        embedding_size: None,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 128,
        max_position_embeddings: 65,
        type_vocab_size: 2,
        hidden_dropout_prob: 0.1,
        attention_probs_dropout_prob: 0.1,
        layer_norm_eps: 1e-12,
        initializer_range: 0.02,
        hidden_act: "gelu".into(),
        pad_token_id: 0,
        tie_word_embeddings: true,
        modernbert: None,
    };
    let n = 256;
    let (input_ids, zeros) = ((0..n).map(|i| i % 211).collect::<Vec<i32>>(), vec![0; n as usize]);
    let positions: Vec<i32> = (0..n).map(|i| i % 64).collect();
    let masked: Vec<i32> = (0..n).step_by(7).collect();
    let labels: Vec<i32> = masked.iter().map(|i| i % 200).collect();
    let classify = SequenceHead { classifier_dropout: 0.1, ..SequenceHead::classification(2) };
    let all = [
        Heads::MASKED_LM,
        Heads::PRE_TRAINING,
        Heads::CAUSAL_LM,
        Heads::classification(classify),
        Heads::token_classification(200, 0.1),
        Heads::classification(SequenceHead { problem_type: ProblemType::MultiLabelClassification, ..classify }),
        Heads::classification(SequenceHead { problem_type: ProblemType::Regression, ..classify }),
    ];
    let cases = families().flat_map(|family| all.iter().map(move |heads| (family, heads.clone())));
    let cases = cases.filter(|(family, heads)| {
        Blueprint::of(&ModelConfig { model_type: (*family).into(), ..config.clone() }, heads).is_ok()
    });
    for ((family, heads), dtype) in cases.flat_map(|case| [(case.clone(), Dtype::F32), (case, Dtype::Bf16)]) {
        let tokens = heads.tokens.is_some();
        let loss = heads.sequence.map(|head| head.problem_type.target_loss());
        let options = EngineOptions {
            config: ModelConfig { model_type: family.into(), ..config.clone() },
            heads,
            seed: 1,
            dtype,
            threads: 2,
            max_tokens: 256,
            max_sequences: 8,
            max_masked: 64,
            max_sequence_length: 64,
            optimizer: Some(OPTIMIZER),
            decoder_bias: None,
            inner_initializer_range: None,
            neighbour_attention: false,
            profile: false,
        };
        let batch = Batch {
            input_ids: &input_ids,
            token_type_ids: &zeros,
            position_ids: &positions,
            cu_seqlens: &[0, 64, 128, 192, 256],
            masked_positions: if tokens { &masked } else { &[] },
            labels: if tokens { &labels } else { &[] },
            sequence_labels: if loss == Some(None) { &[0, 1, 1, 0] } else { &[] },
            sequence_targets: if loss.flatten().is_some() { &[0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0] } else { &[] },
            sequence_weight: 1.0,
        };
        check(EngineOptions { optimizer: Some(MUON), ..options.clone() }, &batch);
        check(options, &batch);
    }
}

fn check(options: EngineOptions, batch: &Batch) {
    let mut trainer = trainer::open(options, None).unwrap();
    let mut step = |number: u64| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for micro_step in 0..2 {
            trainer.forward_backward(batch, number, micro_step).unwrap();
        }
        trainer.update(1e-3, number).unwrap();
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    // The first steps grow the packing memory, and on a busy machine a thread gets its first work late.
    let mut quiet = 0;
    let steps = (0..50).take_while(|&number| {
        quiet = if step(number) == 0 { quiet + 1 } else { 0 };
        quiet < 5
    });
    assert!(steps.count() < 50, "no five of 50 steps in a row are without an allocation");
}
