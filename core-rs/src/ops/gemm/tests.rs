//! Products against f64, for every kernel that this machine can run, and for those of other machines in plain code.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::epilogue::{Add, Bias, BiasActivation, BiasDropoutResidual, Store, TimesSlope};
use super::*;
use crate::machine::dtype::Bf16;
use crate::machine::simd::gelu_and_slope;
use crate::ops::activation::Activation;
use crate::ops::dropout::Dropout;
use crate::ops::tests::random;
use crate::rng::DropoutKey;

/// Products by every kernel that this machine can run, and as those of other machines would be.
pub(crate) fn each_kernel<T: Element>(each: impl Fn(Gemm<T>)) {
    Isa::ALL.into_iter().filter(|isa| isa.is_available()).for_each(|isa| each(Gemm::on(isa, 3).unwrap()));
    #[cfg(target_arch = "x86_64")]
    for (name, kernel) in simulated::KERNELS {
        if T::DTYPE == Dtype::Bf16 || kernel.shape().dtype == Dtype::F32 {
            each(Gemm::with(kernel, name, 3).unwrap());
        }
    }
}

fn stored<T: Element>(len: usize, seed: u64) -> Vec<T> {
    random(len, seed).into_iter().map(T::from_f32).collect()
}

fn exact<T: Element>(size: Size, a: MatRef<T>, b: MatRef<T>) -> Vec<f64> {
    let at = |m: &MatRef<T>, i: usize, j: usize| f64::from(m.data[i * m.row_stride + j * m.column_stride].to_f32());
    let entry = |i, j| (0..size.k).map(|p| at(&a, i, p) * at(&b, p, j)).sum();
    (0..size.m * size.n).map(|c| entry(c / size.n, c % size.n)).collect()
}

/// Products of bf16 are exact in f32, so both dtypes sum with the same rounding; what is stored rounds once more.
fn close<T: Element>(found: T, expected: f64, k: usize) {
    let rounding = if T::DTYPE == Dtype::Bf16 { expected.abs() / 256.0 } else { 0.0 };
    let error = (f64::from(found.to_f32()) - expected).abs();
    assert!(error < 1e-5 * (1.0 + k as f64).sqrt() + rounding, "{} vs {expected}", found.to_f32());
}

const SIZES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (1, 33, 7),
    (7, 1, 129),
    (13, 33, 2),
    (129, 65, 33),
    (200, 530, 300),
    (33, 7, 2100),
    (70, 40, 1088),
    (40, 600, 64),
];

fn equals_f64<T: Element>() {
    let threads = Threads::new(2);
    each_kernel::<T>(|gemm| {
        for (m, n, k) in SIZES {
            let size = Size { m, n, k };
            let (a, b) = (stored::<T>(m * k, 1), stored::<T>(k * n, 2));
            let weights: Vec<f32> = b.iter().map(|x| x.to_f32()).collect();
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                let a = if ta { MatRef::rows(&a, m).t() } else { MatRef::rows(&a, k) };
                let b = if tb { MatRef::rows(&b, k).t() } else { MatRef::rows(&b, n) };
                let weights = MatRef { data: &weights, row_stride: b.row_stride, column_stride: b.column_stride };
                let expected = exact(size, a, b);
                let ldc = n + 3;
                let mut c = vec![0.5f32; m * ldc];
                gemm.run(&threads, size, a, Right::Weights(weights), &Store::new(&mut c, ldc)).unwrap();
                let mut packing = vec![0.5f32; m * ldc];
                let visited: Vec<AtomicUsize> = (0..k.div_ceil(ROW_BLOCK) * m).map(|_| AtomicUsize::new(0)).collect();
                let visit = |steps: Range<usize>, rows: Range<usize>| {
                    assert_eq!(steps.end, (steps.start + ROW_BLOCK).min(k));
                    for row in rows {
                        visited[steps.start / ROW_BLOCK * m + row].fetch_add(1, Ordering::Relaxed);
                    }
                };
                gemm.run_of_columns(&threads, size, a, b, &Store::new(&mut packing, ldc), &visit).unwrap();
                assert!(visited.iter().all(|count| count.load(Ordering::Relaxed) == 1), "not visited once");
                let mut alone = vec![0.5f32; m * ldc];
                let mut packed = gemm.packed_right(k, n).unwrap();
                gemm.pack_alone(&mut packed, k, n, b);
                gemm.run_alone(
                    &mut gemm.scratch([m, k], [m, n]).unwrap(),
                    size,
                    a,
                    &packed,
                    &Store::new(&mut alone, ldc),
                );
                for i in 0..m {
                    for j in 0..n {
                        close(c[i * ldc + j], expected[i * n + j], k);
                        close(alone[i * ldc + j], expected[i * n + j], k);
                        close(packing[i * ldc + j], expected[i * n + j], k);
                    }
                    for c in [&c, &packing, &alone] {
                        assert!(c[i * ldc + n..(i + 1) * ldc].iter().all(|&x| x == 0.5), "wrote past a row");
                    }
                }
            }
        }
    });
}

