//! Memory that products work in: planned, or grown once and then reused. What a product puts there is [`super::Gemm`]'s business.

use super::kernel::Shape;
use crate::error::Result;
use crate::machine::memory::Buffer;

/// Packed operands, 64-byte aligned.
pub(super) struct Memory(Buffer<f32>);

impl Memory {
    /// # Errors
    /// `OutOfMemory`, here and below.
    pub fn new(bytes: usize) -> Result<Self> {
        Ok(Self(Buffer::zeroed(bytes.div_ceil(4))?))
    }

    pub fn get(&self) -> &[f32] {
        &self.0
    }

    /// Grows to the largest product and is then reused, so that a step allocates nothing.
    pub fn at_least(&mut self, bytes: usize) -> Result<&mut [f32]> {
        if self.0.len() * 4 < bytes {
            *self = Self::new(bytes)?;
        }
        Ok(&mut self.0)
    }

    /// Memory that was planned to be large enough.
    ///
    /// # Panics
    /// If it is not: a mistake in the planning.
    pub fn planned(&mut self, bytes: usize) -> &mut [f32] {
        assert!(bytes <= self.0.len() * 4, "gemm: {bytes} bytes of scratch, {} planned", self.0.len() * 4);
        &mut self.0
    }
}

/// Rows and columns of the largest tile that packs its operands itself.
pub(super) const LARGE: usize = 384;

/// What one thread needs for its tile: partial sums, the last panel of an A that is read in place, and what the tile packs
/// itself.
pub(super) struct TileMemory {
    pub sums: Memory,
    pub edge: Memory,
    pub left: Memory,
    pub right: Memory,
}

impl TileMemory {
    /// For a tile of that many sums in products whose operands are packed or read in place.
    pub fn new(shape: Shape, sums: usize) -> Result<Self> {
        let edge = shape.rows * shape.most_depth * shape.bytes();
        Ok(Self {
            sums: Memory::new(4 * sums)?,
            edge: Memory::new(edge)?,
            left: Memory::new(0)?,
            right: Memory::new(0)?,
        })
    }

    /// For every tile of a team: which thread gets the largest one, and when, is chance.
    pub fn of_a_team(shape: Shape) -> Result<Self> {
        let (rows, columns) = (LARGE.next_multiple_of(shape.rows), LARGE.next_multiple_of(shape.columns));
        let panels = |width: usize| Memory::new(width * shape.most_depth * shape.bytes());
        let sums = (shape.tile_rows * shape.tile_columns).max(rows * columns);
        Ok(Self { left: panels(rows)?, right: panels(columns)?, ..Self::new(shape, sums)? })
    }
}

/// Memory for products that one thread computes alone.
pub struct Scratch {
    pub(super) left: Memory,
    pub(super) tile: TileMemory,
}

/// An operand B that one thread has packed, for one or several products.
pub struct PackedRight {
    pub(super) panels: Memory,
    pub(super) n: usize,
    pub(super) k: usize,
}
