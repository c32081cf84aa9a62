//! Where finished tiles go: a row-major matrix in memory. The values of a tile are f32 and become what the matrix holds.

use super::Size;
use super::epilogue::Tile;
use crate::dtype::{Bf16, Dtype, Element};
use crate::simd::vectorize;
use crate::threads::Shards;

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

    /// `c = values` in the place of `tile`; rows of `values` are as far apart as the tile's.
    pub fn store(&self, tile: &Tile, values: &[f32]) {
        let c = self.of(tile);
        let (height, width, stride) = (tile.height, tile.width, tile.stride);
        assert!(width <= stride && (height - 1) * stride + width <= values.len());
        #[cfg(target_arch = "x86_64")]
        if T::DTYPE == Dtype::Bf16 && crate::isa::Isa::narrows() {
            // SAFETY: the instructions are there; `values` has those rows by the assertion, C by `of`.
            return unsafe { narrow(values.as_ptr(), stride, height, width, c.data.cast(), c.stride) };
        }
        vectorize(
            #[inline(always)]
            || {
                for r in 0..height {
                    let row = &values[r * stride..][..width];
                    // Whole register tiles get a length that the compiler knows.
                    match width {
                        32 => super::pack::convert(&row[..32], c.row(r, 32)),
                        _ => super::pack::convert(row, c.row(r, width)),
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

/// Rounds rows of f32 to bf16 by the instruction for it, which takes a fifth of the time that arithmetic on bits does.
///
/// # Safety
/// AVX512-BF16 has to be there; `height` rows of `width` elements are readable at `from` and writable at `to`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn narrow(from: *const f32, stride: usize, height: usize, width: usize, to: *mut Bf16, to_stride: usize) {
    use std::arch::x86_64::*;
    for r in 0..height {
        // SAFETY: the caller's promise; masked lanes are neither read nor written.
        unsafe {
            let (from, to) = (from.add(r * stride), to.add(r * to_stride));
            if width == 32 {
                let both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from.add(16)), _mm512_loadu_ps(from));
                _mm512_storeu_si512(to.cast(), std::mem::transmute::<__m512bh, __m512i>(both));
                continue;
            }
            for at in (0..width).step_by(16) {
                let lanes = if width - at >= 16 { u16::MAX } else { (1 << (width - at)) - 1 };
                let half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(lanes, from.add(at)));
                _mm256_mask_storeu_epi16(to.add(at).cast(), lanes, std::mem::transmute::<__m256bh, __m256i>(half));
            }
        }
    }
}
