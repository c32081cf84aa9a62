//! Multi-head scaled dot-product self-attention (Vaswani et al., 2017, section 3.2) inside each packed sequence.
//!
//! One block is one head of one sequence: its scores stay in cache and are never written to memory. Backward computes
//! them again from the saved log-sum-exp of each row, which costs one small product and saves `[N, H, T]` of storage.
//!
//! Keys and values are packed once, and rows taken in spans whose scores stay in the first cache. At T = 128 that is as fast
//! as all rows at once, at T = 512 1 to 3% faster and less memory. Where attention is causal, a span's products end with
//! its last key, so that of a long sequence little more than the half of the square that is seen is computed: a sixth
//! less time than with spans of 64 that pack for themselves.

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
}

/// Scores of a span of rows: 16 KiB, which stay in the first cache.
const SPAN_SCORES: usize = 4096;
/// Rows of a span of keys where attention is causal: short spans leave out more, long ones are better products.
const CAUSAL_SPAN: usize = 64;

/// What a block of attention needs beside its inputs: one for each thread of the team.
struct HeadScratch<T: Element> {
    gemm: Scratch,
    /// Keys and values of the head as its products read them.
    operands: [PackedRight; 3],
    /// `[span, L]` scores, and in backward the gradient of the probabilities.
    scores: Buffer,
    d_probabilities: Buffer,
    /// What the values are weighted with, `[span, L]` or in backward `[L, L]`, and in backward the gradient of the scores,
    /// `[L, L]`: operands of products.
    probabilities: Buffer<T>,
    d_scores: Buffer<T>,
}

/// Scratch of a team.
pub struct TeamScratch<T: Element>(Vec<Mutex<HeadScratch<T>>>);

impl<T: Element> TeamScratch<T> {
    /// For `threads` threads, sequences up to `longest` and heads of size `d`; with `backward`, for gradients too.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(gemm: &Gemm<T>, threads: usize, longest: usize, d: usize, backward: bool) -> Result<Self> {
        let span = SPAN_SCORES.max(span_rows(gemm, longest) * longest);
        let (gradients, square) = if backward { (span, longest * longest) } else { (0, 0) };
        let operand = || gemm.packed_right(longest.max(d));
        let make = || {
            Ok(Mutex::new(HeadScratch {
                gemm: gemm.scratch(longest.max(d))?,
                operands: [operand()?, operand()?, operand()?],
                scores: Buffer::zeroed(span)?,
                d_probabilities: Buffer::zeroed(gradients)?,
                probabilities: Buffer::zeroed(span.max(square))?,
                d_scores: Buffer::zeroed(square)?,
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

    /// The rows in spans of `rows`.
    fn spans(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len;
        (0..len).step_by(rows).map(move |from| from..len.min(from + rows))
    }

    /// How many keys the rows of a span see between them.
    fn keys(&self, span: &Range<usize>) -> usize {
        if self.shape.causal { span.end } else { self.len }
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
        for span in block.spans(span_rows(gemm, l)) {
            let (rows, seen) = (span.len(), block.keys(&span));
            let to_scores = Size { m: rows, n: seen, k: d };
            gemm.run_alone(packing, to_scores, block.part(qkv, 0, span.start), keys, &Store::new(scores, l));
            vectorize(
                #[inline(always)]
                || {
                    let scale = block.scale();
                    for (r, i) in span.clone().enumerate() {
                        let (to, unseen) = probabilities[r * l..][..seen].split_at_mut(block.visible(i));
                        let row = &mut scores[r * l..][..to.len()];
                        unseen.fill(T::default());
                        let top = max(row) * scale;
                        for p in row.iter_mut() {
                            *p = exp(p.mul_add(scale, -top));
                        }
                        let total = sum(row);
                        lse[i] = top + total.ln();
                        let inverse = 1.0 / total;
                        let factors = dropout.factors(block.dropout_row(i), row.len());
                        row.iter_mut().zip(factors).for_each(|(p, keep)| *p *= inverse * keep);
                        T::round(row, to);
                    }
                },
            );
            let size = Size { m: rows, n: d, k: seen };
            // SAFETY: this head's columns of these rows belong to this block alone.
            let store = unsafe { Store::into_shards(out, block.row(span.start).start, shape.hidden) };
            gemm.run_alone(packing, size, MatRef::rows(probabilities, l), values, &store);
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
        let HeadScratch { gemm: packing, operands, scores, d_probabilities, probabilities, d_scores } = &mut *scratch;
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
            let seen = block.keys(&span);
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
                        let visible = block.visible(i);
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
                        let factors = dropout.factors(block.dropout_row(i), visible);
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
        Shape { heads: 2, hidden: 10, cu_seqlens: &[0, 4, 5, 11], max_sequence_length: 8, causal: false };
    const CAUSAL: Shape = Shape { causal: true, ..SHAPE };

    fn run(shape: Shape, qkv: &[f32], dropout: Dropout) -> (Vec<f32>, Vec<f32>) {
        let (mut out, mut lse) = (vec![0.0; 110], vec![0.0; 22]);
        let team = TeamScratch::new(&Gemm::new(2).unwrap(), 2, 8, 5, true).unwrap();
        forward(&Gemm::new(2).unwrap(), &Threads::new(2), &team, shape, qkv, dropout, &mut out, &mut lse);
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
        const LONG: Shape =
            Shape { heads: 2, hidden: 64, cu_seqlens: &[0, 201, 218], max_sequence_length: 201, causal: false };
        for causal in [false, true] {
            let shape = Shape { causal, ..LONG };
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
