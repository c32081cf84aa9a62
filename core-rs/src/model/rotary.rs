//! The tables of rotary positions: one for each base that a block has.

use crate::backend::Backend;
use crate::blueprint::Blueprint;
use crate::engine::EngineOptions;
use crate::error::Result;
use crate::ops::rotary::fill_table;

/// Sines and cosines of one base.
pub(super) struct RotaryTable<B: Backend> {
    pub base: f32,
    /// D
    head: usize,
    /// T
    positions: usize,
    /// `[T, D]`
    rows: B::Buffer,
    /// Positions whose rows are there.
    filled: usize,
}

/// Positions whose rows are made at a time.
const BLOCK: usize = 64;

impl<B: Backend> RotaryTable<B> {
    /// Plans those of a model.
    pub fn all(backend: &B, options: &EngineOptions, blueprint: &Blueprint) -> Result<Vec<Self>> {
        let (head, positions) = (options.config.head_size(), options.max_sequence_length);
        let mut tables: Vec<Self> = Vec::new();
        for base in blueprint.blocks.iter().filter_map(|block| block.attention.rotary) {
            if tables.iter().all(|table| table.base != base) {
                tables.push(Self { base, head, positions, rows: backend.zeroed(positions * head)?, filled: 0 });
            }
        }
        Ok(tables)
    }

    /// Writes the rows of the first `positions`, or of all, that are not there yet.
    pub fn fill(&mut self, backend: &mut B, positions: Option<usize>) {
        let mut block = Vec::new();
        while self.filled < positions.unwrap_or(self.positions) {
            let count = BLOCK.min(self.positions - self.filled);
            block.resize(count * self.head, 0.0);
            fill_table(self.base, self.head, self.filled, &mut block);
            backend.write(&mut self.rows, self.filled * self.head, &block);
            self.filled += count;
        }
    }

    pub fn rows(&self) -> &B::Buffer {
        &self.rows
    }
}
