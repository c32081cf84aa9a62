//! The engine over the model: weights and gradients flat, one batch at a time.

use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor, Var};

use crate::model::{Model, Outputs, Pass};
use crate::optimizer::Change;
use cloze_core::blueprint::{Blueprint, ParameterLayout};
use cloze_core::checkpoint;
use cloze_core::engine::batch::Batch;
use cloze_core::engine::{
    Engine, EngineOptions, Loaded, LossSum, Report, RowResults, Weights, check_attention, expect_len, no_head,
};
use cloze_core::error::{Code, Error, Result};
use cloze_core::machine::dtype::Dtype;
use cloze_core::machine::memory::{Buffer, Plan};
use cloze_core::machine::threads::Threads;
use cloze_core::ops::cross_entropy::{self, RowLoss};
use cloze_core::ops::target_loss;
use cloze_core::optim::slots::{Slot, SlotLayout};
use cloze_core::optim::{Optimizer, Update, check_learning_rate, clip};

/// The model in candle.
pub struct CandleEngine {
    options: EngineOptions,
    blueprint: Blueprint,
    layout: ParameterLayout,
    variables: Vec<Var>,
    loaded: Loaded,
    /// Summed gradients, flat.
    gradients: Vec<f32>,
    /// What is not trained while some rows are trained alone.
    outside: Vec<Range<usize>>,
    /// What they will be divided by.
    units: u64,
    report: Report,
    slots: Vec<Slot<Vec<f32>>>,
    /// Ranks and best entries are read off the logits by the same code as the fused engine's.
    alone: Threads,
}

fn host(tensor: Option<&Tensor>) -> Result<Vec<f32>> {
    tensor.map_or(Ok(Vec::new()), |t| t.flatten_all().and_then(|t| t.to_vec1()).map_err(candle))
}

fn candle(error: candle_core::Error) -> Error {
    Error::new(Code::Panic, format!("candle: {error}"))
}

/// The state that the engine's optimizer keeps, if it has one.
fn slot_layouts(options: &EngineOptions, layout: &ParameterLayout) -> Vec<SlotLayout> {
    options.optimizer.as_ref().map_or(Vec::new(), |optimizer| SlotLayout::all(optimizer, layout))
}

/// candle ends the process where memory is refused, so what a batch takes at least is asked for, and given back, before.
fn check_memory(options: &EngineOptions, layout: &ParameterLayout) -> Result<()> {
    let (config, n) = (&options.config, options.max_tokens);
    // Weights and a flat copy; in training also gradients, theirs and ours, and the optimizer's state.
    let gradients = if options.training() { 2 * layout.len() } else { 0 };
    let slots = slot_layouts(options, layout).iter().map(SlotLayout::len).sum::<usize>();
    let parameters = 2 * layout.len() + gradients + slots;
    let layers = if options.training() { config.num_hidden_layers } else { 1 };
    let activations = n * (6 * config.hidden_size + 2 * config.intermediate_size) * layers;
    let logits = options.max_masked * options.limits().token_outputs;
    let plan = Plan::begin(false);
    for len in [parameters, activations, logits] {
        Buffer::<f32>::zeroed(len)?;
    }
    plan.check().map(drop)
}

impl CandleEngine {
    /// As [`cloze_core::trainer::Trainer::new`]; the same initial weights for the same seed.
    ///
    /// # Errors
    /// What is wrong with the options or the file.
    pub fn new(options: EngineOptions, weights: Option<&Weights>) -> Result<Self> {
        options.validate()?;
        if options.dtype != Dtype::F32 {
            return Err(Error::new(Code::Unsupported, "the candle engine computes in f32 only, not in bf16")
                .with_hint("use --dtype f32, or the fused engine"));
        }
        let blueprint = Blueprint::of(&options.config, &options.heads)?;
        let layout = blueprint.layout();
        check_memory(&options, &layout)?;
        let mut flat = Buffer::zeroed(layout.len())?;
        let loaded = checkpoint::start_weights(weights, &options, &layout, &mut flat)?;
        let variables = layout
            .parameters()
            .iter()
            .map(|p| Var::from_slice(&flat[p.range()], p.shape.as_slice(), &Device::Cpu).map_err(candle))
            .collect::<Result<_>>()?;
        let gradients = vec![0.0; if options.training() { layout.len() } else { 0 }];
        let slot = |layout: SlotLayout| Slot { values: vec![0.0; layout.len()], layout };
        let slots = slot_layouts(&options, &layout).into_iter().map(slot).collect();
        let (alone, report) = (Threads::new(1), Report::default());
        Ok(Self {
            options,
            blueprint,
            layout,
            variables,
            loaded,
            gradients,
            outside: Vec::new(),
            units: 0,
            report,
            slots,
            alone,
        })
    }

