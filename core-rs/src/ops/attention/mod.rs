//! Multi-head scaled dot-product self-attention (Vaswani et al., 2017, section 3.2) inside each packed sequence.
//!
//! One block is one head of one sequence: its scores stay in cache and are never written to memory. Backward computes
//! them again from the saved log-sum-exp of each row, which costs one small product and saves `[N, H, T]` of storage.

pub mod cuda;

use std::sync::{Mutex, PoisonError};

use crate::dtype::Element;
use crate::ops::dropout::Dropout;
use crate::ops::gemm::epilogue::Store;
use crate::ops::gemm::{Gemm, MatRef, Scratch, Size};
use crate::simd::{dot, exp, max, sum, vectorize};
use crate::threads::{Shards, Threads};

/// The shape of the heads and of the packed batch.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    /// H
    pub heads: usize,
    /// C = H · D
    pub hidden: usize,
    /// `[B + 1]`
    pub cu_seqlens: &'a [i32],
    /// The stride of a dropout index: the longest sequence that the engine takes.
    pub max_sequence_length: usize,
    /// Whether row i sees keys 0..=i only.
    pub causal: bool,
}

/// What a block of attention needs beside its inputs: one for each thread of the team.
struct HeadScratch<T> {
    gemm: Scratch,
    /// `[L, L]` scores, and in backward the gradient of the probabilities.
    scores: Vec<f32>,
    d_probabilities: Vec<f32>,
    /// `[L, L]` what the values are weighted with, and in backward the gradient of the scores: operands of products.
    probabilities: Vec<T>,
    d_scores: Vec<T>,
}

/// Scratch of a team.
pub struct TeamScratch<T>(Vec<Mutex<HeadScratch<T>>>);

impl<T: Element> TeamScratch<T> {
    /// For `threads` threads, sequences up to `longest` and heads of size `d`; with `backward`, for gradients too.
    pub fn new(gemm: &Gemm<T>, threads: usize, longest: usize, d: usize, backward: bool) -> Self {
        let (scores, d_scores) = (longest * longest, if backward { longest * longest } else { 0 });
        let make = || HeadScratch {
            gemm: gemm.scratch(longest.max(d)),
            scores: vec![0.0; scores],
            d_probabilities: vec![0.0; d_scores],
            probabilities: vec![T::default(); scores],
            d_scores: vec![T::default(); d_scores],
        };
        Self((0..threads).map(|_| Mutex::new(make())).collect())
    }
}

/// One head of one sequence.
struct Block<'a> {
    shape: Shape<'a>,
    from: usize,
    len: usize,
    head: usize,
    d: usize,
    tokens: usize,
}

impl<'a> Block<'a> {
    fn new(shape: Shape<'a>, index: usize) -> Self {
        let (sequence, head) = (index / shape.heads, index % shape.heads);
        let (from, to) = (shape.cu_seqlens[sequence] as usize, shape.cu_seqlens[sequence + 1] as usize);
        let tokens = shape.cu_seqlens[shape.cu_seqlens.len() - 1] as usize;
        Self { shape, from, len: to - from, head, d: shape.hidden / shape.heads, tokens }
    }

    fn count(shape: Shape) -> usize {
        (shape.cu_seqlens.len() - 1) * shape.heads
    }

    /// Query (0), key (1) or value (2) as `[L, D]`.
    fn part<'b, T>(&self, qkv: &'b [T], which: usize) -> MatRef<'b, T> {
        let stride = 3 * self.shape.hidden;
        let at = self.from * stride + which * self.shape.hidden + self.head * self.d;
        MatRef { data: &qkv[at..], row_stride: stride, column_stride: 1 }
    }

    /// Where row `i` of this head lies in an `[N, C]` matrix.
    fn row(&self, i: usize) -> std::ops::Range<usize> {
        let at = (self.from + i) * self.shape.hidden + self.head * self.d;
        at..at + self.d
    }

    /// The index of the first key's dropout in row `i` of the scores.
    fn dropout_row(&self, i: usize) -> u32 {
        let row = (self.head * self.tokens + self.from + i) as u32;
        row.wrapping_mul(self.shape.max_sequence_length as u32)
    }

    /// How many keys row `i` sees.
    #[inline(always)]
    fn visible(&self, i: usize) -> usize {
        if self.shape.causal { i + 1 } else { self.len }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d as f32).sqrt()
    }

    fn scores<T: Element>(&self, gemm: &Gemm<T>, scratch: &mut Scratch, qkv: &[T], out: &mut [f32]) {
        let size = Size { m: self.len, n: self.len, k: self.d };
        gemm.run_alone(scratch, size, self.part(qkv, 0), self.part(qkv, 1).t(), &Store::new(out, self.len));
    }
}

