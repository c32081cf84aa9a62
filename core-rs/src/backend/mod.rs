//! What a device has to offer for the model to run on it. The model is written once over this trait; [`cpu::Cpu`] and
//! [`cuda::Cuda`] implement it over [`crate::ops`].
//!
//! All parameters of a model lie in one buffer, all gradients in another of the same layout; [`Linear`], [`Norm`] and
//! [`Embeddings`] say where in them a module's tensors are. Activations are whole buffers of which the first `n` rows
//! are in use; they may be stored in less than f32.

pub mod bucket;
pub mod cpu;
pub mod cuda;

pub use crate::blueprint::Linear;
use std::ops::Range;

use crate::blueprint::ParameterLayout;
use crate::engine::batch::Batch;
use crate::error::Result;
use crate::machine::memory::Buffer;
use crate::machine::profile::Entry;
use crate::ops::activation::Activation;
use crate::ops::cross_entropy::RowLoss;
use crate::ops::dropout::Dropout;
use crate::optim::{Optimizer, State, Update};

/// A LayerNorm in the flat buffers: weight `[C]` and directly behind it bias `[C]`.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Offset of the weight.
    pub weight: usize,
    /// C
    pub width: usize,
    /// Added to the variance.
    pub eps: f32,
}

/// The three embedding tables, which lie one behind the other from the start of the flat buffers.
#[derive(Clone, Copy, Debug)]
pub struct Embeddings {
    /// Rows of the word, position and token type tables.
    pub rows: [usize; 3],
    /// C
    pub width: usize,
}

/// Where dx of a dense layer goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DataGradient {
    /// `dx = …`
    Store,
    /// `dx += …`
    Add,
}

/// A device: its memory and the operations of an encoder with its heads. Rows are `n` tokens, masked tokens or
/// sequences; all arithmetic is f32. Forward operations give the same bits for the same input, whatever the device's parallelism.
pub trait Backend: Send {
    /// f32 elements on the device: parameters, gradients, slots, statistics, logits.
    type Buffer: Send;

    /// Activations and those of their gradients that are operands of a product, in the engine's dtype.
    type Activations: Send;

    /// Loss and rank of each row of a head.
    type Rows: Send;

    /// Whether calls return before their work is done. Results are then there when they are asked for, and batches are
    /// rounded up to few shapes ([`crate::backend::bucket`]), because the same work can be replayed.
    const DEFERS: bool;

    /// `cpu` or `cuda`.
    fn device(&self) -> &'static str;

    /// The instruction set or GPU, for reports.
    fn name(&self) -> String;

    /// Where the time went so far, if the backend was made to tell.
    fn profile(&self) -> Vec<Entry>;

    /// A buffer of zeros.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn zeroed(&self, len: usize) -> Result<Self::Buffer>;

    /// Activations of zeros.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn activations(&self, len: usize) -> Result<Self::Activations>;

    /// Rows of a head.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn rows(&self, len: usize) -> Result<Self::Rows>;

    /// How many logits are best held at a time.
    fn logits_at_a_time(&self) -> usize;

    /// Says which dense layers there are, so that their weights can be kept in the form that products want, and what
    /// `update` will update by, if anything.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn plan(&mut self, layout: &ParameterLayout, layers: &[Linear], optimizer: Option<&Optimizer>) -> Result<()>;

    /// Says that the weights have changed otherwise than by `update`.
    fn weights_changed(&mut self, weights: &Self::Buffer);

    /// Moves host memory to the device; on the CPU it stays where it is.
    ///
    /// # Errors
    /// `OutOfMemory`.
    fn upload(&mut self, host: Buffer) -> Result<Self::Buffer>;

    /// Copies to the device, from element `offset` on.
    fn write(&mut self, to: &mut Self::Buffer, offset: usize, from: &[f32]);

    /// Copies from the device, from element `offset` on.
    fn read(&mut self, from: &Self::Buffer, offset: usize, to: &mut [f32]);

    /// The index of the first of the first `len` elements that is NaN or infinite.
    fn first_non_finite(&mut self, x: &Self::Buffer, len: usize) -> Option<usize>;

