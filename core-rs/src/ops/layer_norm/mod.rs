//! LayerNorm (Ba et al., 2016) over the last dimension. The dropout and residual addition that stand before it in a
//! post-LN encoder are done by the product before it ([`crate::ops::gemm::epilogue`]); their backward is done here.

pub mod cuda;

use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::refill;
use crate::machine::simd::{dot_of, sum, sum_of_squares, vectorize};
use crate::machine::threads::{Shards, Threads};
use crate::ops::dropout::Dropout;
use crate::ops::{ROW_BLOCK, add_partials};

/// `out = (x − mean) / sqrt(variance + eps) · weight + bias`, or without bias, rows of `weight.len()`. `statistics` is `[N, 2]`: mean and
/// reciprocal deviation, for backward.
pub fn forward<T: Element>(
    threads: &Threads,
    x: &[T],
    weight: &[f32],
    bias: Option<&[f32]>,
    eps: f32,
    out: &mut [T],
    statistics: &mut [f32],
) {
    let c = weight.len();
    let rows = x.len() / c;
    let (out, statistics) = (Shards::new(out), Shards::new(statistics));
    threads.run(rows.div_ceil(ROW_BLOCK), &|_, block| {
        let from = block * ROW_BLOCK;
        let to = (from + ROW_BLOCK).min(rows);
        // SAFETY: blocks of rows are disjoint.
        let (out, statistics) = unsafe { (out.part(from * c..to * c), statistics.part(2 * from..2 * to)) };
        vectorize(
            #[inline(always)]
            || {
                let rows = x[from * c..to * c].chunks_exact(c).zip(out.chunks_exact_mut(c));
                for ((x, out), statistics) in rows.zip(statistics.chunks_exact_mut(2)) {
                    let mean = sum(x) / c as f32;
                    let reciprocal = 1.0 / (sum_of_squares(x, mean) / c as f32 + eps).sqrt();
                    match bias {
                        Some(bias) => {
                            for (((o, x), w), b) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                                *o = T::from_f32(((x.to_f32() - mean) * reciprocal).mul_add(*w, *b));
                            }
                        }
                        None => {
                            for ((o, x), w) in out.iter_mut().zip(x).zip(weight) {
                                *o = T::from_f32((x.to_f32() - mean) * reciprocal * w);
                            }
                        }
                    }
                    statistics.copy_from_slice(&[mean, reciprocal]);
                }
            },
        );
    });
}

