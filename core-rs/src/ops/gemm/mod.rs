//! Matrix products with what comes before and after them fused in.
//!
//! The shape of the computation is that of Goto and van de Geijn (2008): B is packed into panels of `NR` columns that
//! stay in the first cache, rows of A stream past them, and a register tile of `MR × NR` accumulates along k. Rows of a
//! row-major A are read where they lie; a transposed A (weight gradients) is packed like B. The last pass over k
//! applies the epilogue while the tile is still in cache, so bias and GELU cost no extra trip through memory.
//!
//! Tiles are cut by shape alone and each is computed by one thread in a fixed order: the bits of the result do not
//! depend on the number of threads.

mod kernel;

use std::sync::Mutex;

use crate::threads::{Shards, Threads};
use kernel::{KC, Machine, Panels};

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

impl<'a> MatRef<'a> {
    /// A row-major matrix with `columns` columns.
    pub fn rows(data: &'a [f32], columns: usize) -> Self {
        Self { data, row_stride: columns, column_stride: 1 }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { data: self.data, row_stride: self.column_stride, column_stride: self.row_stride }
    }

    fn check(&self, name: &str, rows: usize, columns: usize) {
        assert!(self.row_stride == 1 || self.column_stride == 1, "gemm: {name} has no unit stride");
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
            assert!(
                last < self.data.len(),
                "gemm: {name} is {rows}x{columns}, beyond its {} elements",
                self.data.len()
            );
        }
    }
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

/// The sizes of a product: `C[m, n] = A[m, k] · B[k, n]`.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
}

/// Memory for packed operands: grows to the largest product and is then reused, so that a step allocates nothing.
#[derive(Default)]
pub struct Scratch {
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Scratch {
    /// Room for any product whose packed operands are at most `side × other`.
    pub fn for_sizes(side: usize, other: usize) -> Self {
        let len = (side + 64) * (other + 64);
        Self { a: vec![0.0; len], b: vec![0.0; len] }
    }
}

/// Rows of a tile that a thread works on at a time: its part of A stays in the second cache.
const TILE_ROWS: usize = 192;
/// Columns of such a tile.
const TILE_COLUMNS: usize = 512;
/// Elements of B that are packed at a time.
const PACKED_B: usize = 2 << 20;

/// Products for one engine: a team and its packing memory.
pub struct Gemm {
    machine: Machine,
    scratch: Mutex<Scratch>,
}

impl Default for Gemm {
    fn default() -> Self {
        Self { machine: Machine::detect(), scratch: Mutex::default() }
    }
}

/// Where C lies and how its elements are finished, in pointers, because tiles of one C belong to several threads.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    c: Shards<f32>,
    ldc: usize,
    finish: Finish,
}

#[derive(Clone, Copy)]
enum Finish {
    Store,
    Accumulate,
    Bias(Shards<f32>),
    BiasGelu(Shards<f32>, Shards<f32>),
    GeluBackward(Shards<f32>),
}

/// Lends a slice that is only ever read.
fn read_only(data: &[f32]) -> Shards<f32> {
    // SAFETY: `Finish` reads these shards and never writes them, so no `&mut` to the data is used for writing.
    Shards::new(unsafe { std::slice::from_raw_parts_mut(data.as_ptr().cast_mut(), data.len()) })
}

impl Output {
    fn new(size: Size, c: &mut [f32], ldc: usize, epilogue: Epilogue) -> Self {
        let needed = if size.m == 0 { 0 } else { (size.m - 1) * ldc + size.n };
        assert!(ldc >= size.n && c.len() >= needed, "gemm: c is smaller than {}x{}", size.m, size.n);
        let finish = match epilogue {
            Epilogue::Store => Finish::Store,
            Epilogue::Accumulate => Finish::Accumulate,
            Epilogue::Bias(bias) => {
                assert!(bias.len() >= size.n, "gemm: the bias is shorter than a row");
                Finish::Bias(read_only(bias))
            }
            Epilogue::BiasGelu { bias, pre } => {
                assert!(bias.len() >= size.n && pre.len() >= needed, "gemm: bias or pre is too short");
                Finish::BiasGelu(read_only(bias), Shards::new(pre))
            }
            Epilogue::GeluBackward { pre } => {
                assert!(pre.len() >= needed, "gemm: pre is too short");
                Finish::GeluBackward(read_only(pre))
            }
        };
        Self { c: Shards::new(c), ldc, finish }
    }
}

