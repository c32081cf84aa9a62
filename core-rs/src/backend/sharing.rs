//! What processes that share updates do with buffers on their devices.

use std::ops::Range;

use super::Totals;
use super::memory::MemoryOps;
use crate::collective::Collective;
use crate::error::Result;

/// Buffers that are sent between processes and added up. A buffer of a model's size is shared in parts of `each` elements,
/// one for each process, of which the last ones may be shorter or empty.
pub trait SharingOps: MemoryOps {
    /// Sends process r part r of the first `len` elements of `from`; puts this process's parts of all of them behind one another
    /// in `to`, so many elements apart.
    ///
    /// # Errors
    /// `Io` if another process did not come, or what the transfer says.
    fn scatter_parts(
        &mut self,
        collective: &mut dyn Collective,
        len: usize,
        each: usize,
        from: &Self::Buffer,
        to: &mut Self::Buffer,
    ) -> Result<()>;

    /// Fills in the parts of the first `len` elements of `x` that are the others'. `room` is scratch for all parts.
    ///
    /// # Errors
    /// As [`SharingOps::scatter_parts`].
    fn gather_parts(
        &mut self,
        collective: &mut dyn Collective,
        len: usize,
        each: usize,
        x: &mut Self::Buffer,
        room: &mut Self::Buffer,
    ) -> Result<()>;

    /// `x[to + i] += x[from + i]`, of `len` elements; `to` is before `from`.
    fn add_part(&mut self, len: usize, from: usize, to: usize, x: &mut Self::Buffer);

    /// `to[at + i] = from[i]`, of `len` elements.
    fn copy_part(&mut self, len: usize, from: &Self::Buffer, at: usize, to: &mut Self::Buffer);

    /// `to = from`; `from` is then as after [`SharingOps::begin_sums`].
    fn hand_over(&mut self, from: &mut Self::Buffer, to: &mut Self::Buffer);

    /// Begins a gradient: what backward adds up is added to zeros. What else there is in the buffer is known only once it is
    /// settled: a device may leave alone what the first product is going to write.
    fn begin_sums(&mut self, gradients: &mut Self::Buffer);

    /// After backward: what nothing was added to is zero.
    fn settle_sums(&mut self, _gradients: &mut Self::Buffer) {}

    /// Σ x² of a range that begins at a block of [`crate::optim::clip::BLOCK`] elements, by block.
    ///
    /// # Errors
    /// What failed so far: a device is waited for.
    fn squared_norms(&mut self, x: &Self::Buffer, range: Range<usize>) -> Result<Vec<f64>>;

    /// Puts what has been added up since the last time aside, as that of a micro-batch, on a device that defers.
    ///
    /// # Errors
    /// `OutOfMemory`, the first time.
    fn keep_totals(&mut self, _leaf: usize, _leaves: usize) -> Result<()> {
        Ok(())
    }

    /// What was put aside, by micro-batch: a device is waited for.
    ///
    /// # Errors
    /// What failed so far.
    fn kept_totals(&mut self, _leaves: usize) -> Result<Vec<Totals>> {
        Ok(Vec::new())
    }
}

/// The elements of part `rank`.
pub fn part(len: usize, each: usize, rank: usize) -> Range<usize> {
    (rank * each).min(len)..((rank + 1) * each).min(len)
}
