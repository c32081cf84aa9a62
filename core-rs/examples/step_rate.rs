//! Prints tokens per second of a whole training step (forward, backward, update) of sizes a, b and c.
//! usage: cargo run --release --example step_rate -- [a|b|c] [f32|bf16] [THREADS] [DROPOUT] [ISA] [LENGTH] [mlm|clm]
//! ISA (base, avx2, avx512, dot_bf16, all) holds back what is better than that instruction set.

use std::time::Instant;

use cloze_core::batch::Batch;
use cloze_core::config::ModelConfig;
use cloze_core::dtype::Dtype;
use cloze_core::engine::{AdamW, EngineOptions};
use cloze_core::isa::Isa;
use cloze_core::objective::Objective;
use cloze_core::trainer;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let size = args.first().map_or("a", |x| x);
    let dtype = if args.get(1).is_some_and(|x| x == "bf16") { Dtype::Bf16 } else { Dtype::F32 };
    let threads = args.get(2).and_then(|x| x.parse().ok()).unwrap_or(2);
    let limits = [("base", Isa::Base), ("avx2", Isa::Avx2), ("avx512", Isa::Avx512), ("dot_bf16", Isa::Avx512Bf16)];
    if let Some((_, isa)) = limits.iter().find(|(name, _)| args.get(4).is_some_and(|x| x == name)) {
        isa.limit();
    }
    let rate = args.get(3).and_then(|x| x.parse().ok()).unwrap_or(0.1);
    let (hidden, layers, vocab, sequences) = match size {
        "a" => (128, 2, 8192, 32),
        "b" => (256, 4, 8192, 32),
        _ => (768, 12, 30522, 8),
    };
    let config = ModelConfig {
        vocab_size: vocab,
        hidden_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: hidden / 64,
        intermediate_size: 4 * hidden,
        max_position_embeddings: 512,
        type_vocab_size: 2,
        hidden_dropout_prob: rate,
        attention_probs_dropout_prob: rate,
        layer_norm_eps: 1e-12,
        initializer_range: 0.02,
        hidden_act: "gelu".into(),
        pad_token_id: 0,
    };
    let t = args.get(5).and_then(|x| x.parse().ok()).unwrap_or(128);
    let objective = if args.get(6).is_some_and(|x| x == "clm") { Objective::CausalLm } else { Objective::MaskedLm };
    let (n, sequences) = (128 * sequences, 128 * sequences / t);
    let id = |i: usize| 5 + (i * 7919 % (vocab - 5)) as i32;
    let input_ids: Vec<i32> = (0..n).map(id).collect();
    let masked_positions: Vec<i32> = (0..n as i32).filter(|i| i % 20 < 3).collect();
    let labels: Vec<i32> = masked_positions.iter().map(|&i| id(i as usize + 1)).collect();
    let batch = Batch {
        input_ids: &input_ids,
        token_type_ids: &vec![0; n],
        position_ids: &(0..n).map(|i| (i % t) as i32).collect::<Vec<_>>(),
        cu_seqlens: &(0..=sequences).map(|b| (b * t) as i32).collect::<Vec<_>>(),
        masked_positions: &masked_positions,
        labels: &labels,
        sequence_labels: &[],
        sequence_weight: 1.0,
    };
    let options = EngineOptions {
        config,
        objective,
        seed: 1,
        dtype,
        threads,
        max_tokens: n,
        max_sequences: sequences,
        max_masked: labels.len(),
        max_sequence_length: t,
        training: true,
        profile: true,
    };
    let mut trainer = trainer::open(options, None).expect("the engine opens");
    let hyper =
        AdamW { learning_rate: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weight_decay: 0.01, max_grad_norm: 1.0 };
    let mut times = Vec::new();
    let mut first = Vec::new();
    let steps = if size == "c" { 8 } else { 21 };
    for step in 0..=steps {
        let start = Instant::now();
        trainer.forward_backward(&batch, step, 0).expect("a step");
        trainer.update(&hyper, step).expect("an update");
        // The first step also waits for the operating system to hand out memory.
        match step {
            0 => first = trainer.profile(),
            _ => times.push(start.elapsed().as_secs_f64()),
        }
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let (isa, dtype) = (trainer.instruction_set(), dtype.name());
    println!(
        "{size} {dtype}: {:.0} tokens/s, {:.1} ms a step, {isa}, {threads} threads",
        n as f64 / median,
        median * 1e3
    );
    println!("{:>32} {:>6} {:>8}", "operation", "calls", "ms a step");
    for entry in trainer.profile() {
        let (calls, time) = match first.iter().find(|before| before.operation == entry.operation) {
            Some(before) => (entry.calls - before.calls, entry.time - before.time),
            None => (entry.calls, entry.time),
        };
        let (calls, ms) = (calls / steps, time.as_secs_f64() * 1e3 / steps as f64);
        println!("{:>32} {calls:>6} {ms:>8.2}", entry.operation);
    }
}