impl Gemm {
    /// `C[m, n] = epilogue(A[m, k] · B[k, n])`, C row-major with row stride `ldc`, by the whole team.
    ///
    /// # Panics
    /// If a slice is shorter than its matrix.
    pub fn run(
        &self,
        threads: &Threads,
        size: Size,
        a: MatRef,
        b: MatRef,
        c: &mut [f32],
        ldc: usize,
        epilogue: Epilogue,
    ) {
        let Size { m, n, k } = size;
        a.check("A", m, k);
        b.check("B", k, n);
        let output = Output::new(size, c, ldc, epilogue);
        if m == 0 || n == 0 {
            return;
        }
        let mut scratch = self.scratch.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Scratch { a: packed_a, b: packed_b } = &mut *scratch;
        let machine = self.machine;
        let depth = (PACKED_B / n.next_multiple_of(machine.nr)).next_multiple_of(KC).min(k.max(1));
        let columns = n.div_ceil(machine.nr);
        let (tile_rows, tile_columns) = tiles(m, n, machine);
        let (row_tiles, column_tiles) = (m.div_ceil(tile_rows), n.div_ceil(tile_columns));
        let mut from = 0;
        loop {
            let depth = depth.min(k - from);
            let pack_a = a.column_stride != 1;
            grow(packed_b, columns * machine.nr * depth);
            let rows = m.div_ceil(machine.mr);
            if pack_a {
                grow(packed_a, rows * machine.mr * depth);
            }
            let (to_a, to_b) = (Shards::new(packed_a), Shards::new(packed_b));
            let panels = columns + if pack_a { rows } else { 0 };
            threads.run(panels, &|_, panel| {
                if panel < columns {
                    let (nr, j) = (machine.nr, panel * machine.nr);
                    // SAFETY: each panel writes its own range.
                    let to = unsafe { to_b.part(panel * nr * depth..(panel + 1) * nr * depth) };
                    machine.pack(b.t(), j, nr.min(n - j), from, depth, nr, to);
                } else {
                    let (mr, i) = (machine.mr, (panel - columns) * machine.mr);
                    // SAFETY: as above.
                    let to = unsafe { to_a.part((panel - columns) * mr * depth..(panel - columns + 1) * mr * depth) };
                    machine.pack(a, i, mr.min(m - i), from, depth, mr, to);
                }
            });
            let operands = Panels { a, packed_a: pack_a.then_some(&packed_a[..]), packed_b, from, depth };
            let (first, last) = (from == 0, from + depth == k);
            threads.run(row_tiles * column_tiles, &|_, tile| {
                let (i, j) = (tile / column_tiles * tile_rows, tile % column_tiles * tile_columns);
                let rows = i..(i + tile_rows).min(m);
                let columns = j..(j + tile_columns).min(n);
                machine.tile(&operands, rows, columns, &output, first, last);
            });
            from += depth;
            if from >= k {
                return;
            }
        }
    }

    /// The same product by the calling thread alone, for the small products inside a block of attention.
    ///
    /// # Panics
    /// If a slice is shorter than its matrix.
    pub fn run_alone(
        &self,
        scratch: &mut Scratch,
        size: Size,
        a: MatRef,
        b: MatRef,
        c: &mut [f32],
        ldc: usize,
        epilogue: Epilogue,
    ) {
        let Size { m, n, k } = size;
        a.check("A", m, k);
        b.check("B", k, n);
        let output = Output::new(size, c, ldc, epilogue);
        if m == 0 || n == 0 {
            return;
        }
        let machine = self.machine;
        let (columns, rows) = (n.div_ceil(machine.nr), m.div_ceil(machine.mr));
        grow(&mut scratch.b, columns * machine.nr * k);
        for (panel, to) in scratch.b.chunks_exact_mut((machine.nr * k).max(1)).take(columns).enumerate() {
            let j = panel * machine.nr;
            machine.pack(b.t(), j, machine.nr.min(n - j), 0, k, machine.nr, to);
        }
        let pack_a = a.column_stride != 1;
        if pack_a {
            grow(&mut scratch.a, rows * machine.mr * k);
            for (panel, to) in scratch.a.chunks_exact_mut((machine.mr * k).max(1)).take(rows).enumerate() {
                let i = panel * machine.mr;
                machine.pack(a, i, machine.mr.min(m - i), 0, k, machine.mr, to);
            }
        }
        let packed_a = pack_a.then_some(&scratch.a[..]);
        let operands = Panels { a, packed_a, packed_b: &scratch.b, from: 0, depth: k };
        machine.tile(&operands, 0..m, 0..n, &output, true, true);
    }
}

fn grow(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
}

