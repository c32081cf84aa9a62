//! The fused engine: the one type that holds weights, gradients and the optimizer's state and runs the model over a [`Backend`].
//! The boundary opens it; it knows neither text nor files' folders.

mod divided;
mod explain;
mod logits;
pub mod room;
mod start;
mod state;

use std::ops::Range;
use std::path::Path;

use crate::backend::Backend;
use crate::backend::bucket::{self, Bucket};
use crate::backend::cpu::Cpu;
use crate::blueprint::{Blueprint, ParameterLayout};
use crate::checkpoint;
use crate::collective::Division;
use crate::engine::batch::Batch;
use crate::engine::{
    Engine, EngineOptions, Loaded, LossSum, Report, RowResults, Weights, check_attention, expect_len, no_head,
};
use crate::error::{Code, Error, Result};
use crate::machine::dtype::{Bf16, Dtype, Element};
use crate::machine::memory::{Plan, Waiting, zeros};
use crate::machine::profile::Entry;
use crate::model::{Model, Pass};
use crate::ops::cross_entropy::RowLoss;
use crate::optim::slots::Slot;
use crate::optim::{State, Update, check_learning_rate};
use divided::Divided;
use start::{reserve_slots, reserve_weights};

/// A model with everything that a training step changes.
pub struct Trainer<B: Backend = Cpu> {
    backend: B,
    options: EngineOptions,
    layout: ParameterLayout,
    model: Model<B>,
    weights: B::Buffer,
    loaded: Loaded,
    training: Option<Training<B>>,
    bucket: Bucket,
    waiting: Waiting,
}

/// What only training needs.
struct Training<B: Backend> {
    gradients: B::Buffer,
    slots: Vec<Slot<B::Buffer>>,
    /// What is not trained while some rows are trained alone.
    outside: Vec<Range<usize>>,
    /// Tokens or sequences ([`LossSum::units`]) whose gradients are in `gradients`.
    units: u64,
    /// What has happened since the last report, as far as it is known.
    report: Report,
    /// How an update is cut and shared, if it is.
    divided: Option<Divided<B>>,
    /// Step and tokens of the last batch, for messages.
    last: (u64, usize),
}

/// An engine on the CPU, with the weights of a safetensors file or freshly initialized ones.
///
/// # Errors
/// What is wrong with the options, the file or the memory.
pub fn open(options: EngineOptions, weights: Option<&Weights>) -> Result<Box<dyn Engine>> {
    open_divided(options, weights, None)
}

/// The same, with updates that are cut into micro-batches, which other processes may share.
///
/// # Errors
/// As [`open`].
pub fn open_divided(
    options: EngineOptions,
    weights: Option<&Weights>,
    division: Option<Division>,
) -> Result<Box<dyn Engine>> {
    Ok(match options.dtype {
        Dtype::F32 => Box::new(Trainer::<Cpu<f32>>::divided(options, weights, division)?),
        Dtype::Bf16 => Box::new(Trainer::<Cpu<Bf16>>::divided(options, weights, division)?),
    })
}

impl<T: Element> Trainer<Cpu<T>> {
    /// An engine on the CPU whose activations are `T`, whatever the options say.
    ///
    /// # Errors
    /// As [`open`].
    pub fn new(options: EngineOptions, weights: Option<&Weights>) -> Result<Self> {
        Self::divided(options, weights, None)
    }

    /// The same as [`open_divided`] makes.
    ///
    /// # Errors
    /// As [`open`].
    pub fn divided(options: EngineOptions, weights: Option<&Weights>, division: Option<Division>) -> Result<Self> {
        options.validate()?;
        let EngineOptions { threads, max_sequence_length, profile, .. } = options;
        let (head, training) = (options.config.head_size(), options.training());
        Self::build(|| Cpu::new(threads, max_sequence_length, head, training, profile), options, weights, division)
    }
}

impl<B: Backend> Trainer<B> {
    /// An engine on a device that has been planned for the same options.
    ///
    /// # Errors
    /// As [`open`].
    pub fn on(backend: B, options: EngineOptions, file: Option<&Weights>) -> Result<Self> {
        Self::sharing(backend, options, file, None)
    }

    /// The same, with updates that are cut into micro-batches, which other processes may share.
    ///
    /// # Errors
    /// As [`open`].
    pub fn sharing(
        backend: B,
        options: EngineOptions,
        file: Option<&Weights>,
        division: Option<Division>,
    ) -> Result<Self> {
        Self::build(|| Ok(backend), options, file, division)
    }

