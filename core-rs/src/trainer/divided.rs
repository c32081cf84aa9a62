//! An update that is cut into micro-batches, shared by processes. Their gradients are the leaves of a balanced binary tree of
//! sums over the micro-batch's number, whatever process has which: so the bits do not depend on how many there are.
//!
//! A process has consecutive leaves, a whole subtree, and adds them as a binary counter carries. The levels above are added
//! in shares: each process gets all subtrees' sums of its share of the elements, and adds them in the tree's order. If the
//! optimizer can do so, it updates its share only, keeps state for no more (ZeRO, Rajbhandari et al., 2020, stage 1), and
//! the weights are gathered; if not, the gradients are.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::blueprint::ParameterLayout;
use crate::collective::Division;
use crate::engine::LossSum;
use crate::error::{Code, Error, Result};
use crate::machine::memory::{Buffer, zeros};
use crate::machine::profile::Entry;
use crate::optim::clip::{BLOCK, squared_norm_of_block};
use crate::optim::slots::{Slot, SlotLayout};
use crate::optim::{Optimizer, Share};

/// The part of an engine that knows of micro-batches and processes.
pub(super) struct Divided<B: Backend> {
    division: Division,
    /// Elements of all parameters.
    len: usize,
    /// Whether each process updates its share only.
    shares_update: bool,
    /// By height: the sum of a subtree that waits for its right neighbour.
    waiting: Vec<B::Buffer>,
    /// Of this process's leaves of the update in progress, in order. Where the device defers, their counts alone.
    leaves: Vec<LossSum>,
    /// Gradient or weights on the host; empty for one process.
    host: Buffer,
    /// All subtrees' sums of this process's share, one behind the other.
    subtrees: Buffer,
    /// Σ x² of the gradient of the update in progress.
    squared_norm: f64,
    /// All of each slot, between `collect_slots` and the next save.
    collected: Vec<Vec<f32>>,
    /// How often and how long the others were waited for and spoken to.
    exchanges: u64,
    exchanging: Duration,
}

impl<B: Backend> Divided<B> {
    /// Reserves what it needs for a model.
    pub fn new(backend: &B, layout: &ParameterLayout, optimizer: &Optimizer, division: Division) -> Result<Self> {
        division.validate()?;
        let (own, size, len) = (division.own(), division.collective.size(), layout.len());
        let waiting = (0..own.ilog2()).map(|_| backend.zeroed(len)).collect::<Result<_>>()?;
        let mine = share(len, size, division.collective.rank()).len();
        Ok(Self {
            len,
            shares_update: size > 1 && optimizer.is_elementwise(),
            waiting,
            leaves: Vec::with_capacity(own),
            host: Buffer::zeroed(if size > 1 { len } else { 0 })?,
            subtrees: Buffer::zeroed(if size > 1 { size * mine } else { 0 })?,
            squared_norm: 0.0,
            collected: Vec::new(),
            exchanges: 0,
            exchanging: Duration::ZERO,
            division,
        })
    }

    /// Checks that a micro-batch is the next one of this process.
    pub fn expect(&self, micro_step: u32) -> Result<()> {
        let (own, next) = (self.division.own(), self.division.first() + self.leaves.len());
        if self.leaves.len() < own && micro_step as usize == next {
            return Ok(());
        }
        let (first, last) = (self.division.first(), self.division.first() + own - 1);
        let message = format!(
            "micro-batch {micro_step} was given where {next} is next: this process has {first} to {last}, each once, in order"
        );
        Err(Error::new(Code::InvalidArgument, message))
    }

    /// Takes over the gradient of a micro-batch. `gradients` is then zero, or, after the last one, the sum of all.
    pub fn add_leaf(&mut self, backend: &mut B, sums: LossSum, gradients: &mut B::Buffer) {
        let leaf = self.leaves.len();
        self.leaves.push(sums);
        let height = leaf.trailing_ones() as usize;
        for waiting in &self.waiting[..height] {
            backend.add(self.len, 1, waiting, gradients);
        }
        if let Some(waiting) = self.waiting.get_mut(height) {
            std::mem::swap(waiting, gradients);
            backend.clear(gradients);
        }
    }

    /// Adds up the gradient of all processes, but for what is `outside` of the training: all of it, or this process's share.
    /// Returns the sums of all leaves, in order.
    pub fn sum(
        &mut self,
        backend: &mut B,
        gradients: &mut B::Buffer,
        outside: &[Range<usize>],
    ) -> Result<Vec<LossSum>> {
        let own = self.division.own();
        if self.leaves.len() != own {
            let message = format!("update: {} of this process's {own} micro-batches were given", self.leaves.len());
            return Err(Error::new(Code::InvalidState, message));
        }
        let size = self.division.collective.size();
        if size == 1 {
            outside.iter().for_each(|range| backend.clear_part(gradients, range.clone()));
            return Ok(std::mem::take(&mut self.leaves));
        }
        backend.read(gradients, 0, &mut self.host);
        backend.check()?;
        self.sum_subtrees()?;
        let own = self.range();
        for range in outside {
            let part = range.start.max(own.start)..range.end.min(own.end);
            if !part.is_empty() {
                self.subtrees[part.start - own.start..part.end - own.start].fill(0.0);
            }
        }
        let leaves = self.gather_small()?;
        if self.shares_update {
            backend.write(gradients, own.start, &self.subtrees[..own.len()]);
        } else {
            self.host[own.clone()].copy_from_slice(&self.subtrees[..own.len()]);
            self.gather()?;
            backend.write(gradients, 0, &self.host);
        }
        Ok(leaves)
    }

