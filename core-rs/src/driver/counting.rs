//! A device without memory, which counts what is asked of it: what an engine will need can be known before it is opened.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::nccl::{Calls, ID_BYTES, UniqueId};
use super::{Algorithm, Argument, Device, Dtype, Lane, Launch, Product, Tensor};
use crate::error::Result;

/// Nothing that is queued on it is ever done.
#[derive(Debug)]
pub struct Counting {
    activations: Dtype,
    bytes: AtomicUsize,
}

impl Counting {
    /// With activations of that type.
    pub fn new(activations: Dtype) -> Self {
        Self { activations, bytes: AtomicUsize::new(0) }
    }

    /// Bytes of all memory that has been asked for so far.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Device for Counting {
    type Memory = ();
    type Pinned = Vec<u8>;
    type Event = ();
    type Graph = ();

    fn name(&self) -> String {
        self.kind()
    }

    fn kind(&self) -> String {
        "counting".into()
    }

    fn activations(&self) -> Dtype {
        self.activations
    }

    fn allocate(&self, bytes: usize) -> Result<()> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn address((): &()) -> u64 {
        0
    }

    fn pinned(&self, bytes: usize) -> Result<Vec<u8>> {
        Ok(vec![0; bytes])
    }

    fn event(&self) -> Result<()> {
        Ok(())
    }

    fn record(&self, (): &(), _lane: Lane) -> Result<()> {
        Ok(())
    }

    fn wait(&self, (): &(), _lane: Lane) -> Result<()> {
        Ok(())
    }

    fn finish(&self, (): &()) -> Result<()> {
        Ok(())
    }

    fn is_passed(&self, (): &()) -> Result<bool> {
        Ok(true)
    }

    fn milliseconds(&self, (): &(), (): &()) -> Result<f32> {
        Ok(0.0)
    }

    fn copy_in(&self, _to: Tensor, _from: &Vec<u8>, _bytes: usize, _lane: Lane) -> Result<()> {
        Ok(())
    }

    fn copy(&self, _to: Tensor, _from: Tensor) -> Result<()> {
        Ok(())
    }

    fn copy_out(&self, _from: Tensor, _to: &mut [u8]) -> Result<()> {
        Ok(())
    }

    fn clear(&self, _x: Tensor) -> Result<()> {
        Ok(())
    }

    fn launch(&self, _launch: &Launch, _arguments: &[Argument]) -> Result<()> {
        Ok(())
    }

    fn algorithms(&self, _product: &Product) -> Result<Vec<Algorithm>> {
        Ok(Vec::new())
    }

    fn runs(&self, _product: &Product, _algorithm: &Algorithm) -> bool {
        false
    }

    fn multiply(&self, _product: &Product, _algorithm: &Algorithm) -> Result<()> {
        Ok(())
    }

    fn begin_capture(&self) -> Result<()> {
        Ok(())
    }

    fn end_capture(&self) -> Result<()> {
        Ok(())
    }

    fn replay(&self, (): &()) -> Result<()> {
        Ok(())
    }
}

/// It is alone: there is nothing to send.
impl Calls for Counting {
    type Communicator = ();

    fn nccl_version(&self) -> Result<String> {
        Ok("none".into())
    }

    fn unique_id(&self) -> Result<UniqueId> {
        Ok([0; ID_BYTES])
    }

    fn join(&self, _id: &UniqueId, _rank: usize, _size: usize) -> Result<()> {
        Ok(())
    }

    fn begin_group(&self) -> Result<()> {
        Ok(())
    }

    fn end_group(&self) -> Result<()> {
        Ok(())
    }

    fn send(&self, (): &(), _from: Tensor, _to: usize, _lane: Lane) -> Result<()> {
        Ok(())
    }

    fn receive(&self, (): &(), _to: Tensor, _from: usize, _lane: Lane) -> Result<()> {
        Ok(())
    }

    fn all_gather(&self, (): &(), _from: Tensor, _to: Tensor, _lane: Lane) -> Result<()> {
        Ok(())
    }

    fn is_ready(&self, (): &()) -> Result<bool> {
        Ok(true)
    }

    fn abort(&self, (): ()) {}
}