/// `gradient` is d out on entry and d x on return. With `dropped`, x was `dropout(y) + residual`: then
/// d x is also the residual's gradient, and `dropped` receives d y. Adds to `d_weight`, and to `d_bias` if there is one. `partials`
/// is scratch that is grown as needed.
///
/// # Errors
/// `OutOfMemory`.
pub fn backward<T: Element>(
    threads: &Threads,
    x: &[T],
    statistics: &[f32],
    weight: &[f32],
    gradient: &mut [f32],
    dropped: Option<(Dropout, &mut [T])>,
    d_weight: &mut [f32],
    mut d_bias: Option<&mut [f32]>,
    partials: &mut Vec<f32>,
) -> Result<()> {
    let c = weight.len();
    let rows = x.len() / c;
    let blocks = rows.div_ceil(ROW_BLOCK);
    refill(partials, blocks * 2 * c)?;
    let (gradient, partial) = (Shards::new(gradient), Shards::new(partials));
    let dropped = dropped.map(|(dropout, to)| (dropout, Shards::new(to)));
    threads.run(blocks, &|_, block| {
        let from = block * ROW_BLOCK;
        let to = (from + ROW_BLOCK).min(rows);
        // SAFETY: blocks of rows are disjoint.
        let (gradient, partial) =
            unsafe { (gradient.part(from * c..to * c), partial.part(block * 2 * c..(block + 1) * 2 * c)) };
        // SAFETY: as above.
        let mut dropped = dropped.map(|(dropout, shards)| (dropout, unsafe { shards.part(from * c..to * c) }));
        let (d_weight, d_bias) = partial.split_at_mut(c);
        vectorize(
            #[inline(always)]
            || {
                for (r, dy) in gradient.chunks_exact_mut(c).enumerate() {
                    let row = from + r;
                    let x = &x[row * c..(row + 1) * c];
                    let (mean, reciprocal) = (statistics[2 * row], statistics[2 * row + 1]);
                    // With g = dy·w and x̂ the normalized row: dx = (g − mean(g) − x̂ mean(g x̂)) / deviation.
                    for i in 0..c {
                        let normalized = (x[i].to_f32() - mean) * reciprocal;
                        d_weight[i] = dy[i].mul_add(normalized, d_weight[i]);
                        d_bias[i] += dy[i];
                        dy[i] *= weight[i];
                    }
                    let g_mean = sum(dy) / c as f32;
                    let gx_mean = dot_of(x, dy, |x| (x - mean) * reciprocal) / c as f32;
                    for i in 0..c {
                        let normalized = (x[i].to_f32() - mean) * reciprocal;
                        dy[i] = (dy[i] - g_mean - normalized * gx_mean) * reciprocal;
                    }
                    if let Some((dropout, to)) = &mut dropped {
                        let to = &mut to[r * c..(r + 1) * c];
                        for ((to, dy), keep) in to.iter_mut().zip(dy).zip(dropout.factors((row * c) as u32, c)) {
                            *to = T::from_f32(*dy * keep);
                        }
                    }
                }
            },
        );
    });
    for partial in partials.chunks_exact(2 * c) {
        add_partials(d_weight, &partial[..c]);
        if let Some(d_bias) = &mut d_bias {
            add_partials(d_bias, &partial[c..]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};
    use crate::rng::DropoutKey;

    #[test]
    fn backward_equals_finite_differences_with_and_without_residual_and_dropout() {
        let threads = Threads::new(2);
        let (n, c) = (5, 19);
        let dy = random(n * c, 9);
        let some = Dropout::new(DropoutKey::new(1, 2, 3, 4), 0.3);
        for (dropout, with_bias) in
            [(None, true), (None, false), (Some(Dropout::none()), true), (Some(some), true), (Some(some), false)]
        {
            let run = |v: &[f32]| {
                let (x, rest) = v.split_at(n * c);
                let (residual, rest) = rest.split_at(n * c);
                let (weight, bias) = rest.split_at(c);
                let (mut x, mut out, mut statistics) = (x.to_vec(), vec![0.0; n * c], vec![0.0; 2 * n]);
                if let Some(dropout) = dropout {
                    for (i, (x, r)) in x.iter_mut().zip(residual).enumerate() {
                        *x = *x * dropout.factor(i as u32) + r;
                    }
                }
                forward(&threads, &x, weight, with_bias.then_some(bias), 1e-5, &mut out, &mut statistics);
                (x, out, statistics)
            };
            let inputs = random(2 * n * c + 2 * c, 4);
            let (x, _, statistics) = run(&inputs);
            let mut gradient = dy.clone();
            let (mut d_x, mut d_weight, mut d_bias) = (vec![0.0; n * c], vec![0.0; c], vec![0.0; c]);
            let weight = &inputs[2 * n * c..2 * n * c + c];
            let before = dropout.map(|dropout| (dropout, &mut d_x[..]));
            let none = before.is_none();
            backward(
                &threads,
                &x,
                &statistics,
                weight,
                &mut gradient,
                before,
                &mut d_weight,
                with_bias.then_some(&mut d_bias),
                &mut Vec::new(),
            )
            .unwrap();
            let d_residual = if none { vec![0.0; n * c] } else { gradient.clone() };
            let d_x = if none { gradient } else { d_x };
            let analytic = [d_x, d_residual, d_weight, d_bias].concat();
            check_gradient(&inputs, &analytic, 2e-2, |v| {
                run(v).1.iter().zip(&dy).map(|(o, d)| f64::from(*o) * f64::from(*d)).sum()
            });
        }
    }
}
