//! Buffers of the device; weights also in the type of activations.

use std::ops::Range;

use super::plan::{Buffer, Cuda};
use crate::backend::memory::MemoryOps;
use crate::driver::{self, Device, Dtype, bytes_of};
use crate::error::Result;
use crate::machine::memory;

impl<D: Device> MemoryOps for Cuda<D> {
    type Buffer = Buffer<D>;

    type Activations = driver::Buffer<D>;

    fn zeroed(&self, len: usize) -> Result<Buffer<D>> {
        Ok(Buffer { own: driver::Buffer::zeroed(self.queue.device(), len, Dtype::F32)?, copy: None })
    }

    fn activations(&self, len: usize) -> Result<driver::Buffer<D>> {
        driver::Buffer::zeroed(self.queue.device(), len, self.queue.activations())
    }

    fn upload(&mut self, host: memory::Buffer) -> Result<Buffer<D>> {
        let copy = match self.queue.activations() {
            Dtype::F32 => None,
            _ => Some(self.activations(host.len())?),
        };
        let mut buffer = Buffer { copy, ..self.zeroed(host.len())? };
        self.write(&mut buffer, 0, &host);
        self.queue.check()?;
        Ok(buffer)
    }

    fn write(&mut self, to: &mut Buffer<D>, offset: usize, from: &[f32]) {
        self.queue.write(to.exact().part(offset, from.len()), bytes_of(from));
    }

    fn read(&mut self, from: &Buffer<D>, offset: usize, to: &mut [f32]) {
        self.download(from.exact().part(offset, to.len()), to);
    }

    fn read_activations(&mut self, from: &driver::Buffer<D>, to: &mut [f32]) {
        self.download(from.tensor().part(0, to.len()), to);
    }

    fn first_non_finite(&mut self, x: &Buffer<D>, len: usize) -> Option<usize> {
        self.not_finite(x.exact().part(0, len))
    }

    fn first_non_finite_activation(&mut self, x: &driver::Buffer<D>, len: usize) -> Option<usize> {
        self.not_finite(x.tensor().part(0, len))
    }

    fn clear(&mut self, x: &mut Buffer<D>) {
        self.queue.clear(x.exact());
    }

    fn clear_part(&mut self, x: &mut Buffer<D>, part: Range<usize>) {
        self.queue.clear(x.exact().part(part.start, part.len()));
    }
}
