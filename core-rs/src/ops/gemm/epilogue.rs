//! What happens to a finished register tile: the end of a product and the beginning of what follows it.

use super::Size;
use crate::dtype::Element;
use crate::ops::dropout::Dropout;
use crate::simd::{gelu, gelu_derivative, vectorize};
use crate::threads::Shards;

/// A finished piece of C.
pub struct Tile<'a> {
    row: usize,
    column: usize,
    height: usize,
    width: usize,
    values: &'a [f32],
    stride: usize,
}

impl<'a> Tile<'a> {
    pub(super) fn new(
        row: usize,
        column: usize,
        height: usize,
        width: usize,
        values: &'a [f32],
        stride: usize,
    ) -> Self {
        Self { row, column, height, width, values, stride }
    }

    /// Calls `each(row, column, values)` with the piece of every row, in vector code.
    #[inline(always)]
    fn each_row(&self, mut each: impl FnMut(usize, usize, &[f32])) {
        vectorize(
            #[inline(always)]
            || {
                for r in 0..self.height {
                    let row = &self.values[r * self.stride..][..self.stride];
                    // Whole register tiles get a length that the compiler knows.
                    match self.width {
                        32 => each(self.row + r, self.column, &row[..32]),
                        width => each(self.row + r, self.column, &row[..width]),
                    }
                }
            },
        );
    }
}

/// Takes finished tiles of one product. Tiles come in any order, from several threads.
pub trait Epilogue: Sync {
    /// Panics unless there is room for a product of that size.
    fn check(&self, size: Size);

    /// Takes a tile.
    fn finish(&self, tile: &Tile);
}

/// A row-major matrix that tiles are written to.
#[derive(Clone, Copy)]
struct Output<T> {
    data: Shards<T>,
    first: usize,
    stride: usize,
}

impl<T: Element> Output<T> {
    fn new(data: &mut [T], stride: usize) -> Self {
        Self { data: Shards::new(data), first: 0, stride }
    }

    fn check(&self, size: Size) {
        let needed = if size.m == 0 { 0 } else { self.first + (size.m - 1) * self.stride + size.n };
        let fits = self.stride >= size.n && self.data.len() >= needed;
        assert!(fits, "gemm: C is smaller than {}x{}", size.m, size.n);
    }

    /// The same elements, for the rows of a tile that lies inside C.
    #[inline(always)]
    fn of(&self, tile: &Tile) -> Rows<T> {
        let last = self.first + (tile.row + tile.height - 1) * self.stride + tile.column + tile.width;
        assert!(tile.column + tile.width <= self.stride && last <= self.data.len(), "gemm: a tile outside of C");
        Rows { data: self.data.address(self.first).cast_mut(), stride: self.stride }
    }
}

/// Rows that a tile is written to: checked once a tile, because a check a row cost a tenth of a product.
#[derive(Clone, Copy)]
struct Rows<T> {
    data: *mut T,
    stride: usize,
}

impl<T> Rows<T> {
    /// The piece of row `i` from column `j` on.
    #[inline(always)]
    fn row<'a>(self, i: usize, j: usize, len: usize) -> &'a mut [T] {
        // SAFETY: `Output::of` has checked the tile that this row belongs to; every element of C belongs to one tile, and
        // only that tile's epilogue asks for it.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(i * self.stride + j), len) }
    }
}

/// `c = x`
pub struct Store<T>(Output<T>);

impl<T: Element> Store<T> {
    /// Into rows of `c` that are `stride` apart.
    pub fn new(c: &mut [T], stride: usize) -> Self {
        Self(Output::new(c, stride))
    }

    /// Into elements that other blocks of a run also have rows between: rows of `shards` from element `first` on, `stride`
    /// apart.
    ///
    /// # Safety
    /// No other block may touch the elements of C, and what `shards` lends has to outlive the product.
    pub unsafe fn into_shards(shards: Shards<T>, first: usize, stride: usize) -> Self {
        Self(Output { data: shards, first, stride })
    }
}

impl<T: Element> Epilogue for Store<T> {
    fn check(&self, size: Size) {
        self.0.check(size);
    }

    fn finish(&self, tile: &Tile) {
        let c = self.0.of(tile);
        tile.each_row(
            #[inline(always)]
            |i, j, x| super::pack::convert(x, c.row(i, j, x.len())),
        );
    }
}

/// `c += x`
pub struct Add(Output<f32>);

impl Add {
    /// Into rows of `c` that are `stride` apart.
    pub fn new(c: &mut [f32], stride: usize) -> Self {
        Self(Output::new(c, stride))
    }
}

impl Epilogue for Add {
    fn check(&self, size: Size) {
        self.0.check(size);
    }

    fn finish(&self, tile: &Tile) {
        let c = self.0.of(tile);
        tile.each_row(
            #[inline(always)]
            |i, j, x| crate::simd::add(c.row(i, j, x.len()), x),
        );
    }
}

