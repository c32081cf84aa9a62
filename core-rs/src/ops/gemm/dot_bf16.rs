//! The kernel on AVX512-BF16: a register tile of 14×2 vectors of 16 f32, each fed by products of bf16 pairs. A may be read
//! where it lies.

use std::arch::x86_64::*;

use super::kernel::{Kernel, Left, Shape};
use crate::machine::dtype::Dtype;

const MR: usize = 14;
const NR: usize = 32;

/// See the module.
pub(super) struct DotBf16;

impl Kernel for DotBf16 {
    fn shape(&self) -> Shape {
        Shape {
            rows: MR,
            columns: NR,
            left_group: 2,
            right_group: 2,
            depth: 2,
            most_depth: 512,
            tile_rows: 392,
            tile_columns: 512,
            dtype: Dtype::Bf16,
        }
    }

    unsafe fn multiply(&self, height: usize, left: Left, right: *const u8, depth: usize, tile: *mut f32, add: bool) {
        const GROUP: usize = 2 * MR * size_of::<u16>();
        // SAFETY: the caller's promise, passed on; a group that is as wide as the tile is a packed panel.
        unsafe {
            match (left.group, height) {
                (GROUP, 9..) => product::<MR, true>(left, right, depth / 2, tile, add),
                (GROUP, 5..) => product::<8, true>(left, right, depth / 2, tile, add),
                (GROUP, _) => product::<4, true>(left, right, depth / 2, tile, add),
                _ => product::<MR, false>(left, right, depth / 2, tile, add),
            }
        }
    }
}

/// # Safety
/// As [`Kernel::multiply`], of the first `ROWS` rows, for `pairs` pairs of steps; `PACKED` says that rows of A are
/// neighbours.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn product<const ROWS: usize, const PACKED: bool>(
    left: Left,
    right: *const u8,
    pairs: usize,
    tile: *mut f32,
    add: bool,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    let (mut packed, mut b) = (left.data.cast::<i32>(), right.cast::<i32>());
    // SAFETY: rows of A, groups of B and the tile are as long as the caller promises; accesses need no alignment.
    unsafe {
        let rows: [*const i32; ROWS] = std::array::from_fn(|r| left.data.add(r * left.row).cast());
        let pair = |bits: __m512i| std::mem::transmute::<__m512i, __m512bh>(bits);
        for p in 0..pairs {
            let columns = [pair(_mm512_loadu_epi32(b)), pair(_mm512_loadu_epi32(b.add(16)))];
            for r in 0..ROWS {
                let at = if PACKED { packed.add(r) } else { rows[r].add(p) };
                let a = pair(_mm512_set1_epi32(at.read_unaligned()));
                for v in 0..2 {
                    sums[r][v] = _mm512_dpbf16_ps(sums[r][v], a, columns[v]);
                }
            }
            packed = packed.add(MR);
            b = b.add(NR);
        }
        for r in 0..ROWS {
            for v in 0..2 {
                let at = tile.add(r * NR + v * 16);
                let sum = if add { _mm512_add_ps(_mm512_loadu_ps(at), sums[r][v]) } else { sums[r][v] };
                _mm512_storeu_ps(at, sum);
            }
        }
    }
}
