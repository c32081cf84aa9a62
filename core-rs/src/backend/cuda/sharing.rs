//! Parts of device memory, sent from GPU to GPU.

use std::ops::Range;

use super::plan::{Buffer, Cuda, TOTALS};
use super::totals_of;
use crate::backend::Totals;
use crate::backend::sharing::{SharingOps, part};
use crate::collective::Collective;
use crate::collective::nccl::Nccl;
use crate::driver::{self, Device, Dtype, bytes_of_mut};
use crate::error::Result;
use crate::ops::dropout;
use crate::optim;
use crate::optim::clip::BLOCK;

impl<D: Device> Cuda<D> {
    /// Makes an exchange once everything before it is queued and all processes have come here. The first time their GPUs join.
    fn together(
        &mut self,
        collective: &mut dyn Collective,
        call: impl FnOnce(&mut Nccl<D>, &D) -> Result<()>,
    ) -> Result<()> {
        self.queue.submit(false);
        self.queue.check()?;
        collective.meet()?;
        let device = self.queue.device();
        if self.peers.is_none() {
            self.peers = Some(Nccl::join(device, collective)?);
        }
        self.peers.as_mut().map_or(Ok(()), |peers| call(peers, device))
    }
}

impl<D: Device> SharingOps for Cuda<D> {
    fn scatter_parts(
        &mut self,
        collective: &mut dyn Collective,
        len: usize,
        each: usize,
        from: &Buffer<D>,
        to: &mut Buffer<D>,
    ) -> Result<()> {
        let (rank, size) = (collective.rank(), collective.size());
        let (from, to) = (from.exact(), to.exact());
        let sent = |rank| {
            let Range { start, end } = part(len, each, rank);
            from.part(start, end - start)
        };
        let own = sent(rank);
        let tensors: Vec<_> = (0..size).map(|peer| (sent(peer), to.part(peer * each, own.len))).collect();
        self.queue.copy(tensors[rank].1, own);
        self.together(collective, |peers, device| peers.exchange(device, rank, &tensors))
    }

    fn gather_parts(
        &mut self,
        collective: &mut dyn Collective,
        len: usize,
        each: usize,
        x: &mut Buffer<D>,
        room: &mut Buffer<D>,
    ) -> Result<()> {
        let (rank, size) = (collective.rank(), collective.size());
        let (x, room) = (x.exact(), room.exact().part(0, size * each));
        let Range { start, end } = part(len, each, rank);
        self.queue.copy(room.part(start, end - start), x.part(start, end - start));
        self.together(collective, |peers, device| peers.gather(device, rank, size, room))?;
        self.queue.copy(x.part(0, len), room.part(0, len));
        Ok(())
    }

    fn add_part(&mut self, len: usize, from: usize, to: usize, x: &mut Buffer<D>) {
        if len > 0 {
            dropout::cuda::add(&self.queue, len, x.exact().part(from, len), x.exact().part(to, len));
        }
    }

    fn copy_part(&mut self, len: usize, from: &Buffer<D>, at: usize, to: &mut Buffer<D>) {
        self.queue.copy(to.exact().part(at, len), from.exact().part(0, len));
    }

    fn hand_over(&mut self, from: &mut Buffer<D>, to: &mut Buffer<D>) {
        // Copied and not swapped: work that comes again has to find its buffers where they were.
        self.queue.copy(to.exact(), from.exact());
        self.begin_sums(from);
    }

    fn begin_sums(&mut self, gradients: &mut Buffer<D>) {
        self.queue.clear(gradients.exact());
    }

    fn squared_norms(&mut self, x: &Buffer<D>, range: Range<usize>) -> Result<Vec<f64>> {
        let mut squares = vec![0.0; range.len().div_ceil(BLOCK)];
        if let (Some((clip, _)), false) = (&self.optimizer, range.is_empty()) {
            let partials = optim::cuda::squared_norm_partials(
                &self.queue,
                x.exact().part(range.start, range.len()),
                clip.partials(),
            );
            self.queue.read(partials.1, bytes_of_mut(&mut squares));
        }
        self.queue.check().map(|()| squares)
    }

    fn keep_totals(&mut self, leaf: usize, leaves: usize) -> Result<()> {
        if self.kept.is_none() {
            self.kept = Some(driver::Buffer::zeroed(self.queue.device(), leaves * TOTALS, Dtype::Wide)?);
        }
        if let Some(kept) = &self.kept {
            self.queue.copy(kept.tensor().part(leaf * TOTALS, TOTALS), self.totals.tensor());
            self.queue.clear(self.totals.tensor());
        }
        Ok(())
    }

    fn kept_totals(&mut self, leaves: usize) -> Result<Vec<Totals>> {
        let mut values = vec![[0f64; TOTALS]; leaves];
        if let Some(kept) = &self.kept {
            self.queue.read(kept.tensor(), bytes_of_mut(values.as_flattened_mut()));
        }
        self.queue.check()?;
        Ok(values.into_iter().map(totals_of).collect())
    }
}
