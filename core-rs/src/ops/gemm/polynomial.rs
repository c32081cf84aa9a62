//! The end of a product of a symmetric matrix with itself, in a Newton–Schulz iteration.

use super::Size;
use super::epilogue::Epilogue;
use super::output::{Output, Tile};
use crate::machine::dtype::Element;
use crate::machine::simd::prefetch;

/// `c = k₀ I + k₁ a + k₂ x`, where x is the product: with `x = a²`, a polynomial of the matrix a.
pub struct Polynomial<'a, T> {
    coefficients: [f32; 3],
    a: &'a [T],
    c: Output<T>,
}

impl<'a, T: Element> Polynomial<'a, T> {
    /// Into rows of `c`, and from rows of `a`, that are `stride` apart.
    pub fn new(coefficients: [f32; 3], a: &'a [T], c: &mut [T], stride: usize) -> Self {
        assert!(a.len() >= c.len(), "gemm: the matrix of a polynomial is smaller than C");
        Self { coefficients, a, c: Output::new(c, stride) }
    }
}

impl<T: Element> Epilogue for Polynomial<'_, T> {
    fn check(&self, size: Size) {
        self.c.check(size);
    }

    fn prefetch(&self, row: usize, column: usize, height: usize, width: usize) {
        (row..row + height).for_each(|row| prefetch(&self.a[self.c.index(row, column)], width));
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.c.prefetch(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        let ([k0, k1, k2], row, column) = (self.coefficients, tile.row, tile.column);
        tile.edit(
            #[inline(always)]
            |r, x| {
                let a = &self.a[self.c.index(row + r, column)..][..x.len()];
                for (x, a) in x.iter_mut().zip(a) {
                    *x = x.mul_add(k2, k1 * a.to_f32());
                }
                if let Some(x) = (row + r).checked_sub(column).and_then(|diagonal| x.get_mut(diagonal)) {
                    *x += k0;
                }
            },
        );
        self.c.store(tile, tile.values);
    }
}
