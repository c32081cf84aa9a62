//! The register kernel of [`super`], once for all vector widths, and the packing that feeds it.
//!
//! What a machine's registers hold decides the tile: 12×2 vectors of 16 lanes (AVX-512, 24 of 32 registers), 6×2 of 8
//! (AVX2, 12 of 16), 4×2 elsewhere.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::{Finish, MatRef, Output};
use crate::simd::{gelu, gelu_derivative};

/// Depth of a pass: a panel of B, `KC × NR` floats, is 32 KiB on AVX-512.
pub(super) const KC: usize = 256;
/// Vectors in a row of the register tile.
const NV: usize = 2;
/// Room for the largest register tile.
const TILE: usize = 12 * NV * 16;

/// Sizes of the register tile on this machine.
#[derive(Clone, Copy)]
pub(super) struct Machine {
    pub mr: usize,
    pub nr: usize,
}

/// Both operands of a pass over `depth` steps of k, starting at `from`.
pub(super) struct Panels<'a> {
    pub a: MatRef<'a>,
    /// `[m / MR][depth][MR]`, if A had to be packed.
    pub packed_a: Option<&'a [f32]>,
    /// `[n / NR][depth][NR]`
    pub packed_b: &'a [f32],
    pub from: usize,
    pub depth: usize,
}

const fn rows_of(lanes: usize) -> usize {
    match lanes {
        16 => 12,
        8 => 6,
        _ => 4,
    }
}

impl Machine {
    pub fn detect() -> Self {
        struct Detect;
        impl WithSimd for Detect {
            type Output = Machine;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> Machine {
                Machine { mr: rows_of(S::F32_LANES), nr: NV * S::F32_LANES }
            }
        }
        Arch::new().dispatch(Detect)
    }

    /// Packs rows `first..first + count` of `matrix`, columns `from..from + depth`, as `to[depth][width]`; rows from
    /// `count` to `width` become zero.
    pub fn pack(
        self,
        matrix: MatRef,
        first: usize,
        count: usize,
        from: usize,
        depth: usize,
        width: usize,
        to: &mut [f32],
    ) {
        crate::simd::vectorize(
            #[inline(always)]
            || {
                let MatRef { data, row_stride, column_stride } = matrix;
                if row_stride == 1 {
                    match (count == width, width) {
                        (true, 32) => copy_rows::<32>(data, first + from * column_stride, column_stride, depth, to),
                        (true, 16) => copy_rows::<16>(data, first + from * column_stride, column_stride, depth, to),
                        (true, 12) => copy_rows::<12>(data, first + from * column_stride, column_stride, depth, to),
                        _ => {
                            for (p, row) in to.chunks_exact_mut(width).take(depth).enumerate() {
                                let at = first + (from + p) * column_stride;
                                row[..count].copy_from_slice(&data[at..at + count]);
                                row[count..].fill(0.0);
                            }
                        }
                    }
                } else {
                    // Eight steps of k at a time: each source row gives a whole run of a cache line.
                    for (block, rows) in to[..depth * width].chunks_mut(8 * width).enumerate() {
                        let steps = rows.len() / width;
                        for j in 0..width {
                            if j < count {
                                let at = (first + j) * row_stride + from + block * 8;
                                for (p, &value) in data[at..at + steps].iter().enumerate() {
                                    rows[p * width + j] = value;
                                }
                            } else {
                                for p in 0..steps {
                                    rows[p * width + j] = 0.0;
                                }
                            }
                        }
                    }
                }
            },
        );
    }

    /// Computes `C[rows, columns]`; both ranges start at multiples of the register tile.
    pub fn tile(
        self,
        panels: &Panels,
        rows: Range<usize>,
        columns: Range<usize>,
        output: &Output,
        first: bool,
        last: bool,
    ) {
        Arch::new().dispatch(Tile { panels, rows, columns, output, first, last });
    }
}

/// Copies `depth` runs of `W` floats, `stride` apart from element `at` on. A length that the compiler knows is a few vector
/// moves; otherwise each of these short copies is a call, which cost 6% of a training step.
#[inline(always)]
fn copy_rows<const W: usize>(data: &[f32], at: usize, stride: usize, depth: usize, to: &mut [f32]) {
    for (p, row) in to.chunks_exact_mut(W).take(depth).enumerate() {
        row.copy_from_slice(&data[at + p * stride..][..W]);
    }
}

struct Tile<'a> {
    panels: &'a Panels<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    output: &'a Output,
    first: bool,
    last: bool,
}

impl WithSimd for Tile<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match rows_of(S::F32_LANES) {
            12 => self.run::<S, 12>(simd),
            6 => self.run::<S, 6>(simd),
            _ => self.run::<S, 4>(simd),
        }
    }
}

