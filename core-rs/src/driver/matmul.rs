//! What cuBLASLt is asked for, as one value: [`super::blas`] makes descriptors of it, and the simulated GPU of the tests
//! multiplies by it and refuses what cuBLASLt would, so that both mean the same product.

use super::{Dtype, Matrix, Product, Tensor};

/// Bytes of scratch that an algorithm may use. A weight gradient has few tiles, so it is cut into parts along its sum, each
/// of which is as large as the result until they are added: 9 MiB for `[3072, 768]`.
pub const WORKSPACE: usize = 256 << 20;
/// An address that is a multiple of so many bytes is as good as any.
const MOST_ALIGNMENT: u32 = 256;

/// A column-major matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Device address of the first element.
    pub address: u64,
    /// Of the matrix as it is stored.
    pub rows: usize,
    /// Likewise.
    pub columns: usize,
    /// Elements from one column to the next.
    pub leading: usize,
    /// Of its elements.
    pub dtype: Dtype,
    /// Whether the product takes it transposed.
    pub transposed: bool,
}

impl Operand {
    /// A row-major `[rows, columns]`, which is a column-major `[columns, rows]`.
    fn of(elements: Tensor, [rows, columns]: [usize; 2], stride: usize, transposed: bool) -> Self {
        Self {
            address: elements.address,
            rows: columns,
            columns: rows,
            leading: stride,
            dtype: elements.dtype,
            transposed,
        }
    }

    /// The same for a matrix that is stored transposed if it is taken so.
    fn of_matrix(matrix: Matrix, rows: usize, columns: usize, stride: usize) -> Self {
        let Matrix { elements, transposed } = matrix;
        let stored = if transposed { [columns, rows] } else { [rows, columns] };
        Self::of(elements, stored, stride, transposed)
    }
}

/// `D = op(A) · op(B) + beta · D`, and a bias for each row of D. cuBLASLt is column-major, so for a product
/// `C = A · B` of row-major matrices it computes Cᵀ = Bᵀ · Aᵀ: its A is our B.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matmul {
    /// The left operand.
    pub a: Operand,
    /// The right operand.
    pub b: Operand,
    /// The result, which is also what `beta` multiplies.
    pub d: Operand,
    /// 0 or 1.
    pub beta: f32,
    /// What the epilogue adds: an element for each row of D.
    pub bias: Option<Tensor>,
}

impl Matmul {
    /// For a product of row-major matrices.
    pub fn of(product: &Product) -> Self {
        let &Product { m, n, k, a, b, c, strides, bias, accumulate } = product;
        Self {
            a: Operand::of_matrix(b, k, n, strides[1]),
            b: Operand::of_matrix(a, m, k, strides[0]),
            d: Operand::of(c, [m, n], strides[2], false),
            beta: if accumulate { 1.0 } else { 0.0 },
            bias,
        }
    }

    /// Of A, B, D and the bias: the largest power of two, up to 256, that the address is a multiple of. Algorithms are asked
    /// for by it, and one is right only where the addresses are as good as these or better.
    pub fn alignments(&self) -> [u32; 4] {
        let of = |address: u64| 1 << address.trailing_zeros().min(MOST_ALIGNMENT.ilog2());
        let Self { a, b, d, bias, .. } = self;
        [of(a.address), of(b.address), of(d.address), bias.map_or(MOST_ALIGNMENT, |bias| of(bias.address))]
    }
}
