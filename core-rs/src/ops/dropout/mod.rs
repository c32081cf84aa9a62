//! Dropout whose mask is a hash of (seed, step, micro-step, site, element): nothing is stored, backward draws it again.
//! Beside it the addition of a residual's gradient, because one follows the other.

pub mod cuda;

use crate::machine::dtype::Element;
use crate::machine::simd::{self, vectorize};
use crate::machine::threads::{Shards, Threads};
use crate::rng::DropoutKey;

/// One dropout site in one micro-step. A rate of 0 keeps everything.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    key: DropoutKey,
    threshold: u32,
    scale: f32,
}

impl Dropout {
    /// Drops each element with probability `rate` (0 ≤ rate < 1) and scales the rest by 1 / (1 − rate).
    pub fn new(key: DropoutKey, rate: f32) -> Self {
        Self { key, threshold: (f64::from(rate) * 4_294_967_296.0) as u32, scale: 1.0 / (1.0 - rate) }
    }

    /// Keeps everything.
    pub fn none() -> Self {
        Self { key: DropoutKey(0), threshold: 0, scale: 1.0 }
    }

    /// Whether nothing is dropped.
    #[inline(always)]
    pub fn is_none(&self) -> bool {
        self.threshold == 0
    }

    /// Key (low and high half), threshold and scale, as the kernels' `Dropout` takes them.
    pub fn words(&self) -> [u32; 4] {
        [self.key.0 as u32, (self.key.0 >> 32) as u32, self.threshold, self.scale.to_bits()]
    }

    /// What element `index` is multiplied by: 0 or 1 / (1 − rate).
    #[inline(always)]
    pub fn factor(&self, index: u32) -> f32 {
        if self.key.bits(index) < self.threshold { 0.0 } else { self.scale }
    }

    /// What `count` elements from number `first` on are multiplied by. By value: through a reference the key is read again
    /// for every element, and a loop that does so does not become vectors.
    #[inline(always)]
    pub fn factors(self, first: u32, count: usize) -> impl Iterator<Item = f32> {
        (0..count as u32).map(move |i| if self.is_none() { 1.0 } else { self.factor(first.wrapping_add(i)) })
    }
}

/// Elements that a thread works on at a time.
const BLOCK: usize = 1 << 14;

/// `x[i] *= factor(i)`: forward on activations, backward on gradients.
pub fn apply<T: Element>(threads: &Threads, x: &mut [T], dropout: Dropout) {
    if dropout.is_none() {
        return;
    }
    let (len, x) = (x.len(), Shards::new(x));
    threads.run(len.div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(len);
        // SAFETY: blocks are disjoint.
        let part = unsafe { x.part(range.clone()) };
        vectorize(
            #[inline(always)]
            || {
                let factors = dropout.factors(range.start as u32, part.len());
                part.iter_mut().zip(factors).for_each(|(x, keep)| *x = T::from_f32(x.to_f32() * keep));
            },
        );
    });
}

/// `x[i] = x[i] factor(i) + residual[i]`
pub fn add_residual<T: Element>(threads: &Threads, x: &mut [T], dropout: Dropout, residual: &[T]) {
    assert_eq!(x.len(), residual.len());
    let (len, x) = (x.len(), Shards::new(x));
    threads.run(len.div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(len);
        // SAFETY: blocks are disjoint.
        let part = unsafe { x.part(range.clone()) };
        vectorize(
            #[inline(always)]
            || {
                let factors = dropout.factors(range.start as u32, part.len());
                for ((x, residual), keep) in part.iter_mut().zip(&residual[range.clone()]).zip(factors) {
                    *x = T::from_f32(x.to_f32().mul_add(keep, residual.to_f32()));
                }
            },
        );
    });
}

