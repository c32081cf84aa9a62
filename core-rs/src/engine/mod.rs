//! What every engine can do. Two implement it: [`crate::trainer`] (fused, hand-written gradients) and
//! the crate cloze-candle (plain candle with autograd, the oracle).

pub mod batch;

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::blueprint::{Blueprint, ParameterLayout, Part};
use crate::engine::batch::{Batch, Limits};
use crate::error::{Code, Error, Result};
use crate::heads::{Heads, TokenHead};
use crate::machine::dtype::Dtype;
use crate::machine::profile::Entry;
use crate::ops::cross_entropy::RowLoss;
use crate::optim::Optimizer;

/// Threads of the largest team.
pub const MOST_THREADS: usize = 1024;

/// What an engine is opened with. The caller (TypeScript) chooses every value; the core has no defaults.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The encoder.
    pub config: crate::config::ModelConfig,
    /// Its heads.
    pub heads: Heads,
    /// Seed of initialization and dropout.
    pub seed: u64,
    /// What activations and packed weights are stored in; parameters, moments and statistics are always f32.
    pub dtype: Dtype,
    /// Threads of the team.
    pub threads: usize,
    /// Most packed tokens in a batch.
    pub max_tokens: usize,
    /// Most sequences in a batch.
    pub max_sequences: usize,
    /// Most masked tokens in a batch.
    pub max_masked: usize,
    /// Longest sequence; at most what the model has positions for.
    pub max_sequence_length: usize,
    /// What the weights are updated by. With one, gradients, its state and saved activations are planned.
    pub optimizer: Option<Optimizer>,
    /// What the decoder's bias begins with in a model without a file, instead of zeros. `[V]`
    pub decoder_bias: Option<Vec<f32>>,
    /// What stands for the configuration's `initializer_range` in [`crate::blueprint::Blueprint::inner_matrices`].
    pub inner_initializer_range: Option<f32>,
    /// Whether heads begin by looking at neighbours: [`crate::blueprint::look_at_neighbours`].
    pub neighbour_attention: bool,
    /// Whether to keep a profile.
    pub profile: bool,
}

impl EngineOptions {
    /// Whether the engine can be trained.
    pub fn training(&self) -> bool {
        self.optimizer.is_some()
    }

    /// Checks the configuration and the limits against each other.
    ///
    /// # Errors
    /// `InvalidArgument` naming the option.
    pub fn validate(&self) -> Result<()> {
        self.config.validate()?;
        self.heads.validate()?;
        self.optimizer.map_or(Ok(()), |optimizer| optimizer.validate())?;
        if let Some(bias) = &self.decoder_bias
            && (bias.len() != self.config.vocab_size
                || self.heads.tokens != Some(TokenHead::MaskedLm)
                || bias.iter().any(|x| !x.is_finite()))
        {
            let message = "decoder_bias has to be vocab_size finite numbers for a head that predicts tokens";
            return Err(Error::new(Code::InvalidArgument, message));
        }
        if let Some(range) = self.inner_initializer_range
            && !(range > 0.0 && range <= 1e6 && self.config.initializer_range > 0.0)
        {
            let message =
                format!("inner_initializer_range is {range}, but it, and initializer_range, have to be above 0");
            return Err(Error::new(Code::InvalidArgument, message));
        }
        if self.training() && self.heads.tokens.is_none() && self.heads.sequence.is_none() {
            let message = "heads has none: neither tokens nor sequence, so there is nothing to train";
            return Err(Error::new(Code::InvalidArgument, message));
        }
        // The cross-entropy of one class is always 0; a model of one output can be asked, but not trained.
        let classes = self.heads.token_classes().map(|(num_labels, _)| num_labels);
        let one_class = self.heads.sequence.filter(|head| head.problem_type.target_loss().is_none());
        let classes = classes.or(one_class.map(|head| head.num_labels));
        if self.training() && classes.is_some_and(|num_labels| num_labels < 2) {
            let message = "num_labels is 1, but a classifier learns from 2 classes on";
            return Err(Error::new(Code::InvalidArgument, message));
        }
        // Tokens are counted in i32. With the bounds of the configuration, no product of sizes overflows.
        let most = i32::MAX as usize;
        for (name, value, most) in [
            ("threads", self.threads, MOST_THREADS),
            ("max_tokens", self.max_tokens, most),
            ("max_sequences", self.max_sequences, most),
            ("max_masked", self.max_masked, most),
            ("max_sequence_length", self.max_sequence_length, most),
        ] {
            if value == 0 || value > most {
                return Err(Error::new(Code::InvalidArgument, format!("{name} is {value}, outside 1..={most}")));
            }
        }
        let longest = Blueprint::of(&self.config, &self.heads)?.embeddings.longest();
        let longest = longest.unwrap_or(self.config.max_position_embeddings);
        if self.max_sequence_length > longest {
            return Err(Error::new(
                Code::InvalidArgument,
                format!(
                    "max_sequence_length {} is more than the {longest} tokens for which the model has positions \
                     (max_position_embeddings {})",
                    self.max_sequence_length, self.config.max_position_embeddings
                ),
            ));
        }
        Ok(())
    }

