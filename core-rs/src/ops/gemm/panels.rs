//! Weights that stay packed between products: bf16 panels, written when the f32 weights change and read by every product
//! until then.

use super::kernel::Shape;
use super::{Gemm, MatRef, Size, pack};
use crate::error::Result;
use crate::machine::dtype::{Bf16, Element};
use crate::machine::memory::Buffer;
use crate::machine::threads::Shards;

/// Rows of a weight that are packed together: a multiple of every kernel's panel and group.
pub const ROWS: usize = 32;

/// A packed right operand `[k, n]`.
pub struct Panels {
    data: Buffer<Bf16>,
    n: usize,
    k: usize,
    shape: Shape,
}

impl Panels {
    /// Room for `[k, n]`, for the kernel of `gemm`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new<T: Element>(gemm: &Gemm<T>, n: usize, k: usize) -> Result<Self> {
        let shape = gemm.shape;
        assert!(ROWS.is_multiple_of(shape.right_group) && ROWS.is_multiple_of(shape.columns));
        Ok(Self { data: Buffer::zeroed(n.next_multiple_of(shape.columns) * shape.padded(k))?, n, k, shape })
    }

    /// The panels, if they are what a product of this size by this kernel needs.
    pub(super) fn check(&self, size: Size, shape: Shape) -> &[f32] {
        assert!((self.n, self.k) == (size.n, size.k) && self.shape == shape, "gemm: B is packed for another product");
        // SAFETY: two `Bf16` in the place of one f32; buffers are 64-byte aligned, and any bits are an f32.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast(), self.data.len() / 2) }
    }

    /// Lends the panels to blocks of a run that write them, while no product reads them.
    pub fn shards(&self) -> PanelShards {
        PanelShards { n: self.n, k: self.k, shape: self.shape, data: self.data.shards() }
    }
}

/// Panels whose parts are written by different blocks of one run.
#[derive(Clone, Copy)]
pub struct PanelShards {
    data: Shards<Bf16>,
    n: usize,
    k: usize,
    shape: Shape,
}

impl PanelShards {
    /// Writes columns `first..first + rows` of B, given as rows `[rows, k]`.
    ///
    /// # Safety
    /// No other block may write these columns, nobody may read them; `first` is a multiple of [`ROWS`], and so is the number of rows except for
    /// the last ones.
    pub unsafe fn write_columns(self, first: usize, rows: &[Bf16]) {
        let (width, padded) = (self.shape.columns, self.shape.padded(self.k));
        let count = rows.len() / self.k;
        for j in (0..count).step_by(width) {
            let at = (first + j) / width * width * padded;
            // SAFETY: the caller's promise; a panel lies inside [`ROWS`] columns.
            let to = unsafe { self.data.part(at..at + width * padded) };
            let matrix = MatRef::rows(rows, self.k);
            pack::pack(matrix, j, width.min(count - j), 0, self.k, width, self.shape.right_group, to);
        }
    }

    /// Writes rows `first..first + rows` of B, given as rows `[rows, n]`.
    ///
    /// # Safety
    /// As for `write_columns`, of rows.
    pub unsafe fn write_rows(self, first: usize, rows: &[Bf16]) {
        let (width, padded) = (self.shape.columns, self.shape.padded(self.k));
        let count = rows.len() / self.n;
        let depth = if first + count == self.k { padded - first } else { count };
        for j in (0..self.n).step_by(width) {
            let at = (j / width * padded + first) * width;
            // SAFETY: the caller's promise; a group lies inside [`ROWS`] rows.
            let to = unsafe { self.data.part(at..at + width * depth) };
            let matrix = MatRef::rows(rows, self.n).t();
            pack::pack(matrix, j, width.min(self.n - j), 0, count, width, self.shape.right_group, to);
        }
    }
}
