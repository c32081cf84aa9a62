//! Elementwise mathematics that vectorizes, and the dispatch that lets it.
//!
//! [`vectorize`] compiles a closure for AVX-512, AVX2 and what the target always has (NEON on ARM) and runs
//! the best one of this machine. Inside, plain loops over slices become vector code, as long as everything they call is
//! `#[inline(always)]`, as all functions here are. Reductions keep [`LANES`] partial results and add them in a fixed order,
//! because a compiler may not reorder a sum of floats.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use crate::dtype::Element;
use crate::isa::Isa;

/// Partial results of a reduction.
pub const LANES: usize = 16;

/// Runs `f`, compiled for the best instruction set of this machine. `f` has to be a closure that inlines.
#[inline]
pub fn vectorize<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    return match Isa::for_f32() {
        Isa::Base => f(),
        // SAFETY: `Isa::for_f32` names only what this machine can run.
        Isa::Avx2 => unsafe { pulp::x86::V3::new_unchecked() }.vectorize(f),
        // SAFETY: as above.
        _ => unsafe { pulp::x86::V4::new_unchecked() }.vectorize(f),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return pulp::Arch::new().dispatch(f);
}

/// Partial results of `step` over `x`, in lanes.
#[inline(always)]
fn fold<T: Copy>(x: &[T], empty: f32, step: impl Fn(f32, T) -> f32) -> [f32; LANES] {
    let mut lanes = [empty; LANES];
    let chunks = x.chunks_exact(LANES);
    let tail = chunks.remainder();
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
    let mut lanes = [0.0f32; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let (xt, yt) = (xs.remainder(), ys.remainder());
    for (a, b) in xs.zip(ys) {
        for l in 0..LANES {
            lanes[l] = a[l].to_f32().mul_add(b[l].to_f32(), lanes[l]);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(xt).zip(yt) {
        *lane = a.to_f32().mul_add(b.to_f32(), *lane);
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

#[cfg(test)]
mod tests {
    use super::*;

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
        }
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
