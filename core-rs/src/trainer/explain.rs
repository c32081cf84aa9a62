//! What is said of a number that is NaN or infinite: where it was first.

use super::Trainer;
use crate::backend::Backend;
use crate::error::{Code, Error, Result};

impl<B: Backend> Trainer<B> {
    /// An error if an answer has a number that is NaN or infinite.
    pub(super) fn check_answer(&mut self, answer: &[f32], what: &str) -> Result<()> {
        match answer.iter().all(|x| x.is_finite()) {
            true => Ok(()),
            false => Err(self.explain_answer(what)),
        }
    }

    /// Says which parameter made an answer NaN or infinite.
    pub(super) fn explain_answer(&mut self, what: &str) -> Error {
        let message = match self.backend.first_non_finite(&self.weights, self.layout.len()) {
            Some(index) => format!("the parameter {} is NaN or infinite", self.layout.name_at(index)),
            None => format!("{what} is NaN or infinite"),
        };
        Error::new(Code::NonFinite, message).with_hint("the weights are broken: train again or use an older checkpoint")
    }

    /// Says which tensor made the loss NaN or infinite.
    pub(super) fn explain_loss(&mut self, tokens: usize, step: u64) -> Error {
        let Self { backend, model, weights, layout, .. } = self;
        let name = match backend.first_non_finite(weights, layout.len()) {
            Some(index) => format!("the parameter {}", layout.name_at(index)),
            None => model.first_non_finite(backend, tokens).unwrap_or_else(|| "the loss".into()),
        };
        Error::new(Code::NonFinite, format!("{name} is NaN or infinite at step {step}"))
            .with_hint("use a lower learning rate or a longer warmup; the weights have not been updated with it")
    }

    /// Says which gradient is NaN or infinite.
    pub(super) fn explain_gradient(&mut self, step: u64) -> Error {
        let found = self.training.as_ref().and_then(|t| self.backend.first_non_finite(&t.gradients, self.layout.len()));
        let name = match found {
            Some(index) => format!("the gradient of {}", self.layout.name_at(index)),
            None => "the gradient norm".into(),
        };
        Error::new(Code::NonFinite, format!("{name} is NaN or infinite at step {step}"))
            .with_hint("use a lower learning rate; the weights are still those of the step before")
    }
}