    /// The elements and slots that this process keeps and updates; `None` if that is all of them.
    pub fn share(&self, layout: &ParameterLayout, slots: &[Slot<B::Buffer>]) -> Option<Share> {
        self.shares_update.then(|| {
            let Range { start: first, end } = self.range();
            let before = slots.first().map_or(0, |slot| slot.layout.before(layout, first));
            Share { first, end, before, squared_norm: self.squared_norm }
        })
    }

    /// The elements of a slot that this process keeps.
    pub fn window(&self, slot: &SlotLayout, layout: &ParameterLayout) -> Range<usize> {
        self.window_of(slot, layout, self.division.collective.rank())
    }

    fn window_of(&self, slot: &SlotLayout, layout: &ParameterLayout, rank: usize) -> Range<usize> {
        if !self.shares_update {
            return 0..slot.len();
        }
        let share = share(self.len, self.division.collective.size(), rank);
        slot.before(layout, share.start)..slot.before(layout, share.end)
    }

    /// After an update: gives every process all weights, of which each has updated a share.
    pub fn spread(&mut self, backend: &mut B, weights: &mut B::Buffer, gradients: &mut B::Buffer) -> Result<()> {
        if !self.shares_update || !self.squared_norm.is_finite() {
            return Ok(());
        }
        let own = self.range();
        backend.read(weights, own.start, &mut self.host[own]);
        backend.check()?;
        self.gather()?;
        backend.write(weights, 0, &self.host);
        backend.weights_changed(weights);
        backend.clear(gradients); // the rest of it was of no share of this process
        Ok(())
    }

    /// Brings all slots together on process 0.
    pub fn collect_slots(
        &mut self,
        backend: &mut B,
        layout: &ParameterLayout,
        slots: &[Slot<B::Buffer>],
    ) -> Result<()> {
        if !self.shares_update {
            return Ok(());
        }
        let (rank, size) = (self.division.collective.rank(), self.division.collective.size());
        self.collected.clear();
        for slot in slots {
            let mut part = zeros(self.window(&slot.layout, layout).len())?;
            backend.read(&slot.values, 0, &mut part);
            backend.check()?;
            let mut all = zeros(if rank == 0 { slot.layout.len() } else { 0 })?;
            let windows: Vec<_> = (0..size).map(|r| self.window_of(&slot.layout, layout, r).len()).collect();
            let to: Vec<_> = (0..size).map(|r| bytes_of(if r == 0 { &part } else { &[] })).collect();
            let lengths = windows.into_iter().map(|len| if rank == 0 { len } else { 0 });
            let mut from: Vec<_> = split(&mut all, lengths).map(bytes_of_mut).collect();
            self.division.collective.exchange(&to, &mut from)?;
            self.collected.push(all);
        }
        Ok(())
    }

    /// All of the slots that were collected, once.
    ///
    /// # Errors
    /// `InvalidState` if they were not; `None` if this process has them itself.
    pub fn take_collected(&mut self, slots: &[Slot<B::Buffer>]) -> Result<Option<Vec<Slot<Vec<f32>>>>> {
        let layouts = slots.iter().map(|slot| slot.layout.clone());
        let values = std::mem::take(&mut self.collected).into_iter();
        let collected: Vec<_> = layouts.zip(values).map(|(layout, values)| Slot { layout, values }).collect();
        match (self.shares_update, collected.is_empty()) {
            (false, _) => Ok(None),
            (true, false) if self.division.collective.rank() == 0 => Ok(Some(collected)),
            _ => Err(Error::new(
                Code::InvalidState,
                "the optimizer's state is shared by processes, and was not collected on this one",
            )),
        }
    }

    /// Forgets the update in progress.
    pub fn discard(&mut self) {
        self.leaves.clear();
    }

    /// How often and how long the others were waited for and spoken to.
    pub fn profile(&self) -> Option<Entry> {
        let entry = Entry { operation: "exchange", calls: self.exchanges, time: self.exchanging };
        (self.exchanges > 0).then_some(entry)
    }

    /// The elements that this process adds up.
    fn range(&self) -> Range<usize> {
        share(self.len, self.division.collective.size(), self.division.collective.rank())
    }

