//! An update that is cut into micro-batches, shared by processes. Their gradients are the leaves of a balanced binary tree of
//! sums over the micro-batch's number, whatever process has which: so the bits do not depend on how many there are.
//!
//! A process has consecutive leaves, a whole subtree, and adds them as a binary counter carries. The levels above are added
//! in shares: each process gets all subtrees' sums of its share of the elements, and adds them in the tree's order. If the
//! optimizer can do so, it updates its share only, keeps state for no more (ZeRO, Rajbhandari et al., 2020, stage 1), and
//! the weights are gathered; if not, the gradients are.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::backend::sharing::part;
use crate::backend::{Backend, Totals};
use crate::blueprint::ParameterLayout;
use crate::collective::Division;
use crate::driver::{bytes_of, bytes_of_mut};
use crate::engine::LossSum;
use crate::error::{Code, Error, Result};
use crate::machine::memory::zeros;
use crate::machine::profile::Entry;
use crate::optim::clip::BLOCK;
use crate::optim::slots::{Slot, SlotLayout};
use crate::optim::{Optimizer, Share};

/// The part of an engine that knows of micro-batches and processes.
pub(super) struct Divided<B: Backend> {
    division: Division,
    /// Elements of all parameters, and of a process's share of them: the last shares may be shorter.
    len: usize,
    each: usize,
    /// Whether each process updates its share only.
    shares_update: bool,
    /// Whether the norm is that which is added up here, and not by the device as it updates: its blocks are added in order,
    /// wherever they lie.
    knows_norm: bool,
    /// By height: the sum of a subtree that waits for its right neighbour.
    waiting: Vec<B::Buffer>,
    /// Of this process's leaves of the update in progress, in order. Where the device defers, their counts alone.
    leaves: Vec<LossSum>,
    /// All subtrees' sums of this process's share, one behind the other; then room for all shares.
    subtrees: B::Buffer,
    /// Σ x² of the gradient of the update in progress.
    squared_norm: f64,
    /// All of each slot, between `collect_slots` and the next save.
    collected: Vec<Vec<f32>>,
    spent: Spent,
}

/// What processes do together in an update, and what they did of it so far.
#[derive(Default)]
struct Spent([Entry; 5]);

/// Places in it: the wait for the slowest before each exchange, and the exchanges without it.
const MEETING: usize = 0;
const GRADIENTS: usize = 1;
const SUMS: usize = 2;
const NUMBERS: usize = 3;
const WEIGHTS: usize = 4;
const NAMES: [&str; 5] =
    ["exchange: meeting", "exchange: gradients", "exchange: sums", "exchange: numbers", "exchange: weights"];

impl Spent {
    /// Notes one exchange of so many bytes, sent from here, which began then and waited for others.
    fn note(&mut self, at: usize, bytes: usize, began: Instant, waited: Duration) {
        for (at, bytes, time) in [(at, bytes, began.elapsed().saturating_sub(waited)), (MEETING, 0, waited)] {
            let Entry { calls, time: all, bytes: sent, .. } = &mut self.0[at];
            (*calls, *all, *sent) = (*calls + 1, *all + time, *sent + bytes as u64);
        }
    }

    /// Notes what was done without the others.
    fn note_alone(&mut self, at: usize, began: Instant) {
        let Entry { calls, time, .. } = &mut self.0[at];
        (*calls, *time) = (*calls + 1, *time + began.elapsed());
    }
}

