//! Logits and what is made of them.

use super::memory::MemoryOps;
use super::{Head, Linear};
use crate::error::Result;
use crate::ops::cross_entropy::RowLoss;

/// Logits of a head and their loss.
pub trait LossOps: MemoryOps {
    /// Loss and rank of each row of a head.
    type Rows: Send;

    /// Rows of a head.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn rows(&self, len: usize) -> Result<Self::Rows>;

    /// How many of `rows` rows of logits are best held at a time; at least one.
    fn logits_at_a_time(&self, rows: usize, vocab_size: usize) -> usize;

    /// `y` = the logits of rows `first..first + n` of x, `[n, V]`.
    fn logits(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
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
        vocab_size: usize,
        labels: &[i32],
        first: usize,
        rows: &mut Self::Rows,
        gradient: Option<&mut Self::Activations>,
    );

    /// Copies the first rows from the device.
    fn read_rows(&mut self, rows: &Self::Rows, to: &mut [RowLoss]);

    /// Adds the losses and right answers of the first `n` rows to the totals of a head.
    fn add_losses(&mut self, head: Head, n: usize, rows: &Self::Rows);

    /// The `k` best of `n` rows of logits, host side.
    fn top_k(
        &mut self,
        n: usize,
        vocab_size: usize,
        logits: &Self::Buffer,
        k: usize,
        ids: &mut [i32],
        probabilities: &mut [f32],
    );
}