    fn training(&self) -> Result<Optimizer> {
        self.options.optimizer.ok_or_else(|| {
            let message = "this engine was opened without training: it has no gradients and no optimizer";
            Error::new(Code::InvalidState, message)
        })
    }

    fn flat(&self) -> Result<Vec<f32>> {
        let mut flat = Vec::with_capacity(self.layout.len());
        for variable in &self.variables {
            flat.extend(variable.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(candle)?);
        }
        Ok(flat)
    }

    /// Both heads' logits, attached to the graph.
    fn forward(&self, batch: &Batch, pass: Pass) -> Result<Outputs> {
        let Self { blueprint, layout, variables, .. } = self;
        Model { blueprint, layout, variables }.outputs(batch, pass).map_err(candle)
    }

    /// The tokens' logits `[M, V]` and the sequences' `[B, K]`, without dropout; empty without that head.
    fn host_logits(&self, batch: &Batch) -> Result<[Vec<f32>; 2]> {
        let Outputs { tokens, sequences } = self.forward(batch, Pass::Evaluation)?;
        Ok([host(tokens.as_ref())?, host(sequences.as_ref())?])
    }

    fn rows(&self, logits: &mut [f32], labels: &[i32]) -> Vec<RowLoss> {
        let mut rows = vec![RowLoss::default(); labels.len()];
        cross_entropy::forward_backward(&self.alone, logits, labels, &mut rows, None::<&mut [f32]>);
        rows
    }

    fn sequence_rows(&self, logits: &mut [f32], batch: &Batch) -> Vec<RowLoss> {
        let Some(loss) = self.options.limits().target_loss else { return self.rows(logits, batch.sequence_labels) };
        let mut rows = vec![RowLoss::default(); batch.labeled_sequences()];
        target_loss::forward_backward(&self.alone, loss, logits, batch.sequence_targets, &mut rows, None::<&mut [f32]>);
        rows
    }

    fn discard(&mut self) {
        self.gradients.fill(0.0);
        self.units = 0;
    }
}

impl Engine for CandleEngine {
    fn forward_backward(&mut self, batch: &Batch, step: u64, micro_step: u32) -> Result<()> {
        self.training()?;
        batch.validate(&self.options.limits(), true)?;
        if batch.asks_nothing() {
            return Ok(());
        }
        let max_sequence_length = self.options.max_sequence_length;
        let pass = Pass::Training { seed: self.options.seed, step, micro_step, max_sequence_length };
        let outputs = self.forward(batch, pass)?;
        let tokens = self.rows(&mut host(outputs.tokens.as_ref())?, batch.labels);
        let sequences = self.sequence_rows(&mut host(outputs.sequences.as_ref())?, batch);
        let sums = LossSum::of(&tokens, &sequences);
        if !sums.is_finite() {
            self.discard();
            return Err(Error::new(Code::NonFinite, format!("the loss is NaN or infinite at step {step}"))
                .with_hint("use a lower learning rate or a longer warmup"));
        }
        let gradients =
            outputs.loss(batch, self.options.limits().target_loss).and_then(|loss| loss.backward()).map_err(candle)?;
        for (parameter, variable) in self.layout.parameters().iter().zip(&self.variables) {
            let gradient = match gradients.get(variable) {
                Some(gradient) => gradient,
                // Not part of this batch's loss; candle follows nothing that is multiplied by 0.
                None if !parameter.trainable || outputs.tokens.is_none() || batch.sequence_weight == 0.0 => continue,
                None => return Err(Error::new(Code::Panic, format!("candle gave no gradient for {}", parameter.name))),
            };
            let values: Vec<f32> = gradient.flatten_all().and_then(|t| t.to_vec1()).map_err(candle)?;
            self.gradients[parameter.range()].iter_mut().zip(values).for_each(|(sum, g)| *sum += g);
        }
        self.units += sums.units(&self.options.heads);
        self.report.sums.add(&sums);
        Ok(())
    }

    fn update(&mut self, learning_rate: f64, step: u64) -> Result<()> {
        let optimizer = self.training()?;
        check_learning_rate(learning_rate)?;
        if self.units == 0 {
            return Err(Error::new(Code::InvalidState, "update: no gradient has been accumulated since the last one"));
        }
        for range in &self.outside {
            self.gradients[range.clone()].fill(0.0);
        }
        let units = self.units;
        let norm = self.gradients.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt() / units as f64;
        if !norm.is_finite() {
            let at = self.gradients.iter().position(|g| !g.is_finite()).unwrap_or(0);
            let name = self.layout.name_at(at).to_owned();
            self.discard();
            return Err(Error::new(
                Code::NonFinite,
                format!("the gradient of {name} is NaN or infinite at step {step}"),
            )
            .with_hint("use a lower learning rate; the weights are still those of the step before"));
        }
        let scale = clip::factor(norm, optimizer.max_grad_norm()) / units as f64;
        for (index, (parameter, variable)) in self.layout.parameters().iter().zip(&self.variables).enumerate() {
            if !parameter.trainable {
                continue;
            }
            let gradient: Vec<f64> = self.gradients[parameter.range()].iter().map(|&g| f64::from(g) * scale).collect();
            let mut weights = host(Some(variable))?;
            let change = Change {
                index,
                parameter,
                weights: &mut weights,
                gradient: &gradient,
                slots: &mut self.slots,
                update: Update { learning_rate, step, units, decays: self.outside.is_empty(), share: None },
            };
            change.apply(&optimizer);
            let value = Tensor::from_slice(&weights, parameter.shape.as_slice(), &Device::Cpu);
            value.and_then(|value| variable.set(&value)).map_err(candle)?;
        }
        self.discard();
        (self.report.grad_norm, self.report.units) = (norm, units);
        Ok(())
    }