impl Tile<'_> {
    #[inline(always)]
    fn run<S: Simd, const MR: usize>(self, simd: S) {
        let Panels { a, packed_a, packed_b, from, depth } = *self.panels;
        let nr = NV * S::F32_LANES;
        let mut start = 0;
        loop {
            let steps = KC.min(depth - start);
            let (first, last) = (self.first && start == 0, self.last && start + steps == depth);
            for j in self.columns.clone().step_by(nr) {
                let b = &packed_b[(j / nr * depth + start) * nr..][..steps * nr];
                let width = nr.min(self.columns.end - j);
                for i in self.rows.clone().step_by(MR) {
                    let height = MR.min(self.rows.end - i);
                    let mut tile = [0.0; TILE];
                    match packed_a {
                        Some(packed) => {
                            let a = &packed[(i / MR * depth + start) * MR..][..steps * MR];
                            let rows: [*const f32; MR] = std::array::from_fn(|r| a[r.min(a.len())..].as_ptr());
                            // SAFETY: step p of row r is `a[p * MR + r]`, inside `a`; `b` has `steps * nr` elements.
                            unsafe { multiply::<S, MR, true>(simd, rows, b, steps, &mut tile) };
                        }
                        None => {
                            let rows: [*const f32; MR] = std::array::from_fn(|r| {
                                // Rows past the end repeat the last one and are not written out.
                                let at = (i + r.min(height - 1)) * a.row_stride + from + start;
                                a.data[at.min(a.data.len())..][..steps].as_ptr()
                            });
                            // SAFETY: each row has `steps` elements from its pointer on, by the slice above.
                            unsafe { multiply::<S, MR, false>(simd, rows, b, steps, &mut tile) };
                        }
                    }
                    for r in 0..height {
                        let row = &tile[r * nr..r * nr + width];
                        self.output.finish(row, (i + r) * self.output.ldc + j, j, first, last);
                    }
                }
            }
            start += steps;
            if start >= depth {
                return;
            }
        }
    }
}

/// `tile[MR][NR] = Σ_p a[r][p] · b[p][·]`.
///
/// # Safety
/// `rows[r]` has to be readable at `p * MR` (packed) or `p` (not packed) for every `p < steps`.
#[inline(always)]
unsafe fn multiply<S: Simd, const MR: usize, const PACKED: bool>(
    simd: S,
    rows: [*const f32; MR],
    b: &[f32],
    steps: usize,
    tile: &mut [f32; TILE],
) {
    let stride = if PACKED { MR } else { 1 };
    let mut sums = [[simd.splat_f32s(0.0); NV]; MR];
    let mut from = b.as_ptr();
    for p in 0..steps {
        // SAFETY: `b` holds `steps` groups of `NV` vectors; vectors are read unaligned; `rows` by the caller's promise.
        unsafe {
            let right: [S::f32s; NV] = std::array::from_fn(|v| from.cast::<S::f32s>().add(v).read_unaligned());
            for r in 0..MR {
                let left = simd.splat_f32s(*rows[r].add(p * stride));
                for v in 0..NV {
                    sums[r][v] = simd.mul_add_e_f32s(left, right[v], sums[r][v]);
                }
            }
            from = from.add(NV * S::F32_LANES);
        }
    }
    for r in 0..MR {
        for v in 0..NV {
            // SAFETY: `tile` has room for `MR * NV` vectors of any width that `rows_of` knows.
            unsafe { tile.as_mut_ptr().cast::<S::f32s>().add(r * NV + v).write_unaligned(sums[r][v]) };
        }
    }
}

impl Output {
    /// Finishes a piece of one row of C that starts at `c[at]`, column `j`.
    #[inline(always)]
    fn finish(&self, x: &[f32], at: usize, j: usize, first: bool, last: bool) {
        let n = x.len();
        // SAFETY: this piece of C (and of `pre`, which has its layout) belongs to this tile alone, and the slices behind
        // the read-only shards are never written during a product.
        let c = unsafe { self.c.part(at..at + n) };
        if !first || matches!(self.finish, Finish::Accumulate) {
            for i in 0..n {
                c[i] += x[i];
            }
        } else {
            c.copy_from_slice(x);
        }
        if !last {
            return;
        }
        match &self.finish {
            Finish::Store | Finish::Accumulate => {}
            // SAFETY: as above.
            Finish::Bias(bias) => crate::simd::add(c, unsafe { bias.read(j..j + n) }),
            Finish::BiasGelu(bias, pre) => {
                // SAFETY: as above.
                let (bias, pre) = unsafe { (bias.read(j..j + n), pre.part(at..at + n)) };
                for i in 0..n {
                    pre[i] = c[i] + bias[i];
                    c[i] = gelu(pre[i]);
                }
            }
            Finish::GeluBackward(pre) => {
                // SAFETY: as above.
                let pre = unsafe { pre.read(at..at + n) };
                for i in 0..n {
                    c[i] *= gelu_derivative(pre[i]);
                }
            }
        }
    }
}
