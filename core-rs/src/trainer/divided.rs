//! An update that is cut into micro-batches, shared by processes. Their gradients are the leaves of a balanced binary tree of
//! sums over the micro-batch's number, whatever process has which: so the bits do not depend on how many there are.
//!
//! A process has consecutive leaves, a whole subtree, and adds them as a binary counter carries. The levels above are added
//! in shares: each process gets all subtrees' sums of its share of the elements, adds them in the tree's order, and the
//! shares are gathered.

use std::ops::Range;

use crate::backend::Backend;
use crate::blueprint::ParameterLayout;
use crate::collective::{Division, PATIENCE};
use crate::engine::LossSum;
use crate::error::{Code, Error, Result};
use crate::machine::memory::Buffer;

/// The part of an engine that knows of micro-batches and processes.
pub(super) struct Divided<B: Backend> {
    division: Division,
    /// By height: the sum of a subtree that waits for its right neighbour.
    waiting: Vec<B::Buffer>,
    /// Of this process's leaves of the update in progress, in order. Where the device defers, their counts alone.
    leaves: Vec<LossSum>,
    /// The gradient on the host; empty for one process.
    host: Buffer,
    /// All subtrees' sums of this process's share, one behind the other.
    subtrees: Buffer,
}

impl<B: Backend> Divided<B> {
    /// Reserves what it needs for a model.
    pub fn new(backend: &B, layout: &ParameterLayout, division: Division) -> Result<Self> {
        division.validate()?;
        let (own, size) = (division.own(), division.collective.size());
        let waiting = (0..own.ilog2()).map(|_| backend.zeroed(layout.len())).collect::<Result<_>>()?;
        let host = Buffer::zeroed(if size > 1 { layout.len() } else { 0 })?;
        let subtrees = Buffer::zeroed(if size > 1 { size * share(layout.len(), size, 0).len() } else { 0 })?;
        Ok(Self { division, waiting, leaves: Vec::with_capacity(own), host, subtrees })
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
    pub fn add_leaf(&mut self, backend: &mut B, sums: LossSum, gradients: &mut B::Buffer, len: usize) {
        let leaf = self.leaves.len();
        self.leaves.push(sums);
        let height = leaf.trailing_ones() as usize;
        for waiting in &self.waiting[..height] {
            backend.add(len, 1, waiting, gradients);
        }
        if let Some(waiting) = self.waiting.get_mut(height) {
            std::mem::swap(waiting, gradients);
            backend.clear(gradients);
        }
    }

    /// Adds up the gradient of all processes, and returns the sums of all leaves, in order.
    pub fn sum(&mut self, backend: &mut B, gradients: &mut B::Buffer, len: usize) -> Result<Vec<LossSum>> {
        let own = self.division.own();
        if self.leaves.len() != own {
            let message = format!("update: {} of this process's {own} micro-batches were given", self.leaves.len());
            return Err(Error::new(Code::InvalidState, message));
        }
        let size = self.division.collective.size();
        if size == 1 {
            return Ok(std::mem::take(&mut self.leaves));
        }
        backend.read(gradients, 0, &mut self.host);
        backend.check()?;
        let leaves = self.gather_leaves()?;
        self.sum_shares(len, size)?;
        backend.write(gradients, 0, &self.host);
        Ok(leaves)
    }

    /// Forgets the update in progress.
    pub fn discard(&mut self) {
        self.leaves.clear();
    }

    fn gather_leaves(&mut self) -> Result<Vec<LossSum>> {
        let size = self.division.collective.size();
        let own: Vec<u8> = self.leaves.drain(..).flat_map(LossSum::to_bytes).collect();
        let mut all = vec![0u8; own.len() * size];
        let mut from: Vec<_> = all.chunks_mut(own.len()).collect();
        self.division.collective.exchange(&vec![&own[..]; size], &mut from, Some(PATIENCE))?;
        Ok(all.as_chunks().0.iter().map(LossSum::from_bytes).collect())
    }

    /// `host`: this process's sums → those of all.
    fn sum_shares(&mut self, len: usize, size: usize) -> Result<()> {
        let Self { division, host, subtrees, .. } = self;
        let mine = share(len, size, division.collective.rank()).len();
        {
            let to: Vec<_> = (0..size).map(|r| bytes_of(&host[share(len, size, r)])).collect();
            let mut from: Vec<_> = split(subtrees, (0..size).map(|_| mine)).map(bytes_of_mut).collect();
            division.collective.exchange(&to, &mut from, Some(PATIENCE))?;
        }
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
        let to = vec![bytes_of(&subtrees[..mine]); size];
        let lengths = (0..size).map(|r| share(len, size, r).len());
        let mut from: Vec<_> = split(host, lengths).map(bytes_of_mut).collect();
        division.collective.exchange(&to, &mut from, Some(PATIENCE))
    }
}

/// The elements that one of `size` processes adds up: shares of about the same length, one behind the other. The first one
/// is the longest.
fn share(len: usize, size: usize, rank: usize) -> Range<usize> {
    let each = len.div_ceil(size);
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
        for (len, size) in [(10, 4), (8, 8), (3, 8), (1, 2), (1000, 4), (9, 8)] {
            let shares: Vec<_> = (0..size).map(|rank| share(len, size, rank)).collect();
            assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!((shares[0].start, shares[size - 1].end), (0, len));
            assert!(shares.iter().all(|share| share.len() <= shares[0].len()));
        }
    }
}
