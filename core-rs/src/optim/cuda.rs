//! What optimizers share on a CUDA device: clipping, and where the parameters lie that have a slot.

use super::Update;
use super::clip::BLOCK;
use super::slots::SlotLayout;
use crate::blueprint::{Parameter, ParameterLayout};
use crate::driver::queue::Queue;
use crate::driver::{Buffer, Device, Dtype, Launch, Tensor, bytes_of};
use crate::error::Result;

/// An optimizer on a device.
pub trait OnCuda<D: Device>: Send {
    /// Notes one update. Gradients are sums; f32 `scale`, which [`Clip::run`] leaves, makes them clipped means. They are zero
    /// afterwards. Nothing changes if the scale is infinite.
    fn update(&self, queue: &Queue<D>, state: &Tensors, scale: Tensor, update: Update);
}

/// The flat buffers of an update.
pub struct Tensors {
    /// f32
    pub weights: Tensor,
    /// The weights as activations, where they are not f32.
    pub copy: Option<Tensor>,
    /// f32
    pub gradients: Tensor,
    /// f32, by name.
    pub slots: Vec<(&'static str, Tensor)>,
}

impl Tensors {
    /// Elements of a slot that are here; none of one that there is not.
    pub fn slot_len(&self, name: &str) -> usize {
        self.slots.iter().find(|(slot, _)| *slot == name).map_or(0, |(_, values)| values.len)
    }

    /// A slot of `count` elements.
    ///
    /// # Panics
    /// If the optimizer has not declared it.
    pub fn slot(&self, name: &str, count: usize) -> Tensor {
        let slot = self.slots.iter().find(|(slot, _)| *slot == name);
        slot.unwrap_or_else(|| panic!("no slot is called {name}")).1.expect(count, Dtype::F32)
    }
}

/// The norm of all gradients, and what they are scaled by.
pub struct Clip<D: Device> {
    largest: f64,
    partials: Buffer<D>,
    scale: Buffer<D>,
}

impl<D: Device> Clip<D> {
    /// For up to `len` gradients, which may have the norm `largest`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(queue: &Queue<D>, len: usize, largest: f64) -> Result<Self> {
        Ok(Self {
            largest,
            partials: Buffer::zeroed(queue.device(), len.div_ceil(BLOCK), Dtype::Wide)?,
            scale: Buffer::zeroed(queue.device(), 1, Dtype::F32)?,
        })
    }

    /// Scratch for the sums of squares of all blocks.
    pub(crate) fn partials(&self) -> Tensor {
        self.partials.tensor()
    }

    /// f64 `squared_norm` = Σ x², blocks added in a fixed order, or that of all processes' shares, and the scale that [`OnCuda::update`] takes. If the norm is
    /// not finite, f64 `failed` receives the number of the update, from 1, unless it says something already.
    pub fn run(
        &self,
        queue: &Queue<D>,
        gradients: Tensor,
        update: Update,
        squared_norm: Tensor,
        failed: Tensor,
    ) -> Tensor {
        let clip = queue.input(&[update.units as f64, self.largest, (update.step + 1) as f64], 3);
        let (blocks, partials) = match update.share {
            Some(share) => (1, queue.input(&[share.squared_norm], 1)),
            None => squared_norm_partials(queue, gradients, self.partials.tensor()),
        };
        let (squared_norm, failed) = (squared_norm.expect(1, Dtype::Wide), failed.expect(1, Dtype::Wide));
        let scale = self.scale.tensor();
        queue.launch(
            &Launch::row("clip", 1, 256),
            &[blocks.into(), partials.into(), clip.into(), squared_norm.into(), scale.into(), failed.into()],
        );
        scale
    }
}

/// Sums of squares of blocks of `x`, at the beginning of `partials`: how many there are, and where.
pub(crate) fn squared_norm_partials<D: Device>(queue: &Queue<D>, x: Tensor, partials: Tensor) -> (u32, Tensor) {
    let blocks = x.len.div_ceil(BLOCK);
    let partials = partials.expect(blocks, Dtype::Wide);
    queue.launch(
        &Launch::row("squared_norm_partials", blocks, 256),
        &[(x.len as u64).into(), (BLOCK as u32).into(), x.into(), partials.into()],
    );
    (blocks as u32, partials)
}

/// For kernels with one thread for each element of a slot: which parameter an element is of, and where in the flat buffers
/// it lies.
pub struct Places<D: Device> {
    len: usize,
    starts: Buffer<D>,
    shifts: Buffer<D>,
    decays: Buffer<D>,
}

impl<D: Device> Places<D> {
    /// Of the parameters that have the slot `name`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(queue: &Queue<D>, layout: &ParameterLayout, slots: &[SlotLayout], name: &str) -> Result<Self> {
        let slot = slots.iter().find(|slot| slot.name == name);
        let parameters: Vec<(&Parameter, usize)> = slot.map_or(Vec::new(), |slot| slot.parameters(layout).collect());
        let starts: Vec<u64> = parameters.iter().map(|&(_, start)| start as u64).collect();
        let shifts: Vec<u64> = parameters.iter().map(|&(p, start)| (p.offset - start) as u64).collect();
        let decays: Vec<i32> = parameters.iter().map(|(p, _)| i32::from(p.decays())).collect();
        let zeroed = |dtype| Buffer::zeroed(queue.device(), parameters.len(), dtype);
        let places = Self {
            len: slot.map_or(0, SlotLayout::len),
            starts: zeroed(Dtype::Wide)?,
            shifts: zeroed(Dtype::Wide)?,
            decays: zeroed(Dtype::I32)?,
        };
        queue.write(places.starts.tensor(), bytes_of(&starts));
        queue.write(places.shifts.tensor(), bytes_of(&shifts));
        queue.write(places.decays.tensor(), bytes_of(&decays));
        Ok(places)
    }

    /// Elements of the slot.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no parameter has it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many parameters have it.
    pub fn parameters(&self) -> u32 {
        self.starts.tensor().len as u32
    }

    /// u64: their first elements in the slot.
    pub fn starts(&self) -> Tensor {
        self.starts.tensor()
    }

    /// u64: how much further on they begin in the flat buffers.
    pub fn shifts(&self) -> Tensor {
        self.shifts.tensor()
    }

    /// i32: whether they decay.
    pub fn decays(&self) -> Tensor {
        self.decays.tensor()
    }
}

/// `to = from`, as activations.
pub fn narrow<D: Device>(queue: &Queue<D>, from: Tensor, to: Tensor) {
    queue.launch(
        &Launch::threads("narrow_weights", from.len),
        &[(from.len as u64).into(), from.into(), to.expect(from.len, queue.activations()).into()],
    );
}
