//! Prints two JSON lines about training steps on the GPU: milliseconds of a step, tokens per second, model FLOP
//! utilization and memory; then, from a second engine that runs a few steps, where the time goes by kernel. Called by
//! bench/gpu/run.sh.
//! usage: gpu_rate base|small SEQUENCE_LENGTH SEQUENCES STEPS PEAK_TFLOPS
//!
//! Steps are timed in rounds of STEPS, and the device is waited for at the end of each, as in training; every round has the
//! same shape, so graphs and algorithms are there after the steps that warm up.
//!
//! FLOP of a token: 6 · 12 · L · C² for the products of the encoder (forward and twice that backward), 12 · L · C · T for
//! attention's, 6 · (C · V + C²) · 0.15 for the head on masked tokens. MFU divides by the dense bf16 peak that is given.

mod measured_step;

use std::path::Path;
use std::time::Instant;

use cloze_core::backend::cuda::Cuda;
use cloze_core::backend::cuda::program::units;
use cloze_core::driver::gpu::Gpu;
use cloze_core::driver::libraries;
use cloze_core::driver::queue::Modes;
use cloze_core::engine::{Engine, EngineOptions};
use cloze_core::heads::Heads;
use cloze_core::machine::dtype::Dtype;
use cloze_core::trainer::Trainer;

/// Timed rounds.
const ROUNDS: usize = 5;
/// Steps that choose algorithms and make graphs, and steps of the profile.
const WARM_UP: u64 = 5;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, standard: usize| args.get(i).and_then(|x| x.parse().ok()).unwrap_or(standard);
    let (t, sequences, steps) = (number(1, 128), number(2, 256), number(3, 20));
    let peak = args.get(4).and_then(|x| x.parse().ok()).unwrap_or(989.0f64) * 1e12;
    let (layers, c) = if args.first().is_some_and(|x| x == "small") { (4, 512) } else { (12, 768) };
    let vocab = 30_528;
    let config = measured_step::bert(c, layers, vocab, 0.1);
    let n = t * sequences;
    let owned = measured_step::batch(vocab, sequences, t);
    let batch = owned.batch();
    let options = EngineOptions {
        config,
        heads: Heads::MASKED_LM,
        seed: 1,
        threads: 1,
        dtype: Dtype::Bf16,
        max_tokens: n,
        max_sequences: sequences,
        max_masked: batch.labels.len(),
        max_sequence_length: t,
        optimizer: Some(measured_step::OPTIMIZER),
        decoder_bias: None,
        inner_initializer_range: None,
        neighbour_attention: false,
        profile: false,
    };
    let mut engine = open(&options);
    let mut step = 0;
    let mut run = |engine: &mut dyn Engine, steps: u64| {
        for _ in 0..steps {
            engine.forward_backward(&batch, step, 0).expect("a step");
            engine.update(measured_step::RATE, step).expect("an update");
            step += 1;
        }
        engine.report().expect("a report");
    };
    run(&mut *engine, WARM_UP);
    let mut milliseconds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run(&mut *engine, steps as u64);
            start.elapsed().as_secs_f64() * 1e3 / steps as f64
        })
        .collect();
    milliseconds.sort_by(f64::total_cmp);
    let median = milliseconds[ROUNDS / 2];
    let memory = libraries::memory_in_use();
    let name = engine.instruction_set();
    drop(engine);
    let (l, c, t_f, v) = (layers as f64, c as f64, t as f64, vocab as f64);
    let flop = 72.0 * l * c * c + 12.0 * l * c * t_f + 6.0 * (c * v + c * c) * 0.15;
    let rate = n as f64 / median * 1e3;
    println!(
        "{}",
        serde_json::json!({
            "engine": "cloze", "gpu": name, "layers": layers, "hidden_size": c, "sequence_length": t,
            "tokens": n, "ms": milliseconds, "median_ms": median, "tokens_per_second": rate, "flop_per_token": flop,
            "mfu": rate * flop / peak, "memory_bytes": memory,
        })
    );
    let mut profiled = open(&EngineOptions { profile: true, ..options });
    run(&mut *profiled, WARM_UP);
    let profile: Vec<_> = profiled
        .profile()
        .iter()
        .map(|e| (e.operation, e.calls / WARM_UP, e.time.as_secs_f64() * 1e3 / WARM_UP as f64))
        .collect();
    println!("{}", serde_json::json!({ "profile": profile, "hidden_size": c, "sequence_length": t, "tokens": n }));
}

fn open(options: &EngineOptions) -> Box<dyn Engine> {
    let cache = Some(Path::new("kernels"));
    let engine = Gpu::open(Dtype::Bf16.into(), units(Dtype::Bf16.into(), Some(64)), &[], cache, 0)
        .and_then(|gpu| Cuda::new(gpu, options, cache, Modes::default()))
        .and_then(|backend| Trainer::on(backend, options.clone(), None));
    match engine {
        Ok(engine) => Box::new(engine),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}