    fn train_rows(&mut self, rows: Option<Range<usize>>) -> Result<()> {
        self.training()?;
        self.outside = match rows {
            Some(rows) => self.blueprint.outside_rows(&self.layout, &rows)?,
            None => Vec::new(),
        };
        Ok(())
    }

    fn report(&mut self) -> Result<Report> {
        self.training()?;
        let report = self.report;
        self.report.sums = LossSum::default();
        Ok(report)
    }

    fn evaluate(&mut self, batch: &Batch, mut results: RowResults) -> Result<()> {
        batch.validate(&self.options.limits(), true)?;
        results.validate(batch)?;
        let [mut tokens, mut sequences] = self.host_logits(batch)?;
        results.fill(&self.rows(&mut tokens, batch.labels), &self.sequence_rows(&mut sequences, batch));
        Ok(())
    }

    fn top_k(&mut self, batch: &Batch, k: usize, ids: &mut [i32], probabilities: &mut [f32]) -> Result<()> {
        batch.validate(&self.options.limits(), false)?;
        let v = self.options.token_outputs()?;
        if k == 0 || k > v || ids.len() != batch.masked_positions.len() * k || probabilities.len() != ids.len() {
            return Err(Error::new(Code::InvalidArgument, format!("top_k is {k}, or its outputs are not [M, k]")));
        }
        let [logits, _] = self.host_logits(batch)?;
        cross_entropy::top_k(&self.alone, &logits, v, k, ids, probabilities);
        Ok(())
    }

    fn logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()> {
        batch.validate(&self.options.limits(), false)?;
        self.options.token_outputs()?;
        let [logits, _] = self.host_logits(batch)?;
        expect_len("out", out.len(), logits.len())?;
        out.copy_from_slice(&logits);
        Ok(())
    }

    fn sequence_logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()> {
        batch.validate(&self.options.limits(), false)?;
        if self.options.heads.sequence.is_none() {
            return Err(no_head("sequences"));
        }
        let [_, logits] = self.host_logits(batch)?;
        expect_len("out", out.len(), logits.len())?;
        out.copy_from_slice(&logits);
        Ok(())
    }

    fn hidden_states(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()> {
        batch.validate(&self.options.limits(), false)?;
        let Self { blueprint, layout, variables, .. } = self;
        let model = Model { blueprint, layout, variables };
        let hidden = host(Some(&model.hidden_states(batch).map_err(candle)?))?;
        expect_len("out", out.len(), hidden.len())?;
        out.copy_from_slice(&hidden);
        Ok(())
    }

    fn attention(&mut self, batch: &Batch, layer: usize, out: &mut [f32]) -> Result<()> {
        batch.validate(&self.options.limits(), false)?;
        check_attention(&self.options, batch, layer, out.len())?;
        let Self { blueprint, layout, variables, .. } = self;
        let model = Model { blueprint, layout, variables };
        out.copy_from_slice(&host(Some(&model.probabilities(batch, layer).map_err(candle)?))?);
        Ok(())
    }

    fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    fn save_weights(&mut self, path: &Path) -> Result<()> {
        checkpoint::save_weights(path, &self.layout, &self.flat()?)
    }

    fn save_training_state(&mut self, path: &Path) -> Result<()> {
        self.training()?;
        checkpoint::save_slots(path, &self.layout, &self.slots)
    }

    fn load_training_state(&mut self, path: &Path) -> Result<()> {
        self.training()?;
        checkpoint::load_slots(path, &self.layout, &mut self.slots)
    }

    fn gradient(&mut self, name: &str) -> Result<Vec<f32>> {
        self.training()?;
        Ok(self.gradients[self.layout.find(name)?.range()].to_vec())
    }

    fn parameter(&mut self, name: &str) -> Result<Vec<f32>> {
        Ok(self.flat()?[self.layout.find(name)?.range()].to_vec())
    }

    fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    fn options(&self) -> &EngineOptions {
        &self.options
    }

    fn instruction_set(&self) -> String {
        "candle".into()
    }

    fn name(&self) -> &'static str {
        "candle"
    }
}
