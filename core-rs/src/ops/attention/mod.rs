//! Multi-head scaled dot-product self-attention (Vaswani et al., 2017, section 3.2) inside each packed sequence.
//!
//! One block is one head of one sequence: its scores stay in cache and are never written to memory. Backward computes
//! them again from the saved log-sum-exp of each row, which costs one small product and saves `[N, H, T]` of storage.

pub mod cuda;

use std::sync::Mutex;

use crate::ops::dropout::Dropout;
use crate::ops::gemm::{Epilogue, Gemm, MatRef, Scratch, Size};
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
#[derive(Default)]
pub struct HeadScratch {
    gemm: Scratch,
    /// `[L, L]` probabilities, and their gradient.
    probabilities: Vec<f32>,
    gradient: Vec<f32>,
    /// `[L, D]`
    out: Vec<f32>,
}

/// Scratch of a team.
pub struct TeamScratch(Vec<Mutex<HeadScratch>>);

impl TeamScratch {
    /// For `threads` threads, sequences up to `longest` and heads of size `d`, so that a step allocates nothing.
    pub fn new(threads: usize, longest: usize, d: usize) -> Self {
        let make = || HeadScratch {
            gemm: Scratch::for_sizes(longest, longest.max(d)),
            probabilities: vec![0.0; longest * longest],
            gradient: vec![0.0; longest * longest],
            out: vec![0.0; longest * d],
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
    fn part<'b>(&self, qkv: &'b [f32], which: usize) -> MatRef<'b> {
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

    fn scores(&self, gemm: &Gemm, scratch: &mut Scratch, qkv: &[f32], out: &mut [f32]) {
        let size = Size { m: self.len, n: self.len, k: self.d };
        gemm.run_alone(scratch, size, self.part(qkv, 0), self.part(qkv, 1).t(), out, self.len, Epilogue::Store);
    }
}

/// `out[N, C] = dropout(softmax(Q Kᵀ / √D)) V`, head by head. `qkv` is `[N, 3C]`: queries, keys, values of each token
/// side by side. `lse` receives the log-sum-exp of each score row, `[H, N]`.
pub fn forward(
    gemm: &Gemm,
    threads: &Threads,
    team: &TeamScratch,
    shape: Shape,
    qkv: &[f32],
    dropout: Dropout,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let (out, lse) = (Shards::new(out), Shards::new(lse));
    threads.run(Block::count(shape), &|thread, index| {
        let block = Block::new(shape, index);
        let (l, d) = (block.len, block.d);
        let mut scratch = team.0[thread].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let HeadScratch { gemm: packing, probabilities, out: context, .. } = &mut *scratch;
        let (probabilities, context) = (&mut probabilities[..l * l], &mut context[..l * d]);
        block.scores(gemm, packing, qkv, probabilities);
        let at = block.head * block.tokens + block.from;
        // SAFETY: these rows of this head belong to this block alone.
        let lse = unsafe { lse.part(at..at + l) };
        let scale = block.scale();
        vectorize(
            #[inline(always)]
            || {
                for (i, row) in probabilities.chunks_exact_mut(l).enumerate() {
                    let (row, unseen) = row.split_at_mut(block.visible(i));
                    unseen.fill(0.0);
                    let top = max(row) * scale;
                    for p in row.iter_mut() {
                        *p = exp(p.mul_add(scale, -top));
                    }
                    let total = sum(row);
                    lse[i] = top + total.ln();
                    let inverse = 1.0 / total;
                    let first = block.dropout_row(i);
                    for (j, p) in row.iter_mut().enumerate() {
                        let keep = if dropout.is_none() { 1.0 } else { dropout.factor(first.wrapping_add(j as u32)) };
                        *p *= inverse * keep;
                    }
                }
            },
        );
        let size = Size { m: l, n: d, k: l };
        gemm.run_alone(packing, size, MatRef::rows(probabilities, l), block.part(qkv, 2), context, d, Epilogue::Store);
        for (i, row) in context.chunks_exact(d).enumerate() {
            // SAFETY: as above.
            unsafe { out.part(block.row(i)) }.copy_from_slice(row);
        }
    });
}

/// `d_qkv[N, 3C]` from `d_out[N, C]`; `out` and `lse` are what forward made.
pub fn backward(
    gemm: &Gemm,
    threads: &Threads,
    team: &TeamScratch,
    shape: Shape,
    qkv: &[f32],
    dropout: Dropout,
    out: &[f32],
    lse: &[f32],
    d_out: &[f32],
    d_qkv: &mut [f32],
) {
    let d_qkv = Shards::new(d_qkv);
    threads.run(Block::count(shape), &|thread, index| {
        let block = Block::new(shape, index);
        let (l, d) = (block.len, block.d);
        let mut scratch = team.0[thread].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let HeadScratch { gemm: packing, probabilities, gradient, out: product } = &mut *scratch;
        let (probabilities, gradient) = (&mut probabilities[..l * l], &mut gradient[..l * l]);
        let product = &mut product[..l * d];
        let at = block.head * block.tokens + block.from;
        let d_head = MatRef { data: &d_out[block.row(0).start..], row_stride: shape.hidden, column_stride: 1 };
        let store = |which: usize, product: &[f32]| {
            for (i, row) in product.chunks_exact(d).enumerate() {
                let at = (block.from + i) * 3 * shape.hidden + which * shape.hidden + block.head * d;
                // SAFETY: this head's columns of these rows belong to this block alone.
                unsafe { d_qkv.part(at..at + d) }.copy_from_slice(row);
            }
        };

        block.scores(gemm, packing, qkv, probabilities);
        let to_scores = Size { m: l, n: l, k: d };
        gemm.run_alone(packing, to_scores, d_head, block.part(qkv, 2).t(), gradient, l, Epilogue::Store);
        let scale = block.scale();
        // dS = P (dP − Σ dP P) scale, where Σ dP P of a row is d_out · out. `probabilities` ends as what V was weighted
        // with, `gradient` as dS.
        vectorize(
            #[inline(always)]
            || {
                for (i, (p_row, g_row)) in
                    probabilities.chunks_exact_mut(l).zip(gradient.chunks_exact_mut(l)).enumerate()
                {
                    let delta = dot(&d_out[block.row(i)], &out[block.row(i)]);
                    let (row_lse, first) = (lse[at + i], block.dropout_row(i));
                    let (p_row, unseen) = p_row.split_at_mut(block.visible(i));
                    unseen.fill(0.0);
                    let (g_row, unseen) = g_row.split_at_mut(block.visible(i));
                    unseen.fill(0.0);
                    for (j, (p, g)) in p_row.iter_mut().zip(g_row.iter_mut()).enumerate() {
                        let keep = if dropout.is_none() { 1.0 } else { dropout.factor(first.wrapping_add(j as u32)) };
                        let probability = exp(p.mul_add(scale, -row_lse));
                        *p = probability * keep;
                        *g = probability * (*g * keep - delta) * scale;
                    }
                }
            },
        );
        let (p, g) = (MatRef::rows(probabilities, l), MatRef::rows(gradient, l));
        let size = Size { m: l, n: d, k: l };
        gemm.run_alone(packing, size, g, block.part(qkv, 1), product, d, Epilogue::Store);
        store(0, product);
        gemm.run_alone(packing, size, g.t(), block.part(qkv, 0), product, d, Epilogue::Store);
        store(1, product);
        gemm.run_alone(packing, size, p.t(), d_head, product, d, Epilogue::Store);
        store(2, product);
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
        let team = TeamScratch::new(2, 8, 5);
        forward(&Gemm::default(), &Threads::new(2), &team, shape, qkv, dropout, &mut out, &mut lse);
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
            let team = TeamScratch::new(2, 8, 5);
            backward(&Gemm::default(), &Threads::new(2), &team, shape, &qkv, dropout, &out, &lse, &d_out, &mut d_qkv);
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
