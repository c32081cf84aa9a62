//! Losses of rows of logits against a number for each entry, instead of one right entry: binary cross-entropy where any number
//! of labels may hold, and squared error where the outputs are values. A row's loss is the mean over its entries, so that
//! the mean over rows is what PyTorch's `BCEWithLogitsLoss` and `MSELoss` give.

pub mod cuda;

use crate::machine::dtype::Element;
use crate::machine::threads::{Shards, Threads};
use crate::ops::cross_entropy::RowLoss;

/// Which loss.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetLoss {
    /// −t log σ(x) − (1 − t) log(1 − σ(x)), in nats.
    BinaryCrossEntropy,
    /// (x − t)²
    SquaredError,
}

impl TargetLoss {
    /// Loss of a logit, and its derivative.
    fn of(self, x: f32, target: f32) -> (f32, f32) {
        match self {
            Self::BinaryCrossEntropy => {
                let small = (-x.abs()).exp();
                let sigmoid = if x >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
                (x.max(0.0) - x * target + small.ln_1p(), sigmoid - target)
            }
            Self::SquaredError => ((x - target) * (x - target), 2.0 * (x - target)),
        }
    }
}

/// Fills `rows` from `logits` and `targets`, both `[rows, K]`. A rank counts the labels on the wrong side of a probability of
/// one half, so 0 is a row that is right as a whole; values are never right, and their rank is −1. With `gradient`, writes
/// the gradient of each row's loss there.
pub fn forward_backward<T: Element>(
    threads: &Threads,
    loss: TargetLoss,
    logits: &[f32],
    targets: &[f32],
    rows: &mut [RowLoss],
    gradient: Option<&mut [T]>,
) {
    let k = logits.len() / rows.len().max(1);
    let (count, share) = (rows.len(), 1.0 / k as f32);
    let (rows, gradient) = (Shards::new(rows), gradient.map(Shards::new));
    threads.run(count, &|_, r| {
        let entries = r * k..(r + 1) * k;
        // SAFETY: one row a block.
        let row = unsafe { &mut rows.part(r..r + 1)[0] };
        // SAFETY: as above.
        let mut gradient = gradient.map(|gradient| unsafe { gradient.part(entries.clone()) });
        let (mut sum, mut wrong) = (0.0, 0);
        for (i, (&x, &target)) in logits[entries.clone()].iter().zip(&targets[entries.clone()]).enumerate() {
            let (entry, slope) = loss.of(x, target);
            sum += entry;
            wrong += i32::from((x > 0.0) != (target > 0.5));
            if let Some(gradient) = &mut gradient {
                gradient[i] = T::from_f32(slope * share);
            }
        }
        let rank = if loss == TargetLoss::SquaredError { -1 } else { wrong };
        *row = RowLoss { loss: sum * share, rank };
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};

    #[test]
    fn forward_backward_equals_finite_differences() {
        let (threads, logits, k) = (Threads::new(2), random(12, 3), 4);
        for loss in [TargetLoss::BinaryCrossEntropy, TargetLoss::SquaredError] {
            let targets: Vec<f32> = (0..12).map(|i| (i % 3 == 0) as u8 as f32).collect();
            let run = |x: &[f32], d: Option<&mut [f32]>| {
                let mut rows = [RowLoss::default(); 3];
                forward_backward(&threads, loss, x, &targets, &mut rows, d);
                rows.iter().map(|row| f64::from(row.loss)).sum::<f64>()
            };
            let mut gradient = vec![0.0; 3 * k];
            run(&logits, Some(&mut gradient));
            check_gradient(&logits, &gradient, 1e-3, |x| run(x, None));
        }
    }

    #[test]
    fn forward_backward_takes_means_over_entries_counts_wrong_labels_and_survives_large_logits() {
        let mut rows = [RowLoss::default(); 2];
        let (logits, targets) = ([900.0, -900.0, 0.0, 2.0], [1.0, 0.0, 1.0, 0.0]);
        let threads = Threads::new(1);
        forward_backward(&threads, TargetLoss::BinaryCrossEntropy, &logits, &targets, &mut rows, None::<&mut [f32]>);
        assert_eq!(rows[0], RowLoss { loss: 0.0, rank: 0 });
        let expected = (2f32.ln() + 2.0 + (1.0 + (-2f32).exp()).ln()) / 2.0;
        assert!((rows[1].loss - expected).abs() < 1e-6 && rows[1].rank == 2, "{:?}", rows[1]); // one half is not above it
        let mut gradient = [0.0; 4];
        forward_backward(&threads, TargetLoss::BinaryCrossEntropy, &logits, &targets, &mut rows, Some(&mut gradient));
        assert_eq!(gradient[..3], [0.0, 0.0, -0.25]);
        forward_backward(&threads, TargetLoss::SquaredError, &[1.0, 3.0], &[0.0, 1.0], &mut rows, None::<&mut [f32]>);
        assert_eq!(rows, [RowLoss { loss: 1.0, rank: -1 }, RowLoss { loss: 4.0, rank: -1 }]);
    }
}
