//! Prints tokens per second of a whole training step (forward, backward, update) of sizes a, b and c.
//! usage: cargo run --release --example step_rate -- [a|b|c] [f32|bf16] [THREADS] [DROPOUT] [ISA] [LENGTH] [mlm|clm]
//! ISA (base, avx2, avx512, dot_bf16, all) holds back what is better than that instruction set.

mod measured_step;

use std::time::Instant;

use cloze_core::engine::EngineOptions;
use cloze_core::heads::Heads;
use cloze_core::machine::dtype::Dtype;
use cloze_core::machine::isa::Isa;
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
    let config = measured_step::bert(hidden, layers, vocab, rate);
    let t = args.get(5).and_then(|x| x.parse().ok()).unwrap_or(128);
    let heads = if args.get(6).is_some_and(|x| x == "clm") { Heads::CAUSAL_LM } else { Heads::MASKED_LM };
    let (n, sequences) = (128 * sequences, 128 * sequences / t);
    let owned = measured_step::batch(vocab, sequences, t);
    let batch = owned.batch();
    let options = EngineOptions {
        config,
        heads,
        seed: 1,
        dtype,
        threads,
        max_tokens: n,
        max_sequences: sequences,
        max_masked: batch.labels.len(),
        max_sequence_length: t,
        optimizer: Some(measured_step::OPTIMIZER),
        decoder_bias: None,
        inner_initializer_range: None,
        neighbour_attention: false,
        profile: true,
    };
    let mut trainer = trainer::open(options, None).expect("the engine opens");
    let mut times = Vec::new();
    let mut first = Vec::new();
    let steps = if size == "c" { 8 } else { 21 };
    for step in 0..=steps {
        let start = Instant::now();
        trainer.forward_backward(&batch, step, 0).expect("a step");
        trainer.update(measured_step::RATE, step).expect("an update");
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