    /// `host`: this process's sums → `subtrees`, of which the first is the sum of all in this process's share.
    fn sum_subtrees(&mut self) -> Result<()> {
        let (size, mine) = (self.division.collective.size(), self.range().len());
        let Self { division, host, subtrees, len, .. } = self;
        let began = Instant::now();
        {
            let to: Vec<_> = (0..size).map(|r| bytes_of(&host[share(*len, size, r)])).collect();
            let mut from: Vec<_> = split(subtrees, (0..size).map(|_| mine)).map(bytes_of_mut).collect();
            division.collective.exchange(&to, &mut from)?;
        }
        self.note(began);
        let subtrees = &mut self.subtrees;
        let mut distance = 1;
        while distance < size {
            for left in (0..size).step_by(2 * distance) {
                let (head, tail) = subtrees.split_at_mut((left + distance) * mine);
                for (sum, other) in head[left * mine..][..mine].iter_mut().zip(&tail[..mine]) {
                    *sum += other;
                }
            }
            distance *= 2;
        }
        Ok(())
    }

    /// Gathers the leaves' sums, and the norm, whose blocks are those of one process.
    fn gather_small(&mut self) -> Result<Vec<LossSum>> {
        let (size, mine) = (self.division.collective.size(), self.range().len());
        let blocks = share(self.len, size, 0).len().div_ceil(BLOCK);
        let mut squares: Vec<f64> = self.subtrees[..mine].chunks(BLOCK).map(squared_norm_of_block).collect();
        squares.resize(blocks, 0.0);
        let leaves = self.leaves.drain(..).flat_map(LossSum::to_bytes);
        let own: Vec<u8> = leaves.chain(squares.into_iter().flat_map(f64::to_le_bytes)).collect();
        let mut all = vec![0u8; own.len() * size];
        let mut from: Vec<_> = all.chunks_mut(own.len()).collect();
        let began = Instant::now();
        self.division.collective.exchange(&vec![&own[..]; size], &mut from)?;
        self.note(began);
        let (mut sums, mut squared_norm) = (Vec::new(), 0.0);
        for (rank, bytes) in all.chunks(own.len()).enumerate() {
            let (leaves, squares) = bytes.split_at(own.len() - 8 * blocks);
            sums.extend(leaves.as_chunks().0.iter().map(LossSum::from_bytes));
            let there = share(self.len, size, rank).len().div_ceil(BLOCK);
            let squares = squares.as_chunks().0.iter().take(there).map(|&bytes| f64::from_le_bytes(bytes));
            squares.for_each(|square| squared_norm += square);
        }
        self.squared_norm = squared_norm;
        Ok(sums)
    }

    /// `host`: this process's share → all shares.
    fn gather(&mut self) -> Result<()> {
        let (size, own) = (self.division.collective.size(), self.range());
        self.subtrees[..own.len()].copy_from_slice(&self.host[own.clone()]);
        let to = vec![bytes_of(&self.subtrees[..own.len()]); size];
        let lengths = (0..size).map(|r| share(self.len, size, r).len());
        let mut from: Vec<_> = split(&mut self.host, lengths).map(bytes_of_mut).collect();
        let began = Instant::now();
        self.division.collective.exchange(&to, &mut from)?;
        self.note(began);
        Ok(())
    }

    fn note(&mut self, began: Instant) {
        self.exchanges += 1;
        self.exchanging += began.elapsed();
    }
}

/// The elements that one of `size` processes adds up: whole blocks of the norm, about as many each, one behind the other.
/// The first share is the longest.
fn share(len: usize, size: usize, rank: usize) -> Range<usize> {
    let each = len.div_ceil(BLOCK).div_ceil(size) * BLOCK;
    (rank * each).min(len)..((rank + 1) * each).min(len)
}

/// Parts of these lengths, one behind the other.
fn split(mut all: &mut [f32], lengths: impl Iterator<Item = usize>) -> impl Iterator<Item = &mut [f32]> {
    lengths.map(move |len| {
        let (part, rest) = std::mem::take(&mut all).split_at_mut(len);
        all = rest;
        part
    })
}

fn bytes_of(x: &[f32]) -> &[u8] {
    // SAFETY: any bytes are fine to read, and an f32 has no padding.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), size_of_val(x)) }
}

fn bytes_of_mut(x: &mut [f32]) -> &mut [u8] {
    // SAFETY: as above; any bytes are an f32.
    unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), size_of_val(x)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_covers_all_elements_once_and_the_first_is_the_longest() {
        for (len, size) in [(10, 4), (8 * BLOCK, 8), (3 * BLOCK + 1, 8), (1, 2), (1_000_000, 4), (9 * BLOCK - 5, 8)] {
            let shares: Vec<_> = (0..size).map(|rank| share(len, size, rank)).collect();
            assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!((shares[0].start, shares[size - 1].end), (0, len));
            assert!(shares.iter().all(|share| share.len() <= shares[0].len()));
        }
    }
}