/// `out[N, C] = dropout(softmax(Q Kᵀ / √D)) V`, head by head. `qkv` is `[N, 3C]`: queries, keys, values of each token
/// side by side. `lse` receives the log-sum-exp of each score row, `[H, N]`.
pub fn forward<T: Element>(
    gemm: &Gemm<T>,
    threads: &Threads,
    team: &TeamScratch<T>,
    shape: Shape,
    qkv: &[T],
    dropout: Dropout,
    out: &mut [T],
    lse: &mut [f32],
) {
    let (out, lse) = (Shards::new(out), Shards::new(lse));
    threads.run(Block::count(shape), &|thread, index| {
        let block = Block::new(shape, index);
        let (l, d) = (block.len, block.d);
        let mut scratch = team.0[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let HeadScratch { gemm: packing, scores, probabilities, .. } = &mut *scratch;
        let (scores, probabilities) = (&mut scores[..l * l], &mut probabilities[..l * l]);
        block.scores(gemm, packing, qkv, scores);
        let at = block.head * block.tokens + block.from;
        // SAFETY: these rows of this head belong to this block alone.
        let lse = unsafe { lse.part(at..at + l) };
        let scale = block.scale();
        vectorize(
            #[inline(always)]
            || {
                for (i, (row, to)) in scores.chunks_exact_mut(l).zip(probabilities.chunks_exact_mut(l)).enumerate() {
                    let (to, unseen) = to.split_at_mut(block.visible(i));
                    let row = &mut row[..to.len()];
                    unseen.fill(T::default());
                    let top = max(row) * scale;
                    for p in row.iter_mut() {
                        *p = exp(p.mul_add(scale, -top));
                    }
                    let total = sum(row);
                    lse[i] = top + total.ln();
                    let inverse = 1.0 / total;
                    let first = block.dropout_row(i);
                    for (j, (p, to)) in row.iter().zip(to).enumerate() {
                        let keep = if dropout.is_none() { 1.0 } else { dropout.factor(first.wrapping_add(j as u32)) };
                        *to = T::from_f32(p * (inverse * keep));
                    }
                }
            },
        );
        let size = Size { m: l, n: d, k: l };
        // SAFETY: this head's columns of these rows belong to this block alone.
        let store = unsafe { Store::into_shards(out, block.row(0).start, shape.hidden) };
        gemm.run_alone(packing, size, MatRef::rows(probabilities, l), block.part(qkv, 2), &store);
    });
}

/// `d_qkv[N, 3C]` from `d_out[N, C]`; `out` and `lse` are what forward made.
pub fn backward<T: Element>(
    gemm: &Gemm<T>,
    threads: &Threads,
    team: &TeamScratch<T>,
    shape: Shape,
    qkv: &[T],
    dropout: Dropout,
    out: &[T],
    lse: &[f32],
    d_out: &[T],
    d_qkv: &mut [T],
) {
    let d_qkv = Shards::new(d_qkv);
    threads.run(Block::count(shape), &|thread, index| {
        let block = Block::new(shape, index);
        let (l, d) = (block.len, block.d);
        let mut scratch = team.0[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let HeadScratch { gemm: packing, scores, d_probabilities, probabilities, d_scores } = &mut *scratch;
        let (scores, d_probabilities) = (&mut scores[..l * l], &mut d_probabilities[..l * l]);
        let (probabilities, d_scores) = (&mut probabilities[..l * l], &mut d_scores[..l * l]);
        let at = block.head * block.tokens + block.from;
        let d_head = MatRef { data: &d_out[block.row(0).start..], row_stride: shape.hidden, column_stride: 1 };

        block.scores(gemm, packing, qkv, scores);
        let to_scores = Size { m: l, n: l, k: d };
        gemm.run_alone(packing, to_scores, d_head, block.part(qkv, 2).t(), &Store::new(d_probabilities, l));
        let scale = block.scale();
        // dS = P (dP − Σ dP P) scale, where Σ dP P of a row is d_out · out.
        vectorize(
            #[inline(always)]
            || {
                let from = scores.chunks_exact(l).zip(d_probabilities.chunks_exact(l));
                let to = probabilities.chunks_exact_mut(l).zip(d_scores.chunks_exact_mut(l));
                for (i, ((scores, d_probabilities), (probabilities, d_scores))) in from.zip(to).enumerate() {
                    let delta = dot(&d_out[block.row(i)], &out[block.row(i)]);
                    let (row_lse, first) = (lse[at + i], block.dropout_row(i));
                    let seen = block.visible(i);
                    probabilities[seen..].fill(T::default());
                    d_scores[seen..].fill(T::default());
                    for j in 0..seen {
                        let keep = if dropout.is_none() { 1.0 } else { dropout.factor(first.wrapping_add(j as u32)) };
                        let probability = exp(scores[j].mul_add(scale, -row_lse));
                        probabilities[j] = T::from_f32(probability * keep);
                        d_scores[j] = T::from_f32(probability * d_probabilities[j].mul_add(keep, -delta) * scale);
                    }
                }
            },
        );
        let (p, g) = (MatRef::rows(probabilities, l), MatRef::rows(d_scores, l));
        let size = Size { m: l, n: d, k: l };
        for (which, a, b) in [(0, g, block.part(qkv, 1)), (1, g.t(), block.part(qkv, 0)), (2, p.t(), d_head)] {
            let first = block.from * 3 * shape.hidden + which * shape.hidden + block.head * d;
            // SAFETY: this head's columns of these rows belong to this block alone.
            let store = unsafe { Store::into_shards(d_qkv, first, 3 * shape.hidden) };
            gemm.run_alone(packing, size, a, b, &store);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};
    use crate::rng::DropoutKey;

    const SHAPE: Shape =
        Shape { heads: 2, hidden: 10, cu_seqlens: &[0, 4, 5, 11], max_sequence_length: 8, causal: false };
    const CAUSAL: Shape = Shape { causal: true, ..SHAPE };

    fn run(shape: Shape, qkv: &[f32], dropout: Dropout) -> (Vec<f32>, Vec<f32>) {
        let (mut out, mut lse) = (vec![0.0; 110], vec![0.0; 22]);
        let team = TeamScratch::new(&Gemm::new(2), 2, 8, 5, true);
        forward(&Gemm::new(2), &Threads::new(2), &team, shape, qkv, dropout, &mut out, &mut lse);
        (out, lse)
    }

    #[test]
    fn forward_equals_softmax_written_out() {
        let qkv = random(330, 1);
        for (shape, b) in [SHAPE, CAUSAL].into_iter().flat_map(|shape| (0..3).map(move |b| (shape, b))) {
            let (out, _) = run(shape, &qkv, Dropout::none());
            let (from, to) = (SHAPE.cu_seqlens[b] as usize, SHAPE.cu_seqlens[b + 1] as usize);
            for (head, i) in (0..2).flat_map(|h| (from..to).map(move |i| (h, i))) {
                let at = |token: usize, which: usize, x: usize| f64::from(qkv[token * 30 + which * 10 + head * 5 + x]);
                let last = if shape.causal { i + 1 } else { to };
                let weights: Vec<f64> = (from..last)
                    .map(|j| ((0..5).map(|x| at(i, 0, x) * at(j, 1, x)).sum::<f64>() / 5f64.sqrt()).exp())
                    .collect();
                for x in 0..5 {
                    let value: f64 = (from..last).map(|j| weights[j - from] * at(j, 2, x)).sum();
                    let expected = value / weights.iter().sum::<f64>();
                    assert!((f64::from(out[i * 10 + head * 5 + x]) - expected).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn backward_equals_finite_differences_with_and_without_dropout() {
        let (qkv, d_out) = (random(330, 2), random(110, 3));
        let some = Dropout::new(DropoutKey::new(4, 3, 2, 1), 0.25);
        for (shape, dropout) in [(SHAPE, Dropout::none()), (SHAPE, some), (CAUSAL, Dropout::none()), (CAUSAL, some)] {
            let (out, lse) = run(shape, &qkv, dropout);
            let mut d_qkv = vec![0.0; 330];
            let team = TeamScratch::new(&Gemm::new(2), 2, 8, 5, true);
            backward(&Gemm::new(2), &Threads::new(2), &team, shape, &qkv, dropout, &out, &lse, &d_out, &mut d_qkv);
            check_gradient(&qkv, &d_qkv, 1e-2, |v| {
                run(shape, v, dropout).0.iter().zip(&d_out).map(|(o, d)| f64::from(*o) * f64::from(*d)).sum()
            });
        }
    }

    #[test]
    fn forward_of_one_sequence_does_not_see_the_others() {
        let mut qkv = random(330, 1);
        let before = run(SHAPE, &qkv, Dropout::none()).0;
        qkv[4 * 30..5 * 30].fill(3.0);
        let after = run(SHAPE, &qkv, Dropout::none()).0;
        assert_eq!(before[..40], after[..40]);
        assert_eq!(before[50..], after[50..]);
        assert_ne!(before[40..50], after[40..50]);
    }

    #[test]
    fn forward_of_a_token_does_not_see_what_follows_where_attention_is_causal() {
        let mut qkv = random(330, 1);
        let before = run(CAUSAL, &qkv, Dropout::none()).0;
        qkv[8 * 30..11 * 30].fill(3.0); // the end of the last sequence
        let after = run(CAUSAL, &qkv, Dropout::none()).0;
        assert_eq!(before[..80], after[..80]);
        assert_ne!(before[80..], after[80..]);
    }
}
