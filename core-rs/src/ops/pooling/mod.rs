//! The mean of each sequence's rows: what a classifier may read instead of one token.

pub mod cuda;

use crate::machine::dtype::Element;
use crate::machine::simd::vectorize;

/// `out[b]` = the mean of rows `cu_seqlens[b]..cu_seqlens[b + 1]` of `x`; zeros of none.
pub fn mean<T: Element>(cu_seqlens: &[i32], width: usize, x: &[T], out: &mut [T]) {
    let mut sums = vec![0.0f32; width];
    for (bounds, out) in cu_seqlens.windows(2).zip(out.chunks_exact_mut(width)) {
        let (from, to) = (bounds[0] as usize, bounds[1] as usize);
        let share = 1.0 / (to - from).max(1) as f32;
        sums.fill(0.0);
        vectorize(
            #[inline(always)]
            || {
                for row in x[from * width..to * width].chunks_exact(width) {
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.to_f32());
                }
                out.iter_mut().zip(&sums).for_each(|(out, sum)| *out = T::from_f32(sum * share));
            },
        );
    }
}

/// `dx += ` each sequence's gradient, shared out among its rows.
pub fn backward(cu_seqlens: &[i32], width: usize, gradient: &[f32], dx: &mut [f32]) {
    for (bounds, gradient) in cu_seqlens.windows(2).zip(gradient.chunks_exact(width)) {
        let (from, to) = (bounds[0] as usize, bounds[1] as usize);
        let share = 1.0 / (to - from).max(1) as f32;
        for row in dx[from * width..to * width].chunks_exact_mut(width) {
            row.iter_mut().zip(gradient).for_each(|(dx, g)| *dx += g * share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};

    #[test]
    fn backward_equals_finite_differences_and_a_sequence_of_nothing_is_zero() {
        let (cu_seqlens, width) = ([0, 3, 4, 4, 9], 5);
        let (x, dy) = (random(9 * width, 1), random(4 * width, 2));
        let run = |x: &[f32]| {
            let mut out = vec![7.0; 4 * width];
            mean(&cu_seqlens, width, x, &mut out);
            out
        };
        assert_eq!(run(&x)[2 * width..3 * width], [0.0; 5]);
        let mut dx = vec![0.0; x.len()];
        backward(&cu_seqlens, width, &dy, &mut dx);
        check_gradient(&x, &dx, 1e-2, |x| run(x).iter().zip(&dy).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum());
    }
}
