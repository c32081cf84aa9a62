//! Optimizers: what an update makes of weights, gradients and the state that they keep for each parameter. Each has a
//! folder; this file is their registry.
//!
//! An optimizer is opened with its hyperparameters; an update brings the learning rate and its number only. Clipping is
//! done before and for all of them ([`clip`]). What an optimizer remembers lies in [`slots`].

pub mod adamw;
pub mod clip;
pub mod cuda;
pub mod muon;
pub mod pieces;
pub mod slots;

use std::ops::Range;

use serde::Deserialize;

use crate::blueprint::{Linear, Parameter, ParameterLayout};
use crate::driver::Device;
use crate::driver::queue::Queue;
use crate::error::{Code, Error, Result};
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::machine::threads::Threads;
use crate::ops::gemm::Gemm;
use crate::ops::linear::packed::PackedWeight;
use cuda::OnCuda;
use slots::{Slot, SlotLayout};

/// An optimizer with its hyperparameters, as `cloze_open` takes it: `{"name": "adamw", "beta1": 0.9, …}`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Optimizer {
    /// [`adamw`]
    AdamW(adamw::Options),
    /// [`muon`]
    Muon(muon::Options),
}

/// One update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Learning rate.
    pub learning_rate: f64,
    /// Its number, from 0.
    pub step: u64,
    /// What the summed gradients are divided by.
    pub units: u64,
    /// Whether weights decay; not while some rows are trained alone.
    pub decays: bool,
    /// What is updated here, where other processes update the rest.
    pub share: Option<Share>,
}

/// A run of elements that one process updates, which has their slots and no others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The first element.
    pub first: usize,
    /// Behind the last element.
    pub end: usize,
    /// Elements of a slot that lie before it.
    pub before: usize,
    /// Σ x² of the gradients of all elements, of which only the share is here.
    pub squared_norm: f64,
}

impl Update {
    /// What decay, which is decoupled from the gradient, leaves of a weight that decays.
    pub fn kept(&self, weight_decay: f64) -> f64 {
        if self.decays { 1.0 - self.learning_rate * weight_decay } else { 1.0 }
    }
}

/// The buffers of an update on a device.
pub struct State<'a, T> {
    /// Parameters.
    pub weights: &'a mut T,
    /// Summed gradients; zero after the update.
    pub gradients: &'a mut T,
    /// What the optimizer remembers.
    pub slots: &'a mut [Slot<T>],
}

/// What an optimizer works with on the CPU.
#[derive(Clone, Copy)]
pub struct Team<'a, T: Element> {
    /// The threads.
    pub threads: &'a Threads,
    /// Their products.
    pub gemm: &'a Gemm<T>,
    /// Packed copies of the dense layers' weights, by offset, or none; an update packs what it changes.
    pub packed: &'a [(usize, PackedWeight)],
}

/// An optimizer on the CPU, for an engine whose activations are `T`.
pub trait OnCpu<T: Element>: Send {
    /// One update. Gradients are multiplied by `scale`, which makes clipped means of sums. The same bits for any number of
    /// threads.
    ///
    /// # Errors
    /// `OutOfMemory`; some of the state may have changed then.
    fn update(&mut self, team: Team<T>, state: State<Buffer>, scale: f64, update: Update) -> Result<()>;
}

impl Optimizer {
    /// What it is called in requests and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AdamW(_) => "adamw",
            Self::Muon(_) => "muon",
        }
    }

    /// Checks that an update with these makes numbers of numbers.
    ///
    /// # Errors
    /// `InvalidArgument` naming the hyperparameter that is wrong.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::AdamW(options) => options.validate()?,
            Self::Muon(options) => options.validate()?,
        }
        let largest = self.max_grad_norm();
        match largest > 0.0 {
            true => Ok(()), // infinite: nothing is clipped
            false => {
                Err(Error::new(Code::InvalidArgument, format!("max_grad_norm is {largest}, but has to be above 0")))
            }
        }
    }

    /// Largest global gradient norm; gradients are scaled down to it.
    pub fn max_grad_norm(&self) -> f64 {
        match self {
            Self::AdamW(options) => options.max_grad_norm,
            Self::Muon(options) => options.max_grad_norm,
        }
    }

    /// Names of the state that it keeps for a parameter.
    pub fn slots_of(&self, parameter: &Parameter) -> &'static [&'static str] {
        match self {
            Self::AdamW(_) => &adamw::SLOTS,
            Self::Muon(_) => muon::slots_of(parameter),
        }
    }

    /// Whether any run of elements can be updated without the others.
    pub fn is_elementwise(&self) -> bool {
        match self {
            Self::AdamW(_) => true,
            Self::Muon(_) => false,
        }
    }

    /// The optimizer on the CPU, for a team of `threads` and a model whose dense layers are `layers`.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn on_cpu<T: Element>(
        &self,
        layout: &ParameterLayout,
        layers: &[Linear],
        threads: usize,
    ) -> Result<Box<dyn OnCpu<T>>> {
        let slots = SlotLayout::all(self, layout);
        Ok(match *self {
            Self::AdamW(options) => Box::new(adamw::Cpu::new(options, layout, &slots, layers, threads)),
            Self::Muon(options) => Box::new(muon::Cpu::<T>::new(options, layout, &slots, layers, threads)?),
        })
    }

    /// The optimizer on a CUDA device.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn on_cuda<D: Device + 'static>(
        &self,
        queue: &Queue<D>,
        layout: &ParameterLayout,
    ) -> Result<Box<dyn OnCuda<D>>> {
        let slots = SlotLayout::all(self, layout);
        Ok(match *self {
            Self::AdamW(options) => Box::new(adamw::cuda::Cuda::new(queue, options, layout, &slots)?),
            Self::Muon(options) => Box::new(muon::cuda::Cuda::new(queue, options, layout, &slots)?),
        })
    }
}

