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
mod kernel;
mod operands;
mod output;
mod pack;
pub mod panels;
mod scratch;

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::dtype::{Bf16, Dtype, Element};
use crate::isa::{self, Isa};
use crate::ops::ROW_BLOCK;
use crate::threads::{Shards, Threads};
pub use epilogue::{Epilogue, Tile};
use kernel::{Kernel, Left, Shape};
pub use operands::{MatRef, Right, Size};
pub use panels::Panels;
use scratch::{Memory, TileMemory};
pub use scratch::{PackedRight, Scratch};

/// Elements of B that are packed at a time: 8 MiB of f32.
const PACKED_RIGHT: usize = 2 << 20;
/// Tiles that a product is cut into, if it is large enough: some for each thread of a team that this engine is for.
const ENOUGH_TILES: usize = 16;

/// Products of matrices of `T` for one engine: the kernel of this machine, and packing memory for a team.
pub struct Gemm<T: Element> {
    isa: Isa,
    kernel: &'static dyn Kernel,
    shape: Shape,
    fetches_output: bool,
    packed: Mutex<[Memory; 2]>,
    team: Vec<Mutex<TileMemory>>,
    element: PhantomData<T>,
}

/// What [`Gemm::run_with`] calls for each block.
pub type Visit<'a> = &'a (dyn Fn(usize) + Sync);

/// An operand as tiles see it: panels, or rows of the matrix itself.
#[derive(Clone, Copy)]
enum Source<'a, T> {
    Panels(&'a [f32]),
    Rows(MatRef<'a, T>),
}

/// B as tiles see it: panels of `depth` steps, from column `first` on.
#[derive(Clone, Copy)]
struct Columns<'a> {
    panels: &'a [f32],
    first: usize,
    depth: usize,
}

impl<T: Element> Gemm<T> {
    /// For a team of `threads`, with the best kernel of this machine.
    pub fn new(threads: usize) -> Self {
        let isa = match T::DTYPE {
            Dtype::F32 => Isa::for_f32(),
            Dtype::Bf16 => Isa::for_bf16(),
        };
        Self::on(isa, threads)
    }

    /// With the kernel of `isa`.
    ///
    /// # Panics
    /// If this machine cannot run it.
    pub fn on(isa: Isa, threads: usize) -> Self {
        assert!(isa.is_available(), "gemm: this machine has no {}", isa.name());
        let kernel = kernel::choose(isa, T::DTYPE);
        let shape = kernel.shape();
        Self {
            isa,
            kernel,
            shape,
            fetches_output: isa::fetches_output(),
            packed: Mutex::new([Memory::new(0), Memory::new(0)]),
            team: (0..threads)
                .map(|_| Mutex::new(TileMemory::new(shape, shape.tile_rows * shape.tile_columns)))
                .collect(),
            element: PhantomData,
        }
    }

