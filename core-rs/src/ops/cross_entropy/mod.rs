//! Softmax cross-entropy over rows of logits, and what else is asked of such rows: ranks and the best entries.

pub mod cuda;

use crate::machine::dtype::Element;
use crate::machine::memory::Zero;
use crate::machine::simd::{exp, max, sum, sum_of, vectorize};
use crate::machine::threads::{Shards, Threads};

/// How rows of logits lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogitRows {
    /// V, entries of a row.
    pub classes: usize,
    /// Elements from one row to the next, at least V. What lies between two rows is never looked at.
    pub stride: usize,
}

impl LogitRows {
    /// One row behind the other.
    pub fn dense(classes: usize) -> Self {
        Self { classes, stride: classes }
    }
}

/// What a row of logits says about its label.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowLoss {
    /// −log softmax(logits)[label], in nats.
    pub loss: f32,
    /// How many entries are strictly greater than the label's; 0 is a right argmax.
    pub rank: i32,
}

// SAFETY: two plain numbers.
unsafe impl Zero for RowLoss {}

/// Fills `rows` from `logits` (`[rows, V]`) and `labels`. With `gradient`, writes the gradient of each row's loss there,
/// softmax − onehot; the logits are lost.
pub fn forward_backward<T: Element>(
    threads: &Threads,
    logits: &mut [f32],
    labels: &[i32],
    rows: &mut [RowLoss],
    gradient: Option<&mut [T]>,
) {
    let v = logits.len() / labels.len().max(1);
    let (logits, rows, gradient) = (Shards::new(logits), Shards::new(rows), gradient.map(Shards::new));
    threads.run(labels.len(), &|_, r| {
        // SAFETY: one row a block.
        let (x, row) = unsafe { (logits.part(r * v..(r + 1) * v), &mut rows.part(r..r + 1)[0]) };
        // SAFETY: as above.
        let gradient = gradient.map(|gradient| unsafe { gradient.part(r * v..(r + 1) * v) });
        let label = labels[r] as usize;
        vectorize(
            #[inline(always)]
            || {
                let target = x[label];
                let top = max(x);
                let rank = x.chunks(64).map(|c| c.iter().map(|&l| i32::from(l > target)).sum::<i32>()).sum();
                let total = match gradient {
                    None => sum_exp(x, top),
                    Some(gradient) => {
                        for l in x.iter_mut() {
                            *l = exp(*l - top);
                        }
                        let total = sum(x);
                        let inverse = 1.0 / total;
                        for (g, l) in gradient.iter_mut().zip(x.iter()) {
                            *g = T::from_f32(l * inverse);
                        }
                        gradient[label] = T::from_f32(x[label] * inverse - 1.0);
                        total
                    }
                };
                *row = RowLoss { loss: top + total.ln() - target, rank };
            },
        );
    });
}

/// Σ exp(x − top)
#[inline(always)]
fn sum_exp(x: &[f32], top: f32) -> f32 {
    sum_of(x, |l| exp(l - top))
}

/// The `k` most probable entries of each row, best first, the lower index first where equal, and their softmax.
pub fn top_k(threads: &Threads, logits: &[f32], v: usize, k: usize, ids: &mut [i32], probabilities: &mut [f32]) {
    let (ids, probabilities) = (Shards::new(ids), Shards::new(probabilities));
    threads.run(logits.len() / v, &|_, r| {
        let x = &logits[r * v..(r + 1) * v];
        // SAFETY: one row a block.
        let (ids, probabilities) = unsafe { (ids.part(r * k..(r + 1) * k), probabilities.part(r * k..(r + 1) * k)) };
        let mut found = 0;
        for (id, &logit) in x.iter().enumerate() {
            if found == k && logit <= x[ids[k - 1] as usize] {
                continue;
            }
            let at = ids[..found].partition_point(|&better| x[better as usize] >= logit);
            let end = (found + 1).min(k);
            ids[at..end].rotate_right(1);
            ids[at] = id as i32;
            found = end;
        }
        let top = x[ids[0] as usize];
        let total: f32 = vectorize(
            #[inline(always)]
            || sum_exp(x, top),
        );
        for (p, &id) in probabilities.iter_mut().zip(ids.iter()) {
            *p = exp(x[id as usize] - top) / total;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};

    #[test]
    fn forward_backward_equals_finite_differences() {
        let (threads, labels) = (Threads::new(2), [3, 0, 36]);
        let logits = random(3 * 37, 6);
        let run = |v: &[f32], gradient: bool| {
            let (mut x, mut rows, mut d) = (v.to_vec(), [RowLoss::default(); 3], vec![0.0; v.len()]);
            forward_backward(&threads, &mut x, &labels, &mut rows, gradient.then_some(&mut d[..]));
            (if gradient { d } else { x }, rows)
        };
        let (gradient, with) = run(&logits, true);
        let (same, without) = run(&logits, false);
        assert_eq!(same, logits);
        for (a, b) in with.iter().zip(&without) {
            assert!((a.loss - b.loss).abs() < 1e-6 && a.rank == b.rank);
        }
        check_gradient(&logits, &gradient, 1e-2, |v| run(v, false).1.iter().map(|r| f64::from(r.loss)).sum());
    }

    #[test]
    fn forward_backward_counts_strictly_greater_entries_as_rank_and_survives_large_logits() {
        let mut logits = vec![1.0, 5.0, 5.0, 900.0, -900.0];
        let mut rows = [RowLoss::default()];
        forward_backward(&Threads::new(1), &mut logits, &[2], &mut rows, None::<&mut [f32]>);
        assert_eq!(rows[0], RowLoss { loss: 895.0, rank: 1 });
        forward_backward(&Threads::new(1), &mut logits, &[3], &mut rows, Some(&mut [0.0; 5][..]));
        assert_eq!(rows[0], RowLoss { loss: 0.0, rank: 0 });
    }

    #[test]
    fn top_k_sorts_breaks_ties_by_id_and_gives_softmax() {
        let logits: Vec<f32> = [0.0, 2.0, 1.0, 2.0, -1.0].into_iter().chain([3.0, 0.0, 0.0, 0.0, 4.0]).collect();
        let (mut ids, mut p) = (vec![0; 6], vec![0.0; 6]);
        top_k(&Threads::new(2), &logits, 5, 3, &mut ids, &mut p);
        assert_eq!(ids, [1, 3, 2, 4, 0, 1]);
        let total: f32 = logits[..5].iter().map(|x| x.exp()).sum();
        assert!((p[0] - 2f32.exp() / total).abs() < 1e-6 && (p[2] - 1f32.exp() / total).abs() < 1e-6);
    }
}
