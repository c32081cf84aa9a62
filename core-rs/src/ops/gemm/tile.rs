//! One tile of a product, by one thread: passes over k whose operands stay in cache, and the epilogue after the last.

use std::ops::Range;

use super::epilogue::Epilogue;
use super::kernel::Left;
use super::output::Tile;
use super::scratch::{Memory, TileMemory};
use super::{Gemm, MatRef, Visit};
use crate::machine::dtype::Element;
use crate::ops::ROW_BLOCK;

/// A as tiles see it: panels, rows that are read where they lie, or a matrix that each tile packs for itself.
#[derive(Clone, Copy)]
pub(super) enum LeftSource<'a, T> {
    Panels(&'a [f32]),
    Rows(MatRef<'a, T>),
    Unpacked(MatRef<'a, T>, Option<Visit<'a>>),
}

/// B as tiles see it.
#[derive(Clone, Copy)]
pub(super) enum RightSource<'a, T> {
    /// Panels of `depth` steps, from column `first` on.
    Panels {
        panels: &'a [f32],
        first: usize,
        depth: usize,
    },
    Unpacked(MatRef<'a, T>),
}

impl<T: Element> Gemm<T> {
    /// Computes and finishes `C[rows, columns]`. Both ranges start at multiples of the register tile.
    pub(super) fn tile(
        &self,
        memory: &mut TileMemory,
        left: LeftSource<T>,
        right: RightSource<T>,
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
        let depth = padded.div_ceil(passes).next_multiple_of(ROW_BLOCK);
        let across = columns.len().div_ceil(shape.columns);
        let kept = if passes == 1 { 1 } else { across * rows.len().div_ceil(shape.rows) };
        let size = shape.rows * shape.columns;
        let TileMemory { sums, edge, left: own_left, right: own_right } = memory;
        let sums = sums.planned(kept * size * 4);
        self.kernel.enter();
        for pass in 0..passes {
            let (from, to) = (pass * depth, ((pass + 1) * depth).min(padded));
            let steps = from..to.min(k);
            let edge = self.edge(edge, left, rows.clone(), from, to - from);
            let own = match left {
                LeftSource::Unpacked(a, visit) => {
                    let panels = own_left.planned(self.bytes(rows.len(), shape.rows, to - from));
                    self.pack_steps(a, rows.clone(), steps.clone(), shape.rows, shape.left_group, panels, visit);
                    panels
                }
                _ => &mut [],
            };
            // Panels, the column that they begin with, the step of a panel that this pass begins with, steps of a panel.
            let (panels, first, before, each) = match right {
                RightSource::Panels { panels, first, depth } => (panels, first, from, depth),
                RightSource::Unpacked(b) => {
                    let panels = own_right.planned(self.bytes(columns.len(), shape.columns, to - from));
                    self.pack_steps(b.t(), columns.clone(), steps, shape.columns, shape.right_group, panels, None);
                    (&*panels, columns.start, 0, to - from)
                }
            };
            for (i, row) in rows.clone().step_by(shape.rows).enumerate() {
                let height = shape.rows.min(rows.end - row);
                let left = match left {
                    LeftSource::Rows(_) if height < shape.rows => edge,
                    LeftSource::Rows(a) => {
                        let rows = &a.data[row * a.row_stride + from..];
                        assert!(rows.len() >= (shape.rows - 1) * a.row_stride + to - from);
                        let data = rows.as_ptr().cast();
                        Left { data, row: a.row_stride * bytes, group: shape.left_group * bytes }
                    }
                    LeftSource::Panels(panels) => self.panel(panels, row / shape.rows * padded, from, to - from),
                    LeftSource::Unpacked(..) => self.panel(own, i * (to - from), 0, to - from),
                };
                for (j, column) in columns.clone().step_by(shape.columns).enumerate() {
                    if !epilogue.needs(row, column, height) {
                        continue;
                    }
                    let at = ((column - first) / shape.columns * each + before) * shape.columns * bytes;
                    let right = &panels[at / 4..][..(to - from) * shape.columns * bytes / 4];
                    let slot = if passes == 1 { 0 } else { i * across + j };
                    let sums = &mut sums[slot * size..][..size];
                    let (last, width) = (pass + 1 == passes, shape.columns.min(columns.end - column));
                    if last {
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
                        let stride = shape.columns;
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
        let sums = &mut memory.sums.planned(4 * shape.rows * shape.columns)[..shape.rows * shape.columns];
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
    fn edge(&self, memory: &mut Memory, left: LeftSource<T>, rows: Range<usize>, from: usize, depth: usize) -> Left {
        let (shape, height) = (self.shape, rows.len() % self.shape.rows);
        let words = shape.rows * depth * shape.bytes() / 4;
        let to = &mut memory.planned(words * 4)[..words];
        if let LeftSource::Rows(a) = left
            && height > 0
        {
            self.pack_steps(a, rows.end - height..rows.end, from..from + depth, shape.rows, shape.left_group, to, None);
        }
        self.panel(to, 0, 0, depth)
    }
}
