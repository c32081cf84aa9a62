//! Matrix products with what comes before and after them fused in. (Skeleton: naive loops until the kernels land.)

use crate::threads::Threads;

/// A borrowed matrix view; a transposed view swaps the strides. One of the strides must be 1.
#[derive(Clone, Copy)]
pub struct MatRef<'a> {
    /// Elements; entry `(i, j)` is `data[i * row_stride + j * column_stride]`.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row_stride: usize,
    /// Distance between columns.
    pub column_stride: usize,
}

/// What happens to each finished element `x` of the product at row `i`, column `j`.
pub enum Epilogue<'a> {
    /// `c = x`
    Store,
    /// `c += x`
    Accumulate,
    /// `c = x + bias[j]`
    Bias(&'a [f32]),
    /// `pre = x + bias[j]`, `c = gelu(pre)`; `pre` has c's layout.
    BiasGelu {
        /// `[n]`
        bias: &'a [f32],
        /// Kept for the backward pass.
        pre: &'a mut [f32],
    },
    /// `c = x * gelu'(pre)`; `pre` has c's layout.
    GeluBackward {
        /// What `BiasGelu` kept.
        pre: &'a [f32],
    },
}

/// `C[m, n] = epilogue(A[m, k] · B[k, n])`, C row-major with row stride `ldc`. The result does not depend on the
/// number of threads; nothing is allocated after the team's first call of at least this size.
pub fn gemm(
    threads: &Threads,
    m: usize,
    n: usize,
    k: usize,
    a: MatRef,
    b: MatRef,
    c: &mut [f32],
    ldc: usize,
    epilogue: Epilogue,
) {
    let _ = (threads, m, n, k, a, b, c, ldc, epilogue);
    unimplemented!()
}