    /// The same of activations.
    fn first_non_finite_activation(&mut self, x: &Self::Activations, len: usize) -> Option<usize>;

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

    /// `out[N, C]` = the sum of each token's rows of the three tables. The first operation on a batch: those that follow are
    /// given the same one.
    fn embed(&mut self, batch: &Batch, tables: Embeddings, weights: &Self::Buffer, out: &mut Self::Activations);

    /// `sum` = what `embed` makes; `out = dropout(LayerNorm(sum))`; `statistics[N, 2]` is kept for backward.
    fn embed_norm(
        &mut self,
        batch: &Batch,
        tables: Embeddings,
        norm: Norm,
        weights: &Self::Buffer,
        dropout: Dropout,
        sum: &mut Self::Activations,
        out: &mut Self::Activations,
        statistics: &mut Self::Buffer,
    ) {
        let n = batch.input_ids.len();
        self.embed(batch, tables, weights, sum);
        self.norm(n, norm, weights, sum, out, statistics);
        self.dropout(n, tables.width, out, dropout);
    }

    /// Adds the gradient `[N, C]` to the rows that were looked up.
    fn embed_backward(
        &mut self,
        batch: &Batch,
        tables: Embeddings,
        gradient: &Self::Buffer,
        gradients: &mut Self::Buffer,
    );

    /// `x[n, width] *= dropout`
    fn dropout(&mut self, n: usize, width: usize, x: &mut Self::Activations, dropout: Dropout);

    /// The same to a gradient.
    fn dropout_backward(&mut self, n: usize, width: usize, gradient: &mut Self::Buffer, dropout: Dropout);

    /// `to = gradient · dropout`, as the operand of a product.
    fn dropout_to_operand(
        &mut self,
        n: usize,
        width: usize,
        gradient: &Self::Buffer,
        dropout: Dropout,
        to: &mut Self::Activations,
    );

    /// `to[n, width] += x`
    fn add(&mut self, n: usize, width: usize, x: &Self::Buffer, to: &mut Self::Buffer);

    /// `y = x Wᵀ + b`
    fn linear(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        x: &Self::Activations,
        y: &mut Self::Activations,
    );

    /// `y = dropout(x Wᵀ + b) + residual`
    fn linear_residual(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        x: &Self::Activations,
        dropout: Dropout,
        residual: &Self::Activations,
        y: &mut Self::Activations,
    );

    /// `y = f(x Wᵀ + b)`; `kept` is what this backend's backward of f needs: the argument or the slope there.
    fn linear_activation(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Self::Buffer,
        x: &Self::Activations,
        kept: &mut Self::Activations,
        y: &mut Self::Activations,
    );

    /// `dx = dy W`
    fn linear_backward(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        dx: &mut Self::Buffer,
        how: DataGradient,
    );

    /// `dx = dy W`, where dx is the operand of a product.
    fn linear_backward_to_operand(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        dx: &mut Self::Activations,
    );

    /// `dx = dy W · f'`, from what `linear_activation` has kept.
    fn linear_backward_through_activation(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        kept: &Self::Activations,
        dx: &mut Self::Activations,
    );

    /// `gradient[n, width] *= f'`, from what `linear_activation` has kept.
    fn activation_backward(
        &mut self,
        n: usize,
        width: usize,
        activation: Activation,
        kept: &Self::Activations,
        gradient: &mut Self::Activations,
    );

    /// `dW += dyᵀ x`, `db += Σ dy`
    fn linear_parameters_backward(
        &mut self,
        n: usize,
        layer: Linear,
        x: &Self::Activations,
        dy: &Self::Activations,
        gradients: &mut Self::Buffer,
    );

