//! The fused engine: the one type that holds weights, gradients and moments and runs the model over a [`Backend`].
//! The boundary opens it; it knows neither text nor files' folders.

use std::path::Path;

use crate::backend::cpu::Cpu;
use crate::backend::{AdamWState, Backend};
use crate::batch::Batch;
use crate::checkpoint;
use crate::dtype::{Bf16, Dtype, Element};
use crate::engine::{AdamW, Engine, EngineOptions, LossSum, RowResults, UpdateReport, Weights, expect_len, no_head};
use crate::error::{Code, Error, Result};
use crate::memory::Buffer;
use crate::model::{Bert, DropoutPlan};
use crate::parameters::ParameterLayout;
use crate::profile::Entry;

/// A model with everything that a training step changes.
pub struct Trainer<B: Backend = Cpu> {
    backend: B,
    options: EngineOptions,
    layout: ParameterLayout,
    model: Bert<B>,
    weights: B::Buffer,
    initialized: Vec<String>,
    training: Option<Training<B>>,
}

/// What only training needs.
struct Training<B: Backend> {
    gradients: B::Buffer,
    exp_avg: B::Buffer,
    exp_avg_sq: B::Buffer,
    /// Tokens or sequences ([`LossSum::units`]) whose gradients are in `gradients`.
    units: u64,
}

/// An engine on the CPU, with the weights of a safetensors file or freshly initialized ones.
///
/// # Errors
/// What is wrong with the options, the file or the memory.
pub fn open(options: EngineOptions, weights: Option<&Weights>) -> Result<Box<dyn Engine>> {
    Ok(match options.dtype {
        Dtype::F32 => Box::new(Trainer::<Cpu<f32>>::new(options, weights)?),
        Dtype::Bf16 => Box::new(Trainer::<Cpu<Bf16>>::new(options, weights)?),
    })
}

impl<T: Element> Trainer<Cpu<T>> {
    /// An engine on the CPU whose activations are `T`, whatever the options say.
    ///
    /// # Errors
    /// As [`open`].
    pub fn new(options: EngineOptions, weights: Option<&Weights>) -> Result<Self> {
        options.validate()?;
        let EngineOptions { threads, max_sequence_length, training, profile, .. } = options;
        let backend = Cpu::new(threads, max_sequence_length, options.config.head_size(), training, profile);
        Self::on(backend, options, weights)
    }
}

impl<B: Backend> Trainer<B> {
    /// An engine on a device that has been planned for the same options.
    ///
    /// # Errors
    /// As [`open`].
    pub fn on(mut backend: B, options: EngineOptions, file: Option<&Weights>) -> Result<Self> {
        let layout = ParameterLayout::new(&options.config, &options.objective);
        let (host, initialized) = initial_weights(&options, &layout, file)?;
        let weights = backend.upload(host)?;
        let training = match options.training {
            false => None,
            true => Some(Training {
                gradients: backend.zeroed(layout.len())?,
                exp_avg: backend.zeroed(layout.len())?,
                exp_avg_sq: backend.zeroed(layout.len())?,
                units: 0,
            }),
        };
        let model = Bert::new(&backend, &options, &layout)?;
        backend.plan(&layout, &model.layers(), options.training)?;
        backend.weights_changed(&weights);
        Ok(Self { backend, options, layout, model, weights, initialized, training })
    }

    fn check(&self, batch: &Batch, with_labels: bool) -> Result<()> {
        batch.validate(&self.options.limits(), with_labels)
    }

    /// Runs the model without dropout, up to what the decoder sees and to the sequences' logits.
    fn infer(&mut self, batch: &Batch) {
        self.model.forward(&mut self.backend, &self.weights, batch, &DropoutPlan::off());
    }
}

/// Weights of a file, or fresh ones, and the names of those that the file lacks. What is never trained is used where it
/// lies in the file.
fn initial_weights(
    options: &EngineOptions,
    layout: &ParameterLayout,
    file: Option<&Weights>,
) -> Result<(Buffer, Vec<String>)> {
    if let (Some(file), false) = (file, options.training)
        && let Some(mapped) = checkpoint::map_weights(&file.path, layout)?
    {
        return Ok((mapped, Vec::new()));
    }
    let mut weights = Buffer::zeroed(layout.len())?;
    let initialized = checkpoint::start_weights(file, options, layout, &mut weights)?;
    Ok((weights, initialized))
}