/// `to[i] = x[i] factor(i)`: the gradient of what was dropped out, as the operand of a product.
pub fn apply_to<T: Element>(threads: &Threads, x: &[f32], to: &mut [T], dropout: Dropout) {
    assert_eq!(x.len(), to.len());
    let to = Shards::new(to);
    threads.run(x.len().div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(x.len());
        // SAFETY: blocks are disjoint.
        let part = unsafe { to.part(range.clone()) };
        vectorize(
            #[inline(always)]
            || {
                let factors = dropout.factors(range.start as u32, part.len());
                for ((to, x), keep) in part.iter_mut().zip(&x[range.clone()]).zip(factors) {
                    *to = T::from_f32(x * keep);
                }
            },
        );
    });
}

/// `to += x`
pub fn add(threads: &Threads, x: &[f32], to: &mut [f32]) {
    assert_eq!(x.len(), to.len());
    let to = Shards::new(to);
    threads.run(x.len().div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(x.len());
        // SAFETY: blocks are disjoint.
        let part = unsafe { to.part(range.clone()) };
        vectorize(
            #[inline(always)]
            || simd::add(part, &x[range.clone()]),
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apply_drops_the_rate_and_keeps_the_mean() {
        let threads = Threads::new(2);
        let dropout = Dropout::new(DropoutKey::new(3, 5, 0, 1), 0.1);
        let mut x = vec![1.0; 1_000_000];
        apply(&threads, &mut x, dropout);
        let dropped = x.iter().filter(|&&v| v == 0.0).count() as f64 / 1e6;
        assert!((dropped - 0.1).abs() < 0.0015, "{dropped}");
        assert!(x.iter().all(|&v| v == 0.0 || v == 1.0 / 0.9));
        // Any two elements are independent, above all neighbours and those in the same column of two rows: both dropped
        // about one time in a hundred. The same holds for one element in two steps.
        let other = {
            let mut x = vec![1.0; 1_000_000];
            apply(&threads, &mut x, Dropout::new(DropoutKey::new(3, 6, 0, 1), 0.1));
            x
        };
        let both =
            |y: &[f32]| x.iter().zip(y).filter(|(a, b)| **a == 0.0 && **b == 0.0).count() as f64 / y.len() as f64;
        for share in
            [1, 2, 3, 64, 128, 256, 768, 4096, 65_536].map(|lag| both(&x[lag..])).into_iter().chain([both(&other)])
        {
            assert!((share - 0.01).abs() < 0.0007, "{share}");
        }
    }

    #[test]
    fn apply_with_rate_zero_changes_nothing() {
        let mut x = vec![2.0; 100];
        apply(&Threads::new(1), &mut x, Dropout::new(DropoutKey::new(1, 1, 1, 1), 0.0));
        assert_eq!(x, vec![2.0; 100]);
    }

    #[test]
    fn apply_to_is_apply_on_a_copy_and_add_adds_whatever_the_team() {
        let dropout = Dropout::new(DropoutKey::new(1, 2, 3, 4), 0.3);
        let x: Vec<f32> = (0..BLOCK + 777).map(|i| i as f32 * 0.01 - 50.0).collect();
        let mut expected = x.clone();
        apply(&Threads::new(1), &mut expected, dropout);
        for team in [1, 3] {
            let mut found = vec![9.0f32; x.len()];
            apply_to(&Threads::new(team), &x, &mut found, dropout);
            assert_eq!(found, expected);
            add(&Threads::new(team), &x, &mut found);
            assert!(found.iter().zip(&expected).zip(&x).all(|((found, a), b)| *found == a + b));
        }
    }
    #[test]
    fn add_residual_is_apply_and_a_sum_whatever_the_team() {
        let dropout = Dropout::new(DropoutKey::new(1, 2, 3, 4), 0.25);
        let x: Vec<f32> = (0..BLOCK + 777).map(|i| i as f32 * 0.01 - 50.0).collect();
        let mut expected = x.clone();
        apply(&Threads::new(1), &mut expected, dropout);
        for team in [1, 3] {
            let mut found = x.clone();
            add_residual(&Threads::new(team), &mut found, dropout, &x);
            let sums = expected.iter().zip(&x).map(|(dropped, x)| dropped + x);
            assert!(found.iter().zip(sums).all(|(found, sum)| (found - sum).abs() <= 1e-6 * sum.abs().max(50.0)));
        }
    }
}
