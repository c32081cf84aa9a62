//! The f32 kernel, written once over vectors of any width: a register tile of 14×2 vectors of 16 lanes (AVX-512, 28 of 32
//! registers), 6×2 of 8 (AVX2, 12 of 16), 12×2 of 4 (NEON, 24 of 32), 4×2 elsewhere. A may be read where it lies.

use pulp::Simd;

use super::kernel::{Kernel, Left, Shape};
use crate::dtype::Dtype;

/// Vectors in a row of the register tile.
const NV: usize = 2;

const fn shape(rows: usize, lanes: usize) -> Shape {
    Shape {
        rows,
        columns: NV * lanes,
        left_group: 1,
        right_group: 1,
        depth: 1,
        // A panel of A of 14 rows is 14 KiB then, one of B 32 KiB.
        most_depth: 256,
        tile_rows: 196,
        tile_columns: 512,
        dtype: Dtype::F32,
    }
}

macro_rules! kernels {
    ($( $(#[$doc:meta])* $name:ident: $rows:literal x $lanes:expr, $simd:ty, $token:expr; )*) => { $(
        $(#[$doc])*
        pub(super) struct $name;

        impl Kernel for $name {
            fn shape(&self) -> Shape {
                shape($rows, $lanes)
            }

            unsafe fn multiply(
                &self,
                height: usize,
                left: Left,
                right: *const u8,
                depth: usize,
                tile: *mut f32,
                add: bool,
            ) {
                const GROUP: usize = $rows * size_of::<f32>();
                const FEW: usize = usize::div_ceil($rows, 2);
                let simd: $simd = $token;
                simd.vectorize(
                    #[inline(always)]
                    || {
                        // SAFETY: the caller's promise, passed on; a group that is as wide as the tile is a packed panel.
                        unsafe {
                            match (left.group, height) {
                                (GROUP, ..=FEW) => {
                                    product::<$simd, $rows, FEW, true>(simd, left, right, depth, tile, add)
                                }
                                (GROUP, _) => product::<$simd, $rows, $rows, true>(simd, left, right, depth, tile, add),
                                _ => product::<$simd, $rows, $rows, false>(simd, left, right, depth, tile, add),
                            }
                        }
                    },
                );
            }
        }
    )* };
}

#[cfg(target_arch = "x86_64")]
kernels! {
    /// AVX-512.
    // SAFETY: this kernel is only chosen where the instructions are available.
    Avx512: 14 x 16, pulp::x86::V4, unsafe { pulp::x86::V4::new_unchecked() };
    /// AVX2 with FMA.
    // SAFETY: as above.
    Avx2: 6 x 8, pulp::x86::V3, unsafe { pulp::x86::V3::new_unchecked() };
    /// What every x86-64 has.
    Base: 4 x 4, pulp::Scalar128b, pulp::Scalar128b;
}

#[cfg(target_arch = "aarch64")]
kernels! {
    /// NEON, which every 64-bit ARM has.
    // SAFETY: see above.
    Base: 12 x 4, pulp::aarch64::Neon, unsafe { pulp::aarch64::Neon::new_unchecked() };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
kernels! {
    /// Plain code.
    Base: 4 x 4, pulp::Scalar128b, pulp::Scalar128b;
}

/// `tile[ROWS][NV vectors] (+)= Σ_p a[r][p] · b[p][·]`.
///
/// # Safety
/// As [`Kernel::multiply`], of the first `ROWS` of `MR` rows; `PACKED` says that rows of A are neighbours and steps are
/// `MR` apart, instead of the reverse.
#[inline(always)]
unsafe fn product<S: Simd, const MR: usize, const ROWS: usize, const PACKED: bool>(
    simd: S,
    left: Left,
    right: *const u8,
    depth: usize,
    tile: *mut f32,
    add: bool,
) {
    let (mut sums, width) = ([[simd.splat_f32s(0.0); NV]; ROWS], NV * S::F32_LANES);
    // SAFETY: rows of A, groups of B and the tile are as long as the caller promises; vectors are accessed unaligned.
    unsafe {
        let at = |r: usize, v: usize| tile.add(r * width + v * S::F32_LANES).cast::<S::f32s>();
        let rows: [*const f32; ROWS] = std::array::from_fn(|r| left.data.add(r * left.row).cast());
        let (mut packed, mut b) = (left.data.cast::<f32>(), right.cast::<f32>());
        for p in 0..depth {
            let columns: [S::f32s; NV] =
                std::array::from_fn(|v| b.add(v * S::F32_LANES).cast::<S::f32s>().read_unaligned());
            for r in 0..ROWS {
                let a = simd.splat_f32s(if PACKED { *packed.add(r) } else { step(rows[r], p) });
                for v in 0..NV {
                    sums[r][v] = simd.mul_add_e_f32s(a, columns[v], sums[r][v]);
                }
            }
            packed = packed.add(MR);
            b = b.add(width);
        }
        for r in 0..ROWS {
            for v in 0..NV {
                let sum = match add {
                    true => simd.add_f32s(at(r, v).read_unaligned(), sums[r][v]),
                    false => sums[r][v],
                };
                at(r, v).write_unaligned(sum);
            }
        }
    }
}

/// `row[p]`.
///
/// # Safety
/// It is readable.
#[inline(always)]
unsafe fn step(row: *const f32, p: usize) -> f32 {
    #[cfg(not(target_arch = "aarch64"))]
    // SAFETY: the caller's promise.
    return unsafe { *row.add(p) };
    // Left to itself the compiler loads with `ld1r`, which occupies a multiplier (LLVM's AArch64SchedNeoverseN1.td: one
    // L and one V), although `fmla` takes a lane as it is.
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's promise; nothing but that element is read.
    unsafe {
        let x: f32;
        std::arch::asm!(
            "ldr {x:s}, [{row}, {p}, lsl #2]",
            x = out(vreg) x, row = in(reg) row, p = in(reg) p,
            options(pure, readonly, nostack, preserves_flags),
        );
        x
    }
}
