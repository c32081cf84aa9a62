//! Parts of host memory, sent as they lie.

use std::ops::Range;

use super::Cpu;
use crate::backend::sharing::{SharingOps, part};
use crate::collective::Collective;
use crate::driver::{bytes_of, bytes_of_mut};
use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::ops::dropout;
use crate::optim::clip;

impl<T: Element> SharingOps for Cpu<T> {
    fn scatter_parts(
        &mut self,
        collective: &mut dyn Collective,
        len: usize,
        each: usize,
        from: &Buffer,
        to: &mut Buffer,
    ) -> Result<()> {
        let (size, own) = (collective.size(), part(len, each, collective.rank()).len());
        let sent: Vec<_> = (0..size).map(|rank| bytes_of(&from[part(len, each, rank)])).collect();
        let mut received: Vec<_> =
            to.chunks_mut(each).take(size).map(|chunk| bytes_of_mut(&mut chunk[..own])).collect();
        collective.exchange(&sent, &mut received)
    }

    fn gather_parts(
        &mut self,
        collective: &mut dyn Collective,
        len: usize,
        each: usize,
        x: &mut Buffer,
        room: &mut Buffer,
    ) -> Result<()> {
        let (size, own) = (collective.size(), part(len, each, collective.rank()));
        let sent = &mut room[..own.len()];
        sent.copy_from_slice(&x[own]);
        let mut rest = &mut x[..len];
        let mut received = Vec::with_capacity(size);
        for rank in 0..size {
            let (chunk, others) = rest.split_at_mut(part(len, each, rank).len());
            received.push(bytes_of_mut(chunk));
            rest = others;
        }
        collective.exchange(&vec![bytes_of(sent); size], &mut received)
    }

    fn add_part(&mut self, len: usize, from: usize, to: usize, x: &mut Buffer) {
        let (head, tail) = x.split_at_mut(from);
        dropout::add(&self.threads, &tail[..len], &mut head[to..to + len]);
    }

    fn copy_part(&mut self, len: usize, from: &Buffer, at: usize, to: &mut Buffer) {
        to[at..at + len].copy_from_slice(&from[..len]);
    }

    fn hand_over(&mut self, from: &mut Buffer, to: &mut Buffer) {
        std::mem::swap(from, to);
        self.begin_sums(from);
    }

    fn begin_sums(&mut self, gradients: &mut Buffer) {
        let _timer = self.profile.start("clear");
        self.sums.restart(gradients);
    }

    fn settle_sums(&mut self, gradients: &mut Buffer) {
        let _timer = self.profile.start("clear");
        self.sums.settle(gradients);
    }

    fn squared_norms(&mut self, x: &Buffer, range: Range<usize>) -> Result<Vec<f64>> {
        clip::squared_norms(&self.threads, &x[range], &mut self.squares)?;
        Ok(self.squares.clone())
    }
}
