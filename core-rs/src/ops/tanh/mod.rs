//! Hyperbolic tangent, the activation of BERT's pooler. It runs on one row a sequence, so it is written for exactness on
//! every platform (no mathematics library), not for speed.

pub mod cuda;

use crate::machine::dtype::Element;
use crate::machine::simd::exp;

/// `y = tanh(x)`
pub fn forward<T: Element>(x: &[T], y: &mut [T]) {
    for (y, x) in y.iter_mut().zip(x) {
        // tanh is odd; of a negative argument the exponential cannot overflow.
        let x = x.to_f32();
        let e = exp(-2.0 * x.abs());
        *y = T::from_f32(((1.0 - e) / (1.0 + e)).copysign(x));
    }
}

/// `gradient *= 1 − y²`, where `y` is what forward made.
pub fn backward<T: Element>(y: &[T], gradient: &mut [T]) {
    for (g, y) in gradient.iter_mut().zip(y) {
        let y = y.to_f32();
        *g = T::from_f32(g.to_f32() * (1.0 - y * y));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};

    #[test]
    fn forward_equals_the_library_within_rounding() {
        let x: Vec<f32> = (-2000..=2000).map(|i| i as f32 / 100.0).chain([-1e4, 1e4, 1e-6]).collect();
        let mut y = vec![0.0; x.len()];
        forward(&x, &mut y);
        for (x, y) in x.iter().zip(&y) {
            assert!((f64::from(*y) - f64::from(*x).tanh()).abs() < 3e-7, "tanh({x}) is {y}");
        }
        let mut none = [0.0];
        forward(&[f32::NAN], &mut none);
        assert!(none[0].is_nan(), "NaN is not hidden");
    }

    #[test]
    fn backward_equals_finite_differences() {
        let (x, dy) = (random(40, 1), random(40, 2));
        let run = |x: &[f32]| {
            let mut y = vec![0.0; 40];
            forward(x, &mut y);
            y
        };
        let mut gradient = dy.clone();
        backward(&run(&x), &mut gradient);
        check_gradient(&x, &gradient, 1e-2, |v| {
            run(v).iter().zip(&dy).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum()
        });
    }
}
