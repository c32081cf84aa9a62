//! The CPU as a [`Backend`]: hands slices of its buffers to [`crate::ops`]. `T` is what activations are stored in.

mod attention;
mod elements;
mod embeddings;
mod linear;
mod loss;
mod memory;
mod norm;
mod sharing;
mod sums;

use std::cell::RefCell;

use super::{Backend, Linear, Totals};
use crate::blueprint::ParameterLayout;
use crate::error::{Error, Result};
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::machine::profile::{Entry, Profile};
use crate::machine::threads::Threads;
use crate::ops::attention::TeamScratch;
use crate::ops::gemm::Gemm;
use crate::ops::linear::packed::PackedWeight;
use crate::optim::{OnCpu, Optimizer, State, Team, Update, clip};
use sums::Sums;

/// A thread team and the scratch of its operations.
pub struct Cpu<T: Element = f32> {
    profile: Profile,
    threads: Threads,
    gemm: Gemm<T>,
    attention: TeamScratch<T>,
    /// Packed copies of weights, by the offset of the weight; none where products pack for themselves.
    packed: Vec<(usize, PackedWeight)>,
    optimizer: Option<(Optimizer, Box<dyn OnCpu<T>>)>,
    /// What of the gradient that is being added up has been begun.
    sums: Sums,
    partials: Vec<f32>,
    squares: Vec<f64>,
    totals: Totals,
    /// What an operation could not do for want of memory, until [`Backend::check`] says it.
    failure: RefCell<Option<Error>>,
}

impl<T: Element> Cpu<T> {
    /// `threads` threads, for sequences up to `longest` and heads of size `head`; with `training`, also for gradients.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(threads: usize, longest: usize, head: usize, training: bool, profile: bool) -> Result<Self> {
        let gemm = Gemm::new(threads)?;
        Ok(Self {
            profile: Profile::new(profile),
            threads: Threads::new(threads),
            attention: TeamScratch::new(&gemm, threads, longest, head, training)?,
            gemm,
            packed: Vec::new(),
            optimizer: None,
            sums: Sums::default(),
            partials: Vec::new(),
            squares: Vec::new(),
            totals: Totals::default(),
            failure: RefCell::default(),
        })
    }

    /// Keeps the first failure of an operation, which has no result of its own.
    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.failure.borrow_mut().get_or_insert(error);
        }
    }
}

impl<T: Element> Backend for Cpu<T> {
    const DEFERS: bool = false;

    fn device(&self) -> &'static str {
        "cpu"
    }

    fn name(&self) -> String {
        self.gemm.name().into()
    }

    fn profile(&self) -> Vec<Entry> {
        self.profile.entries()
    }

    fn plan(&mut self, layout: &ParameterLayout, layers: &[Linear], optimizer: Option<&Optimizer>) -> Result<()> {
        if self.gemm.panels_pay() {
            for layer in layers {
                let packed = PackedWeight::new(&self.gemm, layer.outputs, layer.inputs, optimizer.is_some())?;
                self.packed.push((layer.weight, packed));
            }
            self.packed.sort_by_key(|(offset, _)| *offset);
        }
        if let Some(optimizer) = optimizer {
            self.sums = Sums::new(layout.len(), layers);
            self.optimizer = Some((*optimizer, optimizer.on_cpu(layout, layers, self.threads.count())?));
        }
        Ok(())
    }

    fn weights_changed(&mut self, weights: &Buffer) {
        for (offset, packed) in &mut self.packed {
            packed.write(&self.threads, &weights[*offset..]);
        }
    }

    fn check(&mut self) -> Result<()> {
        self.failure.get_mut().take().map_or(Ok(()), Err)
    }

    fn update(&mut self, state: State<Buffer>, update: Update) {
        let Some((options, optimizer)) = &mut self.optimizer else { return };
        let units = update.units as f64;
        let timer = self.profile.start("squared_norm");
        let squared = match update.share {
            Some(share) => Ok(share.squared_norm),
            None => clip::squared_norm(&self.threads, state.gradients, &mut self.squares),
        };
        drop(timer);
        let norm = match squared {
            Ok(squared) => squared.sqrt() / units,
            Err(error) => return self.note(Err(error)),
        };
        if norm.is_finite() {
            let _timer = self.profile.start(options.name());
            let scale = clip::factor(norm, options.max_grad_norm()) / units;
            let team = Team { threads: &self.threads, gemm: &self.gemm, packed: &self.packed };
            let done = optimizer.update(team, state, scale, update);
            self.note(done);
        }
        self.totals.grad_norm = Some(norm);
    }

    fn take_totals(&mut self) -> Totals {
        std::mem::take(&mut self.totals)
    }
}