    /// Entries of a row of logits of tokens.
    ///
    /// # Errors
    /// `InvalidState` without a head on tokens.
    pub fn token_outputs(&self) -> Result<usize> {
        match self.limits().token_outputs {
            0 => Err(no_head("tokens")),
            outputs => Ok(outputs),
        }
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
            sequence_outputs: self.heads.sequence.map_or(0, |head| head.num_labels),
            target_loss: self.heads.sequence.and_then(|head| head.problem_type.target_loss()),
            token_outputs: self.heads.tokens.map_or(0, |head| head.outputs(self.config.vocab_size)),
        }
    }
}

/// A file that an engine's weights come from.
#[derive(Clone, Debug)]
pub struct Weights {
    /// A safetensors file, one of PyTorch, or an index of several (`*.index.json`).
    pub path: PathBuf,
    /// What of the model may be missing there; that is initialized from the seed.
    pub may_be_missing: Vec<Part>,
}

/// What came of a file of weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Names of the parameters that were initialized, because the file lacks them, and what they belong to.
    pub initialized: Vec<(String, Part)>,
    /// How many of the file's tensors are of heads that the model has not, or say nothing.
    pub passed_over: usize,
    /// Names of tensors that are of no head that is known.
    pub unknown: Vec<String>,
}

/// Sums over one batch's masked tokens and sequences. Sums, not means: gradient accumulation divides once, by the count
/// of the whole effective batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    /// Sum of the tokens' cross-entropies, in nats.
    pub loss_sum: f64,
    /// M
    pub masked: u64,
    /// How many masked tokens the argmax got right.
    pub correct: u64,
    /// Sum of the sequences' losses, not weighted: cross-entropies in nats, or squared errors.
    pub sequence_loss_sum: f64,
    /// B, or 0 without a head on sequences.
    pub sequences: u64,
    /// How many sequences the argmax, or every label, got right; 0 of values.
    pub sequences_correct: u64,
}

impl LossSum {
    /// Adds those of another batch.
    pub fn add(&mut self, other: &Self) {
        self.loss_sum += other.loss_sum;
        self.masked += other.masked;
        self.correct += other.correct;
        self.sequence_loss_sum += other.sequence_loss_sum;
        self.sequences += other.sequences;
        self.sequences_correct += other.sequences_correct;
    }

    /// The sums of rows with a loss and a rank each, of either head.
    pub fn of(tokens: &[RowLoss], sequences: &[RowLoss]) -> Self {
        let sum = |rows: &[RowLoss]| rows.iter().map(|r| f64::from(r.loss)).sum();
        let correct = |rows: &[RowLoss]| rows.iter().filter(|r| r.rank == 0).count() as u64;
        Self {
            loss_sum: sum(tokens),
            masked: tokens.len() as u64,
            correct: correct(tokens),
            sequence_loss_sum: sum(sequences),
            sequences: sequences.len() as u64,
            sequences_correct: correct(sequences),
        }
    }

    /// As bytes, for another process.
    pub fn to_bytes(self) -> [u8; 48] {
        let counts = [self.masked, self.correct, self.sequences, self.sequences_correct];
        let losses = [self.loss_sum, self.sequence_loss_sum].map(f64::to_bits);
        let mut bytes = [0; 48];
        for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(losses.iter().chain(&counts)) {
            *bytes = value.to_le_bytes();
        }
        bytes
    }

    /// What `to_bytes` has made.
    pub fn from_bytes(bytes: &[u8; 48]) -> Self {
        let value = |i: usize| u64::from_le_bytes(bytes.as_chunks().0[i]);
        Self {
            loss_sum: f64::from_bits(value(0)),
            sequence_loss_sum: f64::from_bits(value(1)),
            masked: value(2),
            correct: value(3),
            sequences: value(4),
            sequences_correct: value(5),
        }
    }

