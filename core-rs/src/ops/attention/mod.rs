//! Multi-head scaled dot-product self-attention (Vaswani et al., 2017, section 3.2) inside each packed sequence.
//!
//! One block is one head of one sequence: its scores stay in cache and are never written to memory. Backward computes
//! them again from the saved log-sum-exp of each row, which costs one small product and saves `[N, H, T]` of storage.
//!
//! Keys and values are packed once, and rows taken in spans whose scores stay in the first cache. At T = 128 that is as fast
//! as all rows at once, at T = 512 1 to 3% faster and less memory. Where attention is causal, a span's products end with
//! its last key, so that of a long sequence little more than the half of the square that is seen is computed: a sixth
//! less time than with spans of 64 that pack for themselves. Where it has a window, they begin and end with it.

mod banded;
pub mod cuda;

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::machine::simd::{dot, exp, max, sum, vectorize};
use crate::machine::threads::{Shards, Threads};
use crate::ops::dropout::Dropout;
use crate::ops::gemm::epilogue::Store;
use crate::ops::gemm::{Gemm, MatRef, PackedRight, Scratch, Size};

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
    /// How far from itself a row sees, on each side; everything where it is `None`.
    pub window: Option<usize>,
}

/// Scores of a span of rows: 16 KiB, which stay in the first cache.
const SPAN_SCORES: usize = 4096;
/// Rows of a span of keys where attention is causal: short spans leave out more, long ones are better products.
const CAUSAL_SPAN: usize = 64;
/// Rows of a span where attention has a window, up to a register tile: short spans leave out more.
const WINDOW_SPAN: usize = 32;
/// Longest sequence whose whole square backward keeps; see [`banded`] for others.
const LONGEST_SQUARE: usize = 512;

/// What a block of attention needs beside its inputs: one for each thread of the team.
struct HeadScratch<T: Element> {
    gemm: Scratch,
    /// Keys and values of the head as its products read them.
    operands: [PackedRight; 3],
    /// Queries of a span and the gradient of its outputs, the same.
    of_span: [PackedRight; 2],
    /// `[span, L]` scores, and in backward the gradient of the probabilities.
    scores: Buffer,
    d_probabilities: Buffer,
    /// What the values are weighted with, `[span, L]` or in backward `[L, L]`, and in backward the gradient of the scores,
    /// `[L, L]`: operands of products.
    probabilities: Buffer<T>,
    d_scores: Buffer<T>,
    /// `[L, D]` sums of the gradients of keys and values, where spans add to them.
    sums: [Buffer; 2],
}

/// Scratch of a team.
pub struct TeamScratch<T: Element>(Vec<Mutex<HeadScratch<T>>>);

impl<T: Element> TeamScratch<T> {
    /// For `threads` threads, sequences up to `longest` and heads of size `d`; with `backward`, for gradients too.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(gemm: &Gemm<T>, threads: usize, longest: usize, d: usize, backward: bool) -> Result<Self> {
        let rows = span_rows(gemm, longest).max(window_rows(gemm)).min(longest);
        let (span, kept) = (SPAN_SCORES.max(rows * longest), longest.min(LONGEST_SQUARE));
        let (gradients, square, sums) = if backward { (span, span.max(kept * kept), longest * d) } else { (0, 0, 0) };
        let operand = || gemm.packed_right(longest, d);
        let of_span = || gemm.packed_right(if backward { rows } else { 0 }, d);
        let make = || {
            Ok(Mutex::new(HeadScratch {
                gemm: gemm.scratch([longest, kept.max(rows).max(d)], [longest + Gemm::<T>::PART, d.max(rows)])?,
                operands: [operand()?, operand()?, operand()?],
                of_span: [of_span()?, of_span()?],
                scores: Buffer::zeroed(span)?,
                d_probabilities: Buffer::zeroed(gradients)?,
                probabilities: Buffer::zeroed(span.max(square))?,
                d_scores: Buffer::zeroed(square)?,
                sums: [Buffer::zeroed(sums)?, Buffer::zeroed(sums)?],
            }))
        };
        Ok(Self((0..threads).map(|_| make()).collect::<Result<_>>()?))
    }
}

