//! AdamW (Loshchilov and Hutter, 2019, algorithm 2) with bias correction and clipping by the global norm, in one pass.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::blueprint::{Linear, ParameterLayout};
use crate::engine::AdamW;
use crate::machine::dtype::Bf16;
use crate::machine::memory::refill;
use crate::machine::simd::vectorize;
use crate::machine::threads::{Shards, Threads};
use crate::ops::gemm::panels::ROWS;
use crate::ops::linear::packed::PackedWeight;

/// Elements of a block; a constant, so that the norm is the same for any number of threads.
const BLOCK: usize = 1 << 15;
/// Partial sums of a block's norm.
const LANES: usize = 32;

/// Σ x² in f64, in blocks that are added in order. `partials` is scratch.
pub fn squared_norm(threads: &Threads, x: &[f32], partials: &mut Vec<f64>) -> f64 {
    let blocks = x.len().div_ceil(BLOCK);
    refill(partials, blocks);
    let partial = Shards::new(partials);
    threads.run(blocks, &|_, block| {
        let x = &x[block * BLOCK..((block + 1) * BLOCK).min(x.len())];
        // SAFETY: one element a block.
        let partial = unsafe { &mut partial.part(block..block + 1)[0] };
        vectorize(
            #[inline(always)]
            || {
                let mut lanes = [[0.0f64; 8]; LANES / 8];
                let (chunks, rest) = x.as_chunks::<LANES>();
                for chunk in chunks {
                    // Eight at a time, as arrays: a loop over all lanes is unrolled into scalars that do not fit registers.
                    for (lanes, chunk) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
                        let wide = chunk.map(f64::from);
                        *lanes = std::array::from_fn(|l| lanes[l] + wide[l] * wide[l]);
                    }
                }
                let lanes = lanes.as_flattened_mut();
                for (lane, &v) in lanes.iter_mut().zip(rest) {
                    *lane += f64::from(v) * f64::from(v);
                }
                *partial = lanes.iter().sum();
            },
        );
    });
    partials.iter().sum()
}

/// The four flat buffers of an update, each of the layout's length.
pub struct State<'a> {
    /// Updated in place.
    pub weights: &'a mut [f32],
    /// Sums of gradients; zeroed.
    pub gradients: &'a mut [f32],
    /// First moments.
    pub exp_avg: &'a mut [f32],
    /// Second moments.
    pub exp_avg_sq: &'a mut [f32],
}

/// A run of parameters that one block updates.
struct Piece {
    range: Range<usize>,
    decay: bool,
    /// Index and first row of the dense layer that it is rows of.
    rows: Option<(usize, usize)>,
}

/// How an update is cut into blocks: rows of the dense layers, so that a block can also pack what it has updated, and
/// runs of everything else.
#[derive(Default)]
pub struct Plan {
    pieces: Vec<Piece>,
    /// Scratch for packing, one a thread.
    narrow: Vec<Mutex<Vec<Bf16>>>,
}

impl Plan {
    /// For all parameters of a layout that are trained, of which the weights of `layers` are dense layers.
    pub fn new(layout: &ParameterLayout, layers: &[Linear], threads: usize) -> Self {
        let mut layers = layers.to_vec();
        layers.sort_by_key(|layer| layer.weight);
        let (mut pieces, mut at) = (Vec::new(), 0);
        for p in layout.parameters() {
            if p.offset < at || !p.trainable {
                continue; // query, key and value are one layer
            }
            match layers.binary_search_by_key(&p.offset, |layer| layer.weight) {
                Ok(index) => {
                    let Linear { inputs, outputs, .. } = layers[index];
                    let rows = (BLOCK / inputs).max(1).next_multiple_of(ROWS);
                    for first in (0..outputs).step_by(rows) {
                        let last = (first + rows).min(outputs);
                        let range = p.offset + first * inputs..p.offset + last * inputs;
                        pieces.push(Piece { range, decay: p.decays(), rows: Some((index, first)) });
                    }
                    at = p.offset + inputs * outputs;
                }
                Err(_) => {
                    for from in p.range().step_by(BLOCK) {
                        let range = from..(from + BLOCK).min(p.range().end);
                        pieces.push(Piece { range, decay: p.decays(), rows: None });
                    }
                    at = p.range().end;
                }
            }
        }
        let longest = pieces.iter().filter(|p| p.rows.is_some()).map(|p| p.range.len()).max().unwrap_or(0);
        Self { pieces, narrow: (0..threads).map(|_| Mutex::new(Vec::with_capacity(longest))).collect() }
    }
}