    /// What the gradient is divided by: tokens, or sequences where no token is predicted.
    pub fn units(&self, heads: &Heads) -> u64 {
        if heads.tokens.is_some() { self.masked } else { self.sequences }
    }

    /// Whether both losses are numbers.
    pub fn is_finite(&self) -> bool {
        self.loss_sum.is_finite() && self.sequence_loss_sum.is_finite()
    }
}

/// What an engine reports of its training since the last report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Over all batches.
    pub sums: LossSum,
    /// Global L2 norm of the gradient of the mean loss, before clipping, in the last update.
    pub grad_norm: f64,
    /// Masked tokens (sequences, where no token is predicted) that the gradient of the last update was divided by.
    pub units: u64,
}

/// Loss in nats and rank of the label of each row of both heads; the rank is the number of outputs with a strictly greater
/// logit, so 0 is a right argmax.
pub struct RowResults<'a> {
    /// `[M]`
    pub loss: &'a mut [f32],
    /// `[M]`
    pub rank: &'a mut [i32],
    /// `[B]`, or empty without a head on sequences.
    pub sequence_loss: &'a mut [f32],
    /// `[B]`, or empty without a head on sequences.
    pub sequence_rank: &'a mut [i32],
}

impl RowResults<'_> {
    /// Checks the lengths for a batch.
    ///
    /// # Errors
    /// `InvalidArgument` naming the one that is wrong.
    pub fn validate(&self, batch: &Batch) -> Result<()> {
        let (m, b) = (batch.masked_positions.len(), batch.labeled_sequences());
        expect_len("row_loss", self.loss.len(), m)?;
        expect_len("row_rank", self.rank.len(), m)?;
        expect_len("sequence_loss", self.sequence_loss.len(), b)?;
        expect_len("sequence_rank", self.sequence_rank.len(), b)
    }

    /// Copies what a head found.
    pub fn fill(&mut self, tokens: &[RowLoss], sequences: &[RowLoss]) {
        for (rows, loss, rank) in [
            (tokens, &mut *self.loss, &mut *self.rank),
            (sequences, &mut *self.sequence_loss, &mut *self.sequence_rank),
        ] {
            for ((row, loss), rank) in rows.iter().zip(loss).zip(rank) {
                (*loss, *rank) = (row.loss, row.rank);
            }
        }
    }
}

/// An error unless an output has the length that it needs.
pub fn expect_len(name: &str, found: usize, expected: usize) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(Error::new(Code::InvalidArgument, format!("{name} has {found} entries, but needs {expected}"))),
    }
}

/// Checks what an engine's `attention` is asked.
///
/// # Errors
/// `InvalidArgument` naming what is wrong.
pub fn check_attention(options: &EngineOptions, batch: &Batch, layer: usize, out: usize) -> Result<()> {
    let config = &options.config;
    let wrong = |message: String| Err(Error::new(Code::InvalidArgument, message));
    if layer >= config.num_hidden_layers {
        return wrong(format!("layer is {layer}, but the model has {} of them, from 0", config.num_hidden_layers));
    }
    if batch.sequences() != 1 {
        return wrong(format!("attention is of one sequence, and the batch has {}", batch.sequences()));
    }
    let tokens = batch.input_ids.len();
    expect_len("out", out, config.num_attention_heads * tokens * tokens)
}

/// What an engine without that head says.
pub fn no_head(on: &str) -> Error {
    Error::new(Code::InvalidState, format!("this engine was opened without a head on {on}"))
}

/// An encoder with its heads, weights, gradients and optimizer.
///
/// Every call validates its batch first and leaves the engine usable after an error.
pub trait Engine: Send {
    /// Adds the gradient of this batch's loss *sum* to the accumulated gradient. `step` (from 0) and `micro_step`
    /// key the dropout masks. A batch with nothing to predict adds nothing and is not an error. May return before the work
    /// is done; the batch may change then.
    ///
    /// # Errors
    /// `NonFinite` naming the first tensor that is NaN or infinite, from this call or from the next `report`; the
    /// accumulated gradient is then discarded, and the weights are those before that step.
    fn forward_backward(&mut self, batch: &Batch, step: u64, micro_step: u32) -> Result<()>;

    /// Divides the accumulated gradient by the accumulated count ([`LossSum::units`]), clips it, updates weights and the
    /// optimizer's state as update number `step` (from 0, so bias correction uses `step + 1`), and clears the gradient. May
    /// return before that is done.
    ///
    /// # Errors
    /// `NonFinite` naming the first parameter whose gradient is NaN or infinite, from this call or from the next `report`;
    /// weights are then left as they were. `InvalidState` if nothing was accumulated, `InvalidArgument` if the rate is no
    /// learning rate.
    fn update(&mut self, learning_rate: f64, step: u64) -> Result<()>;

