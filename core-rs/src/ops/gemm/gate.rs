//! The gate of a feed-forward part (Shazeer, 2020): `c = f(x Uᵀ) · (x Gᵀ)`. The product with U ends in
//! [`BiasActivation`](super::epilogue::BiasActivation), which leaves f and its slope; that with G ends here, and leaves what
//! the gradient of c is multiplied by on its way back to each of them.

use super::Size;
use super::epilogue::{Epilogue, bias_of};
use super::output::{LARGEST, Output, Tile};
use crate::machine::dtype::Element;
use crate::machine::simd::prefetch;
use crate::ops::dropout::Dropout;

/// `c = dropout(activated · gate)` with `gate = x + bias[j]`. `slope` becomes slope · gate and `activated` itself, both with
/// the dropout: what [`TimesBoth`] takes.
pub struct Gate<'a, T> {
    bias: Option<&'a [f32]>,
    dropout: Dropout,
    slope: Output<T>,
    activated: Output<T>,
    c: Output<T>,
}

impl<'a, T: Element> Gate<'a, T> {
    /// Rows of all three are `stride` apart.
    pub fn new(
        bias: Option<&'a [f32]>,
        dropout: Dropout,
        slope: &mut [T],
        activated: &mut [T],
        c: &mut [T],
        stride: usize,
    ) -> Self {
        let [slope, activated, c] = [slope, activated, c].map(|x| Output::new(x, stride));
        Self { bias, dropout, slope, activated, c }
    }
}

impl<T: Element> Epilogue for Gate<'_, T> {
    fn check(&self, size: Size) {
        [self.slope, self.activated, self.c].iter().for_each(|output| output.check(size));
    }

    fn prefetch(&self, row: usize, column: usize, height: usize, width: usize) {
        self.slope.prefetch(row, column, height, width);
        self.activated.prefetch(row, column, height, width);
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.c.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let (bias, stride, dropout) = (bias_of(self.bias, tile), tile.stride, self.dropout);
        let (row, column) = (tile.row, tile.column);
        let (slope, activated) = (self.slope.of(tile), self.activated.of(tile));
        let mut slopes = [0.0f32; LARGEST];
        if !dropout.is_none() {
            let at = |r: usize| self.c.index(row + r, column) as u32;
            let mut kept = [0.0f32; LARGEST];
            tile.edit(
                #[inline(always)]
                |r, x| {
                    let (kept, a) = (&mut kept[r * stride..][..x.len()], activated.row(r, x.len()));
                    let factors = dropout.factors(at(r), x.len());
                    kept.iter_mut().zip(a).zip(factors).for_each(|((kept, a), keep)| *kept = a.to_f32() * keep);
                },
            );
            self.activated.store(tile, &kept);
        }
        tile.edit(
            #[inline(always)]
            |r, x| {
                let (s, a) = (slope.row(r, x.len()), activated.row(r, x.len()));
                let slopes = &mut slopes[r * stride..][..x.len()];
                let factors = dropout.factors(self.c.index(row + r, column) as u32, x.len());
                for (((((x, b), s), a), slope), keep) in x.iter_mut().zip(bias).zip(s).zip(a).zip(slopes).zip(factors) {
                    let gate = *x + b;
                    *slope = s.to_f32() * (gate * keep);
                    *x = a.to_f32() * gate;
                }
            },
        );
        self.slope.store(tile, &slopes);
        self.c.store(tile, tile.values);
    }
}

/// `to_slope = x · slope` and `to_gate = x · activated`, from what [`Gate`] has left.
pub struct TimesBoth<'a, T> {
    slope: &'a [T],
    activated: &'a [T],
    to_slope: Output<T>,
    to_gate: Output<T>,
}

impl<'a, T: Element> TimesBoth<'a, T> {
    /// Rows of all four are `stride` apart.
    pub fn new(slope: &'a [T], activated: &'a [T], to_slope: &mut [T], to_gate: &mut [T], stride: usize) -> Self {
        let needed = to_slope.len().max(to_gate.len());
        assert!(slope.len() >= needed && activated.len() >= needed, "gemm: what a gate has left is shorter than C");
        let [to_slope, to_gate] = [to_slope, to_gate].map(|x| Output::new(x, stride));
        Self { slope, activated, to_slope, to_gate }
    }
}

