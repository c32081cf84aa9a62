//! `y = x Wᵀ + b` and its gradients, on top of [`super::gemm`]. Weights are `[outputs, inputs]`, as PyTorch has them.

pub mod cuda;
pub mod packed;

use std::ops::Range;

use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::refill;
use crate::machine::simd::vectorize;
use crate::machine::threads::{Shards, Threads};
use crate::ops::gemm::epilogue::{Add, Begin, Epilogue};
use crate::ops::gemm::{Gemm, MatRef, Right, Size};
use crate::ops::{ROW_BLOCK, add_partials};
use packed::PackedWeight;

/// A weight, and its packed copies where they are kept.
#[derive(Clone, Copy)]
pub struct Weight<'a> {
    /// `[outputs, inputs]`
    pub values: &'a [f32],
    /// Columns.
    pub inputs: usize,
    /// The same values, packed.
    pub packed: Option<&'a PackedWeight>,
}

impl<'a> Weight<'a> {
    /// Without packed copies.
    pub fn new(values: &'a [f32], inputs: usize) -> Self {
        Self { values, inputs, packed: None }
    }

    fn outputs(&self) -> usize {
        self.values.len() / self.inputs
    }

    fn right(&self) -> Right<'a> {
        match self.packed {
            Some(packed) => Right::Panels(packed.forward()),
            None => Right::Weights(MatRef::rows(self.values, self.inputs).t()),
        }
    }

    fn right_of_gradient(&self) -> Right<'a> {
        match self.packed.and_then(PackedWeight::backward) {
            Some(panels) => Right::Panels(panels),
            None => Right::Weights(MatRef::rows(self.values, self.inputs)),
        }
    }
}

/// `x Wᵀ`, finished by `epilogue`.
///
/// # Errors
/// `OutOfMemory`, as [`Gemm::run`].
pub fn forward<T: Element>(
    gemm: &Gemm<T>,
    threads: &Threads,
    x: &[T],
    weight: Weight,
    epilogue: &dyn Epilogue,
) -> Result<()> {
    let size = Size { m: x.len() / weight.inputs, n: weight.outputs(), k: weight.inputs };
    gemm.run(threads, size, MatRef::rows(x, weight.inputs), weight.right(), epilogue)
}

/// `dy W`, finished by `epilogue`.
///
/// # Errors
/// `OutOfMemory`, as [`Gemm::run`].
pub fn backward_data<T: Element>(
    gemm: &Gemm<T>,
    threads: &Threads,
    dy: &[T],
    weight: Weight,
    epilogue: &dyn Epilogue,
) -> Result<()> {
    let outputs = weight.outputs();
    let size = Size { m: dy.len() / outputs, n: weight.inputs, k: outputs };
    gemm.run(threads, size, MatRef::rows(dy, outputs), weight.right_of_gradient(), epilogue)
}

/// `dW += dyᵀ x`, of `outputs` rows, and `db += Σ rows of dy` where there is a bias. If it `begins` dW, that counts as zero,
/// whatever is there. `partials` is scratch.
///
/// # Errors
/// `OutOfMemory`, as [`Gemm::run`].
pub fn backward_parameters<T: Element>(
    gemm: &Gemm<T>,
    threads: &Threads,
    x: &[T],
    dy: &[T],
    outputs: usize,
    d_weight: &mut [f32],
    begins: bool,
    d_bias: Option<&mut [f32]>,
    partials: &mut Vec<f32>,
) -> Result<()> {
    let inputs = d_weight.len() / outputs;
    let size = Size { m: outputs, n: inputs, k: dy.len() / outputs };
    let (a, b) = (MatRef::rows(dy, outputs).t(), MatRef::rows(x, inputs));
    let epilogue: &dyn Epilogue = match begins {
        true => &Begin::new(d_weight, inputs),
        false => &Add::new(d_weight, inputs),
    };
    let Some(d_bias) = d_bias else {
        return gemm.run_of_columns(threads, size, a, b, epilogue, &|_, _| {});
    };
    // The bias's gradient reads dy while the product packs it. Blocks of rows are added in order.
    refill(partials, size.k.div_ceil(ROW_BLOCK) * outputs)?;
    let partial = Shards::new(partials);
    let sum_rows = |steps: Range<usize>, columns: Range<usize>| {
        let first = steps.start / ROW_BLOCK * outputs;
        // SAFETY: one part for each block and column.
        let partial = unsafe { partial.part(first + columns.start..first + columns.end) };
        vectorize(
            #[inline(always)]
            || {
                for step in steps {
                    let row = &dy[step * outputs..][columns.clone()];
                    partial.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.to_f32());
                }
            },
        );
    };
    gemm.run_of_columns(threads, size, a, b, epilogue, &sum_rows)?;
    partials.chunks_exact(outputs).for_each(|partial| add_partials(d_bias, partial));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::activation::{self, Activation};
    use crate::ops::gemm::epilogue::{Bias, BiasActivation, Store};
    use crate::ops::tests::{check_gradient, random};

    #[test]
    fn backward_equals_finite_differences_with_and_without_activation() {
        let (gemm, threads) = (Gemm::new(2).unwrap(), Threads::new(2));
        let (n, inputs, outputs) = (7, 5, 9);
        let dy = random(n * outputs, 3);
        for activation in [None, Some(Activation::Gelu)] {
            let split = [n * inputs, n * inputs + inputs * outputs];
            let run = |v: &[f32]| {
                let (mut y, mut slope) = (vec![0.0; n * outputs], vec![0.0; n * outputs]);
                let weight = Weight::new(&v[split[0]..split[1]], inputs);
                let epilogue: &dyn Epilogue = match activation {
                    None => &Bias::new(Some(&v[split[1]..]), &mut y, outputs),
                    Some(activation) => {
                        &BiasActivation::new(Some(&v[split[1]..]), activation, &mut slope, &mut y, outputs)
                    }
                };
                forward(&gemm, &threads, &v[..split[0]], weight, epilogue).unwrap();
                (y, slope)
            };
            let inputs_of = random(split[1] + outputs, 8);
            let mut d_pre = dy.clone();
            if activation.is_some() {
                activation::backward(&threads, &mut d_pre, &run(&inputs_of).1);
            }
            let mut dx = vec![0.0; n * inputs];
            let (mut dw, mut db) = (vec![0.0; inputs * outputs], vec![0.0; outputs]);
            let weight = Weight::new(&inputs_of[split[0]..split[1]], inputs);
            backward_data(&gemm, &threads, &d_pre, weight, &Store::new(&mut dx, inputs)).unwrap();
            let (x, mut scratch) = (&inputs_of[..split[0]], Vec::new());
            let bias = Some(&mut db[..]);
            backward_parameters(&gemm, &threads, x, &d_pre, outputs, &mut dw, false, bias, &mut scratch).unwrap();
            let mut alone = vec![0.0; dw.len()];
            backward_parameters(&gemm, &threads, x, &d_pre, outputs, &mut alone, false, None, &mut scratch).unwrap();
            assert_eq!(alone, dw, "without a bias");
            let mut begun = vec![f32::NAN; dw.len()];
            backward_parameters(&gemm, &threads, x, &d_pre, outputs, &mut begun, true, None, &mut scratch).unwrap();
            assert_eq!(begun, dw, "over what was there before");
            check_gradient(&inputs_of, &[dx, dw, db].concat(), 1e-2, |v| {
                run(v).0.iter().zip(&dy).map(|(o, d)| f64::from(*o) * f64::from(*d)).sum()
            });
        }
    }
}