    /// From the next update on, trains only the rows of these tokens in what has a row a token (word embeddings, decoder),
    /// and lets nothing decay; with `None`, everything again. What is not trained keeps its weights and its state to the
    /// bit, as long as its state is zero, as it is when a run begins.
    ///
    /// # Errors
    /// `InvalidArgument` if the vocabulary does not have them; `InvalidState` without training.
    fn train_rows(&mut self, rows: Option<Range<usize>>) -> Result<()>;

    /// What came of the training since the last report; waits until all of it is done.
    ///
    /// # Errors
    /// What failed since then.
    fn report(&mut self) -> Result<Report>;

    /// `forward_backward`, and at once what it reports; for tests and tools.
    ///
    /// # Errors
    /// As both.
    fn losses(&mut self, batch: &Batch, step: u64, micro_step: u32) -> Result<LossSum> {
        self.forward_backward(batch, step, micro_step)?;
        Ok(self.report()?.sums)
    }

    /// `update`, and at once what it reports; for tests and tools.
    ///
    /// # Errors
    /// As both.
    fn update_now(&mut self, learning_rate: f64, step: u64) -> Result<Report> {
        self.update(learning_rate, step)?;
        self.report()
    }

    /// Without dropout: loss and rank of every masked token and sequence.
    fn evaluate(&mut self, batch: &Batch, results: RowResults) -> Result<()>;

    /// Without dropout: the `k` most probable ids of each masked row, best first (ties: lower id first), and their
    /// probabilities. Both outputs are `[M, k]`.
    fn top_k(&mut self, batch: &Batch, k: usize, ids: &mut [i32], probabilities: &mut [f32]) -> Result<()>;

    /// Without dropout: the logits of the masked rows, `[M, V]`, or `[M, K]` of a head that tells classes.
    fn logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()>;

    /// Without dropout: the logits `[B, K]` of the sequences.
    fn sequence_logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()>;

    /// Without dropout: the encoder's output for each token, `[N, C]`, which Hugging Face calls the last hidden state.
    fn hidden_states(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()>;

    /// Without dropout: what token i of the batch's only sequence gives to token j in each head of a layer, from 0,
    /// `[H, T, T]`.
    ///
    /// # Errors
    /// `InvalidArgument` if there are more sequences or fewer layers.
    fn attention(&mut self, batch: &Batch, layer: usize, out: &mut [f32]) -> Result<()>;

    /// What came of the weights' file.
    fn loaded(&self) -> &Loaded;

    /// Writes the weights under their Hugging Face names as safetensors, f32, to a new file and fsyncs it.
    fn save_weights(&mut self, path: &Path) -> Result<()>;

    /// Writes the optimizer's state (`SLOT.NAME` for each slot of each parameter, such as `exp_avg.NAME`) as safetensors,
    /// f32, to a new file and fsyncs it.
    fn save_training_state(&mut self, path: &Path) -> Result<()>;

    /// Brings the state of the optimizer together for the next `save_training_state` of the first process, where others have
    /// parts of it: all of them call this at once.
    ///
    /// # Errors
    /// `Io` if a process did not come.
    fn collect_training_state(&mut self) -> Result<()> {
        Ok(())
    }

    /// Replaces the optimizer's state by that of a file that `save_training_state` wrote.
    fn load_training_state(&mut self, path: &Path) -> Result<()>;

    /// Copies the accumulated gradient (of the loss sum) of the named parameter, for tests and tools.
    fn gradient(&mut self, name: &str) -> Result<Vec<f32>>;

    /// Copies the named parameter.
    fn parameter(&mut self, name: &str) -> Result<Vec<f32>>;

    /// Where the parameters are.
    fn layout(&self) -> &ParameterLayout;

    /// What the engine was opened with.
    fn options(&self) -> &EngineOptions;

    /// `cpu` or `cuda`.
    fn device(&self) -> &'static str {
        "cpu"
    }

    /// Where the time of its calls went, if it was opened with a profile and has one.
    fn profile(&self) -> Vec<Entry> {
        Vec::new()
    }

    /// The instruction set or GPU that it runs on.
    fn instruction_set(&self) -> String;

    /// `fused` or `candle`.
    fn name(&self) -> &'static str;
}