#[test]
fn run_equals_f64_for_every_kernel_transposition_and_odd_sizes() {
    equals_f64::<f32>();
    equals_f64::<Bf16>();
}

fn applies_each_epilogue<T: Element>() {
    let threads = Threads::new(2);
    each_kernel::<T>(|gemm| {
        for (m, n, k) in [(5, 37, 9), (61, 70, 1100)] {
            let size = Size { m, n, k };
            let (a, b, bias, old) = (stored::<T>(m * k, 1), stored::<T>(k * n, 2), random(n, 3), stored::<T>(m * n, 4));
            let (a, b) = (MatRef::rows(&a, k), MatRef::rows(&b, n));
            let x = exact(size, a, b);
            let run =
                |epilogue: &dyn Epilogue| gemm.run_of_columns(&threads, size, a, b, epilogue, &|_, _| {}).unwrap();
            let zeros = || vec![T::default(); m * n];
            let mut sum: Vec<f32> = old.iter().map(|x| x.to_f32()).collect();
            run(&Add::new(&mut sum, n));
            let mut biased = zeros();
            run(&Bias::new(Some(&bias), &mut biased, n));
            let (mut slope, mut activated) = (zeros(), zeros());
            run(&BiasActivation::new(Some(&bias), Activation::Gelu, &mut slope, &mut activated, n));
            let mut sloped = zeros();
            run(&TimesSlope::new(&old, &mut sloped, n));
            let (mut added, dropout) = (zeros(), Dropout::new(DropoutKey::new(1, 2, 3, 4), 0.3));
            run(&BiasDropoutResidual::new(Some(&bias), dropout, &old, &mut added, n));
            for i in 0..m * n {
                let (old, sum_of_bias) = (f64::from(old[i].to_f32()), x[i] + f64::from(bias[i % n]));
                close(sum[i], x[i] + old, k);
                close(biased[i], sum_of_bias, k);
                let (y, dy) = gelu_and_slope::<T>(sum_of_bias as f32);
                close(activated[i], f64::from(y), k);
                close(slope[i], f64::from(dy), k);
                close(sloped[i], x[i] * old, k);
                close(added[i], sum_of_bias * f64::from(dropout.factor(i as u32)) + old, k);
            }
        }
    });
}

#[test]
fn run_applies_each_epilogue_once_even_when_k_is_split() {
    applies_each_epilogue::<f32>();
    applies_each_epilogue::<Bf16>();
}

