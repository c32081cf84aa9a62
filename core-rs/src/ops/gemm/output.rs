//! Where finished tiles go: a row-major matrix in memory. The values of a tile are f32 and become what the matrix holds.

use super::Size;
#[cfg(target_arch = "x86_64")]
use crate::machine::dtype::narrow_rows;
use crate::machine::dtype::{Dtype, Element};
#[cfg(target_arch = "x86_64")]
use crate::machine::isa::Isa;
use crate::machine::simd::{prefetch, vectorize};
use crate::machine::threads::Shards;

/// A finished piece of C.
pub struct Tile<'a> {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// `height` rows, `stride` apart.
    pub(super) values: &'a mut [f32],
    pub(super) stride: usize,
}

/// Elements of the largest register tile.
pub(super) const LARGEST: usize = 32 * 32;

impl Tile<'_> {
    /// Calls `each(row of the tile, first element of that row)` for every row, in vector code.
    #[inline(always)]
    pub(super) fn edit(&mut self, mut each: impl FnMut(usize, &mut [f32])) {
        let (height, width, stride) = (self.height, self.width, self.stride);
        vectorize(
            #[inline(always)]
            || {
                for r in 0..height {
                    let row = &mut self.values[r * stride..][..width];
                    // Whole register tiles get a length that the compiler knows. Not the 8 of ARM: it unrolls such a loop
                    // before it would vectorize it, and GELU stays scalar. What is simple it unrolls at 16 and 32 as
                    // well: see [`crate::machine::simd::combine`].
                    match width {
                        16 => each(r, &mut row[..16]),
                        32 => each(r, &mut row[..32]),
                        _ => each(r, row),
                    }
                }
            },
        );
    }
}

/// A row-major matrix that tiles are written to.
#[derive(Clone, Copy)]
pub(super) struct Output<T> {
    data: Shards<T>,
    first: usize,
    stride: usize,
}

impl<T: Element> Output<T> {
    /// Rows `stride` apart.
    pub fn new(data: &mut [T], stride: usize) -> Self {
        Self { data: Shards::new(data), first: 0, stride }
    }

    /// The same from element `first` of memory that other blocks of a run also write to.
    pub fn in_shards(data: Shards<T>, first: usize, stride: usize) -> Self {
        Self { data, first, stride }
    }

    /// Panics unless there is room for a product of that size.
    pub fn check(&self, size: Size) {
        let needed = if size.m == 0 { 0 } else { self.first + (size.m - 1) * self.stride + size.n };
        let fits = self.stride >= size.n && self.data.len() >= needed;
        assert!(fits, "gemm: C is smaller than {}x{}", size.m, size.n);
    }

    /// Element `(i, j)`, counted from the first.
    pub fn index(&self, i: usize, j: usize) -> usize {
        i * self.stride + j
    }

    /// The place of a tile that lies inside C.
    #[inline(always)]
    pub fn of(&self, tile: &Tile) -> Rows<T> {
        let last = self.first + (tile.row + tile.height - 1) * self.stride + tile.column + tile.width;
        assert!(tile.column + tile.width <= self.stride && last <= self.data.len(), "gemm: a tile outside of C");
        let data = self.data.address(self.first + tile.row * self.stride + tile.column).cast_mut();
        Rows { data, stride: self.stride }
    }

    /// Begins to fetch elements that will be read or written.
    pub fn prefetch(&self, row: usize, column: usize, height: usize, width: usize) {
        for row in row..row + height {
            prefetch(self.data.address(self.first + row * self.stride + column), width);
        }
    }

    /// `c = values` in the place of `tile`; rows of `values` are as far apart as the tile's.
    pub fn store(&self, tile: &Tile, values: &[f32]) {
        let c = self.of(tile);
        let (height, width, stride) = (tile.height, tile.width, tile.stride);
        assert!(width <= stride && (height - 1) * stride + width <= values.len());
        #[cfg(target_arch = "x86_64")]
        if T::DTYPE == Dtype::Bf16 && Isa::narrows() {
            // SAFETY: the instructions are there; `values` has those rows by the assertion, C by `of`.
            return unsafe { narrow_rows(values.as_ptr(), stride, height, width, c.data.cast(), c.stride) };
        }
        vectorize(
            #[inline(always)]
            || {
                // A loop that converts f32 to f32 is not seen to be a copy, and stays scalar.
                let convert = match T::DTYPE {
                    Dtype::F32 => T::round,
                    Dtype::Bf16 => |from: &[f32], to: &mut [T]| super::pack::convert(from, to),
                };
                for r in 0..height {
                    let row = &values[r * stride..][..width];
                    // Whole register tiles get a length that the compiler knows: 8 on ARM, 16 with AVX2, 32 with AVX-512.
                    match width {
                        8 => convert(&row[..8], c.row(r, 8)),
                        16 => convert(&row[..16], c.row(r, 16)),
                        32 => convert(&row[..32], c.row(r, 32)),
                        _ => convert(row, c.row(r, width)),
                    }
                }
            },
        );
    }
}

/// Rows that a tile is written to: checked once a tile, because a check a row cost a tenth of a product.
#[derive(Clone, Copy)]
pub(super) struct Rows<T> {
    data: *mut T,
    stride: usize,
}

impl<T> Rows<T> {
    /// Row `r` of the tile.
    #[inline(always)]
    pub fn row<'a>(self, r: usize, len: usize) -> &'a mut [T] {
        // SAFETY: `Output::of` has checked the tile that this row belongs to; every element of C belongs to one tile, and
        // only that tile's epilogue asks for it.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(r * self.stride), len) }
    }
}