impl<T: Element> Epilogue for TimesBoth<'_, T> {
    fn check(&self, size: Size) {
        self.to_slope.check(size);
        self.to_gate.check(size);
    }

    fn prefetch(&self, row: usize, column: usize, height: usize, width: usize) {
        for row in row..row + height {
            let at = self.to_slope.index(row, column);
            prefetch(&self.slope[at], width);
            prefetch(&self.activated[at], width);
        }
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.to_slope.prefetch(row, column, height, width);
        self.to_gate.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let (row, column, stride) = (tile.row, tile.column, tile.stride);
        let mut gates = [0.0f32; LARGEST];
        tile.edit(
            #[inline(always)]
            |r, x| {
                let at = self.to_slope.index(row + r, column);
                let (slope, activated) = (&self.slope[at..][..x.len()], &self.activated[at..][..x.len()]);
                let gates = &mut gates[r * stride..][..x.len()];
                for (((x, slope), activated), gate) in x.iter_mut().zip(slope).zip(activated).zip(gates) {
                    *gate = *x * activated.to_f32();
                    *x *= slope.to_f32();
                }
            },
        );
        self.to_gate.store(tile, &gates);
        self.to_slope.store(tile, tile.values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::threads::Threads;
    use crate::ops::activation::Activation;
    use crate::ops::gemm::epilogue::BiasActivation;
    use crate::ops::gemm::{Gemm, MatRef, Right};
    use crate::ops::tests::{check_gradient, random};
    use crate::rng::DropoutKey;

    #[test]
    fn a_gate_and_its_backward_equal_finite_differences_with_and_without_bias_and_dropout() {
        let (gemm, threads) = (Gemm::<f32>::new(2).unwrap(), Threads::new(2));
        let (n, c, f) = (9, 5, 37);
        let (x, dy) = (random(n * c, 1), random(n * f, 2));
        let some = Dropout::new(DropoutKey::new(1, 2, 3, 4), 0.3);
        for (with_bias, dropout) in [(false, Dropout::none()), (true, some), (false, some)] {
            let run = |v: &[f32]| {
                let (weights, biases) = v.split_at(2 * f * c);
                let (up, gate) = weights.split_at(f * c);
                let bias = |i: usize| with_bias.then_some(&biases[i * f..][..f]);
                let (mut slope, mut activated, mut y) = (vec![0.0; n * f], vec![0.0; n * f], vec![0.0; n * f]);
                let product = |weight: &[f32], epilogue: &dyn Epilogue| {
                    let (size, a) = (Size { m: n, n: f, k: c }, MatRef::rows(&x, c));
                    gemm.run(&threads, size, a, Right::Weights(MatRef::rows(weight, c).t()), epilogue).unwrap();
                };
                product(up, &BiasActivation::new(bias(0), Activation::Gelu, &mut slope, &mut activated, f));
                product(gate, &Gate::new(bias(1), dropout, &mut slope, &mut activated, &mut y, f));
                (slope, activated, y)
            };
            let v = random(2 * f * c + 2 * f, 3);
            let (slope, activated, _) = run(&v);
            // The gradient of y arrives as a product with the identity.
            let identity: Vec<f32> = (0..f * f).map(|i| f32::from(u8::from(i / f == i % f))).collect();
            let (mut d_up, mut d_gate) = (vec![0.0; n * f], vec![0.0; n * f]);
            let both = TimesBoth::new(&slope, &activated, &mut d_up, &mut d_gate, f);
            let right = Right::Weights(MatRef::rows(&identity, f));
            gemm.run(&threads, Size { m: n, n: f, k: f }, MatRef::rows(&dy, f), right, &both).unwrap();
            let mut analytic = Vec::new();
            for d in [&d_up, &d_gate] {
                for (i, j) in (0..f).flat_map(|i| (0..c).map(move |j| (i, j))) {
                    analytic.push((0..n).map(|row| d[row * f + i] * x[row * c + j]).sum::<f32>());
                }
            }
            for d in [d_up, d_gate] {
                let sum = |i: usize| (0..n).map(|row| d[row * f + i]).sum::<f32>();
                analytic.extend((0..f).map(|i| if with_bias { sum(i) } else { 0.0 }));
            }
            check_gradient(&v, &analytic, 1e-2, |v| {
                run(v).2.iter().zip(&dy).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum()
            });
        }
    }
}
