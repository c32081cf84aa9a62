//! Elementwise mathematics that vectorizes, and the dispatch that lets it.
//!
//! [`vectorize`] compiles a closure for AVX-512, AVX2 and what the target always has (NEON on ARM, where it is all there
//! is) and runs the best one of this machine. Inside, plain loops over slices become vector code, as long as everything
//! they call is `#[inline(always)]`, as all functions here are. Reductions keep [`LANES`] partial results and add them in
//! a fixed order, because a compiler may not reorder a sum of floats.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use crate::machine::dtype::{Dtype, Element};
pub use crate::machine::isa::vectorize;

/// Partial results of a reduction.
pub const LANES: usize = 16;

/// Partial results of `step` over `x`, in lanes.
#[inline(always)]
fn fold<T: Copy>(x: &[T], empty: f32, step: impl Fn(f32, T) -> f32) -> [f32; LANES] {
    let mut lanes = [empty; LANES];
    let (chunks, tail) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for l in 0..LANES {
            lanes[l] = step(lanes[l], chunk[l]);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(tail) {
        *lane = step(*lane, value);
    }
    lanes
}

/// Joins lanes pairwise.
#[inline(always)]
fn join(mut lanes: [f32; LANES], step: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for l in 0..width {
            lanes[l] = step(lanes[l], lanes[l + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Σ x
#[inline(always)]
pub fn sum<T: Element>(x: &[T]) -> f32 {
    join(fold(x, 0.0, |a, b| a + b.to_f32()), |a, b| a + b)
}

/// Σ f(x)
#[inline(always)]
pub fn sum_of<T: Element>(x: &[T], f: impl Fn(f32) -> f32) -> f32 {
    join(fold(x, 0.0, |a, b| a + f(b.to_f32())), |a, b| a + b)
}

/// Σ (x − mean)²
#[inline(always)]
pub fn sum_of_squares<T: Element>(x: &[T], mean: f32) -> f32 {
    let lanes = fold(x, 0.0, |a, b| {
        let d = b.to_f32() - mean;
        d.mul_add(d, a)
    });
    join(lanes, |a, b| a + b)
}

/// max x; −∞ when empty. NaN entries are passed over: sums find them.
#[inline(always)]
pub fn max(x: &[f32]) -> f32 {
    let larger = |a, b| if b > a { b } else { a };
    join(fold(x, f32::NEG_INFINITY, larger), larger)
}

/// Σ x·y
#[inline(always)]
pub fn dot<T: Element>(x: &[T], y: &[T]) -> f32 {
    dot_of(x, y, |x| x)
}

/// Σ f(x)·y
#[inline(always)]
pub fn dot_of<T: Element, U: Element>(x: &[T], y: &[U], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let ((xs, xt), (ys, yt)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (a, b) in xs.iter().zip(ys) {
        for l in 0..LANES {
            lanes[l] = f(a[l].to_f32()).mul_add(b[l].to_f32(), lanes[l]);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(xt).zip(yt) {
        *lane = f(a.to_f32()).mul_add(b.to_f32(), *lane);
    }
    sum(&lanes)
}

/// y += x
#[inline(always)]
pub fn add(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// y = f(y, x) in short rows, as those of register tiles. Loops over them stay scalar: of a length that the compiler knows
/// because it unrolls them first, of any other because a row is all remainder.
#[inline(always)]
pub fn combine<T: Element>(y: &mut [f32], x: &[T], f: impl Fn(f32, f32) -> f32) {
    if combine_whole::<32, T>(y, x, &f) || combine_whole::<16, T>(y, x, &f) || combine_whole::<8, T>(y, x, &f) {
        return;
    }
    for (y, x) in y.iter_mut().zip(x) {
        *y = f(*y, x.to_f32());
    }
}

/// The same for rows of N; whether they are.
#[inline(always)]
fn combine_whole<const N: usize, T: Element>(y: &mut [f32], x: &[T], f: &impl Fn(f32, f32) -> f32) -> bool {
    let (Ok(y), Ok(x)) = (<&mut [f32; N]>::try_from(y), <&[T; N]>::try_from(x)) else { return false };
    *y = std::array::from_fn(|l| f(y[l], x[l].to_f32()));
    true
}

/// eˣ for x ≤ 88 within 2 units in the last place; 0 below −87.3. NaN stays NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // x = n ln 2 + r with |r| ≤ ln 2 / 2; adding and subtracting 1.5·2²³ rounds to an integer in any vector ISA.
    const MAGIC: f32 = 12_582_912.0;
    let clamped = if x < -87.3 { -87.3 } else { x };
    let shifted = clamped.mul_add(LOG2_E, MAGIC);
    let n = shifted - MAGIC;
    let r = n.mul_add(-1.428_606_8e-6, n.mul_add(-0.693_145_75, clamped));
    let mut p = 1.987_569_1e-4f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, c);
    }
    let p = (p * r).mul_add(r, r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.3 { 0.0 } else { p * power }
}

/// The standard normal's distribution Φ(x) and density φ(x); Φ within 1.5e-7 (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let mut p = 1.061_405_4f32;
    for c in [-1.453_152_1, 1.421_413_8, -0.284_496_72, 0.254_829_6] {
        p = p.mul_add(t, c);
    }
    let e = exp(-z * z);
    let tail = 0.5 * p * t * e;
    (if x < 0.0 { tail } else { 1.0 - tail }, e * 0.398_942_3)
}

/// σ(x) = 1 / (1 + e⁻ˣ); 0 far below, NaN stays NaN.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    let above = 1.0 / (1.0 + exp(if x < -88.0 { 88.0 } else { -x }));
    if x < -88.0 { 0.0 } else { above }
}

/// GELU in the erf form: x Φ(x) (Hendrycks and Gimpel, 2016).
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    x * normal(x).0
}

/// d GELU / dx = Φ(x) + x φ(x)
#[inline(always)]
pub fn gelu_derivative(x: f32) -> f32 {
    let (cdf, pdf) = normal(x);
    x.mul_add(pdf, cdf)
}

/// GELU and its derivative at x, as precise as `T` deserves: within a millionth for f32; for bf16, which rounds 1 by
/// 2⁻⁹ ≈ 0.002, within 2e-4 and 4e-4, by polynomials instead of an exponential and a division.
#[inline(always)]
pub fn gelu_and_slope<T: Element>(x: f32) -> (f32, f32) {
    if T::DTYPE == Dtype::F32 {
        let (cdf, pdf) = normal(x);
        return (x * cdf, x.mul_add(pdf, cdf));
    }
    // Φ and Φ + x φ are ½ plus an odd function: minimax fits in x² on |x| ≤ 4.5 that end at 1. Highest power first.
    const END: f32 = 4.5;
    const CDF: [f32; 8] = [
        -3.942_98e-9,
        1.826_703_8e-7,
        -4.926_099_3e-6,
        8.694_825e-5,
        -1.074_938_6e-3,
        9.724_319e-3,
        -6.623_386_6e-2,
        0.398_864_1,
    ];
    const SLOPE: [f32; 8] = [
        -4.165_523e-8,
        1.852_412_8e-6,
        -4.689_437e-5,
        7.498_603e-4,
        -7.941_769e-3,
        5.645_142e-2,
        -0.262_523_06,
        0.796_85,
    ];
    let above = if x < -END { -END } else { x };
    let inside = if above > END { END } else { above };
    let square = inside * inside;
    let (mut cdf, mut slope) = (3.731_642e-11f32, 4.049_829_4e-10f32);
    for (c, s) in CDF.into_iter().zip(SLOPE) {
        cdf = cdf.mul_add(square, c);
        slope = slope.mul_add(square, s);
    }
    (above * cdf.mul_add(inside, 0.5), slope.mul_add(inside, 0.5))
}

/// Begins to fetch `len` elements into the first cache, where the machine can be told so.
#[inline(always)]
pub fn prefetch<T>(from: *const T, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..len).step_by(64 / size_of::<T>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: any address may be prefetched.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (from, len);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::dtype::Bf16;

    /// Φ by the series of erf around 0 and its continued fraction far out, in f64.
    fn cdf(x: f64) -> f64 {
        let z = x.abs() / 2f64.sqrt();
        let erf = if z < 3.0 {
            let (mut term, mut total) = (z, z);
            for n in 1..200 {
                term *= -z * z / f64::from(n);
                total += term / f64::from(2 * n + 1);
            }
            total * 2.0 / std::f64::consts::PI.sqrt()
        } else {
            let mut f = 0.0;
            for k in (1..200).rev() {
                f = f64::from(k) / 2.0 / (z + f);
            }
            1.0 - (-z * z).exp() / std::f64::consts::PI.sqrt() / (z + f)
        };
        if x < 0.0 { 0.5 * (1.0 - erf) } else { 0.5 * (1.0 + erf) }
    }

    #[test]
    fn gelu_and_its_derivative_are_within_a_millionth_of_f64() {
        for i in -9000..9000 {
            let x = i as f32 / 1000.0;
            let (p, z) = (cdf(f64::from(x)), f64::from(x));
            let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!((f64::from(gelu(x)) - z * p).abs() < 1e-6, "gelu({x})");
            assert!((f64::from(gelu_derivative(x)) - (p + z * density)).abs() < 1e-6, "gelu'({x})");
            assert_eq!(gelu_and_slope::<f32>(x), (gelu(x), gelu_derivative(x)));
            let (coarse, slope) = gelu_and_slope::<Bf16>(x);
            assert!((f64::from(coarse) - z * p).abs() < 2e-4, "gelu({x}) for bf16");
            assert!((f64::from(slope) - (p + z * density)).abs() < 4e-4, "gelu'({x}) for bf16");
        }
    }

    #[test]
    fn gelu_for_bf16_ends_in_zero_and_in_x_and_keeps_nan() {
        for x in [-1e30f32, -100.0, 100.0, 1e30] {
            let (y, slope) = gelu_and_slope::<Bf16>(x);
            assert!((y - x.max(0.0)).abs() <= 2e-4 * x.max(1.0) && (slope - f32::from(x > 0.0)).abs() < 1e-4, "{x}");
        }
        let (y, slope) = gelu_and_slope::<Bf16>(f32::NAN);
        assert!(y.is_nan() && slope.is_nan());
    }

    #[test]
    fn exp_is_relatively_close_and_keeps_nan() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 4e-7, "exp({x})");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1000.0), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn combine_agrees_with_a_plain_loop_at_every_length() {
        for len in 0..70 {
            let x: Vec<f32> = (0..len).map(|i| (i as f32 * 0.37).sin()).collect();
            let narrow: Vec<Bf16> = x.iter().map(|&x| Bf16::from_f32(x)).collect();
            let before: Vec<f32> = (0..len).map(|i| (i as f32 * 0.91).cos()).collect();
            let (mut y, mut z) = (before.clone(), before.clone());
            combine(&mut y, &x, |y, x| y * 2.0 - x);
            combine(&mut z, &narrow, |y, x| y * 2.0 - x);
            for i in 0..len {
                assert_eq!(y[i], before[i] * 2.0 - x[i]);
                assert_eq!(z[i], before[i] * 2.0 - narrow[i].to_f32());
            }
        }
    }

    #[test]
    fn reductions_agree_with_f64_at_every_length() {
        for len in 0..70 {
            let x: Vec<f32> = (0..len).map(|i| (i as f32 * 0.37).sin()).collect();
            let y: Vec<f32> = (0..len).map(|i| (i as f32 * 0.91).cos()).collect();
            let exact: f64 = x.iter().zip(&y).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(dot(&x, &y)) - exact).abs() < 1e-5);
            assert!((f64::from(sum(&x)) - x.iter().map(|&v| f64::from(v)).sum::<f64>()).abs() < 1e-5);
            assert_eq!(max(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
