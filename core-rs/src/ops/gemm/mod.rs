//! Matrix products with what comes after them fused in.
//!
//! The shape of the computation is that of Goto and van de Geijn (2008): both operands are packed into panels that are as
//! wide as the register tile (A only where its rows cannot be read in place), a panel of A stays in the first cache
//! while panels of B stream past it from the second, and partial sums stay there too. Tiles of a row of C follow each
//! other, so that C is written along its rows: down its columns, a product with f32 results took 1.8 times as long. When a register tile is finished, an
//! [`Epilogue`] takes it while it is in the first cache, so bias and GELU cost no extra trip through memory.
//!
//! There is one loop ([`Gemm::tile`]) and one small register kernel for each instruction set ([`kernel`]). Tiles are cut
//! by shape alone and each is computed by one thread in a fixed order: the bits of the result do not depend on the
//! number of threads.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod dot_bf16;
pub mod epilogue;
mod fma;
pub mod gate;
mod kernel;
mod operands;
mod output;
mod pack;
pub mod panels;
pub mod polynomial;
pub mod rate;
mod scratch;
#[cfg(all(test, target_arch = "x86_64"))]
mod simulated;
pub mod symmetric;
mod tile;

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::machine::dtype::{Bf16, Dtype, Element};
use crate::machine::isa::Isa;
use crate::machine::threads::{Shards, Threads};
use crate::ops::ROW_BLOCK;
pub use epilogue::Epilogue;
use kernel::{Kernel, Shape};
pub use operands::{MatRef, Right, Size};
pub use output::Tile;
pub use panels::Panels;
use scratch::{LARGE, Memory, TileMemory};
pub use scratch::{PackedRight, Scratch};
use tile::{LeftSource, RightSource};

/// Elements of B that are packed at a time: 8 MiB of f32.
const PACKED_RIGHT: usize = 2 << 20;
/// Tiles that a product is cut into, if it is large enough: some for each thread of a team that this engine is for.
const ENOUGH_TILES: usize = 16;

/// Products of matrices of `T` for one engine: the kernel of this machine, and packing memory for a team.
pub struct Gemm<T: Element> {
    name: &'static str,
    kernel: &'static dyn Kernel,
    shape: Shape,
    fetches_output: bool,
    packed: Mutex<[Memory; 2]>,
    team: Vec<Mutex<TileMemory>>,
    element: PhantomData<T>,
}

/// The kernel for matrices of `dtype` on `isa`. Where there is none for bf16, it is widened while it is packed.
#[cfg(target_arch = "x86_64")]
fn choose(isa: Isa, dtype: Dtype) -> &'static dyn Kernel {
    match (isa, dtype) {
        (Isa::Amx, Dtype::Bf16) => &amx::Amx,
        (Isa::Avx512Bf16, Dtype::Bf16) => &dot_bf16::DotBf16,
        (Isa::Amx | Isa::Avx512Bf16 | Isa::Avx512, _) => &fma::Avx512,
        (Isa::Avx2, _) => &fma::Avx2,
        (Isa::Base, _) => &fma::Base,
    }
}

/// As on x86, with the one kernel that other machines have.
#[cfg(not(target_arch = "x86_64"))]
fn choose(_: Isa, _: Dtype) -> &'static dyn Kernel {
    &fma::Base
}

/// What [`Gemm::run_of_columns`] calls with steps of k and rows of C.
pub type Visit<'a> = &'a (dyn Fn(Range<usize>, Range<usize>) + Sync);

/// Computes a tile of `(rows, columns)`.
type OfTile<'a> = dyn Fn(&mut TileMemory, Range<usize>, Range<usize>) + Sync + 'a;

impl<T: Element> Gemm<T> {
    /// What rows and columns of a packed B can be counted from, whatever the kernel.
    pub const PART: usize = 32;

