//! A weight as bf16 panels for both of its products, written when the f32 weight changes.

use crate::error::Result;
use crate::machine::dtype::{self, Bf16, Element};
use crate::machine::threads::Threads;
use crate::ops::gemm::Gemm;
use crate::ops::gemm::panels::{PanelShards, Panels, ROWS};

/// The packed copies of one weight `[outputs, inputs]`.
pub struct PackedWeight {
    forward: Panels,
    backward: Option<Panels>,
    outputs: usize,
    inputs: usize,
}

impl PackedWeight {
    /// Room for one; with `training`, also as the data gradient wants it.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new<T: Element>(gemm: &Gemm<T>, outputs: usize, inputs: usize, training: bool) -> Result<Self> {
        let backward = if training { Some(Panels::new(gemm, inputs, outputs)?) } else { None };
        Ok(Self { forward: Panels::new(gemm, outputs, inputs)?, backward, outputs, inputs })
    }

    /// `[inputs, outputs]`, the right operand of `x Wᵀ`.
    pub fn forward(&self) -> &Panels {
        &self.forward
    }

    /// `[outputs, inputs]`, the right operand of `dy W`.
    pub fn backward(&self) -> Option<&Panels> {
        self.backward.as_ref()
    }

    /// Packs all of the weight, which starts at the first element.
    pub fn write(&mut self, threads: &Threads, weight: &[f32]) {
        let (outputs, inputs) = (self.outputs, self.inputs);
        let writer = self.writer();
        threads.run(outputs.div_ceil(ROWS), &|_, block| {
            let rows = block * ROWS..((block + 1) * ROWS).min(outputs);
            let mut narrow = Vec::new();
            // SAFETY: blocks of rows are disjoint and start at multiples of `ROWS`.
            unsafe { writer.write_rows(rows.start, &weight[rows.start * inputs..rows.end * inputs], &mut narrow) };
        });
    }

    /// Lends the panels to blocks of a run that write them, while no product reads them.
    pub fn writer(&self) -> WeightWriter {
        WeightWriter { forward: self.forward.shards(), backward: self.backward.as_ref().map(Panels::shards) }
    }
}

/// Packs rows of a weight, from several threads.
#[derive(Clone, Copy)]
pub struct WeightWriter {
    forward: PanelShards,
    backward: Option<PanelShards>,
}

impl WeightWriter {
    /// Packs the rows of the weight from `first` on. `narrow` is scratch.
    ///
    /// # Safety
    /// No other block may write these rows, nobody may read them; `first` is a multiple of [`ROWS`], and so is the number of rows except for the
    /// last ones.
    pub unsafe fn write_rows(self, first: usize, rows: &[f32], narrow: &mut Vec<Bf16>) {
        narrow.resize(rows.len(), Bf16::default());
        dtype::narrow(rows, narrow);
        // SAFETY: the caller's promise, passed on.
        unsafe {
            self.forward.write_columns(first, narrow);
            if let Some(backward) = self.backward {
                backward.write_rows(first, narrow);
            }
        }
    }
}
