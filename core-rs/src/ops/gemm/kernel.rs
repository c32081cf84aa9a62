//! What a register kernel is, and which one to take. There is one file a kernel: [`super::fma`] (f32 on any machine),
//! [`super::dot_bf16`] (AVX512-BF16), [`super::amx`] (AMX tiles).

use crate::machine::dtype::Dtype;

/// How a kernel wants its operands. A panel holds `width` rows of A, or columns of B, as `[depth / group][width][group]`:
/// the elements of one row along k stand together in groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    /// Rows of the register tile: the width of a panel of A.
    pub rows: usize,
    /// Columns of the register tile: the width of a panel of B.
    pub columns: usize,
    /// Group of a panel of A.
    pub left_group: usize,
    /// Group of a panel of B.
    pub right_group: usize,
    /// Panels are padded with zeros along k to a multiple of this.
    pub depth: usize,
    /// Most steps of k in one call: a panel of A of this depth stays in the first cache.
    pub most_depth: usize,
    /// Rows and columns of C that a thread works on at a time: that much of B and the partial sums stay in the second
    /// cache.
    pub tile_rows: usize,
    /// See `tile_rows`.
    pub tile_columns: usize,
    /// What panels hold.
    pub dtype: Dtype,
}

impl Shape {
    /// Bytes of an element of a panel.
    pub fn bytes(&self) -> usize {
        match self.dtype {
            Dtype::F32 => 4,
            Dtype::Bf16 => 2,
        }
    }

    /// Depth of a padded panel.
    pub fn padded(&self, k: usize) -> usize {
        k.next_multiple_of(self.depth)
    }
}

/// `rows` rows of A: a packed panel, or a row-major matrix in place.
#[derive(Clone, Copy)]
pub(super) struct Left {
    /// Row 0, step 0.
    pub data: *const u8,
    /// Bytes from one row to the next.
    pub row: usize,
    /// Bytes from one group of `left_group` steps to the next.
    pub group: usize,
}

/// Multiplies panels into a register tile. Everything is f32 inside, whatever panels hold.
pub(super) trait Kernel: Sync {
    /// What it works on.
    fn shape(&self) -> Shape;

    /// Puts this thread into the state that `multiply` needs, until `leave`.
    fn enter(&self) {}

    /// Takes it out of that state.
    fn leave(&self) {}

    /// `tile[rows][columns] = A · B` over `depth` steps of k, or `+=` with `add`. Of the tile's rows `height` count; a
    /// kernel may spare itself the others.
    ///
    /// # Safety
    /// Between `enter` and `leave`, on a machine that has the kernel's instructions. `left` has to be readable in all
    /// its rows and `right` in all its columns for `depth` steps, a multiple of the shape's; `tile` is writable.
    unsafe fn multiply(&self, height: usize, left: Left, right: *const u8, depth: usize, tile: *mut f32, add: bool);
}