    /// Reserves everything first: only when all of it is known to fit is anything written.
    fn build(
        backend: impl FnOnce() -> Result<B>,
        options: EngineOptions,
        file: Option<&Weights>,
        division: Option<Division>,
    ) -> Result<Self> {
        let plan = Plan::begin(!options.training());
        let mut backend = backend()?;
        let blueprint = Blueprint::of(&options.config, &options.heads)?;
        let layout = blueprint.layout();
        let divided = match (&options.optimizer, division) {
            (Some(optimizer), Some(division)) => Some(Divided::new(&backend, &layout, optimizer, division)?),
            _ => None,
        };
        let training = match &options.optimizer {
            None => None,
            Some(optimizer) => Some(Training {
                gradients: backend.zeroed(layout.len())?,
                slots: reserve_slots(&backend, optimizer, &layout, divided.as_ref())?,
                outside: Vec::new(),
                units: 0,
                report: Report::default(),
                divided,
                last: (0, 0),
            }),
        };
        let planned = if B::DEFERS { bucket::planned(&options) } else { options.clone() };
        let mut model = Model::new(&backend, &planned, &blueprint, &layout)?;
        backend.plan(&layout, &model.layers(), options.optimizer.as_ref())?;
        let start = reserve_weights(&options, &layout, file)?;
        let waiting = plan.check()?;
        model.fill(&mut backend);
        let (host, loaded) = start.fill(&options, &layout, file)?;
        let weights = backend.upload(host)?;
        backend.weights_changed(&weights);
        Ok(Self { backend, options, layout, model, weights, loaded, training, bucket: Bucket::default(), waiting })
    }

    /// What it runs on, for tests.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    fn check(&self, batch: &Batch, with_labels: bool) -> Result<()> {
        batch.validate(&self.options.limits(), with_labels)
    }

    /// Runs the model without dropout, up to what the decoder sees and to the sequences' logits. `tokens` are the batch's
    /// own.
    fn infer(&mut self, tokens: usize, batch: &Batch) {
        self.waiting.ask_for_huge_pages_if(4 * tokens >= self.options.max_tokens);
        self.backend.begin(tokens, 0);
        self.model.forward(&mut self.backend, &self.weights, batch, &Pass::evaluation());
    }

    /// Takes over what the backend has added up. After an error the gradient is gone, and what was to be reported.
    fn collect(&mut self) -> Result<()> {
        self.training.as_ref().ok_or_else(not_for_training)?;
        let totals = self.backend.take_totals();
        self.check_work()?;
        let training = self.training.as_mut().ok_or_else(not_for_training)?;
        training.report.sums.add(&LossSum {
            loss_sum: totals.loss[0],
            correct: totals.correct[0],
            sequence_loss_sum: totals.loss[1],
            sequences_correct: totals.correct[1],
            ..LossSum::default()
        });
        training.report.grad_norm = totals.grad_norm.unwrap_or(training.report.grad_norm);
        let (step, tokens) = training.last;
        let step = totals.failed_step.unwrap_or(step);
        let error = match (totals.loss.iter().all(|loss| loss.is_finite()), totals.grad_norm) {
            (false, _) => self.explain_loss(tokens, step),
            (true, Some(norm)) if !norm.is_finite() => self.explain_gradient(step),
            _ => return Ok(()),
        };
        self.discard();
        Err(error)
    }

    /// Whether everything so far succeeded. If not, a part of the gradient may be missing, and it is discarded.
    fn check_work(&mut self) -> Result<()> {
        let done = self.backend.check();
        if done.is_err() {
            self.discard();
        }
        done
    }

    fn discard(&mut self) {
        if let Some(training) = &mut self.training {
            (training.units, training.report) = (0, Report::default());
            self.backend.clear(&mut training.gradients);
            if let Some(divided) = &mut training.divided {
                divided.discard();
            }
        }
    }
}

/// The batch as the backend wants it.
fn bucketed<'a, B: Backend>(bucket: &'a mut Bucket, batch: &Batch<'a>, options: &EngineOptions) -> Batch<'a> {
    if B::DEFERS { bucket.fill(batch, options) } else { *batch }
}

fn not_for_training() -> Error {
    Error::new(Code::InvalidState, "this engine was opened without training: it has no gradients and no optimizer")
}

