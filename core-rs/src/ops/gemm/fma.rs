//! The f32 kernel, written once over vectors of any width: a register tile of 14×2 vectors of 16 lanes (AVX-512, 28 of 32
//! registers), 6×2 of 8 (AVX2, 12 of 16), 12×2 of 4 (NEON, 24 of 32), 4×2 elsewhere. A may be read where it lies.

use pulp::Simd;

use super::kernel::{Kernel, Left, Shape};
use crate::machine::dtype::Dtype;

/// Vectors in a row of the register tile.
const NV: usize = 2;
/// Steps of k between two updates of addresses.
const STEPS: usize = 4;

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

#[cfg(all(test, target_arch = "x86_64"))]
kernels! {
    /// As many rows as AVX-512 has, on every machine.
    Fourteen: 14 x 4, pulp::Scalar128b, pulp::Scalar128b;
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
    let mut operands = Operands { rows: Rows::new(left), packed: left.data.cast(), b: right.cast() };
    // SAFETY: rows of A, groups of B and the tile are as long as the caller promises; vectors are accessed unaligned.
    unsafe {
        for _ in 0..depth / STEPS {
            multiply_steps::<S, MR, ROWS, PACKED, STEPS>(simd, &mut operands, &mut sums);
        }
        for _ in 0..depth % STEPS {
            multiply_steps::<S, MR, ROWS, PACKED, 1>(simd, &mut operands, &mut sums);
        }
        for r in 0..ROWS {
            for v in 0..NV {
                let at = tile.add(r * width + v * S::F32_LANES).cast::<S::f32s>();
                let sum = match add {
                    true => simd.add_f32s(at.read_unaligned(), sums[r][v]),
                    false => sums[r][v],
                };
                at.write_unaligned(sum);
            }
        }
    }
}

/// What is multiplied, from the next step of k on.
struct Operands<const ROWS: usize> {
    rows: Rows<ROWS>,
    packed: *const f32,
    b: *const f32,
}

/// `COUNT` steps of k.
///
/// # Safety
/// There are as many.
#[inline(always)]
unsafe fn multiply_steps<S: Simd, const MR: usize, const ROWS: usize, const PACKED: bool, const COUNT: usize>(
    simd: S,
    Operands { rows, packed, b }: &mut Operands<ROWS>,
    sums: &mut [[S::f32s; NV]; ROWS],
) {
    let width = NV * S::F32_LANES;
    let addresses: [*const f32; ROWS] = std::array::from_fn(|r| rows.address(r));
    for p in 0..COUNT {
        // SAFETY: the caller's promise.
        unsafe {
            let columns: [S::f32s; NV] =
                std::array::from_fn(|v| b.add(p * width + v * S::F32_LANES).cast::<S::f32s>().read_unaligned());
            for r in 0..ROWS {
                let a = simd.splat_f32s(if PACKED { *packed.add(p * MR + r) } else { rows.get(addresses[r], p) });
                for v in 0..NV {
                    sums[r][v] = simd.mul_add_e_f32s(a, columns[v], sums[r][v]);
                }
            }
        }
    }
    rows.advance(COUNT);
    *packed = packed.wrapping_add(COUNT * MR);
    *b = b.wrapping_add(COUNT * width);
}

/// Rows of A that are read where they lie, from the next step of k on.
///
/// On x86 three rows share a register, because an address may have once or twice another register added to it. Left to
/// itself the compiler finds that 14 rows have more addresses than there are registers, and adds the stride for each value
/// of each of them (6 rows alike). With that and a loop over single steps, 29 instructions did 12 multiplications: on a Zen
/// 3 whose other thread was busy, panels in the first cache were multiplied at 60% of what registers alone reach, and now
/// at 80 to 89%.
struct Rows<const ROWS: usize> {
    addresses: [*const f32; ROWS],
    stride: usize,
    #[cfg(target_arch = "aarch64")]
    step: usize,
}

/// Rows that share an address. ARM has registers for all.
const SHARED: usize = if cfg!(target_arch = "aarch64") { 1 } else { 3 };

impl<const ROWS: usize> Rows<ROWS> {
    #[inline(always)]
    fn new(left: Left) -> Self {
        Self {
            addresses: std::array::from_fn(|i| opaque(left.data.wrapping_add(i * SHARED * left.row).cast())),
            stride: left.row,
            #[cfg(target_arch = "aarch64")]
            step: 0,
        }
    }

    #[inline(always)]
    fn address(&self, row: usize) -> *const f32 {
        let group = row / SHARED;
        self.addresses[group].wrapping_byte_add((row - group * SHARED) * self.stride)
    }

    /// What stands `p` steps on in the row of that address.
    ///
    /// # Safety
    /// It is readable.
    #[inline(always)]
    unsafe fn get(&self, address: *const f32, p: usize) -> f32 {
        #[cfg(not(target_arch = "aarch64"))]
        // SAFETY: the caller's promise.
        return unsafe { *address.add(p) };
        // Left to itself the compiler loads with `ld1r`, which occupies a multiplier (LLVM's AArch64SchedNeoverseN1.td: one
        // L and one V), although `fmla` takes a lane as it is.
        #[cfg(target_arch = "aarch64")]
        // SAFETY: the caller's promise; nothing but that element is read.
        unsafe {
            let x: f32;
            std::arch::asm!(
                "ldr {x:s}, [{address}, {p}, lsl #2]",
                x = out(vreg) x, address = in(reg) address, p = in(reg) self.step + p,
                options(pure, readonly, nostack, preserves_flags),
            );
            x
        }
    }

    #[inline(always)]
    fn advance(&mut self, steps: usize) {
        #[cfg(not(target_arch = "aarch64"))]
        for address in &mut self.addresses {
            *address = address.wrapping_add(steps);
        }
        #[cfg(target_arch = "aarch64")]
        (self.step += steps);
    }
}

/// The same address, of which the compiler does not know where it comes from.
#[inline(always)]
fn opaque(address: *const f32) -> *const f32 {
    #[cfg(target_arch = "x86_64")]
    {
        let same: *const f32;
        // SAFETY: no instruction.
        unsafe {
            std::arch::asm!("/* {0} */", inlateout(reg) address => same, options(pure, readonly, nostack, preserves_flags));
        }
        same
    }
    #[cfg(not(target_arch = "x86_64"))]
    address
}