/// `c = x + bias[j]`
pub struct Bias<'a, T> {
    bias: &'a [f32],
    c: Output<T>,
}

impl<'a, T: Element> Bias<'a, T> {
    /// Into rows of `c` as long as the bias.
    pub fn new(bias: &'a [f32], c: &mut [T]) -> Self {
        Self { bias, c: Output::new(c, bias.len()) }
    }
}

impl<T: Element> Epilogue for Bias<'_, T> {
    fn check(&self, size: Size) {
        self.c.check(size);
    }

    fn finish(&self, tile: &Tile) {
        let c = self.c.of(tile);
        tile.each_row(
            #[inline(always)]
            |i, j, x| {
                let c = c.row(i, j, x.len());
                for ((c, x), b) in c.iter_mut().zip(x).zip(&self.bias[j..j + x.len()]) {
                    *c = T::from_f32(x + b);
                }
            },
        );
    }
}

/// `pre = x + bias[j]`, `c = gelu(pre)`: both are kept, because backward needs the slope at `pre`.
pub struct BiasGelu<'a, T> {
    bias: &'a [f32],
    pre: Output<T>,
    c: Output<T>,
}

impl<'a, T: Element> BiasGelu<'a, T> {
    /// Into rows of `pre` and `c` as long as the bias.
    pub fn new(bias: &'a [f32], pre: &mut [T], c: &mut [T]) -> Self {
        Self { bias, pre: Output::new(pre, bias.len()), c: Output::new(c, bias.len()) }
    }
}

impl<T: Element> Epilogue for BiasGelu<'_, T> {
    fn check(&self, size: Size) {
        self.pre.check(size);
        self.c.check(size);
    }

    fn finish(&self, tile: &Tile) {
        let (pre, c) = (self.pre.of(tile), self.c.of(tile));
        tile.each_row(
            #[inline(always)]
            |i, j, x| {
                let (pre, c) = (pre.row(i, j, x.len()), c.row(i, j, x.len()));
                for (((pre, c), x), b) in pre.iter_mut().zip(c).zip(x).zip(&self.bias[j..j + x.len()]) {
                    let sum = x + b;
                    *pre = T::from_f32(sum);
                    *c = T::from_f32(gelu(sum));
                }
            },
        );
    }
}

/// `c = x · gelu'(pre)`
pub struct GeluBackward<'a, T> {
    pre: &'a [T],
    c: Output<T>,
}

impl<'a, T: Element> GeluBackward<'a, T> {
    /// Into rows of `c`, and from rows of `pre`, that are `stride` apart.
    pub fn new(pre: &'a [T], c: &mut [T], stride: usize) -> Self {
        assert!(pre.len() >= c.len(), "gemm: pre is shorter than C");
        Self { pre, c: Output::new(c, stride) }
    }
}

impl<T: Element> Epilogue for GeluBackward<'_, T> {
    fn check(&self, size: Size) {
        self.c.check(size);
    }

    fn finish(&self, tile: &Tile) {
        let c = self.c.of(tile);
        tile.each_row(
            #[inline(always)]
            |i, j, x| {
                let c = c.row(i, j, x.len());
                let pre = &self.pre[i * self.c.stride + j..][..x.len()];
                for ((c, x), pre) in c.iter_mut().zip(x).zip(pre) {
                    *c = T::from_f32(x * gelu_derivative(pre.to_f32()));
                }
            },
        );
    }
}

/// `c = dropout(x + bias[j]) + residual`: what stands before a LayerNorm.
pub struct BiasDropoutResidual<'a, T> {
    bias: &'a [f32],
    dropout: Dropout,
    residual: &'a [T],
    c: Output<T>,
}

impl<'a, T: Element> BiasDropoutResidual<'a, T> {
    /// Into rows of `c`, and from rows of `residual`, as long as the bias.
    pub fn new(bias: &'a [f32], dropout: Dropout, residual: &'a [T], c: &mut [T]) -> Self {
        assert!(residual.len() >= c.len(), "gemm: the residual is shorter than C");
        Self { bias, dropout, residual, c: Output::new(c, bias.len()) }
    }
}

impl<T: Element> Epilogue for BiasDropoutResidual<'_, T> {
    fn check(&self, size: Size) {
        self.c.check(size);
    }

    fn finish(&self, tile: &Tile) {
        let c = self.c.of(tile);
        let dropout = self.dropout;
        tile.each_row(
            #[inline(always)]
            |i, j, x| {
                let (at, len) = (i * self.c.stride + j, x.len());
                let (c, residual, bias) = (c.row(i, j, len), &self.residual[at..at + len], &self.bias[j..j + len]);
                for l in 0..len {
                    let keep = if dropout.is_none() { 1.0 } else { dropout.factor((at + l) as u32) };
                    c[l] = T::from_f32((x[l] + bias[l]).mul_add(keep, residual[l].to_f32()));
                }
            },
        );
    }
}
