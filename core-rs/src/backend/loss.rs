//! Logits and what is made of them.

use super::memory::MemoryOps;
use super::{Head, Linear};
use crate::error::Result;
pub use crate::ops::cross_entropy::LogitRows;
use crate::ops::cross_entropy::RowLoss;
use crate::ops::target_loss::TargetLoss;

/// Logits of a head and their loss.
pub trait LossOps: MemoryOps {
    /// Loss and rank of each row of a head.
    type Rows: Send;

    /// Rows of a head.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn rows(&self, len: usize) -> Result<Self::Rows>;

    /// How a head on tokens should have its rows of logits and of their gradients.
    fn logit_rows(&self, classes: usize) -> LogitRows {
        LogitRows::dense(classes)
    }

    /// How many of `m` rows of logits are best held at a time; at least one.
    fn logits_at_a_time(&self, m: usize, layout: LogitRows) -> usize;

    /// `y` = the logits of rows `first..first + n` of x, `[n, V]`.
    fn logits(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        layout: LogitRows,
        weights: &Self::Buffer,
        x: &Self::Activations,
        y: &mut Self::Buffer,
    );

    /// The decoder's gradients from rows `first..first + n`: `dx` rows are stored, parameters added to.
    fn logits_backward(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        layout: LogitRows,
        weights: &Self::Buffer,
        x: &Self::Activations,
        d_logits: &Self::Activations,
        dx: &mut Self::Buffer,
        gradients: &mut Self::Buffer,
    );

    /// Cross-entropy of rows of logits, kept in `rows` from `first` on; with `gradient`, its gradient goes there and the
    /// logits are lost. A label of −1, in a batch that was rounded up, is a row that counts for nothing.
    fn cross_entropy(
        &mut self,
        logits: &mut Self::Buffer,
        layout: LogitRows,
        labels: &[i32],
        first: usize,
        rows: &mut Self::Rows,
        gradient: Option<&mut Self::Activations>,
    );

    /// Loss of rows of logits `[n, K]` against a target for each entry, kept in `rows`; with `gradient`, its gradient goes
    /// there. A row whose targets are no numbers, in a batch that was rounded up, counts for nothing.
    fn target_loss(
        &mut self,
        loss: TargetLoss,
        n: usize,
        logits: &Self::Buffer,
        targets: &[f32],
        rows: &mut Self::Rows,
        gradient: Option<&mut Self::Activations>,
    );

    /// Copies the first rows from the device.
    fn read_rows(&mut self, rows: &Self::Rows, to: &mut [RowLoss]);

    /// Adds the losses and right answers of the first `n` rows to the totals of a head.
    fn add_losses(&mut self, head: Head, n: usize, rows: &Self::Rows);

    /// Copies the first rows of logits from the device, `[n, V]` without what lies between them.
    fn read_logits(&mut self, logits: &Self::Buffer, layout: LogitRows, to: &mut [f32]);

    /// The `k` best of `n` rows of logits, host side.
    fn top_k(
        &mut self,
        n: usize,
        layout: LogitRows,
        logits: &Self::Buffer,
        k: usize,
        ids: &mut [i32],
        probabilities: &mut [f32],
    );
}
