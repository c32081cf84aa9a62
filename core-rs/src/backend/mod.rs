//! What a device has to offer for the model to run on it. The model is written once over [`Backend`]; [`cpu::Cpu`] and
//! [`cuda::Cuda`] implement it over [`crate::ops`], a file for each subject.
//!
//! An operation that a device may do better in one go than in several has a default made of others, in a function of the
//! same name beside its trait. A device overrides it only where it is faster; `tests/cuda/fused.rs` compares the two.
//!
//! All parameters of a model lie in one buffer, all gradients in another of the same layout; [`Linear`], [`Norm`] and
//! [`Embeddings`] say where in them a module's tensors are. Activations are whole buffers of which the first `n` rows
//! are in use; they may be stored in less than f32.

pub mod attention;
pub mod bucket;
pub mod cpu;
pub mod cuda;
pub mod elements;
pub mod embeddings;
pub mod linear;
pub mod loss;
pub mod memory;
pub mod norm;
pub mod sharing;

pub use crate::blueprint::Linear;
use crate::blueprint::ParameterLayout;
use crate::error::Result;
use crate::machine::profile::Entry;
use crate::optim::{Optimizer, State, Update};
use attention::AttentionOps;
use embeddings::EmbeddingOps;
use loss::LossOps;
use memory::MemoryOps;
use sharing::SharingOps;

/// A LayerNorm in the flat buffers: weight `[C]`, and directly behind it bias `[C]` if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Offset of the weight.
    pub weight: usize,
    /// C
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether there is a bias.
    pub has_bias: bool,
}

impl Norm {
    /// Elements of weight and bias.
    fn len(&self) -> usize {
        if self.has_bias { 2 * self.width } else { self.width }
    }
}

/// The embedding tables, which lie one behind the other from the start of the flat buffers.
#[derive(Clone, Copy, Debug)]
pub struct Embeddings {
    /// Rows of the word, position and token type tables; none of a table that there is not.
    pub rows: [usize; 3],
    /// C
    pub width: usize,
}

/// Where dx of a dense layer goes.
pub enum DataGradient<'a, B: MemoryOps + ?Sized> {
    /// `dx = …`
    Store(&'a mut B::Buffer),
    /// `dx += …`
    Add(&'a mut B::Buffer),
    /// `dx = …`, as the operand of a product.
    Operand(&'a mut B::Activations),
}

impl<B: MemoryOps + ?Sized> DataGradient<'_, B> {
    /// The same place, for the first of two gradients.
    pub fn again(&mut self) -> DataGradient<'_, B> {
        match self {
            Self::Store(dx) => DataGradient::Store(&mut **dx),
            Self::Add(dx) => DataGradient::Add(&mut **dx),
            Self::Operand(dx) => DataGradient::Operand(&mut **dx),
        }
    }

    /// That place, for the second.
    ///
    /// # Panics
    /// Of the operand of a product, which nothing can be added to.
    pub fn added(self) -> Self {
        match self {
            Self::Store(dx) | Self::Add(dx) => Self::Add(dx),
            Self::Operand(_) => unreachable!("nothing is added to an operand"),
        }
    }
}

/// A device: its memory and the operations of an encoder with its heads, by subject. Rows are `n` tokens, masked tokens
/// or sequences; all arithmetic is f32. Forward operations give the same bits for the same input, whatever the device's
/// parallelism.
pub trait Backend: EmbeddingOps + AttentionOps + LossOps + SharingOps {
    /// Whether calls return before their work is done. Results are then there when they are asked for, and batches are
    /// rounded up to few shapes ([`crate::backend::bucket`]), because the same work can be replayed.
    const DEFERS: bool;

    /// `cpu` or `cuda`.
    fn device(&self) -> &'static str;

    /// The instruction set or GPU, for reports.
    fn name(&self) -> String;

    /// Where the time went so far, if the backend was made to tell.
    fn profile(&self) -> Vec<Entry>;

    /// Says which dense layers there are, so that their weights can be kept in the form that products want, and what
    /// `update` will update by, if anything.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn plan(&mut self, layout: &ParameterLayout, layers: &[Linear], optimizer: Option<&Optimizer>) -> Result<()>;

    /// Says that the weights have changed otherwise than by `update`.
    fn weights_changed(&mut self, weights: &Self::Buffer);

    /// Whether everything so far succeeded. A device that works behind the caller's back says here what failed.
    ///
    /// # Errors
    /// What failed first.
    fn check(&mut self) -> Result<()> {
        Ok(())
    }

    /// Begins the work on a batch that has `tokens` tokens of its own, without padding, as part of update number `step`.
    fn begin(&mut self, _tokens: usize, _step: u64) {}

    /// Ends a training step's work on a batch, or an update: the same work on other numbers will come again.
    fn end(&mut self) {}

    /// Divides the gradients by `update.units`, clips them, updates weights and slots by the optimizer that was planned, and
    /// zeroes the gradients. The norm before clipping goes to the totals; if it is not finite, no weight changes.
    fn update(&mut self, state: State<Self::Buffer>, update: Update);

    /// What has been added up since the last time; a device that defers is waited for.
    fn take_totals(&mut self) -> Totals;
}

/// One of the model's two heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// Predicts tokens.
    Tokens = 0,
    /// Classifies sequences.
    Sequences = 1,
}

/// What has been added up over batches, by [`Head`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Sums of losses, in nats.
    pub loss: [f64; 2],
    /// How many ranks were 0.
    pub correct: [u64; 2],
    /// Of the last update, if there was one, before clipping.
    pub grad_norm: Option<f64>,
    /// The first update that had a loss or gradient that is not finite, if the device noticed it by itself.
    pub failed_step: Option<u64>,
}

/// How attention is cut into heads.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// H
    pub count: usize,
    /// C
    pub hidden: usize,
    /// T, the stride of dropout indices.
    pub max_sequence_length: usize,
    /// Whether a token sees only itself and what stands before it.
    pub causal: bool,
    /// How far from itself a token sees, on each side; everything where it is `None`.
    pub window: Option<usize>,
}