/// Tiles of nearly equal size, enough of them that a small team stays busy.
fn tiles(m: usize, n: usize, machine: Machine) -> (usize, usize) {
    let cut = |len: usize, most: usize, unit: usize| len.div_ceil(len.div_ceil(most)).next_multiple_of(unit);
    let mut columns = cut(n, TILE_COLUMNS, machine.nr);
    let mut rows = cut(m, TILE_ROWS, machine.mr);
    while m.div_ceil(rows) * n.div_ceil(columns) < 8 && (rows > 4 * machine.mr || columns > 4 * machine.nr) {
        if rows / machine.mr >= columns / machine.nr {
            rows = cut(rows, rows / 2, machine.mr);
        } else {
            columns = cut(columns, columns / 2, machine.nr);
        }
    }
    (rows, columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{gelu, gelu_derivative};

    fn random(len: usize, seed: u64) -> Vec<f32> {
        (0..len as u64).map(|i| (crate::rng::splitmix64(seed ^ i) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    fn exact(size: Size, a: MatRef, b: MatRef) -> Vec<f64> {
        let mut c = vec![0.0; size.m * size.n];
        for i in 0..size.m {
            for j in 0..size.n {
                for p in 0..size.k {
                    c[i * size.n + j] += f64::from(a.data[i * a.row_stride + p * a.column_stride])
                        * f64::from(b.data[p * b.row_stride + j * b.column_stride]);
                }
            }
        }
        c
    }

    fn close(found: f32, expected: f64, k: usize) {
        assert!((f64::from(found) - expected).abs() < 1e-5 * (1.0 + k as f64).sqrt(), "{found} vs {expected}");
    }

    #[test]
    fn run_equals_f64_for_every_transposition_and_odd_sizes() {
        let gemm = Gemm::default();
        let threads = Threads::new(2);
        for (m, n, k) in
            [(1, 1, 1), (1, 33, 7), (7, 1, 129), (13, 33, 1), (129, 65, 33), (200, 530, 300), (33, 7, 2100)]
        {
            let size = Size { m, n, k };
            let (a, b) = (random(m * k, 1), random(k * n, 2));
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                let a = if ta { MatRef::rows(&a, m).t() } else { MatRef::rows(&a, k) };
                let b = if tb { MatRef::rows(&b, k).t() } else { MatRef::rows(&b, n) };
                let expected = exact(size, a, b);
                let ldc = n + 3;
                let mut c = vec![0.5; m * ldc];
                gemm.run(&threads, size, a, b, &mut c, ldc, Epilogue::Store);
                let mut alone = vec![0.5; m * ldc];
                gemm.run_alone(&mut Scratch::default(), size, a, b, &mut alone, ldc, Epilogue::Store);
                for i in 0..m {
                    for j in 0..n {
                        close(c[i * ldc + j], expected[i * n + j], k);
                        close(alone[i * ldc + j], expected[i * n + j], k);
                    }
                    assert!(c[i * ldc + n..(i + 1) * ldc].iter().all(|&x| x == 0.5), "wrote past a row");
                }
            }
        }
    }

    #[test]
    fn run_applies_each_epilogue_once_even_when_k_is_split() {
        let gemm = Gemm::default();
        let threads = Threads::new(2);
        for (m, n, k) in [(5, 37, 9), (61, 70, 700)] {
            let size = Size { m, n, k };
            let (a, b, bias, old) = (random(m * k, 1), random(k * n, 2), random(n, 3), random(m * n, 4));
            let (a, b) = (MatRef::rows(&a, k), MatRef::rows(&b, n));
            let x = exact(size, a, b);
            let run = |epilogue: Epilogue| {
                let mut c = old.clone();
                gemm.run(&threads, size, a, b, &mut c, n, epilogue);
                c
            };
            let mut pre = vec![0.0; m * n];
            let (sum, biased) = (run(Epilogue::Accumulate), run(Epilogue::Bias(&bias)));
            let activated = run(Epilogue::BiasGelu { bias: &bias, pre: &mut pre });
            let slope = run(Epilogue::GeluBackward { pre: &old });
            for i in 0..m * n {
                close(sum[i], x[i] + f64::from(old[i]), k);
                close(biased[i], x[i] + f64::from(bias[i % n]), k);
                assert_eq!(pre[i], biased[i]);
                assert!((activated[i] - gelu(pre[i])).abs() < 1e-5);
                close(slope[i], x[i] * f64::from(gelu_derivative(old[i])), k);
            }
        }
    }

    #[test]
    fn run_gives_the_same_bits_for_any_team() {
        let size = Size { m: 700, n: 300, k: 520 };
        let (a, b) = (random(size.m * size.k, 1), random(size.k * size.n, 2));
        let gemm = Gemm::default();
        let by = |count| {
            let mut c = vec![0.0; size.m * size.n];
            let a = MatRef::rows(&a, size.m).t();
            gemm.run(&Threads::new(count), size, a, MatRef::rows(&b, size.n), &mut c, size.n, Epilogue::Store);
            c
        };
        let one = by(1);
        for count in [2, 3, 5] {
            assert!(one == by(count), "{count} threads");
        }
    }

    #[test]
    fn run_lets_nan_through_and_zero_k_stores_zero() {
        let gemm = Gemm::default();
        let threads = Threads::new(1);
        let mut c = vec![7.0; 4];
        let size = Size { m: 2, n: 2, k: 2 };
        let (a, b) = ([f32::NAN, 1.0, 1.0, 1.0], [1.0; 4]);
        gemm.run(&threads, size, MatRef::rows(&a, 2), MatRef::rows(&b, 2), &mut c, 2, Epilogue::Store);
        assert!(c[0].is_nan() && c[2] == 2.0);
        gemm.run(&threads, Size { k: 0, ..size }, MatRef::rows(&a, 0), MatRef::rows(&b, 2), &mut c, 2, Epilogue::Store);
        assert_eq!(c, [0.0; 4]);
    }
}
