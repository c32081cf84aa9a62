//! How an update is cut into blocks on the CPU: rows of the dense layers, so that a block can also pack what it has
//! updated while that is in its cache, and runs of everything else.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::Share;
use super::clip::BLOCK;
use super::slots::SlotLayout;
use crate::blueprint::{Linear, ParameterLayout};
use crate::machine::dtype::Bf16;
use crate::machine::threads::{Shards, Threads};
use crate::ops::gemm::panels::ROWS;
use crate::ops::linear::packed::PackedWeight;

/// A run of elements that one block updates.
pub struct Piece {
    /// The elements in the flat buffers.
    pub range: Range<usize>,
    /// The same elements in the slot.
    pub slot: Range<usize>,
    /// The parameter that it begins in. One piece may hold rows of the query, the key and the value, which have the same
    /// shape and group.
    pub parameter: usize,
    /// Index and first row of the dense layer that it is rows of.
    rows: Option<(usize, usize)>,
}

impl Piece {
    /// The part of it that lies in a share, with its place in the slots that the share has.
    fn within(&self, share: Share) -> Option<Self> {
        let range = self.range.start.max(share.first)..self.range.end.min(share.end);
        (!range.is_empty()).then(|| {
            let slot = self.slot.start + (range.start - self.range.start) - share.before;
            Self { slot: slot..slot + range.len(), range, parameter: self.parameter, rows: None }
        })
    }
}

/// The pieces of all parameters that have a slot.
#[derive(Default)]
pub struct Pieces {
    pieces: Vec<Piece>,
    /// Scratch for packing, one a thread.
    narrow: Vec<Mutex<Vec<Bf16>>>,
}

impl Pieces {
    /// For the parameters of a slot, of which the weights of `layers` are dense layers.
    pub fn new(layout: &ParameterLayout, slot: &SlotLayout, layers: &[Linear], threads: usize) -> Self {
        let mut layers = layers.to_vec();
        layers.sort_by_key(|layer| layer.weight);
        let (mut pieces, mut at) = (Vec::new(), 0);
        for (parameter, p) in layout.parameters().iter().enumerate() {
            let Some(offset) = slot.offset(parameter).filter(|_| p.offset >= at) else {
                continue; // not updated, or done: query, key and value are one layer
            };
            let mut push = |from: usize, to: usize, rows| {
                let slot = offset + (from - p.offset)..offset + (to - p.offset);
                pieces.push(Piece { range: from..to, slot, parameter, rows });
            };
            // A layer begins with its parameter, or is a half of it, or reaches over several.
            at = p.offset;
            while at < p.range().end {
                let found = layers.binary_search_by_key(&at, |layer| layer.weight);
                match found {
                    Ok(index) => {
                        let Linear { inputs, outputs, .. } = layers[index];
                        let rows = (BLOCK / inputs).max(1).next_multiple_of(ROWS);
                        for first in (0..outputs).step_by(rows) {
                            let last = (first + rows).min(outputs);
                            push(at + first * inputs, at + last * inputs, Some((index, first)));
                        }
                        at += inputs * outputs;
                    }
                    Err(_) => {
                        for from in p.range().step_by(BLOCK) {
                            push(from, (from + BLOCK).min(p.range().end), None);
                        }
                        at = p.range().end;
                    }
                }
            }
        }
        let longest = pieces.iter().filter(|p| p.rows.is_some()).map(|p| p.range.len()).max().unwrap_or(0);
        Self { pieces, narrow: (0..threads).map(|_| Mutex::new(Vec::with_capacity(longest))).collect() }
    }

    /// Calls `each` with every piece and its weights, by the team, and packs the weights that it leaves. `packed` are the
    /// packed copies of the dense layers, by their offset, or none. Of a share, only its own pieces, and nothing is packed:
    /// the rest of the weights is not there yet.
    pub fn run(
        &self,
        threads: &Threads,
        packed: &[(usize, PackedWeight)],
        weights: &mut [f32],
        share: Option<Share>,
        each: &(dyn Fn(&Piece, &mut [f32]) + Sync),
    ) {
        let weights = Shards::new(weights);
        threads.run(self.pieces.len(), &|thread, block| {
            let own = share.map(|share| self.pieces[block].within(share));
            let piece = match &own {
                None => &self.pieces[block],
                Some(Some(piece)) => piece,
                Some(None) => return,
            };
            // SAFETY: pieces are disjoint.
            let weights = unsafe { weights.part(piece.range.clone()) };
            each(piece, weights);
            if let Some((layer, first)) = piece.rows
                && let Some((_, packed)) = packed.get(layer)
            {
                let mut narrow = self.narrow[thread].lock().unwrap_or_else(PoisonError::into_inner);
                // SAFETY: rows of one layer are disjoint and start at multiples of `ROWS`; no product runs during an update.
                unsafe { packed.writer().write_rows(first, weights, &mut narrow) };
            }
        });
    }
}
