//! Prints GFLOP/s of the matrix products of a training step: forward, data gradient and weight gradient of the largest
//! layer of `mini` and `base`. usage: cargo run --release --example gemm_rate [THREADS]

use std::time::Instant;

use cloze_core::ops::gemm::{Epilogue, Gemm, MatRef, Size};
use cloze_core::threads::Threads;

fn main() {
    let count = std::env::args().nth(1).and_then(|x| x.parse().ok()).unwrap_or(2);
    let (threads, gemm) = (Threads::new(count), Gemm::default());
    println!("{} on {count} threads", cloze_core::simd::instruction_set());
    for (name, tokens, inside, outside) in [
        ("mini", 4096, 256, 1024),
        ("mini, square", 4096, 256, 256),
        ("mini, head", 614, 256, 8192),
        ("base", 1024, 768, 3072),
    ] {
        let x = vec![0.5f32; tokens * inside];
        let w = vec![0.5f32; outside * inside];
        let y = vec![0.5f32; tokens * outside];
        let mut c = vec![0.0f32; (tokens * outside).max(outside * inside)];
        let forward = Size { m: tokens, n: outside, k: inside };
        let data = Size { m: tokens, n: inside, k: outside };
        let weight = Size { m: outside, n: inside, k: tokens };
        print!("{name:>14} [{tokens}, {inside}] x {outside}:");
        for (what, size, a, b) in [
            ("forward", forward, MatRef::rows(&x, inside), MatRef::rows(&w, inside).t()),
            ("data", data, MatRef::rows(&y, outside), MatRef::rows(&w, inside)),
            ("weight", weight, MatRef::rows(&y, outside).t(), MatRef::rows(&x, inside)),
        ] {
            let mut best = f64::INFINITY;
            for _ in 0..20 {
                let start = Instant::now();
                gemm.run(&threads, size, a, b, &mut c, size.n, Epilogue::Store);
                best = best.min(start.elapsed().as_secs_f64());
            }
            print!("  {what} {:.0}", 2.0 * (size.m * size.n * size.k) as f64 / best / 1e9);
        }
        println!(" GFLOP/s");
    }
}