/// Rows of a span: whole register tiles, as many as the first cache holds.
fn span_rows<T: Element>(gemm: &Gemm<T>, len: usize) -> usize {
    let tile = gemm.register_rows();
    (SPAN_SCORES / len.max(1) / tile).max(1) * tile
}

/// The same where attention has a window.
fn window_rows<T: Element>(gemm: &Gemm<T>) -> usize {
    let tile = gemm.register_rows();
    (WINDOW_SPAN / tile).max(1) * tile
}

/// One head of one sequence.
struct Block<'a> {
    shape: Shape<'a>,
    from: usize,
    len: usize,
    head: usize,
    d: usize,
    tokens: usize,
    /// How far a row sees, if that is not everything.
    window: Option<usize>,
}

impl<'a> Block<'a> {
    fn new(shape: Shape<'a>, index: usize) -> Self {
        let (sequence, head) = (index / shape.heads, index % shape.heads);
        let (from, to) = (shape.cu_seqlens[sequence] as usize, shape.cu_seqlens[sequence + 1] as usize);
        let tokens = shape.cu_seqlens[shape.cu_seqlens.len() - 1] as usize;
        let (len, d) = (to - from, shape.hidden / shape.heads);
        Self { shape, from, len, head, d, tokens, window: shape.window.filter(|window| window + 1 < len) }
    }

    fn count(shape: Shape) -> usize {
        (shape.cu_seqlens.len() - 1) * shape.heads
    }

    /// The rows in spans of `rows`.
    fn spans(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len;
        (0..len).step_by(rows).map(move |from| from..len.min(from + rows))
    }

    /// Rows of a span that keeps scores of these rows only.
    fn span_rows<T: Element>(&self, gemm: &Gemm<T>) -> usize {
        if self.window.is_some() { window_rows(gemm) } else { span_rows(gemm, self.len) }
    }

    /// The keys that the rows of a span see between them, from a multiple of [`Gemm::PART`] on.
    fn keys(&self, span: &Range<usize>) -> Range<usize> {
        let (first, last) = (self.visible(span.start), self.visible(span.end - 1));
        first.start / Gemm::<f32>::PART * Gemm::<f32>::PART..last.end
    }

