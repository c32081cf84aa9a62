//! A device's memory.

use crate::error::Result;
use crate::machine::memory::Buffer;
use std::ops::Range;

/// Buffers on the device, and what goes there and back.
pub trait MemoryOps: Send {
    /// f32 elements on the device: parameters, gradients, slots, statistics, logits.
    type Buffer: Send;

    /// Activations and those of their gradients that are operands of a product, in the engine's dtype.
    type Activations: Send;

    /// A buffer of zeros.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn zeroed(&self, len: usize) -> Result<Self::Buffer>;

    /// Activations of zeros.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn activations(&self, len: usize) -> Result<Self::Activations>;

    /// Moves host memory to the device; on the CPU it stays where it is.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn upload(&mut self, host: Buffer) -> Result<Self::Buffer>;

    /// Copies to the device, from element `offset` on.
    fn write(&mut self, to: &mut Self::Buffer, offset: usize, from: &[f32]);

    /// Copies from the device, from element `offset` on.
    fn read(&mut self, from: &Self::Buffer, offset: usize, to: &mut [f32]);

    /// Copies the first activations from the device, as f32.
    fn read_activations(&mut self, from: &Self::Activations, to: &mut [f32]);

    /// The index of the first of the first `len` elements that is NaN or infinite.
    fn first_non_finite(&mut self, x: &Self::Buffer, len: usize) -> Option<usize>;

    /// The same of activations.
    fn first_non_finite_activation(&mut self, x: &Self::Activations, len: usize) -> Option<usize>;

    /// `x = 0`
    fn clear(&mut self, x: &mut Self::Buffer);

    /// Zeros in some elements.
    fn clear_part(&mut self, x: &mut Self::Buffer, part: Range<usize>);
}