fn not_for_training() -> Error {
    Error::new(Code::InvalidState, "this engine was opened without training: it has no gradients and no moments")
}

impl<B: Backend> Engine for Trainer<B> {
    fn forward_backward(&mut self, batch: &Batch, step: u64, micro_step: u32) -> Result<LossSum> {
        self.check(batch, true)?;
        let Self { backend, options, model, weights, training, .. } = self;
        let training = training.as_mut().ok_or_else(not_for_training)?;
        if batch.masked_positions.is_empty() && batch.sequence_labels.is_empty() {
            return Ok(LossSum::default());
        }
        let dropout = DropoutPlan {
            keys: Some((options.seed, step, micro_step)),
            hidden: options.config.hidden_dropout_prob,
            attention: options.config.attention_probs_dropout_prob,
            layers: options.config.num_hidden_layers,
        };
        model.forward(backend, weights, batch, &dropout);
        let (tokens, sequences) = model.loss(backend, weights, batch, Some(&mut training.gradients));
        backend.check()?;
        let result = LossSum::of(tokens, sequences);
        if !result.is_finite() {
            training.units = 0;
            backend.clear(&mut training.gradients);
            return Err(self.explain_loss(batch, step));
        }
        model.backward(backend, weights, batch, &dropout, &mut training.gradients);
        training.units += result.units(&options.objective);
        Ok(result)
    }

    fn update(&mut self, hyper: &AdamW, step: u64) -> Result<UpdateReport> {
        let Self { backend, layout, weights, training, .. } = self;
        let training = training.as_mut().ok_or_else(not_for_training)?;
        if training.units == 0 {
            return Err(Error::new(Code::InvalidState, "update: no gradient has been accumulated since the last one"));
        }
        let masked = std::mem::take(&mut training.units);
        let state = AdamWState {
            weights,
            gradients: &mut training.gradients,
            exp_avg: &mut training.exp_avg,
            exp_avg_sq: &mut training.exp_avg_sq,
        };
        let grad_norm = backend.update(state, hyper, masked, step);
        backend.check()?;
        if !grad_norm.is_finite() {
            let name = match backend.first_non_finite(&training.gradients, layout.len()) {
                Some(index) => format!("the gradient of {}", layout.name_at(index)),
                None => "the gradient norm".into(),
            };
            backend.clear(&mut training.gradients);
            return Err(Error::new(Code::NonFinite, format!("{name} is NaN or infinite at step {step}"))
                .with_hint("use a lower learning rate; the weights are still those of the step before"));
        }
        Ok(UpdateReport { grad_norm, masked })
    }

    fn evaluate(&mut self, batch: &Batch, mut results: RowResults) -> Result<()> {
        self.check(batch, true)?;
        results.validate(batch)?;
        self.infer(batch);
        let (tokens, sequences) = self.model.loss(&mut self.backend, &self.weights, batch, None);
        self.backend.check()?;
        results.fill(tokens, sequences);
        match tokens.iter().chain(sequences).all(|row| row.loss.is_finite()) {
            true => Ok(()),
            false => Err(self.explain_answer("a loss")),
        }
    }

    fn top_k(&mut self, batch: &Batch, k: usize, ids: &mut [i32], probabilities: &mut [f32]) -> Result<()> {
        self.check(batch, false)?;
        let (m, v) = (batch.masked_positions.len(), self.options.config.vocab_size);
        if k == 0 || k > v {
            return Err(Error::new(Code::InvalidArgument, format!("top_k is {k}, outside 1..={v}")));
        }
        expect_len("ids", ids.len(), m * k)?;
        expect_len("probabilities", probabilities.len(), m * k)?;
        self.infer(batch);
        let Self { backend, model, weights, .. } = self;
        let head = model.tokens.as_mut().ok_or_else(|| no_head("tokens"))?;
        head.for_each_chunk(backend, weights, m, |backend, first, n, logits| {
            let range = first * k..(first + n) * k;
            backend.top_k(n, v, logits, k, &mut ids[range.clone()], &mut probabilities[range]);
        });
        backend.check()?;
        match probabilities.iter().all(|p| p.is_finite()) {
            true => Ok(()),
            false => Err(self.explain_answer("a predicted probability")),
        }
    }