impl<B: Backend> Engine for Trainer<B> {
    fn forward_backward(&mut self, batch: &Batch, step: u64, micro_step: u32) -> Result<()> {
        self.check(batch, true)?;
        let Self { backend, options, model, weights, training, bucket, .. } = self;
        let training = training.as_mut().ok_or_else(not_for_training)?;
        if let Some(divided) = &training.divided {
            divided.expect(micro_step)?;
        }
        if batch.asks_nothing() {
            if let Some(divided) = &mut training.divided {
                return divided.add_leaf(backend, LossSum::default(), &mut training.gradients);
            }
            return Ok(());
        }
        // What a leaf adds is kept apart: the sums of all processes are added in the order of leaves.
        let before = training.divided.as_ref().map(|_| std::mem::take(&mut training.report.sums));
        let pass = Pass::training(options.seed, step, micro_step);
        let counted = LossSum {
            masked: batch.masked_positions.len() as u64,
            sequences: batch.labeled_sequences() as u64,
            ..LossSum::default()
        };
        training.last = (step, batch.input_ids.len());
        training.report.sums.add(&counted);
        training.units += counted.units(&options.heads);
        backend.begin(batch.input_ids.len(), step);
        let mut bucket = std::mem::take(bucket); // not borrowed from `self`, which collects below
        let batch = bucketed::<B>(&mut bucket, batch, options);
        model.forward(backend, weights, &batch, &pass);
        model.loss(backend, weights, &batch, Some(&mut training.gradients));
        model.add_losses(backend, &batch);
        if !B::DEFERS {
            self.collect()?;
        }
        let Self { backend, model, weights, training, .. } = self;
        let training = training.as_mut().ok_or_else(not_for_training)?;
        model.backward(backend, weights, &batch, &pass, &mut training.gradients);
        backend.end();
        if let (Some(divided), Some(before)) = (&mut training.divided, before) {
            let leaf = std::mem::replace(&mut training.report.sums, before);
            divided.add_leaf(backend, leaf, &mut training.gradients)?;
        }
        self.bucket = bucket;
        self.check_work()
    }

    fn update(&mut self, learning_rate: f64, step: u64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        let Self { backend, options, layout, weights, training, .. } = &mut *self;
        let training = training.as_mut().ok_or_else(not_for_training)?;
        let tokens = training.last.1;
        if let Some(divided) = &mut training.divided {
            training.units = 0;
            let leaves = divided.sum(backend, &mut training.gradients, &training.outside)?;
            for leaf in &leaves {
                training.units += leaf.units(&options.heads);
                training.report.sums.add(leaf);
            }
            if leaves.iter().any(|leaf| !(leaf.loss_sum + leaf.sequence_loss_sum).is_finite()) {
                let error = self.explain_loss(tokens, step);
                self.discard();
                return Err(error);
            }
        }
        if training.units == 0 {
            return Err(Error::new(Code::InvalidState, "update: no gradient has been accumulated since the last one"));
        }
        training.last.0 = step;
        training.report.units = std::mem::take(&mut training.units);
        backend.begin(0, step);
        if training.divided.is_none() {
            training.outside.iter().for_each(|range| backend.clear_part(&mut training.gradients, range.clone()));
        }
        let share = training.divided.as_ref().and_then(|divided| divided.share(layout, &training.slots));
        let state = State { weights, gradients: &mut training.gradients, slots: &mut training.slots };
        let decays = training.outside.is_empty();
        backend.update(state, Update { learning_rate, step, units: training.report.units, decays, share });
        backend.end();
        if let Some(divided) = &mut training.divided {
            divided.spread(backend, weights, &mut training.gradients)?;
        }
        self.check_work()?;
        if B::DEFERS { Ok(()) } else { self.collect() }
    }

    fn train_rows(&mut self, rows: Option<Range<usize>>) -> Result<()> {
        let training = self.training.as_mut().ok_or_else(not_for_training)?;
        training.outside = match rows {
            Some(rows) => {
                Blueprint::of(&self.options.config, &self.options.heads)?.outside_rows(&self.layout, &rows)?
            }
            None => Vec::new(),
        };
        Ok(())
    }

    fn report(&mut self) -> Result<Report> {
        self.collect()?;
        let training = self.training.as_mut().ok_or_else(not_for_training)?;
        let report = training.report;
        training.report.sums = LossSum::default();
        Ok(report)
    }

    fn evaluate(&mut self, batch: &Batch, mut results: RowResults) -> Result<()> {
        self.check(batch, true)?;
        results.validate(batch)?;
        let (mut tokens, mut sequences) =
            (zeros::<RowLoss>(batch.labels.len())?, zeros::<RowLoss>(batch.labeled_sequences())?);
        let mut bucket = std::mem::take(&mut self.bucket);
        let tokens_of_its_own = batch.input_ids.len();
        let batch = bucketed::<B>(&mut bucket, batch, &self.options);
        self.infer(tokens_of_its_own, &batch);
        let Self { backend, model, weights, .. } = self;
        model.loss(backend, weights, &batch, None);
        if let Some(head) = &model.tokens {
            backend.read_rows(head.rows(), &mut tokens);
        }
        if let Some(head) = &model.sequences {
            backend.read_rows(head.rows(), &mut sequences);
        }
        self.bucket = bucket;
        self.backend.check()?;
        results.fill(&tokens, &sequences);
        match tokens.iter().chain(&sequences).all(|row| row.loss.is_finite()) {
            true => Ok(()),
            false => Err(self.explain_answer("a loss")),
        }
    }