    /// For a team of `threads`, with the best kernel of this machine.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(threads: usize) -> Result<Self> {
        let isa = match T::DTYPE {
            Dtype::F32 => Isa::for_f32(),
            Dtype::Bf16 => Isa::for_bf16(),
        };
        Self::on(isa, threads)
    }

    /// With the kernel of `isa`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    ///
    /// # Panics
    /// If this machine cannot run it.
    pub fn on(isa: Isa, threads: usize) -> Result<Self> {
        assert!(isa.is_available(), "gemm: this machine has no {}", isa.name());
        Self::with(choose(isa, T::DTYPE), isa.name(), threads)
    }

    fn with(kernel: &'static dyn Kernel, name: &'static str, threads: usize) -> Result<Self> {
        let shape = kernel.shape();
        Ok(Self {
            name,
            kernel,
            shape,
            fetches_output: Isa::fetches_output(),
            packed: Mutex::new([Memory::new(0)?, Memory::new(0)?]),
            team: (0..threads).map(|_| Ok(Mutex::new(TileMemory::of_a_team(shape)?))).collect::<Result<_>>()?,
            element: PhantomData,
        })
    }

    /// The instruction set of its kernel, for reports.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether weights should stay packed between products: bf16 is a copy of the weights that has to be made anyway; of
    /// f32 it would be a second one, for the 4% that packing costs in BERT-base.
    pub fn panels_pay(&self) -> bool {
        self.shape.dtype == Dtype::Bf16
    }

    /// `C[m, n] = A[m, k] · B[k, n]`, finished by `epilogue`, by the whole team.
    ///
    /// # Errors
    /// `OutOfMemory`, if there is no memory to pack operands into. C is then as it was, or a part of it is done.
    ///
    /// # Panics
    /// If a slice is shorter than its matrix.
    pub fn run(&self, threads: &Threads, size: Size, a: MatRef<T>, b: Right, epilogue: &dyn Epilogue) -> Result<()> {
        let (Size { m, n, k }, shape) = (size, self.shape);
        a.check("A", m, k);
        epilogue.check(size);
        if m == 0 || n == 0 {
            return Ok(());
        }
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        let [packed_a, packed_b] = &mut *packed;
        let left = match self.in_place(a, k) {
            true => LeftSource::Rows(a),
            false => {
                let panels = packed_a.at_least(self.bytes(m, shape.rows, k))?;
                self.pack_all(threads, a, 0..m, k, shape.rows, shape.left_group, panels, None);
                LeftSource::Panels(panels)
            }
        };
        // B that has to be packed is taken in pieces of columns, so that packed pieces stay small.
        let piece = match b {
            Right::Panels(_) => n,
            Right::Weights(_) => (PACKED_RIGHT / k.max(1)).max(shape.columns).next_multiple_of(shape.columns),
        };
        for first in (0..n).step_by(piece) {
            let columns = first..(first + piece).min(n);
            let panels = match b {
                Right::Panels(panels) => panels.check(size, shape),
                Right::Weights(b) => {
                    b.check("B", k, n);
                    let panels = packed_b.at_least(self.bytes(columns.len(), shape.columns, k))?;
                    self.pack_all(threads, b.t(), columns.clone(), k, shape.columns, shape.right_group, panels, None);
                    panels
                }
            };
            let right = RightSource::Panels { panels, first, depth: shape.padded(k) };
            let cut = self.tiles(m, columns.len());
            self.run_tiles(threads, cut, 0..m, columns, &|memory, rows, columns| {
                self.tile(memory, left, right, k, rows, columns, epilogue);
            });
        }
        Ok(())
    }

    /// The same product where rows of A, and columns of B, lie side by side, so that both have to be packed: of gradients of
    /// weights. Calls `visit(steps, rows)`, by any thread, when these steps of these rows of A are in its second cache, once
    /// for each block of [`ROW_BLOCK`] steps and each row.
    ///
    /// Where that is not much more to pack, each tile packs what it needs, into its second cache: through memory, between
    /// two phases of the team, packing takes a fifth of the time of such a product.
    ///
    /// # Errors
    /// `OutOfMemory`, as [`Self::run`].
    ///
    /// # Panics
    /// If a slice is shorter than its matrix.
    pub fn run_of_columns(
        &self,
        threads: &Threads,
        size: Size,
        a: MatRef<T>,
        b: MatRef<T>,
        epilogue: &dyn Epilogue,
        visit: Visit,
    ) -> Result<()> {
        let (Size { m, n, k }, shape) = (size, self.shape);
        a.check("A", m, k);
        b.check("B", k, n);
        epilogue.check(size);
        let large @ (height, width) = self.large_tiles(m, n);
        if m * n.div_ceil(width) + n * m.div_ceil(height) <= 2 * (m + n) {
            self.run_tiles(threads, large, 0..m, 0..n, &|memory, rows, columns| {
                let left = LeftSource::Unpacked(a, (columns.start == 0).then_some(visit));
                self.tile(memory, left, RightSource::Unpacked(b), k, rows, columns, epilogue);
            });
            return Ok(());
        }
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        let [packed_a, packed_b] = &mut *packed;
        let left = packed_a.at_least(self.bytes(m, shape.rows, k))?;
        self.pack_all(threads, a, 0..m, k, shape.rows, shape.left_group, left, Some(visit));
        let panels = packed_b.at_least(self.bytes(n, shape.columns, k))?;
        self.pack_all(threads, b.t(), 0..n, k, shape.columns, shape.right_group, panels, None);
        let (left, right) =
            (LeftSource::Panels(left), RightSource::Panels { panels, first: 0, depth: shape.padded(k) });
        self.run_tiles(threads, self.tiles(m, n), 0..m, 0..n, &|memory, rows, columns| {
            self.tile(memory, left, right, k, rows, columns, epilogue);
        });
        Ok(())
    }

    /// Runs tiles of `(height, width)`.
    fn run_tiles(
        &self,
        threads: &Threads,
        (height, width): (usize, usize),
        rows: Range<usize>,
        columns: Range<usize>,
        each: &OfTile,
    ) {
        let (down, across) = (rows.len().div_ceil(height), columns.len().div_ceil(width));
        threads.run(down * across, &|thread, tile| {
            let (i, j) = (tile % down * height, columns.start + tile / down * width);
            let mut memory = self.team[thread].lock().unwrap_or_else(PoisonError::into_inner);
            each(&mut memory, i..(i + height).min(rows.end), j..(j + width).min(columns.end));
        });
    }

    /// Rows of a product that cost as much as one: a register tile.
    pub fn register_rows(&self) -> usize {
        self.shape.rows
    }

    /// Memory for products alone whose A has to be packed up to `[m, k]`, and that need `sums` partial sums beside each
    /// other at most. They then allocate nothing.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn scratch(&self, [m, k]: [usize; 2], sums: [usize; 2]) -> Result<Scratch> {
        let shape = self.shape;
        let sums = sums[0].next_multiple_of(shape.rows) * sums[1].next_multiple_of(shape.columns);
        Ok(Scratch { left: Memory::new(self.bytes(m, shape.rows, k))?, tile: TileMemory::new(shape, sums)? })
    }

    /// Memory for [`Self::pack_alone`] of `[longest, d]` and `[d, longest]`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn packed_right(&self, longest: usize, d: usize) -> Result<PackedRight> {
        let columns = self.shape.columns;
        let bytes = self.bytes(longest, columns, d).max(self.bytes(d, columns, longest));
        Ok(PackedRight { panels: Memory::new(bytes)?, n: 0, k: 0 })
    }

    /// Packs `B[k, n]` for [`Self::run_alone`].
    ///
    /// # Panics
    /// If the slice is shorter than its matrix.
    pub fn pack_alone(&self, to: &mut PackedRight, k: usize, n: usize, b: MatRef<T>) {
        let shape = self.shape;
        b.check("B", k, n);
        (to.n, to.k) = (n, k);
        let panels = to.panels.planned(self.bytes(n, shape.columns, k));
        self.pack_steps(b.t(), 0..n, 0..k, shape.columns, shape.right_group, panels, None);
    }

    /// The same product by the calling thread alone, for the small products inside a block of attention. Of B it takes the
    /// first `k` rows and `n` columns.
    ///
    /// # Panics
    /// If a slice is shorter than its matrix, or B smaller than the product.
    pub fn run_alone(&self, scratch: &mut Scratch, size: Size, a: MatRef<T>, b: &PackedRight, epilogue: &dyn Epilogue) {
        self.run_alone_from(scratch, size, a, b, [0, 0], epilogue);
    }

    /// The same with `k` rows and `n` columns of B from the row and the column `first` on, which have to be multiples of
    /// [`Self::PART`].
    ///
    /// # Panics
    /// As [`Self::run_alone`].
    pub fn run_alone_from(
        &self,
        scratch: &mut Scratch,
        size: Size,
        a: MatRef<T>,
        b: &PackedRight,
        first: [usize; 2],
        epilogue: &dyn Epilogue,
    ) {
        let (Size { m, n, k }, shape) = (size, self.shape);
        a.check("A", m, k);
        let [row, column] = first;
        assert!(column + n <= b.n && row + k <= b.k, "gemm: B is smaller than {k}x{n}");
        assert!(column.is_multiple_of(shape.columns) && row.is_multiple_of(shape.depth.max(shape.right_group)));
        epilogue.check(size);
        if m == 0 || n == 0 {
            return;
        }
        let Scratch { left, tile } = scratch;
        let left = match self.in_place(a, k) {
            true => LeftSource::Rows(a),
            false => {
                let panels = left.planned(self.bytes(m, shape.rows, k));
                self.pack_steps(a, 0..m, 0..k, shape.rows, shape.left_group, panels, None);
                LeftSource::Panels(panels)
            }
        };
        let depth = shape.padded(b.k);
        let panels = &b.panels.get()[(column * depth + row * shape.columns) * shape.bytes() / 4..];
        self.tile(tile, left, RightSource::Panels { panels, first: 0, depth }, k, 0..m, 0..n, epilogue);
    }

    /// Whether the kernel can read the rows of A where they lie.
    fn in_place(&self, a: MatRef<T>, k: usize) -> bool {
        a.column_stride == 1 && T::DTYPE == self.shape.dtype && k.is_multiple_of(self.shape.depth)
    }

    /// Bytes of a packed operand.
    fn bytes(&self, rows: usize, width: usize, k: usize) -> usize {
        rows.next_multiple_of(width) * self.shape.padded(k) * self.shape.bytes()
    }

    /// Packs `rows` of a matrix, by the whole team. A block reads what lies side by side: some rows, or some steps of k.
    fn pack_all<S: Element>(
        &self,
        threads: &Threads,
        matrix: MatRef<S>,
        rows: Range<usize>,
        k: usize,
        width: usize,
        group: usize,
        to: &mut [f32],
        visit: Option<Visit>,
    ) {
        let (to, panels) = (Shards::new(to), rows.len().div_ceil(width));
        if matrix.row_stride != 1 && visit.is_none() {
            return threads.run(panels, &|_, panel| {
                self.pack(matrix, rows.clone(), k, 0..k, width, group, panel, to);
            });
        }
        threads.run(k.div_ceil(ROW_BLOCK), &|_, block| {
            let steps = block * ROW_BLOCK..((block + 1) * ROW_BLOCK).min(k);
            for panel in 0..panels {
                self.pack(matrix, rows.clone(), k, steps.clone(), width, group, panel, to);
            }
            visit.inspect(|visit| visit(steps, rows.clone()));
        });
    }

    /// Packs `steps` of `rows` of a matrix, by the calling thread.
    fn pack_steps<S: Element>(
        &self,
        matrix: MatRef<S>,
        rows: Range<usize>,
        steps: Range<usize>,
        width: usize,
        group: usize,
        to: &mut [f32],
        visit: Option<Visit>,
    ) {
        let (to, k) = (Shards::new(to), steps.len());
        let matrix =
            MatRef { data: &matrix.data[(steps.start * matrix.column_stride).min(matrix.data.len())..], ..matrix };
        for from in (0..k).step_by(ROW_BLOCK) {
            let block = from..(from + ROW_BLOCK).min(k);
            for panel in 0..rows.len().div_ceil(width) {
                self.pack(matrix, rows.clone(), k, block.clone(), width, group, panel, to);
            }
            visit.inspect(|visit| visit(steps.start + block.start..steps.start + block.end, rows.clone()));
        }
    }

    /// Packs `steps` of k of one panel: all of them, or those of one block.
    fn pack<S: Element>(
        &self,
        matrix: MatRef<S>,
        rows: Range<usize>,
        k: usize,
        steps: Range<usize>,
        width: usize,
        group: usize,
        panel: usize,
        to: Shards<f32>,
    ) {
        let first = rows.start + panel * width;
        let count = width.min(rows.end - first);
        let (words, padded) = (width * self.shape.bytes(), self.shape.padded(k));
        let end = if steps.end == k { padded } else { steps.end };
        // SAFETY: each of a panel's steps is written by one block.
        let to = unsafe { to.part((panel * padded + steps.start) * words / 4..(panel * padded + end) * words / 4) };
        let (from, depth) = (steps.start, steps.len());
        match self.shape.dtype {
            Dtype::F32 => pack::pack(matrix, first, count, from, depth, width, group, to),
            Dtype::Bf16 => pack::pack(matrix, first, count, from, depth, width, group, as_bf16(to)),
        }
    }

    /// Tiles of nearly equal size, enough of them that a team stays busy.
    fn tiles(&self, m: usize, n: usize) -> (usize, usize) {
        let shape = self.shape;
        let cut = |len: usize, most: usize, unit: usize| len.div_ceil(len.div_ceil(most)).next_multiple_of(unit);
        let mut rows = cut(m, shape.tile_rows, shape.rows);
        let mut columns = cut(n, shape.tile_columns, shape.columns);
        while m.div_ceil(rows) * n.div_ceil(columns) < ENOUGH_TILES
            && (rows > 4 * shape.rows || columns > 4 * shape.columns)
        {
            if rows / shape.rows >= columns / shape.columns {
                rows = cut(rows, rows / 2, shape.rows);
            } else {
                columns = cut(columns, columns / 2, shape.columns);
            }
        }
        (rows, columns)
    }

    /// Tiles as large as the second cache allows with what they pack, as many as keep a team equally busy.
    fn large_tiles(&self, m: usize, n: usize) -> (usize, usize) {
        let (shape, team) = (self.shape, self.team.len());
        let side = |len: usize, parts: usize, unit: usize| len.div_ceil(parts).next_multiple_of(unit).max(unit);
        let (mut down, mut across) = (m.div_ceil(LARGE).max(1), n.div_ceil(LARGE).max(1));
        loop {
            let (rows, columns) = (side(m, down, shape.rows), side(n, across, shape.columns));
            let tiles = m.div_ceil(rows) * n.div_ceil(columns);
            let small = rows <= 4 * shape.rows && columns <= 2 * shape.columns;
            if tiles.is_multiple_of(team) || tiles >= 4 * team || small {
                return (rows, columns);
            }
            if rows >= columns { down += 1 } else { across += 1 }
        }
    }
}

/// Packed memory as what the kernel reads there.
fn as_bf16(words: &mut [f32]) -> &mut [Bf16] {
    // SAFETY: `Bf16` is 16 plain bits, two of them in the place of one f32.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 2 * words.len()) }
}

#[cfg(test)]
pub(crate) mod tests;
