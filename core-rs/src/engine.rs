//! What every engine can do. Two implement it: [`crate::trainer`] (fused, hand-written gradients) and
//! [`crate::reference`] (plain candle with autograd, the oracle).

use std::path::Path;

use crate::batch::{Batch, Limits};
use crate::error::{Code, Error, Result};
use crate::parameters::ParameterLayout;

/// What an engine is opened with. The caller (TypeScript) chooses every value; the core has no defaults.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The model.
    pub config: crate::config::ModelConfig,
    /// Seed of initialization and dropout.
    pub seed: u64,
    /// Threads of the team.
    pub threads: usize,
    /// Most packed tokens in a batch.
    pub max_tokens: usize,
    /// Most sequences in a batch.
    pub max_sequences: usize,
    /// Most masked tokens in a batch.
    pub max_masked: usize,
    /// Longest sequence; at most `max_position_embeddings`.
    pub max_sequence_length: usize,
    /// Whether to plan gradients, moments and saved activations.
    pub training: bool,
}

impl EngineOptions {
    /// Checks the configuration and the limits against each other.
    ///
    /// # Errors
    /// `InvalidArgument` naming the option.
    pub fn validate(&self) -> Result<()> {
        self.config.validate()?;
        for (name, value) in [
            ("threads", self.threads),
            ("max_tokens", self.max_tokens),
            ("max_sequences", self.max_sequences),
            ("max_masked", self.max_masked),
            ("max_sequence_length", self.max_sequence_length),
        ] {
            if value == 0 {
                return Err(Error::new(Code::InvalidArgument, format!("{name} is 0, but has to be at least 1")));
            }
        }
        if self.max_sequence_length > self.config.max_position_embeddings {
            return Err(Error::new(
                Code::InvalidArgument,
                format!(
                    "max_sequence_length {} is more than the model's max_position_embeddings {}",
                    self.max_sequence_length, self.config.max_position_embeddings
                ),
            ));
        }
        Ok(())
    }

    /// What batches may be.
    pub fn limits(&self) -> Limits {
        Limits {
            max_tokens: self.max_tokens,
            max_sequences: self.max_sequences,
            max_masked: self.max_masked,
            max_sequence_length: self.max_sequence_length,
            vocab_size: self.config.vocab_size,
            type_vocab_size: self.config.type_vocab_size,
        }
    }
}

/// Sums over one batch's masked tokens. Sums, not means: gradient accumulation divides once, by the masked count of
/// the whole effective batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    /// Sum of the cross-entropies, in nats.
    pub loss_sum: f64,
    /// M
    pub masked: u64,
    /// How many masked tokens the argmax got right.
    pub correct: u64,
}

/// AdamW with decoupled weight decay (Loshchilov and Hutter, 2019) and bias correction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate of this update.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of weights; never applied to biases and LayerNorm parameters.
    pub weight_decay: f64,
    /// Largest global gradient norm; gradients are scaled down to it.
    pub max_grad_norm: f64,
}

/// What an update reports.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpdateReport {
    /// Global L2 norm of the gradient of the mean loss, before clipping.
    pub grad_norm: f64,
    /// Masked tokens that the gradient was divided by.
    pub masked: u64,
}

/// An encoder with its masked-LM head, weights, gradients and moments.
///
/// Every call validates its batch first and leaves the engine usable after an error.
pub trait Engine: Send {
    /// Adds the gradient of this batch's loss *sum* to the accumulated gradient. `step` (from 0) and `micro_step`
    /// key the dropout masks. A batch with no masked token adds nothing and is not an error.
    ///
    /// # Errors
    /// `NonFinite` naming the first tensor that is NaN or infinite; the accumulated gradient is then discarded.
    fn forward_backward(&mut self, batch: &Batch, step: u64, micro_step: u32) -> Result<LossSum>;

    /// Divides the accumulated gradient by the accumulated masked count, clips, updates weights and moments as update
    /// number `step` (from 0, so bias correction uses `step + 1`), and clears the gradient.
    ///
    /// # Errors
    /// `NonFinite` naming the first parameter whose gradient is NaN or infinite; weights are then left as they were.
    /// `InvalidState` if nothing was accumulated.
    fn update(&mut self, hyper: &AdamW, step: u64) -> Result<UpdateReport>;

    /// Without dropout: per masked row the cross-entropy in nats and the rank of the label (number of vocabulary
    /// entries with a strictly greater logit, so 0 is a right argmax). Both outputs have M entries.
    fn evaluate(&mut self, batch: &Batch, row_loss: &mut [f32], row_rank: &mut [i32]) -> Result<()>;

    /// Without dropout: the `k` most probable ids of each masked row, best first (ties: lower id first), and their
    /// probabilities. Both outputs are `[M, k]`.
    fn top_k(&mut self, batch: &Batch, k: usize, ids: &mut [i32], probabilities: &mut [f32]) -> Result<()>;

    /// Without dropout: the logits `[M, V]` of the masked rows.
    fn logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()>;

    /// Writes the weights under their Hugging Face names as safetensors, f32, to a new file and fsyncs it.
    fn save_weights(&mut self, path: &Path) -> Result<()>;

    /// Writes both moments (`exp_avg.NAME`, `exp_avg_sq.NAME`) as safetensors, f32, to a new file and fsyncs it.
    fn save_training_state(&mut self, path: &Path) -> Result<()>;

    /// Replaces both moments by those of a file that `save_training_state` wrote.
    fn load_training_state(&mut self, path: &Path) -> Result<()>;

    /// Copies the accumulated gradient (of the loss sum) of the named parameter, for tests and tools.
    fn gradient(&mut self, name: &str) -> Result<Vec<f32>>;

    /// Copies the named parameter.
    fn parameter(&mut self, name: &str) -> Result<Vec<f32>>;

    /// Where the parameters are.
    fn layout(&self) -> &ParameterLayout;

    /// What the engine was opened with.
    fn options(&self) -> &EngineOptions;

    /// The instruction set or device that it runs on.
    fn instruction_set(&self) -> String;

    /// `fused` or `candle`.
    fn name(&self) -> &'static str;
}