    fn top_k(&mut self, batch: &Batch, k: usize, ids: &mut [i32], probabilities: &mut [f32]) -> Result<()> {
        self.check(batch, false)?;
        let (m, v) = (batch.masked_positions.len(), self.options.token_outputs()?);
        if k == 0 || k > v {
            return Err(Error::new(Code::InvalidArgument, format!("top_k is {k}, outside 1..={v}")));
        }
        expect_len("ids", ids.len(), m * k)?;
        expect_len("probabilities", probabilities.len(), m * k)?;
        self.for_each_logits(batch, |backend, first, n, logits, layout| {
            let range = first * k..(first + n) * k;
            backend.top_k(n, layout, logits, k, &mut ids[range.clone()], &mut probabilities[range]);
        })?;
        self.check_answer(probabilities, "a predicted probability")
    }

    fn logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()> {
        self.check(batch, false)?;
        let (m, v) = (batch.masked_positions.len(), self.options.token_outputs()?);
        expect_len("out", out.len(), m * v)?;
        self.for_each_logits(batch, |backend, first, n, logits, layout| {
            backend.read_logits(logits, layout, &mut out[first * v..(first + n) * v]);
        })
    }

    fn sequence_logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()> {
        self.check(batch, false)?;
        let outputs = self.model.sequences.as_ref().ok_or_else(|| no_head("sequences"))?.outputs();
        expect_len("out", out.len(), batch.sequences() * outputs)?;
        let mut bucket = std::mem::take(&mut self.bucket);
        self.infer(batch.input_ids.len(), &bucketed::<B>(&mut bucket, batch, &self.options));
        self.bucket = bucket;
        if let Some(head) = &self.model.sequences {
            self.backend.read(head.logits(), 0, out);
            self.backend.check()?;
        }
        self.check_answer(out, "a logit")
    }

    fn hidden_states(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()> {
        self.check(batch, false)?;
        expect_len("out", out.len(), batch.input_ids.len() * self.model.width())?;
        let mut bucket = std::mem::take(&mut self.bucket);
        self.infer(batch.input_ids.len(), &bucketed::<B>(&mut bucket, batch, &self.options));
        self.bucket = bucket;
        self.backend.read_activations(self.model.hidden_states(), out);
        self.backend.check()?;
        self.check_answer(out, "a hidden state")
    }

    fn attention(&mut self, batch: &Batch, layer: usize, out: &mut [f32]) -> Result<()> {
        self.check(batch, false)?;
        check_attention(&self.options, batch, layer, out.len())?;
        let mut bucket = std::mem::take(&mut self.bucket);
        self.backend.begin(batch.input_ids.len(), 0);
        let batch = bucketed::<B>(&mut bucket, batch, &self.options);
        self.model.attention(&mut self.backend, &self.weights, &batch, layer, out);
        self.bucket = bucket;
        self.backend.check()?;
        self.check_answer(out, "a probability of attention")
    }

    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn save_weights(&mut self, path: &Path) -> Result<()> {
        if self.training.is_some() {
            self.collect()?; // what failed meanwhile is no state to go on from
        }
        let mut weights = zeros(self.layout.len())?;
        self.backend.read(&self.weights, 0, &mut weights);
        self.backend.check()?;
        checkpoint::save_weights(path, &self.layout, &weights)
    }

    fn collect_training_state(&mut self) -> Result<()> {
        self.collect_state()
    }

    fn save_training_state(&mut self, path: &Path) -> Result<()> {
        self.save_state(path)
    }

    fn load_training_state(&mut self, path: &Path) -> Result<()> {
        self.load_state(path)
    }

    fn gradient(&mut self, name: &str) -> Result<Vec<f32>> {
        let training = self.training.as_ref().ok_or_else(not_for_training)?;
        let parameter = self.layout.find(name)?;
        let mut out = zeros(parameter.len)?;
        self.backend.read(&training.gradients, parameter.offset, &mut out);
        self.backend.check().map(|()| out)
    }

    fn parameter(&mut self, name: &str) -> Result<Vec<f32>> {
        let parameter = self.layout.find(name)?;
        let mut out = zeros(parameter.len)?;
        self.backend.read(&self.weights, parameter.offset, &mut out);
        self.backend.check().map(|()| out)
    }

    fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    fn options(&self) -> &EngineOptions {
        &self.options
    }

    fn device(&self) -> &'static str {
        self.backend.device()
    }

    fn profile(&self) -> Vec<Entry> {
        let divided = self.training.as_ref().and_then(|training| training.divided.as_ref());
        self.backend.profile().into_iter().chain(divided.into_iter().flat_map(Divided::profile)).collect()
    }

    fn instruction_set(&self) -> String {
        self.backend.name()
    }

    fn name(&self) -> &'static str {
        "fused"
    }
}

#[cfg(test)]
mod tests;