    /// Query (0), key (1) or value (2) as `[L, D]`, from row `first` on.
    fn part<'b, T>(&self, qkv: &'b [T], which: usize, first: usize) -> MatRef<'b, T> {
        let stride = 3 * self.shape.hidden;
        let at = (self.from + first) * stride + which * self.shape.hidden + self.head * self.d;
        MatRef { data: &qkv[at..], row_stride: stride, column_stride: 1 }
    }

    /// Where row `i` of this head lies in an `[N, C]` matrix.
    fn row(&self, i: usize) -> std::ops::Range<usize> {
        let at = (self.from + i) * self.shape.hidden + self.head * self.d;
        at..at + self.d
    }

    /// The index of key `j`'s dropout in row `i` of the scores.
    fn dropout_from(&self, i: usize, j: usize) -> u32 {
        let row = (self.head * self.tokens + self.from + i) as u32;
        row.wrapping_mul(self.shape.max_sequence_length as u32).wrapping_add(j as u32)
    }

    /// The keys that row `i` sees.
    #[inline(always)]
    fn visible(&self, i: usize) -> Range<usize> {
        let end = if self.shape.causal { i + 1 } else { self.len };
        match self.window {
            None => 0..end,
            Some(window) => i.saturating_sub(window)..end.min(i + window + 1),
        }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d as f32).sqrt()
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
        let HeadScratch { gemm: packing, operands: [keys, values, _], scores, probabilities, .. } = &mut *scratch;
        let at = block.head * block.tokens + block.from;
        // SAFETY: these rows of this head belong to this block alone.
        let lse = unsafe { lse.part(at..at + l) };
        gemm.pack_alone(keys, d, l, block.part(qkv, 1, 0).t());
        gemm.pack_alone(values, l, d, block.part(qkv, 2, 0));
        for span in block.spans(block.span_rows(gemm)) {
            let (rows, seen) = (span.len(), block.keys(&span));
            let (queries, to_scores) = (block.part(qkv, 0, span.start), Size { m: rows, n: seen.len(), k: d });
            gemm.run_alone_from(packing, to_scores, queries, keys, [0, seen.start], &Store::new(scores, l));
            vectorize(
                #[inline(always)]
                || {
                    let scale = block.scale();
                    for (r, i) in span.clone().enumerate() {
                        let visible = block.visible(i);
                        let (before, to) =
                            probabilities[r * l..][..seen.len()].split_at_mut(visible.start - seen.start);
                        let (to, behind) = to.split_at_mut(visible.len());
                        let row = &mut scores[r * l + before.len()..][..to.len()];
                        before.fill(T::default());
                        behind.fill(T::default());
                        let top = max(row) * scale;
                        for p in row.iter_mut() {
                            *p = exp(p.mul_add(scale, -top));
                        }
                        let total = sum(row);
                        lse[i] = top + total.ln();
                        let inverse = 1.0 / total;
                        let factors = dropout.factors(block.dropout_from(i, visible.start), row.len());
                        row.iter_mut().zip(factors).for_each(|(p, keep)| *p *= inverse * keep);
                        T::round(row, to);
                    }
                },
            );
            let size = Size { m: rows, n: d, k: seen.len() };
            // SAFETY: this head's columns of these rows belong to this block alone.
            let store = unsafe { Store::into_shards(out, block.row(span.start).start, shape.hidden) };
            gemm.run_alone_from(packing, size, MatRef::rows(probabilities, l), values, [seen.start, 0], &store);
        }
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
        if block.window.is_some() || l > LONGEST_SQUARE {
            return banded::backward(gemm, &mut scratch, &block, qkv, dropout, out, lse, d_out, d_qkv);
        }
        let HeadScratch { gemm: packing, operands, scores, d_probabilities, probabilities, d_scores, .. } =
            &mut *scratch;
        let at = block.head * block.tokens + block.from;
        let d_head =
            |first| MatRef { data: &d_out[block.row(first).start..], row_stride: shape.hidden, column_stride: 1 };
        // Where gradients of queries (0), keys (1) and values (2) from row `first` on go.
        let to = |first: usize, which: usize| {
            let at = (block.from + first) * 3 * shape.hidden + which * shape.hidden + block.head * d;
            // SAFETY: this head's columns of these rows belong to this block alone.
            unsafe { Store::into_shards(d_qkv, at, 3 * shape.hidden) }
        };
        let [keys, values, keys_as_rows] = &mut *operands;
        gemm.pack_alone(keys, d, l, block.part(qkv, 1, 0).t());
        gemm.pack_alone(values, d, l, block.part(qkv, 2, 0).t());
        gemm.pack_alone(keys_as_rows, l, d, block.part(qkv, 1, 0));
        for span in block.spans(span_rows(gemm, l)) {
            let seen = block.keys(&span).end; // from the first key on
            let to_scores = Size { m: span.len(), n: seen, k: d };
            gemm.run_alone(packing, to_scores, block.part(qkv, 0, span.start), keys, &Store::new(scores, l));
            gemm.run_alone(packing, to_scores, d_head(span.start), values, &Store::new(d_probabilities, l));
            // dS = P (dP − Σ dP P) scale, where Σ dP P of a row is d_out · out.
            vectorize(
                #[inline(always)]
                || {
                    // Here and not outside: through the closure's reference it would be read again after every store.
                    let scale = block.scale();
                    for (r, i) in span.clone().enumerate() {
                        let visible = block.visible(i).end;
                        let scores = &mut scores[r * l..][..visible];
                        let d_probabilities = &mut d_probabilities[r * l..][..visible];
                        let (probabilities, unseen) = probabilities[i * l..][..l].split_at_mut(visible);
                        let (d_scores, without) = d_scores[i * l..][..l].split_at_mut(visible);
                        // Products of the keys' spans read as far as these.
                        let end = (i + 1).next_multiple_of(CAUSAL_SPAN).max(seen).min(l) - visible;
                        unseen[..end].fill(T::default());
                        without[..end].fill(T::default());
                        let delta = dot(&d_out[block.row(i)], &out[block.row(i)]);
                        let row_lse = lse[at + i];
                        let factors = dropout.factors(block.dropout_from(i, 0), visible);
                        for ((score, d), keep) in scores.iter_mut().zip(&mut *d_probabilities).zip(factors) {
                            let probability = exp(score.mul_add(scale, -row_lse));
                            *score = probability * keep;
                            *d = probability * d.mul_add(keep, -delta) * scale;
                        }
                        T::round(scores, probabilities);
                        T::round(d_probabilities, d_scores);
                    }
                },
            );
            let size = Size { m: span.len(), n: d, k: seen };
            let of_queries = MatRef::rows(&d_scores[span.start * l..], l);
            gemm.run_alone(packing, size, of_queries, keys_as_rows, &to(span.start, 0));
        }
        let [queries, d_outputs, _] = operands;
        for span in block.spans(if shape.causal { CAUSAL_SPAN } else { l }) {
            // Keys are seen by the rows from the first of them on.
            let first = if shape.causal { span.start } else { 0 };
            let seen_from = first * l + span.start;
            let size = Size { m: span.len(), n: d, k: l - first };
            gemm.pack_alone(queries, l - first, d, block.part(qkv, 0, first));
            gemm.pack_alone(d_outputs, l - first, d, d_head(first));
            let (p, g) = (MatRef::rows(&probabilities[seen_from..], l), MatRef::rows(&d_scores[seen_from..], l));
            gemm.run_alone(packing, size, g.t(), queries, &to(span.start, 1));
            gemm.run_alone(packing, size, p.t(), d_outputs, &to(span.start, 2));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::dtype::Bf16;
    use crate::machine::isa::Isa;
    use crate::ops::gemm::tests::each_kernel;
    use crate::ops::tests::{check_gradient, random};
    use crate::rng::DropoutKey;

    const SHAPE: Shape =
        Shape { heads: 2, hidden: 10, cu_seqlens: &[0, 4, 5, 11], max_sequence_length: 8, causal: false, window: None };
    const CAUSAL: Shape = Shape { causal: true, ..SHAPE };
    const WINDOW: Shape = Shape { window: Some(2), ..SHAPE };

    fn run(shape: Shape, qkv: &[f32], dropout: Dropout) -> (Vec<f32>, Vec<f32>) {
        let (mut out, mut lse) = (vec![0.0; 110], vec![0.0; 22]);
        let team = TeamScratch::new(&Gemm::new(2).unwrap(), 2, 8, 5, true).unwrap();
        forward(&Gemm::new(2).unwrap(), &Threads::new(2), &team, shape, qkv, dropout, &mut out, &mut lse);
        (out, lse)
    }

    #[test]
    fn forward_equals_softmax_written_out() {
        let qkv = random(330, 1);
        let both = Shape { causal: true, ..WINDOW };
        for (shape, b) in [SHAPE, CAUSAL, WINDOW, both].into_iter().flat_map(|s| (0..3).map(move |b| (s, b))) {
            let (out, _) = run(shape, &qkv, Dropout::none());
            let (from, to) = (SHAPE.cu_seqlens[b] as usize, SHAPE.cu_seqlens[b + 1] as usize);
            for (head, i) in (0..2).flat_map(|h| (from..to).map(move |i| (h, i))) {
                let at = |token: usize, which: usize, x: usize| f64::from(qkv[token * 30 + which * 10 + head * 5 + x]);
                let window = shape.window.unwrap_or(to);
                let last = if shape.causal { i + 1 } else { to.min(i + window + 1) };
                let from = from.max(i.saturating_sub(window));
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
        let shapes = [SHAPE, CAUSAL, WINDOW, Shape { causal: true, ..WINDOW }];
        for (shape, dropout) in shapes.into_iter().flat_map(|shape| [(shape, Dropout::none()), (shape, some)]) {
            let (out, lse) = run(shape, &qkv, dropout);
            let mut d_qkv = vec![0.0; 330];
            let team = TeamScratch::new(&Gemm::new(2).unwrap(), 2, 8, 5, true).unwrap();
            backward(
                &Gemm::new(2).unwrap(),
                &Threads::new(2),
                &team,
                shape,
                &qkv,
                dropout,
                &out,
                &lse,
                &d_out,
                &mut d_qkv,
            );
            check_gradient(&qkv, &d_qkv, 1e-2, |v| {
                run(shape, v, dropout).0.iter().zip(&d_out).map(|(o, d)| f64::from(*o) * f64::from(*d)).sum()
            });
        }
    }

    #[test]
    fn causal_spans_give_what_the_whole_square_gives() {
        const LONG: Shape = Shape {
            heads: 1,
            hidden: 4,
            cu_seqlens: &[0, 2 * CAUSAL_SPAN as i32 + 7],
            max_sequence_length: 256,
            causal: true,
            window: None,
        };
        let n = LONG.cu_seqlens[1] as usize;
        let (qkv, d_out) = (random(12 * n, 4), random(4 * n, 5));
        let part = |i: usize, which: usize| qkv[12 * i + 4 * which..][..4].iter().map(|&x| f64::from(x));
        let product = |a: &mut dyn Iterator<Item = f64>, b: &mut dyn Iterator<Item = f64>| -> f64 {
            a.zip(b).map(|(x, y)| x * y).sum()
        };
        let (mut expected_out, mut expected) = (vec![0.0; 4 * n], vec![0.0; 12 * n]);
        for i in 0..n {
            let d = || d_out[4 * i..][..4].iter().map(|&x| f64::from(x));
            let powers: Vec<f64> = (0..=i).map(|j| (product(&mut part(i, 0), &mut part(j, 1)) / 2.0).exp()).collect();
            let total: f64 = powers.iter().sum();
            let p = |j: usize| powers[j] / total;
            let d_p: Vec<f64> = (0..=i).map(|j| product(&mut d(), &mut part(j, 2))).collect();
            let delta: f64 = (0..=i).map(|j| p(j) * d_p[j]).sum();
            for j in 0..=i {
                let d_score = p(j) * (d_p[j] - delta) / 2.0;
                for (x, ((value, d), (key, query))) in part(j, 2).zip(d()).zip(part(j, 1).zip(part(i, 0))).enumerate() {
                    expected_out[4 * i + x] += p(j) * value;
                    expected[12 * i + x] += d_score * key;
                    expected[12 * j + 4 + x] += d_score * query;
                    expected[12 * j + 8 + x] += p(j) * d;
                }
            }
        }
        let (gemm, threads) = (Gemm::new(1).unwrap(), Threads::new(1));
        let team = TeamScratch::new(&gemm, 1, n, 4, true).unwrap();
        let (mut out, mut lse, mut d_qkv) = (vec![0.0; 4 * n], vec![0.0; n], vec![0.0; 12 * n]);
        forward(&gemm, &threads, &team, LONG, &qkv, Dropout::none(), &mut out, &mut lse);
        backward(&gemm, &threads, &team, LONG, &qkv, Dropout::none(), &out, &lse, &d_out, &mut d_qkv);
        for (found, expected) in out.iter().zip(&expected_out).chain(d_qkv.iter().zip(&expected)) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} instead of {expected}");
        }
    }

    fn both_ways<T: Element>(gemm: &Gemm<T>, shape: Shape) -> Vec<f32> {
        let n = shape.cu_seqlens[shape.cu_seqlens.len() - 1] as usize;
        let stored = |len, seed| random(len, seed).into_iter().map(T::from_f32).collect::<Vec<_>>();
        let (qkv, d_out) = (stored(3 * shape.hidden * n, 6), stored(shape.hidden * n, 7));
        let dropout = Dropout::new(DropoutKey::new(4, 3, 2, 1), 0.25);
        let (threads, mut lse) = (Threads::new(2), vec![0.0; shape.heads * n]);
        let team = TeamScratch::new(gemm, 2, shape.max_sequence_length, shape.hidden / shape.heads, true).unwrap();
        let (mut out, mut d_qkv) = (vec![T::default(); shape.hidden * n], vec![T::default(); 3 * shape.hidden * n]);
        forward(gemm, &threads, &team, shape, &qkv, dropout, &mut out, &mut lse);
        backward(gemm, &threads, &team, shape, &qkv, dropout, &out, &lse, &d_out, &mut d_qkv);
        out.iter().chain(&d_qkv).map(|x| x.to_f32()).collect()
    }

    #[test]
    fn forward_and_backward_are_the_same_by_every_kernel() {
        const LONG: Shape = Shape {
            heads: 2,
            hidden: 64,
            cu_seqlens: &[0, 201, 218],
            max_sequence_length: 201,
            causal: false,
            window: None,
        };
        for (causal, window) in [(false, None), (true, None), (false, Some(20)), (true, Some(70))] {
            let shape = Shape { causal, window, ..LONG };
            let expected = both_ways(&Gemm::<f32>::on(Isa::Base, 2).unwrap(), shape);
            let close = |found: Vec<f32>, tolerance: f32, name: &str| {
                for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert!((found - expected).abs() < tolerance, "{name}, {i}: {found} instead of {expected}");
                }
            };
            each_kernel::<f32>(|gemm| close(both_ways(&gemm, shape), 1e-5, gemm.name()));
            each_kernel::<Bf16>(|gemm| close(both_ways(&gemm, shape), 2e-2, gemm.name()));
        }
    }

    #[test]
    fn a_window_and_a_long_sequence_give_what_the_square_gives() {
        const LONG: Shape = Shape {
            heads: 2,
            hidden: 16,
            cu_seqlens: &[0, 403, 410],
            max_sequence_length: 403,
            causal: false,
            window: None,
        };
        let gemm = Gemm::<f32>::new(2).unwrap();
        for causal in [false, true] {
            let square = Shape { causal, ..LONG };
            let expected = both_ways(&gemm, square);
            // Everything but the first key of the last row.
            let nearly = both_ways(&gemm, Shape { window: Some(401), ..square });
            let worst = expected.iter().zip(&nearly).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-2, "{worst}");
        }
        // A sequence that is longer than the largest square, and its first part by itself: causal rows see no difference.
        let longer = Shape { cu_seqlens: &[0, 700], max_sequence_length: 700, causal: true, ..LONG };
        let shorter = Shape { cu_seqlens: &[0, 500], ..longer };
        let gradient = |shape: Shape, n: usize| {
            let (qkv, mut d_out) = (random(48 * 700, 6), random(16 * 700, 7));
            d_out[16 * 500..].fill(0.0);
            let (threads, mut lse) = (Threads::new(2), vec![0.0; 2 * n]);
            let team = TeamScratch::new(&gemm, 2, 700, 8, true).unwrap();
            let (mut out, mut d_qkv) = (vec![0.0; 16 * n], vec![0.0; 48 * n]);
            forward(&gemm, &threads, &team, shape, &qkv[..48 * n], Dropout::none(), &mut out, &mut lse);
            let d_out = &d_out[..16 * n];
            backward(&gemm, &threads, &team, shape, &qkv[..48 * n], Dropout::none(), &out, &lse, d_out, &mut d_qkv);
            d_qkv.truncate(48 * 500);
            d_qkv
        };
        for (a, b) in gradient(longer, 700).iter().zip(gradient(shorter, 500)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
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
