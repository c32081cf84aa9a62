//! Backward without the whole square of scores: of long sequences, and where attention has a window.
//!
//! Spans of rows keep the scores of their own keys only and add to the gradients of keys and values, which are f32 until
//! the last span is done. So time and memory are those of the scores that are seen. A short square is faster in one piece:
//! nothing is added up in between.

use super::{Block, HeadScratch};
use crate::machine::dtype::Element;
use crate::machine::simd::{dot, exp, vectorize};
use crate::machine::threads::Shards;
use crate::ops::dropout::Dropout;
use crate::ops::gemm::epilogue::{Add, Store};
use crate::ops::gemm::{Gemm, MatRef, Size};

/// One block of [`super::backward`].
pub(super) fn backward<T: Element>(
    gemm: &Gemm<T>,
    scratch: &mut HeadScratch<T>,
    block: &Block,
    qkv: &[T],
    dropout: Dropout,
    out: &[T],
    lse: &[f32],
    d_out: &[T],
    d_qkv: Shards<T>,
) {
    let (l, d, hidden) = (block.len, block.d, block.shape.hidden);
    let HeadScratch { gemm: packing, operands, of_span, scores, d_probabilities, probabilities, d_scores, sums } =
        scratch;
    let ([keys, values, keys_as_rows], [queries, d_outputs]) = (operands, of_span);
    let [d_keys, d_values] = sums.each_mut().map(|sums| &mut sums[..l * d]);
    d_keys.fill(0.0);
    d_values.fill(0.0);
    let lse = &lse[block.head * block.tokens + block.from..];
    let d_head = |first| MatRef { data: &d_out[block.row(first).start..], row_stride: hidden, column_stride: 1 };
    // Where row `i` of the gradient of queries (0), keys (1) or values (2) begins.
    let place = |i: usize, which: usize| (block.from + i) * 3 * hidden + which * hidden + block.head * d;
    gemm.pack_alone(keys, d, l, block.part(qkv, 1, 0).t());
    gemm.pack_alone(values, d, l, block.part(qkv, 2, 0).t());
    gemm.pack_alone(keys_as_rows, l, d, block.part(qkv, 1, 0));
    for span in block.spans(block.span_rows(gemm)) {
        let seen = block.keys(&span);
        let (first, width) = (seen.start, seen.len());
        let (of_queries, to_scores) = (block.part(qkv, 0, span.start), Size { m: span.len(), n: width, k: d });
        gemm.run_alone_from(packing, to_scores, of_queries, keys, [0, first], &Store::new(scores, width));
        let to_gradients = Store::new(d_probabilities, width);
        gemm.run_alone_from(packing, to_scores, d_head(span.start), values, [0, first], &to_gradients);
        // dS = P (dP − Σ dP P) scale, where Σ dP P of a row is d_out · out.
        vectorize(
            #[inline(always)]
            || {
                let scale = block.scale();
                for (r, i) in span.clone().enumerate() {
                    let visible = block.visible(i);
                    let inside = r * width + visible.start - first..r * width + visible.end - first;
                    for gradients in [&mut *probabilities, &mut *d_scores] {
                        gradients[r * width..inside.start].fill(T::default());
                        gradients[inside.end..(r + 1) * width].fill(T::default());
                    }
                    let (scores, d_probabilities) = (&mut scores[inside.clone()], &mut d_probabilities[inside.clone()]);
                    let delta = dot(&d_out[block.row(i)], &out[block.row(i)]);
                    let row_lse = lse[i];
                    let factors = dropout.factors(block.dropout_from(i, visible.start), visible.len());
                    for ((score, d), keep) in scores.iter_mut().zip(&mut *d_probabilities).zip(factors) {
                        let probability = exp(score.mul_add(scale, -row_lse));
                        *score = probability * keep;
                        *d = probability * d.mul_add(keep, -delta) * scale;
                    }
                    T::round(scores, &mut probabilities[inside.clone()]);
                    T::round(d_probabilities, &mut d_scores[inside]);
                }
            },
        );
        let (p, g) = (MatRef::rows(probabilities, width), MatRef::rows(d_scores, width));
        // SAFETY: this head's columns of these rows belong to this block alone.
        let to_queries = unsafe { Store::into_shards(d_qkv, place(span.start, 0), 3 * hidden) };
        let size = Size { m: span.len(), n: d, k: width };
        gemm.run_alone_from(packing, size, g, keys_as_rows, [first, 0], &to_queries);
        gemm.pack_alone(queries, span.len(), d, of_queries);
        gemm.pack_alone(d_outputs, span.len(), d, d_head(span.start));
        let size = Size { m: width, n: d, k: span.len() };
        gemm.run_alone(packing, size, g.t(), queries, &Add::new(&mut d_keys[first * d..], d));
        gemm.run_alone(packing, size, p.t(), d_outputs, &Add::new(&mut d_values[first * d..], d));
    }
    for (which, sums) in [(1, d_keys), (2, d_values)] {
        for (i, sums) in sums.chunks_exact(d).enumerate() {
            let at = place(i, which);
            // SAFETY: as above.
            T::round(sums, unsafe { d_qkv.part(at..at + d) });
        }
    }
}