/// One update, number `step` from 0. Gradients are multiplied by `scale` (one over the masked count, times the clipping
/// factor) before they enter the moments. `packed` are the packed copies of the plan's dense layers, by their offset, or
/// none; rows are packed while they are in cache.
pub fn update(
    threads: &Threads,
    plan: &Plan,
    packed: &[(usize, PackedWeight)],
    state: State,
    hyper: &AdamW,
    scale: f64,
    step: u64,
) {
    let power = i32::try_from(step + 1).unwrap_or(i32::MAX);
    let (correction1, correction2) = (1.0 - hyper.beta1.powi(power), 1.0 - hyper.beta2.powi(power));
    let rate = (hyper.learning_rate / correction1) as f32;
    let root = (1.0 / correction2.sqrt()) as f32;
    let (b1, b2, eps, scale) = (hyper.beta1 as f32, hyper.beta2 as f32, hyper.epsilon as f32, scale as f32);
    let (c1, c2) = ((1.0 - hyper.beta1) as f32, (1.0 - hyper.beta2) as f32);
    let kept = (1.0 - hyper.learning_rate * hyper.weight_decay) as f32;
    let State { weights, gradients, exp_avg, exp_avg_sq } = state;
    let buffers = [weights, gradients, exp_avg, exp_avg_sq].map(Shards::new);
    threads.run(plan.pieces.len(), &|thread, block| {
        let piece = &plan.pieces[block];
        let kept = if piece.decay { kept } else { 1.0 };
        // SAFETY: pieces are disjoint.
        let [w, g, m, v] = buffers.map(|b| unsafe { b.part(piece.range.clone()) });
        vectorize(
            #[inline(always)]
            || {
                for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                    let x = *g * scale;
                    *g = 0.0;
                    *m = m.mul_add(b1, c1 * x);
                    *v = v.mul_add(b2, c2 * x * x);
                    *w = w.mul_add(kept, -rate * *m / v.sqrt().mul_add(root, eps));
                }
            },
        );
        if let Some((layer, first)) = piece.rows
            && let Some((_, packed)) = packed.get(layer)
        {
            let mut narrow = plan.narrow[thread].lock().unwrap_or_else(PoisonError::into_inner);
            // SAFETY: rows of one layer are disjoint and start at multiples of `ROWS`; no product runs during an update.
            unsafe { packed.writer().write_rows(first, w, &mut narrow) };
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::Blueprint;
    use crate::config::tests::tiny;
    use crate::objective::Objective;
    use crate::ops::tests::random;

    #[test]
    fn update_equals_the_algorithm_written_in_f64_and_spares_biases_and_layer_norm_from_decay() {
        let layout = Blueprint::of(&tiny(), &Objective::MaskedLm).unwrap().layout();
        let plan = Plan::new(&layout, &[], 2);
        let n = layout.len();
        let hyper = AdamW {
            learning_rate: 0.01,
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-6,
            weight_decay: 0.1,
            max_grad_norm: 1.0,
        };
        let mut weights = random(n, 1);
        let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
        let mut exact: Vec<[f64; 3]> = weights.iter().map(|&w| [f64::from(w), 0.0, 0.0]).collect();
        for step in 0..4 {
            let mut gradients = random(n, 10 + step);
            for p in layout.parameters() {
                for i in p.range() {
                    let [w, m, v] = &mut exact[i];
                    let g = f64::from(gradients[i]) * 0.25;
                    if p.decays() {
                        *w -= hyper.learning_rate * hyper.weight_decay * *w;
                    }
                    *m = hyper.beta1 * *m + (1.0 - hyper.beta1) * g;
                    *v = hyper.beta2 * *v + (1.0 - hyper.beta2) * g * g;
                    let t = step as i32 + 1;
                    let (mean, square) = (*m / (1.0 - hyper.beta1.powi(t)), *v / (1.0 - hyper.beta2.powi(t)));
                    *w -= hyper.learning_rate * mean / (square.sqrt() + hyper.epsilon);
                }
            }
            let state = State { weights: &mut weights, gradients: &mut gradients, exp_avg: &mut m, exp_avg_sq: &mut v };
            update(&Threads::new(2), &plan, &[], state, &hyper, 0.25, step);
            assert!(gradients.iter().all(|&g| g == 0.0));
        }
        for (i, [w, ..]) in exact.iter().enumerate() {
            assert!((f64::from(weights[i]) - w).abs() < 2e-6, "{}: {} vs {w}", layout.name_at(i), weights[i]);
        }
    }

    #[test]
    fn squared_norm_is_exact_enough_and_the_same_for_any_team() {
        let x = random(100_000, 3);
        let exact: f64 = x.iter().map(|&v| f64::from(v).powi(2)).sum();
        let one = squared_norm(&Threads::new(1), &x, &mut Vec::new());
        assert!((one / exact - 1.0).abs() < 1e-12);
        assert_eq!(one.to_bits(), squared_norm(&Threads::new(3), &x, &mut Vec::new()).to_bits());
    }
}