impl<B: Backend> Divided<B> {
    /// Reserves what it needs for a model.
    pub fn new(backend: &B, layout: &ParameterLayout, optimizer: &Optimizer, division: Division) -> Result<Self> {
        division.validate()?;
        let (own, size, len) = (division.own(), division.collective.size(), layout.len());
        let each = len.div_ceil(BLOCK).div_ceil(size) * BLOCK;
        let waiting = (0..own.ilog2()).map(|_| backend.zeroed(len)).collect::<Result<_>>()?;
        Ok(Self {
            len,
            each,
            shares_update: size > 1 && optimizer.is_elementwise(),
            knows_norm: (size > 1 || B::DEFERS) && optimizer.is_elementwise(),
            waiting,
            leaves: Vec::with_capacity(own),
            subtrees: backend.zeroed(if size > 1 { size * each } else { 0 })?,
            squared_norm: 0.0,
            collected: Vec::new(),
            spent: Spent::default(),
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

    /// Takes over the gradient of a micro-batch. `gradients` is then begun, or, after the last one, the sum of all.
    pub fn add_leaf(&mut self, backend: &mut B, sums: LossSum, gradients: &mut B::Buffer) -> Result<()> {
        let leaf = self.leaves.len();
        self.leaves.push(sums);
        backend.keep_totals(leaf, self.division.own())?;
        backend.settle_sums(gradients);
        let height = leaf.trailing_ones() as usize;
        for waiting in &self.waiting[..height] {
            backend.add(self.len, 1, waiting, gradients);
        }
        if let Some(waiting) = self.waiting.get_mut(height) {
            backend.hand_over(gradients, waiting);
        }
        Ok(())
    }

    /// Adds up the gradient of all processes, but for what is `outside` of the training: all of it, or this process's share.
    /// Returns the sums of all leaves, in order. A device that defers is waited for.
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
        let shared = self.division.collective.size() > 1;
        if shared {
            backend.check()?;
            self.sum_subtrees(backend, gradients)?;
        }
        let range = self.range();
        for outside in outside {
            if !shared {
                backend.clear_part(gradients, outside.clone());
                continue;
            }
            let part = outside.start.max(range.start)..outside.end.min(range.end);
            if !part.is_empty() {
                backend.clear_part(&mut self.subtrees, part.start - range.start..part.end - range.start);
            }
        }
        if !shared && !B::DEFERS {
            return Ok(std::mem::take(&mut self.leaves));
        }
        let squares = match (shared, self.knows_norm) {
            (true, _) => backend.squared_norms(&self.subtrees, 0..range.len())?,
            (false, true) => backend.squared_norms(gradients, range.clone())?,
            (false, false) => Vec::new(),
        };
        for (leaf, Totals { loss, correct, .. }) in self.leaves.iter_mut().zip(backend.kept_totals(own)?) {
            (leaf.loss_sum, leaf.sequence_loss_sum) = (loss[0], loss[1]);
            (leaf.correct, leaf.sequences_correct) = (correct[0], correct[1]);
        }
        let leaves = self.gather_numbers(squares)?;
        if shared {
            backend.copy_part(range.len(), &self.subtrees, range.start, gradients);
            if !self.shares_update {
                self.gather(backend, gradients)?;
            }
        }
        Ok(leaves)
    }

    /// The elements and slots that this process keeps and updates; `None` if that is all of them, and the device takes the norm.
    pub fn share(&self, layout: &ParameterLayout, slots: &[Slot<B::Buffer>]) -> Option<Share> {
        self.knows_norm.then(|| {
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
        let share = part(self.len, self.each, rank);
        slot.before(layout, share.start)..slot.before(layout, share.end)
    }

    /// After an update: gives every process all weights, of which each has updated a share.
    pub fn spread(&mut self, backend: &mut B, weights: &mut B::Buffer, gradients: &mut B::Buffer) -> Result<()> {
        if !self.shares_update || !self.squared_norm.is_finite() {
            return Ok(());
        }
        backend.check()?;
        self.gather(backend, weights)?;
        backend.weights_changed(weights);
        backend.begin_sums(gradients); // the rest of it was of no share of this process
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
            let to: Vec<_> = (0..size).map(|r| bytes_of(if r == 0 { &part[..] } else { &[] })).collect();
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

    /// How often and how long the others were waited for and spoken to, and how much was sent; nothing where there are none.
    pub fn profile(&self) -> impl Iterator<Item = Entry> {
        let entries = NAMES.into_iter().zip(&self.spent.0).map(|(operation, entry)| Entry { operation, ..*entry });
        entries.filter(|entry| entry.calls > 0)
    }

    /// The elements that this process adds up.
    fn range(&self) -> Range<usize> {
        part(self.len, self.each, self.division.collective.rank())
    }

    /// This process's sums → `subtrees`, of which the first is the sum of all in this process's share.
    fn sum_subtrees(&mut self, backend: &mut B, gradients: &B::Buffer) -> Result<()> {
        let (size, mine) = (self.division.collective.size(), self.range().len());
        let Self { division, subtrees, spent, len, each, .. } = self;
        let (began, before) = (Instant::now(), division.collective.waited());
        backend.scatter_parts(&mut *division.collective, *len, *each, gradients, subtrees)?;
        let waited = division.collective.waited() - before;
        spent.note(GRADIENTS, size_of::<f32>() * (*len - mine), began, waited);
        let began = Instant::now();
        let mut distance = 1;
        while distance < size {
            for left in (0..size).step_by(2 * distance) {
                backend.add_part(mine, (left + distance) * *each, left * *each, subtrees);
            }
            distance *= 2;
        }
        spent.note_alone(SUMS, began);
        Ok(())
    }

    /// Gathers the leaves' sums, and the norm, whose blocks are those of one process.
    fn gather_numbers(&mut self, mut squares: Vec<f64>) -> Result<Vec<LossSum>> {
        let size = self.division.collective.size();
        let blocks = if self.knows_norm || size > 1 { self.each / BLOCK } else { 0 };
        squares.resize(blocks, 0.0);
        let leaves = self.leaves.drain(..).flat_map(LossSum::to_bytes);
        let own: Vec<u8> = leaves.chain(squares.into_iter().flat_map(f64::to_le_bytes)).collect();
        let mut all = vec![0u8; own.len() * size];
        let mut from: Vec<_> = all.chunks_mut(own.len()).collect();
        let (began, before) = (Instant::now(), self.division.collective.waited());
        self.division.collective.exchange(&vec![&own[..]; size], &mut from)?;
        if size > 1 {
            let waited = self.division.collective.waited() - before;
            self.spent.note(NUMBERS, own.len() * (size - 1), began, waited);
        }
        let (mut sums, mut squared_norm) = (Vec::new(), 0.0);
        for (rank, bytes) in all.chunks(own.len()).enumerate() {
            let (leaves, squares) = bytes.split_at(own.len() - 8 * blocks);
            sums.extend(leaves.as_chunks().0.iter().map(LossSum::from_bytes));
            let there = part(self.len, self.each, rank).len().div_ceil(BLOCK);
            let squares = squares.as_chunks().0.iter().take(there).map(|&bytes| f64::from_le_bytes(bytes));
            squares.for_each(|square| squared_norm += square);
        }
        self.squared_norm = squared_norm;
        Ok(sums)
    }

    /// This process's share → all shares.
    fn gather(&mut self, backend: &mut B, x: &mut B::Buffer) -> Result<()> {
        let bytes = size_of::<f32>() * self.range().len() * (self.division.collective.size() - 1);
        let Self { division, subtrees, spent, len, each, .. } = self;
        let (began, before) = (Instant::now(), division.collective.waited());
        backend.gather_parts(&mut *division.collective, *len, *each, x, subtrees)?;
        spent.note(WEIGHTS, bytes, began, division.collective.waited() - before);
        Ok(())
    }
}

/// Parts of these lengths, one behind the other.
fn split(mut all: &mut [f32], lengths: impl Iterator<Item = usize>) -> impl Iterator<Item = &mut [f32]> {
    lengths.map(move |len| {
        let (part, rest) = std::mem::take(&mut all).split_at_mut(len);
        all = rest;
        part
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_covers_all_elements_once_and_the_first_is_the_longest() {
        for (len, size) in [(10, 4), (8 * BLOCK, 8), (3 * BLOCK + 1, 8), (1, 2), (1_000_000, 4), (9 * BLOCK - 5, 8)] {
            let each = len.div_ceil(BLOCK).div_ceil(size) * BLOCK;
            let shares: Vec<_> = (0..size).map(|rank| part(len, each, rank)).collect();
            assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!((shares[0].start, shares[size - 1].end), (0, len));
            assert!(shares.iter().all(|share| share.len() <= shares[0].len()));
        }
    }
}