/// Checks the learning rate of an update.
///
/// # Errors
/// `InvalidArgument`
pub fn check_learning_rate(learning_rate: f64) -> Result<()> {
    check_ranges(&[("learning_rate", learning_rate, 0.0..f64::INFINITY)])
}

/// An error naming the first value that is outside its range.
fn check_ranges(values: &[(&str, f64, Range<f64>)]) -> Result<()> {
    match values.iter().find(|(_, value, range)| !range.contains(value)) {
        None => Ok(()),
        Some((name, value, range)) => Err(Error::new(
            Code::InvalidArgument,
            format!("{name} is {value}, outside {} to {} (exclusive)", range.start, range.end),
        )),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn buffer(values: &[f32]) -> Buffer {
        let mut buffer = Buffer::zeroed(values.len()).unwrap();
        buffer.copy_from_slice(values);
        buffer
    }

    /// One optimizer on the CPU, without an engine.
    pub(crate) mod run {
        use super::*;

        pub(crate) fn slots(optimizer: &Optimizer, layout: &ParameterLayout) -> Vec<Slot<Buffer>> {
            let slot = |layout: SlotLayout| Slot { values: Buffer::zeroed(layout.len()).unwrap(), layout };
            SlotLayout::all(optimizer, layout).into_iter().map(slot).collect()
        }

        pub(crate) fn update(
            optimizer: &Optimizer,
            layout: &ParameterLayout,
            weights: &mut Buffer,
            gradients: &mut Buffer,
            slots: &mut [Slot<Buffer>],
            scale: f64,
            learning_rate: f64,
            step: u64,
            threads: usize,
        ) {
            let (team, gemm) = (Threads::new(threads), Gemm::<f32>::new(threads).unwrap());
            let team = Team { threads: &team, gemm: &gemm, packed: &[] };
            let update = Update { learning_rate, step, units: 1, decays: true, share: None };
            let mut on_cpu = optimizer.on_cpu::<f32>(layout, &[], threads).unwrap();
            on_cpu.update(team, State { weights, gradients, slots }, scale, update).unwrap();
        }
    }

    #[test]
    fn optimizer_refuses_unknown_names_unknown_fields_and_missing_ones() {
        let parse = |text: &str| serde_json::from_str::<Optimizer>(text);
        let good = r#"{"name":"adamw","beta1":0.9,"beta2":0.98,"epsilon":1e-6,"weight_decay":0.1,"max_grad_norm":1}"#;
        assert_eq!(parse(good).unwrap(), Optimizer::AdamW(adamw::tests::OPTIONS));
        assert!(parse(&good.replace("adamw", "sgd")).is_err());
        let error = parse(&good.replace("\"beta1\"", "\"momentum\":0.9,\"beta1\"")).unwrap_err();
        assert!(error.to_string().contains("unknown field `momentum`"), "{error}");
        let error = parse(&good.replace("\"beta1\":0.9,", "")).unwrap_err();
        assert!(error.to_string().contains("missing field `beta1`"), "{error}");
    }

    #[test]
    fn validate_names_what_is_wrong() {
        let with = |change: fn(&mut adamw::Options)| {
            let mut options = adamw::tests::OPTIONS;
            change(&mut options);
            Optimizer::AdamW(options).validate().map_err(|error| error.message)
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert_eq!(with(|o| o.max_grad_norm = f64::INFINITY), Ok(()));
        let wrong = [
            (with(|o| o.beta1 = 1.0), "beta1 is 1"),
            (with(|o| o.beta2 = f64::NAN), "beta2 is NaN"),
            (with(|o| o.epsilon = -1.0), "epsilon is -1"),
            (with(|o| o.weight_decay = f64::INFINITY), "weight_decay is inf"),
            (with(|o| o.max_grad_norm = 0.0), "max_grad_norm is 0"),
        ];
        for (found, expected) in wrong {
            assert!(found.as_ref().is_err_and(|message| message.contains(expected)), "{found:?} {expected}");
        }
        assert!(check_learning_rate(f64::NAN).is_err() && check_learning_rate(0.0).is_ok());
    }
}
