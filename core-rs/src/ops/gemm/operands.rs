//! What a product takes: views of matrices, and how large they are.

use super::panels::Panels;

/// A borrowed matrix view; a transposed view swaps the strides. One of the strides must be 1.
#[derive(Clone, Copy)]
pub struct MatRef<'a, T> {
    /// Elements; entry `(i, j)` is `data[i * row_stride + j * column_stride]`.
    pub data: &'a [T],
    /// Distance between rows.
    pub row_stride: usize,
    /// Distance between columns.
    pub column_stride: usize,
}

impl<'a, T> MatRef<'a, T> {
    /// A row-major matrix with `columns` columns.
    pub fn rows(data: &'a [T], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { data: self.data, row_stride: self.column_stride, column_stride: self.row_stride }
    }

    /// Panics unless it holds `rows` × `columns` entries.
    pub(super) fn check(&self, name: &str, rows: usize, columns: usize) {
        assert!(self.row_stride == 1 || self.column_stride == 1, "gemm: {name} has no unit stride");
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
            let len = self.data.len();
            assert!(last < len, "gemm: {name} is {rows}x{columns}, beyond its {len} elements");
        }
    }
}

/// The right operand, B.
#[derive(Clone, Copy)]
pub enum Right<'a> {
    /// Weights, which are f32 whatever activations are.
    Weights(MatRef<'a, f32>),
    /// Weights that have been packed before.
    Panels(&'a Panels),
}

/// The sizes of a product: `C[m, n] = A[m, k] · B[k, n]`.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
}
