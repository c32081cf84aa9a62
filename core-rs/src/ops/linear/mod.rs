//! `y = x Wᵀ + b` and its gradients, on top of [`super::gemm`]. Weights are `[outputs, inputs]`, as PyTorch has them.

pub mod cuda;

use crate::ops::gemm::{Epilogue, Gemm, MatRef, Size};
use crate::ops::{ROW_BLOCK, add_partials};
use crate::simd::{gelu_derivative, vectorize};
use crate::threads::{Shards, Threads};

/// `y = x Wᵀ + b`; with `pre`, that sum goes there and `y` is its GELU.
pub fn forward(
    gemm: &Gemm,
    threads: &Threads,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    y: &mut [f32],
    pre: Option<&mut [f32]>,
) {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    let size = Size { m: x.len() / inputs, n: outputs, k: inputs };
    let epilogue = match pre {
        None => Epilogue::Bias(bias),
        Some(pre) => Epilogue::BiasGelu { bias, pre },
    };
    gemm.run(threads, size, MatRef::rows(x, inputs), MatRef::rows(weight, inputs).t(), y, outputs, epilogue);
}

/// `dx = dy W`, finished by `epilogue` (`Store`, `Accumulate` or `GeluBackward`). `inputs` is the length of a row of dx.
pub fn backward_data(
    gemm: &Gemm,
    threads: &Threads,
    dy: &[f32],
    weight: &[f32],
    inputs: usize,
    dx: &mut [f32],
    epilogue: Epilogue,
) {
    let outputs = weight.len() / inputs;
    let size = Size { m: dy.len() / outputs, n: inputs, k: outputs };
    gemm.run(threads, size, MatRef::rows(dy, outputs), MatRef::rows(weight, inputs), dx, inputs, epilogue);
}

/// `dW += dyᵀ x`, `db += Σ rows of dy`. `partials` is scratch.
pub fn backward_parameters(
    gemm: &Gemm,
    threads: &Threads,
    x: &[f32],
    dy: &[f32],
    d_weight: &mut [f32],
    d_bias: &mut [f32],
    partials: &mut Vec<f32>,
) {
    let outputs = d_bias.len();
    let inputs = d_weight.len() / outputs;
    let size = Size { m: outputs, n: inputs, k: dy.len() / outputs };
    let (a, b) = (MatRef::rows(dy, outputs).t(), MatRef::rows(x, inputs));
    gemm.run(threads, size, a, b, d_weight, inputs, Epilogue::Accumulate);
    add_column_sums(threads, dy, d_bias, partials);
}

/// `to += Σ rows of x`, in blocks of rows that are added in order.
pub fn add_column_sums(threads: &Threads, x: &[f32], to: &mut [f32], partials: &mut Vec<f32>) {
    let c = to.len();
    let rows = x.len() / c;
    let blocks = rows.div_ceil(ROW_BLOCK);
    partials.clear();
    partials.resize(blocks * c, 0.0);
    let partial = Shards::new(partials);
    threads.run(blocks, &|_, block| {
        // SAFETY: one part a block.
        let partial = unsafe { partial.part(block * c..(block + 1) * c) };
        let x = &x[block * ROW_BLOCK * c..((block + 1) * ROW_BLOCK).min(rows) * c];
        vectorize(
            #[inline(always)]
            || x.chunks_exact(c).for_each(|row| crate::simd::add(partial, row)),
        );
    });
    partials.chunks_exact(c).for_each(|partial| add_partials(to, partial));
}

/// `gradient *= gelu'(pre)`
pub fn gelu_backward(threads: &Threads, gradient: &mut [f32], pre: &[f32]) {
    const BLOCK: usize = 1 << 13;
    let (len, gradient) = (gradient.len(), Shards::new(gradient));
    threads.run(len.div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(len);
        // SAFETY: blocks are disjoint.
        let gradient = unsafe { gradient.part(range.clone()) };
        let pre = &pre[range];
        vectorize(
            #[inline(always)]
            || gradient.iter_mut().zip(pre).for_each(|(g, p)| *g *= gelu_derivative(*p)),
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};

    #[test]
    fn backward_equals_finite_differences_with_and_without_gelu() {
        let (gemm, threads) = (Gemm::default(), Threads::new(2));
        let (n, inputs, outputs) = (7, 5, 9);
        let dy = random(n * outputs, 3);
        for gelu in [false, true] {
            let split = [n * inputs, n * inputs + inputs * outputs];
            let run = |v: &[f32]| {
                let (mut y, mut pre) = (vec![0.0; n * outputs], vec![0.0; n * outputs]);
                let keep = gelu.then_some(&mut pre[..]);
                forward(&gemm, &threads, &v[..split[0]], &v[split[0]..split[1]], &v[split[1]..], &mut y, keep);
                (y, pre)
            };
            let inputs_of = random(split[1] + outputs, 8);
            let mut d_pre = dy.clone();
            if gelu {
                gelu_backward(&threads, &mut d_pre, &run(&inputs_of).1);
            }
            let mut dx = vec![0.0; n * inputs];
            let (mut dw, mut db) = (vec![0.0; inputs * outputs], vec![0.0; outputs]);
            backward_data(&gemm, &threads, &d_pre, &inputs_of[split[0]..split[1]], inputs, &mut dx, Epilogue::Store);
            backward_parameters(&gemm, &threads, &inputs_of[..split[0]], &d_pre, &mut dw, &mut db, &mut Vec::new());
            check_gradient(&inputs_of, &[dx, dw, db].concat(), 1e-2, |v| {
                run(v).0.iter().zip(&dy).map(|(o, d)| f64::from(*o) * f64::from(*d)).sum()
            });
        }
    }
}
