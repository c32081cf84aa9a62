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
pub mod probabilities;

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
mod tests;