    /// The instruction set of its kernel, for reports.
    pub fn name(&self) -> &'static str {
        self.isa.name()
    }

    /// Whether weights should stay packed between products: bf16 is a copy of the weights that has to be made anyway; of
    /// f32 it would be a second one, for the 4% that packing costs in BERT-base.
    pub fn panels_pay(&self) -> bool {
        self.shape.dtype == Dtype::Bf16
    }

    /// `C[m, n] = A[m, k] · B[k, n]`, finished by `epilogue`, by the whole team.
    ///
    /// # Panics
    /// If a slice is shorter than its matrix.
    pub fn run(&self, threads: &Threads, size: Size, a: MatRef<T>, b: Right<T>, epilogue: &dyn Epilogue) {
        self.run_with(threads, size, a, b, epilogue, None);
    }

    /// As [`Self::run`], and calls `visit(block)` for each block of [`ROW_BLOCK`] steps of k, by any thread, when it has
    /// packed these columns of A: whoever wants to read them too finds them in the second cache.
    ///
    /// # Panics
    /// If a slice is shorter than its matrix.
    pub fn run_with(
        &self,
        threads: &Threads,
        size: Size,
        a: MatRef<T>,
        b: Right<T>,
        epilogue: &dyn Epilogue,
        visit: Option<Visit>,
    ) {
        let (Size { m, n, k }, shape) = (size, self.shape);
        a.check("A", m, k);
        epilogue.check(size);
        if m == 0 || n == 0 {
            return;
        }
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        let [packed_a, packed_b] = &mut *packed;
        let left = match self.in_place(a, k) {
            true => {
                visit_all(threads, k, visit);
                Source::Rows(a)
            }
            false => {
                let panels = packed_a.at_least(self.bytes(m, shape.rows, k));
                self.pack_all(threads, a, 0..m, k, shape.rows, shape.left_group, panels, visit);
                Source::Panels(panels)
            }
        };
        // B that has to be packed is taken in pieces of columns, so that packed pieces stay small.
        let piece = match b {
            Right::Panels(_) => n,
            _ => (PACKED_RIGHT / k.max(1)).max(shape.columns).next_multiple_of(shape.columns),
        };
        for from in (0..n).step_by(piece) {
            let columns = from..(from + piece).min(n);
            let right = match b {
                Right::Panels(panels) => panels.check(size, shape),
                Right::Matrix(b) => {
                    b.check("B", k, n);
                    let panels = packed_b.at_least(self.bytes(columns.len(), shape.columns, k));
                    self.pack_all(threads, b.t(), columns.clone(), k, shape.columns, shape.right_group, panels, None);
                    panels
                }
                Right::Weights(b) => {
                    b.check("B", k, n);
                    let panels = packed_b.at_least(self.bytes(columns.len(), shape.columns, k));
                    self.pack_all(threads, b.t(), columns.clone(), k, shape.columns, shape.right_group, panels, None);
                    panels
                }
            };
            let right = Columns { panels: right, first: from, depth: shape.padded(k) };
            let (rows, width) = self.tiles(m, columns.len());
            let (down, across) = (m.div_ceil(rows), columns.len().div_ceil(width));
            threads.run(down * across, &|thread, tile| {
                let (i, j) = (tile % down * rows, columns.start + tile / down * width);
                let rows = i..(i + rows).min(m);
                let columns = j..(j + width).min(columns.end);
                let mut memory = self.team[thread].lock().unwrap_or_else(PoisonError::into_inner);
                self.tile(&mut memory, left, right, k, rows, columns, epilogue);
            });
        }
    }

    /// Rows of a product that cost as much as one: a register tile.
    pub fn register_rows(&self) -> usize {
        self.shape.rows
    }

    /// Memory for [`Self::run_alone`] with sizes up to `longest`, so that it allocates nothing.
    pub fn scratch(&self, longest: usize) -> Scratch {
        let shape = self.shape;
        let sums = longest.next_multiple_of(shape.rows) * longest.next_multiple_of(shape.columns);
        Scratch { left: Memory::new(self.bytes(longest, shape.rows, longest)), tile: TileMemory::new(shape, sums) }
    }

    /// Memory for [`Self::pack_alone`] with sizes up to `longest`.
    pub fn packed_right(&self, longest: usize) -> PackedRight {
        PackedRight { panels: Memory::new(self.bytes(longest, self.shape.columns, longest)), n: 0, k: 0 }
    }

    /// Packs `B[k, n]` for [`Self::run_alone`].
    ///
    /// # Panics
    /// If the slice is shorter than its matrix.
    pub fn pack_alone(&self, to: &mut PackedRight, k: usize, n: usize, b: MatRef<T>) {
        let shape = self.shape;
        b.check("B", k, n);
        (to.n, to.k) = (n, k);
        let panels = Shards::new(to.panels.at_least(self.bytes(n, shape.columns, k)));
        for panel in 0..n.div_ceil(shape.columns) {
            self.pack(b.t(), 0..n, k, 0..k, shape.columns, shape.right_group, panel, panels);
        }
    }

    /// The same product by the calling thread alone, for the small products inside a block of attention. Of B it takes the
    /// first `k` rows and `n` columns.
    ///
    /// # Panics
    /// If a slice is shorter than its matrix, or B smaller than the product.
    pub fn run_alone(&self, scratch: &mut Scratch, size: Size, a: MatRef<T>, b: &PackedRight, epilogue: &dyn Epilogue) {
        let (Size { m, n, k }, shape) = (size, self.shape);
        a.check("A", m, k);
        assert!(n <= b.n && k <= b.k, "gemm: B is smaller than {k}x{n}");
        epilogue.check(size);
        if m == 0 || n == 0 {
            return;
        }
        let Scratch { left, tile } = scratch;
        let left = match self.in_place(a, k) {
            true => Source::Rows(a),
            false => {
                let panels = left.at_least(self.bytes(m, shape.rows, k));
                for panel in 0..m.div_ceil(shape.rows) {
                    self.pack(a, 0..m, k, 0..k, shape.rows, shape.left_group, panel, Shards::new(panels));
                }
                Source::Panels(panels)
            }
        };
        let right = Columns { panels: b.panels.get(), first: 0, depth: shape.padded(b.k) };
        self.tile(tile, left, right, k, 0..m, 0..n, epilogue);
    }

    /// Whether the kernel can read the rows of A where they lie.
    fn in_place(&self, a: MatRef<T>, k: usize) -> bool {
        a.column_stride == 1 && T::DTYPE == self.shape.dtype && k.is_multiple_of(self.shape.depth)
    }

    /// Bytes of a packed operand.
    fn bytes(&self, rows: usize, width: usize, k: usize) -> usize {
        rows.next_multiple_of(width) * self.shape.padded(k) * self.shape.bytes()
    }

    /// Packs `rows` of a matrix. A block reads what lies side by side: some rows, or some steps of k.
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
        if matrix.row_stride != 1 {
            threads.run(panels, &|_, panel| {
                self.pack(matrix, rows.clone(), k, 0..k, width, group, panel, to);
            });
            return visit_all(threads, k, visit);
        }
        threads.run(k.div_ceil(ROW_BLOCK), &|_, block| {
            let steps = block * ROW_BLOCK..((block + 1) * ROW_BLOCK).min(k);
            for panel in 0..panels {
                self.pack(matrix, rows.clone(), k, steps.clone(), width, group, panel, to);
            }
            visit.inspect(|visit| visit(block));
        });
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

    /// Computes and finishes `C[rows, columns]`. Both ranges start at multiples of the register tile.
    fn tile(
        &self,
        memory: &mut TileMemory,
        left: Source<T>,
        right: Columns,
        k: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        epilogue: &dyn Epilogue,
    ) {
        let shape = self.shape;
        let (padded, bytes) = (shape.padded(k), shape.bytes());
        if k == 0 {
            return self.finish_zero(memory, rows, columns, epilogue);
        }
        let passes = padded.div_ceil(shape.most_depth);
        let depth = padded.div_ceil(passes).next_multiple_of(shape.depth);
        let across = columns.len().div_ceil(shape.columns);
        let kept = if passes == 1 { 1 } else { across * rows.len().div_ceil(shape.rows) };
        let size = shape.rows * shape.columns;
        let sums = memory.sums.at_least(kept * size * 4);
        self.kernel.enter();
        for pass in 0..passes {
            let (from, to) = (pass * depth, ((pass + 1) * depth).min(padded));
            let edge = self.edge(&mut memory.edge, left, rows.clone(), from, to - from);
            for (i, row) in rows.clone().step_by(shape.rows).enumerate() {
                let height = shape.rows.min(rows.end - row);
                let left = match left {
                    Source::Rows(_) if height < shape.rows => edge,
                    Source::Rows(a) => {
                        let rows = &a.data[row * a.row_stride + from..];
                        assert!(rows.len() >= (shape.rows - 1) * a.row_stride + to - from);
                        let data = rows.as_ptr().cast();
                        Left { data, row: a.row_stride * bytes, group: shape.left_group * bytes }
                    }
                    Source::Panels(panels) => self.panel(panels, row / shape.rows * padded, from, to - from),
                };
                for (j, column) in columns.clone().step_by(shape.columns).enumerate() {
                    let before = (column - right.first) / shape.columns * right.depth + from;
                    let at = before * shape.columns * bytes;
                    let right = &right.panels[at / 4..][..(to - from) * shape.columns * bytes / 4];
                    let slot = if passes == 1 { 0 } else { i * across + j };
                    let sums = &mut sums[slot * size..][..size];
                    let last = pass + 1 == passes;
                    if last {
                        let width = shape.columns.min(columns.end - column);
                        epilogue.prefetch(row, column, height, width);
                        if self.fetches_output {
                            epilogue.prefetch_output(row, column, height, width);
                        }
                    }
                    // SAFETY: `enter` has been called; `left` has `shape.rows` rows and `right` `shape.columns` columns of
                    // `to - from` steps, by the slices above; `sums` is a register tile.
                    unsafe {
                        self.kernel.multiply(
                            height,
                            left,
                            right.as_ptr().cast(),
                            to - from,
                            sums.as_mut_ptr(),
                            pass > 0,
                        )
                    };
                    if last {
                        let (width, stride) = (shape.columns.min(columns.end - column), shape.columns);
                        epilogue.finish(&mut Tile { row, column, height, width, values: sums, stride });
                    }
                }
            }
        }
        self.kernel.leave();
    }

    /// As `tile`, of a product over nothing.
    fn finish_zero(&self, memory: &mut TileMemory, rows: Range<usize>, columns: Range<usize>, epilogue: &dyn Epilogue) {
        let shape = self.shape;
        let sums = &mut memory.sums.at_least(4 * shape.rows * shape.columns)[..shape.rows * shape.columns];
        sums.fill(0.0);
        for row in rows.clone().step_by(shape.rows) {
            for column in columns.clone().step_by(shape.columns) {
                let (height, width) = (shape.rows.min(rows.end - row), shape.columns.min(columns.end - column));
                let stride = shape.columns;
                epilogue.finish(&mut Tile { row, column, height, width, values: sums, stride });
            }
        }
    }

    /// `depth` steps from `from` of the packed panel that starts `before` steps into `panels`.
    fn panel(&self, panels: &[f32], before: usize, from: usize, depth: usize) -> Left {
        let (shape, bytes) = (self.shape, self.shape.bytes());
        let words = (before + from) * shape.rows * bytes / 4;
        let data = panels[words..][..depth * shape.rows * bytes / 4].as_ptr().cast();
        Left { data, row: shape.left_group * bytes, group: shape.rows * shape.left_group * bytes }
    }

    /// The last rows of an A that is read in place, if they do not fill a register tile, as a panel padded with zeros.
    fn edge(&self, memory: &mut Memory, left: Source<T>, rows: Range<usize>, from: usize, depth: usize) -> Left {
        let (shape, height) = (self.shape, rows.len() % self.shape.rows);
        let words = shape.rows * depth * shape.bytes() / 4;
        let to = &mut memory.at_least(words * 4)[..words];
        if let Source::Rows(a) = left
            && height > 0
        {
            let first = rows.end - height;
            match shape.dtype {
                Dtype::F32 => pack::pack(a, first, height, from, depth, shape.rows, shape.left_group, to),
                Dtype::Bf16 => pack::pack(a, first, height, from, depth, shape.rows, shape.left_group, as_bf16(to)),
            }
        }
        self.panel(to, 0, 0, depth)
    }
}

/// Calls `visit` for every block of steps.
fn visit_all(threads: &Threads, k: usize, visit: Option<Visit>) {
    if let Some(visit) = visit {
        threads.run(k.div_ceil(ROW_BLOCK), &|_, block| visit(block));
    }
}

/// Packed memory as what the kernel reads there.
fn as_bf16(words: &mut [f32]) -> &mut [Bf16] {
    // SAFETY: `Bf16` is 16 plain bits, two of them in the place of one f32.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 2 * words.len()) }
}

#[cfg(test)]
mod tests;
