//! Prints GFLOP/s of the matrix products of a training step beside what the multiplying instruction itself can do: forward,
//! data gradient and weight gradient of layers of `mini` and `base`, f32 and bf16, by every kernel of this machine.
//! usage: cargo run --release --example gemm_rate [THREADS] [INSTRUCTION_SET, as it is printed]

use std::time::Instant;

use cloze_core::machine::dtype::{Bf16, Dtype, Element};
use cloze_core::machine::isa::Isa;
use cloze_core::machine::memory::Buffer;
use cloze_core::machine::threads::Threads;
use cloze_core::ops::gemm::epilogue::Store;
use cloze_core::ops::gemm::{Gemm, MatRef, Right, Size};
use cloze_core::ops::linear::packed::PackedWeight;

fn main() {
    let count = std::env::args().nth(1).and_then(|x| x.parse().ok()).unwrap_or(2);
    let only = std::env::args().nth(2);
    let wanted = |isa: &Isa| isa.is_available() && only.as_ref().is_none_or(|only| only == isa.name());
    for isa in Isa::ALL.into_iter().filter(wanted) {
        if matches!(isa, Isa::Avx512 | Isa::Avx2) {
            measure::<f32>(isa, count);
        }
        if isa >= Isa::Avx512 {
            measure::<Bf16>(isa, count);
        }
    }
}

fn measure<T: Element>(isa: Isa, count: usize) {
    let (threads, gemm) = (Threads::new(count), Gemm::<T>::on(isa, count).expect("memory"));
    let ceiling = ceiling(&threads, isa, T::DTYPE);
    println!("{} {} on {count} threads: registers alone {ceiling:.0} GFLOP/s", isa.name(), T::DTYPE.name());
    for (name, tokens, inside, outside) in [
        ("mini", 4096, 256, 1024),
        ("mini, square", 4096, 256, 256),
        ("mini, head", 614, 256, 8192),
        ("base, qkv", 1024, 768, 2304),
        ("base, square", 1024, 768, 768),
        ("base, up", 1024, 768, 3072),
        ("base, down", 1024, 3072, 768),
        ("base, head", 154, 768, 30522),
    ] {
        let x = filled(tokens * inside, T::from_f32(0.5));
        let w = filled(outside * inside, 0.5f32);
        let y = filled(tokens * outside, T::from_f32(0.5));
        let mut c = filled(tokens * outside.max(inside), T::default());
        let mut gradient = filled(outside * inside, 0.0f32);
        let packed = gemm.panels_pay().then(|| {
            let mut packed = PackedWeight::new(&gemm, outside, inside, true).expect("memory");
            packed.write(&threads, &w);
            packed
        });
        let w = MatRef::rows(&w, inside);
        let (to_output, to_input) = match &packed {
            Some(packed) => {
                (Right::Panels(packed.forward()), packed.backward().map_or(Right::Weights(w), Right::Panels))
            }
            None => (Right::Weights(w.t()), Right::Weights(w)),
        };
        let forward = Size { m: tokens, n: outside, k: inside };
        let data = Size { m: tokens, n: inside, k: outside };
        let weight = Size { m: outside, n: inside, k: tokens };
        let (x, y) = (MatRef::rows(&x, inside), MatRef::rows(&y, outside));
        let rates = [
            rate(forward, || gemm.run(&threads, forward, x, to_output, &Store::new(&mut c, outside)).expect("memory")),
            rate(data, || gemm.run(&threads, data, y, to_input, &Store::new(&mut c, inside)).expect("memory")),
            rate(weight, || {
                let store = Store::new(&mut gradient, inside);
                gemm.run_of_columns(&threads, weight, y.t(), x, &store, &|_, _| {}).expect("memory");
            }),
        ];
        let shares = rates.map(|rate| format!("{rate:6.0} ({:2.0}%)", 100.0 * rate / ceiling));
        println!("{name:>14}: forward {}  data {}  weight {}", shares[0], shares[1], shares[2]);
    }
}

/// Memory as the engine has it.
fn filled<T: Element>(len: usize, value: T) -> Buffer<T> {
    let mut buffer = Buffer::zeroed(len).expect("memory");
    buffer.fill(value);
    buffer
}

/// GFLOP/s of the median of 15 runs.
fn rate(size: Size, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    2.0 * (size.m * size.n * size.k) as f64 / times[7] / 1e9
}

/// GFLOP/s of the multiplying instruction on registers alone, by the whole team at once.
#[cfg(target_arch = "x86_64")]
fn ceiling(threads: &Threads, isa: Isa, dtype: Dtype) -> f64 {
    const ROUNDS: usize = 4_000_000;
    // SAFETY: `main` only asks for what is available.
    let (run, flops): (unsafe fn(usize), usize) = match (isa, dtype) {
        (Isa::Amx, Dtype::Bf16) => (instructions::amx, 4 * 2 * 16 * 16 * 32),
        (Isa::Avx512Bf16, Dtype::Bf16) => (instructions::dot_bf16, 28 * 64),
        (Isa::Avx2 | Isa::Base, _) => (instructions::fma_256, 12 * 16),
        _ => (instructions::fma_512, 28 * 32),
    };
    let best = (0..3).map(|_| {
        let start = Instant::now();
        // SAFETY: as above.
        threads.run(threads.count(), &|_, _| unsafe { run(ROUNDS) });
        start.elapsed().as_secs_f64()
    });
    (threads.count() * ROUNDS * flops) as f64 / best.fold(f64::INFINITY, f64::min) / 1e9
}

#[cfg(not(target_arch = "x86_64"))]
fn ceiling(_: &Threads, _: Isa, _: Dtype) -> f64 {
    f64::NAN
}

#[cfg(target_arch = "x86_64")]
mod instructions {
    use std::arch::asm;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// 16 rows of 64 bytes in each of 8 tiles.
    #[repr(C, align(64))]
    struct Tiles([u8; 64]);

    pub unsafe fn amx(rounds: usize) {
        let mut tiles = Tiles([0; 64]);
        tiles.0[0] = 1;
        for tile in 0..8 {
            (tiles.0[16 + 2 * tile], tiles.0[48 + tile]) = (64, 16);
        }
        // SAFETY: a valid configuration; tile registers and nothing else change.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &tiles, options(nostack, readonly));
            asm!(
                "2:",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "dec {rounds}",
                "jnz 2b",
                "tilerelease",
                rounds = inout(reg) rounds => _,
                options(nostack, nomem),
            );
        }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub unsafe fn dot_bf16(rounds: usize) {
        let mut sums = [_mm512_setzero_ps(); 28];
        // SAFETY: any bits are 32 bf16.
        let x: __m512bh = unsafe { std::mem::transmute(_mm512_set1_epi32(black_box(0))) };
        for _ in 0..rounds {
            sums.iter_mut().for_each(|sum| *sum = _mm512_dpbf16_ps(*sum, x, x));
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f")]
    pub unsafe fn fma_512(rounds: usize) {
        let (mut sums, x) = ([_mm512_setzero_ps(); 28], _mm512_set1_ps(black_box(0.0)));
        for _ in 0..rounds {
            sums.iter_mut().for_each(|sum| *sum = _mm512_fmadd_ps(x, x, *sum));
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn fma_256(rounds: usize) {
        let (mut sums, x) = ([_mm256_setzero_ps(); 12], _mm256_set1_ps(black_box(0.0)));
        for _ in 0..rounds {
            sums.iter_mut().for_each(|sum| *sum = _mm256_fmadd_ps(x, x, *sum));
        }
        black_box(sums);
    }
}