    /// `out = LayerNorm(x)`; `statistics[n, 2]` is kept for backward.
    fn norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Self::Buffer,
        x: &Self::Activations,
        out: &mut Self::Activations,
        statistics: &mut Self::Buffer,
    );

    /// `gradient`: d out → d x, in place. `operand`, if given, receives d x times a dropout (that of what the residual was
    /// added to), as the operand of a product. Adds to the gradients of weight and bias.
    fn norm_backward(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Self::Buffer,
        x: &Self::Activations,
        statistics: &Self::Buffer,
        gradient: &mut Self::Buffer,
        operand: Option<(Dropout, &mut Self::Activations)>,
        gradients: &mut Self::Buffer,
    );

    /// Attention inside each sequence of the batch: `qkv[N, 3C]` → `out[N, C]`; `lse[H, N]` is kept for backward.
    fn attention(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Self::Activations,
        dropout: Dropout,
        out: &mut Self::Activations,
        lse: &mut Self::Buffer,
    );

    /// `d_qkv[N, 3C]` from `d_out[N, C]`.
    fn attention_backward(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Self::Activations,
        dropout: Dropout,
        out: &Self::Activations,
        lse: &Self::Buffer,
        d_out: &Self::Activations,
        d_qkv: &mut Self::Activations,
    );

    /// `out[m] = x[rows[m]]`. A batch that was rounded up has rows of −1, here and below, which are zeros and go nowhere.
    fn gather(&mut self, rows: &[i32], width: usize, x: &Self::Activations, out: &mut Self::Activations);

    /// `out[n, width] = 0; out[rows[m]] = x[m]`
    fn scatter(&mut self, n: usize, rows: &[i32], width: usize, x: &Self::Buffer, out: &mut Self::Buffer);

    /// `out[rows[m]] += x[m]`
    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Self::Buffer, out: &mut Self::Buffer);

    /// `y[n, width] = tanh(x)`
    fn tanh(&mut self, n: usize, width: usize, x: &Self::Activations, y: &mut Self::Activations);

    /// `gradient[n, width] *= 1 − y²`
    fn tanh_backward(&mut self, n: usize, width: usize, y: &Self::Activations, gradient: &mut Self::Activations);

    /// `x[n, width] *= factor`
    fn scale(&mut self, n: usize, width: usize, factor: f32, x: &mut Self::Activations);

    /// `y` = the logits of rows `first..first + n` of x, `[n, V]`.
    fn logits(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        weights: &Self::Buffer,
        x: &Self::Activations,
        y: &mut Self::Buffer,
    );

    /// Cross-entropy of rows of logits, kept in `rows` from `first` on; with `gradient`, its gradient goes there and the
    /// logits are lost. A label of −1, in a batch that was rounded up, is a row that counts for nothing.
    fn cross_entropy(
        &mut self,
        logits: &mut Self::Buffer,
        vocab_size: usize,
        labels: &[i32],
        first: usize,
        rows: &mut Self::Rows,
        gradient: Option<&mut Self::Activations>,
    );

    /// Copies the first rows from the device.
    fn read_rows(&mut self, rows: &Self::Rows, to: &mut [RowLoss]);

    /// Adds the losses and right answers of the first `n` rows to the totals of a head.
    fn add_losses(&mut self, head: Head, n: usize, rows: &Self::Rows);

    /// What has been added up since the last time; a device that defers is waited for.
    fn take_totals(&mut self) -> Totals;

    /// The decoder's gradients from rows `first..first + n`: `dx` rows are stored, parameters added to.
    fn logits_backward(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        weights: &Self::Buffer,
        x: &Self::Activations,
        d_logits: &Self::Activations,
        dx: &mut Self::Buffer,
        gradients: &mut Self::Buffer,
    );

    /// The `k` best of `n` rows of logits, host side.
    fn top_k(
        &mut self,
        n: usize,
        vocab_size: usize,
        logits: &Self::Buffer,
        k: usize,
        ids: &mut [i32],
        probabilities: &mut [f32],
    );

    /// Divides the gradients by `update.units`, clips them, updates weights and slots by the optimizer that was planned, and
    /// zeroes the gradients. The norm before clipping goes to the totals; if it is not finite, no weight changes.
    fn update(&mut self, state: State<Self::Buffer>, update: Update);

    /// `x = 0`
    fn clear(&mut self, x: &mut Self::Buffer);

    /// Zeros in some elements.
    fn clear_part(&mut self, x: &mut Self::Buffer, part: Range<usize>);
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
}