    fn logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()> {
        self.check(batch, false)?;
        let (m, v) = (batch.masked_positions.len(), self.options.config.vocab_size);
        expect_len("out", out.len(), m * v)?;
        self.infer(batch);
        let Self { backend, model, weights, .. } = self;
        let head = model.tokens.as_mut().ok_or_else(|| no_head("tokens"))?;
        head.for_each_chunk(backend, weights, m, |backend, first, n, logits| {
            backend.read(logits, 0, &mut out[first * v..(first + n) * v]);
        });
        backend.check()
    }

    fn sequence_logits(&mut self, batch: &Batch, out: &mut [f32]) -> Result<()> {
        self.check(batch, false)?;
        let outputs = self.model.sequences.as_ref().ok_or_else(|| no_head("sequences"))?.outputs();
        expect_len("out", out.len(), batch.sequences() * outputs)?;
        self.infer(batch);
        if let Some(head) = &self.model.sequences {
            self.backend.read(head.logits(), 0, out);
            self.backend.check()?;
        }
        match out.iter().all(|x| x.is_finite()) {
            true => Ok(()),
            false => Err(self.explain_answer("a logit")),
        }
    }

    fn initialized(&self) -> &[String] {
        &self.initialized
    }

    fn save_weights(&mut self, path: &Path) -> Result<()> {
        let mut weights = vec![0.0; self.layout.len()];
        self.backend.read(&self.weights, 0, &mut weights);
        self.backend.check()?;
        checkpoint::save_weights(path, &self.layout, &weights)
    }

    fn save_training_state(&mut self, path: &Path) -> Result<()> {
        let training = self.training.as_ref().ok_or_else(not_for_training)?;
        let (mut first, mut second) = (vec![0.0; self.layout.len()], vec![0.0; self.layout.len()]);
        self.backend.read(&training.exp_avg, 0, &mut first);
        self.backend.read(&training.exp_avg_sq, 0, &mut second);
        self.backend.check()?;
        checkpoint::save_training_state(path, &self.layout, &first, &second)
    }

    fn load_training_state(&mut self, path: &Path) -> Result<()> {
        let training = self.training.as_mut().ok_or_else(not_for_training)?;
        let (mut first, mut second) = (vec![0.0; self.layout.len()], vec![0.0; self.layout.len()]);
        checkpoint::load_training_state(path, &self.layout, &mut first, &mut second)?;
        self.backend.write(&mut training.exp_avg, 0, &first);
        self.backend.write(&mut training.exp_avg_sq, 0, &second);
        self.backend.check()
    }

    fn gradient(&mut self, name: &str) -> Result<Vec<f32>> {
        let training = self.training.as_ref().ok_or_else(not_for_training)?;
        let parameter = self.layout.find(name)?;
        let mut out = vec![0.0; parameter.len];
        self.backend.read(&training.gradients, parameter.offset, &mut out);
        self.backend.check().map(|()| out)
    }

    fn parameter(&mut self, name: &str) -> Result<Vec<f32>> {
        let parameter = self.layout.find(name)?;
        let mut out = vec![0.0; parameter.len];
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
        self.backend.profile()
    }

    fn instruction_set(&self) -> String {
        self.backend.name()
    }

    fn name(&self) -> &'static str {
        "fused"
    }
}

impl<B: Backend> Trainer<B> {
    /// Says which parameter made an answer NaN or infinite.
    fn explain_answer(&mut self, what: &str) -> Error {
        let message = match self.backend.first_non_finite(&self.weights, self.layout.len()) {
            Some(index) => format!("the parameter {} is NaN or infinite", self.layout.name_at(index)),
            None => format!("{what} is NaN or infinite"),
        };
        Error::new(Code::NonFinite, message).with_hint("the weights are broken: train again or use an older checkpoint")
    }

    /// Says which tensor made the loss NaN or infinite.
    fn explain_loss(&mut self, batch: &Batch, step: u64) -> Error {
        let Self { backend, model, weights, layout, .. } = self;
        let name = match backend.first_non_finite(weights, layout.len()) {
            Some(index) => format!("the parameter {}", layout.name_at(index)),
            None => model.first_non_finite(backend, batch.input_ids.len()).unwrap_or_else(|| "the loss".into()),
        };
        Error::new(Code::NonFinite, format!("{name} is NaN or infinite at step {step}"))
            .with_hint("use a lower learning rate or a longer warmup; the weights have not been updated with it")
    }
}

#[cfg(test)]
mod tests;