#[test]
fn run_takes_weights_as_they_are_and_packed_before() {
    let threads = Threads::new(2);
    each_kernel::<Bf16>(|gemm| {
        for (m, n, k) in [(70, 130, 65), (33, 30, 600), (5, 2, 3)] {
            let size = Size { m, n, k };
            // Values that bf16 holds exactly, so that a kernel that widens gives the same.
            let weight: Vec<f32> = stored::<Bf16>(n * k, 2).iter().map(|x| x.to_f32()).collect();
            let a = stored::<Bf16>(m * k, 1);
            let by = |right: Right| {
                let mut c = vec![0.0f32; m * n];
                gemm.run(&threads, size, MatRef::rows(&a, k), right, &Store::new(&mut c, n)).unwrap();
                c
            };
            let packed = if gemm.panels_pay() {
                let panels = Panels::new(&gemm, n, k).unwrap();
                let narrow: Vec<Bf16> = weight.iter().map(|&x| Bf16::from_f32(x)).collect();
                for first in (0..n).step_by(panels::ROWS) {
                    let rows = &narrow[first * k..(first + panels::ROWS).min(n) * k];
                    // SAFETY: one block after the other.
                    unsafe { panels.shards().write_columns(first, rows) };
                }
                Some(by(Right::Panels(&panels)))
            } else {
                None
            };
            let found = by(Right::Weights(MatRef::rows(&weight, k).t()));
            let narrow: Vec<Bf16> = weight.iter().map(|&x| Bf16::from_f32(x)).collect();
            let expected = exact(size, MatRef::rows(&a, k), MatRef::rows(&narrow, k).t());
            found.iter().zip(&expected).for_each(|(x, y)| close(*x, *y, k));
            assert!(packed.is_none_or(|packed| packed == found));
        }
    });
}

fn same_bits<T: Element>() {
    let size = Size { m: 700, n: 300, k: 1040 };
    let (a, b) = (stored::<T>(size.m * size.k, 1), stored::<T>(size.k * size.n, 2));
    let weights: Vec<f32> = b.iter().map(|x| x.to_f32()).collect();
    each_kernel::<T>(|gemm| {
        let by = |count| {
            let (gemm, threads) = (Gemm::<T>::with(gemm.kernel, gemm.name, count).unwrap(), Threads::new(count));
            let (mut c, mut packing) = (vec![0.0f32; size.m * size.n], vec![0.0f32; size.m * size.n]);
            let (a, b) = (MatRef::rows(&a, size.m).t(), MatRef::rows(&b, size.n));
            let weights = Right::Weights(MatRef::rows(&weights, size.n));
            gemm.run(&threads, size, a, weights, &Store::new(&mut c, size.n)).unwrap();
            gemm.run_of_columns(&threads, size, a, b, &Store::new(&mut packing, size.n), &|_, _| {}).unwrap();
            (c, packing)
        };
        let one = by(1);
        assert!(one == by(2) && one == by(3));
    });
}

#[test]
fn run_gives_the_same_bits_for_any_team() {
    same_bits::<f32>();
    same_bits::<Bf16>();
}

fn lets_nan_through<T: Element>() {
    let threads = Threads::new(1);
    each_kernel::<T>(|gemm| {
        let (mut c, size) = (vec![7.0f32; 4], Size { m: 2, n: 2, k: 2 });
        let (a, b) = ([f32::NAN, 1.0, 1.0, 1.0].map(T::from_f32), [1.0; 4]);
        let weights = Right::Weights(MatRef::rows(&b, 2));
        gemm.run(&threads, size, MatRef::rows(&a, 2), weights, &Store::new(&mut c, 2)).unwrap();
        assert!(c[0].is_nan() && c[2] == 2.0);
        let none = Size { k: 0, ..size };
        gemm.run(&threads, none, MatRef::rows(&a, 0), weights, &Store::new(&mut c, 2)).unwrap();
        assert_eq!(c, [0.0; 4]);
        c.fill(7.0);
        let (a, b) = (MatRef::rows(&a[..0], 2).t(), b.map(T::from_f32));
        gemm.run_of_columns(&threads, none, a, MatRef::rows(&b[..0], 2), &Store::new(&mut c, 2), &|_, _| {}).unwrap();
        assert_eq!(c, [0.0; 4]);
    });
}

#[test]
fn run_lets_nan_through_and_zero_k_stores_zero() {
    lets_nan_through::<f32>();
    lets_nan_through::<Bf16>();
}
