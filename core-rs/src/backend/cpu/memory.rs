//! Planned buffers of host memory.

use std::ops::Range;

use super::Cpu;
use crate::backend::memory::MemoryOps;
use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;

impl<T: Element> MemoryOps for Cpu<T> {
    type Buffer = Buffer;

    type Activations = Buffer<T>;

    fn zeroed(&self, len: usize) -> Result<Buffer> {
        Buffer::zeroed(len)
    }

    fn activations(&self, len: usize) -> Result<Buffer<T>> {
        Buffer::zeroed(len)
    }

    fn upload(&mut self, host: Buffer) -> Result<Buffer> {
        Ok(host)
    }

    fn write(&mut self, to: &mut Buffer, offset: usize, from: &[f32]) {
        to[offset..offset + from.len()].copy_from_slice(from);
    }

    fn read(&mut self, from: &Buffer, offset: usize, to: &mut [f32]) {
        to.copy_from_slice(&from[offset..offset + to.len()]);
    }

    fn read_activations(&mut self, from: &Buffer<T>, to: &mut [f32]) {
        to.iter_mut().zip(from.iter()).for_each(|(to, x)| *to = x.to_f32());
    }

    fn first_non_finite(&mut self, x: &Buffer, len: usize) -> Option<usize> {
        x[..len].iter().position(|v| !v.is_finite())
    }

    fn first_non_finite_activation(&mut self, x: &Buffer<T>, len: usize) -> Option<usize> {
        x[..len].iter().position(|v| !v.to_f32().is_finite())
    }

    fn clear(&mut self, x: &mut Buffer) {
        let _timer = self.profile.start("clear");
        x.fill(0.0);
    }

    fn clear_part(&mut self, x: &mut Buffer, part: Range<usize>) {
        let _timer = self.profile.start("clear");
        x[part].fill(0.0);
    }
}
