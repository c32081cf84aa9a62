//! Muon: momentum for matrices, made orthogonal (Jordan et al., 2024, "Muon: an optimizer for hidden layers in neural
//! networks", and its code). All other parameters are updated by AdamW.
//!
//! The momentum `m ← μ m + (1 − μ) g` is looked at one step ahead (Nesterov): `u = μ m + (1 − μ) g`. Five steps of a
//! Newton–Schulz iteration bring the singular values of `X = u / ‖u‖` close to 1: `A = X Xᵀ`, `X ← a X + (b A + c A²) X`;
//! of a matrix that is taller than wide, of its transpose. Query, key and value are three matrices.
//! The CPU computes half of the two products that are symmetric.
//!
//! The size of an update is Moonlight's (Liu et al., 2025, "Muon is scalable for LLM training", section 2.2):
//! `0.2 √max(rows, columns)` times the orthogonal matrix has about the root mean square of an update of AdamW. So AdamW's
//! learning rates and weight decay can be used as they are.

mod cpu;
pub mod cuda;

use serde::Deserialize;

use super::slots::SlotLayout;
use super::{adamw, check_ranges};
use crate::blueprint::{Group, Parameter, ParameterLayout};
use crate::error::Result;
pub use cpu::Cpu;

/// Name of the state of a matrix, which is PyTorch's.
pub const SLOT: [&str; 1] = ["momentum_buffer"];

/// Newton–Schulz steps.
pub const STEPS: usize = 5;

/// a, b and c: chosen by Jordan et al. so that small singular values grow fastest; they end between about 0.7 and 1.2.
pub const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Added to the norm that a matrix is divided by.
pub const NORM_EPSILON: f64 = 1e-7;

/// Hyperparameters. All but the first are those of AdamW; decay and clipping are for all parameters.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Decay of the momentum of matrices, μ.
    pub momentum: f64,
    /// Of the parameters that are not matrices: decay of the first moment.
    pub beta1: f64,
    /// Of the parameters that are not matrices: decay of the second moment.
    pub beta2: f64,
    /// Of the parameters that are not matrices: added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of weights, decoupled from the gradient; not applied to biases and norms.
    pub weight_decay: f64,
    /// Largest global gradient norm; gradients are scaled down to it.
    pub max_grad_norm: f64,
}

impl Options {
    /// Those of the parameters that are not matrices.
    pub fn rest(&self) -> adamw::Options {
        let Self { momentum: _, beta1, beta2, epsilon, weight_decay, max_grad_norm } = *self;
        adamw::Options { beta1, beta2, epsilon, weight_decay, max_grad_norm }
    }

    /// Checks that an update with these makes numbers of numbers.
    ///
    /// # Errors
    /// `InvalidArgument` naming the one that is wrong.
    pub fn validate(&self) -> Result<()> {
        check_ranges(&[("momentum", self.momentum, 0.0..1.0)])?;
        self.rest().validate()
    }
}

/// Names of the state of a parameter.
pub fn slots_of(parameter: &Parameter) -> &'static [&'static str] {
    if parameter.group == Group::Matrix { &SLOT } else { &adamw::SLOTS }
}

/// A weight that is made orthogonal.
struct Matrix {
    /// Its number in the model.
    parameter: usize,
    /// First element in the flat buffers.
    offset: usize,
    /// First element in the slot.
    slot: usize,
    rows: usize,
    columns: usize,
}

impl Matrix {
    /// The parameters that have a momentum.
    fn all(layout: &ParameterLayout, slots: &[SlotLayout]) -> Vec<Self> {
        let Some(slot) = slots.iter().find(|slot| slot.name == SLOT[0]) else { return Vec::new() };
        let of = |(parameter, p): (usize, &Parameter)| {
            let slot = slot.offset(parameter)?;
            Some(Self { parameter, offset: p.offset, slot, rows: p.shape[0], columns: p.shape[1] })
        };
        layout.parameters().iter().enumerate().filter_map(of).collect()
    }

    fn len(&self) -> usize {
        self.rows * self.columns
    }

    /// Of the smaller Gram matrix.
    fn side(&self) -> usize {
        self.rows.min(self.columns)
    }

    /// Whether the rows are the shorter side.
    fn is_wide(&self) -> bool {
        self.rows <= self.columns
    }

    /// What the orthogonal matrix is multiplied by, beside the learning rate.
    fn adjustment(&self) -> f64 {
        adjustment(self.rows, self.columns)
    }
}

/// What the orthogonal matrix is multiplied by, beside the learning rate.
pub fn adjustment(rows: usize, columns: usize) -> f64 {
    0.2 * (rows.max(columns) as f64).sqrt()
}

#[cfg(test)]
pub(crate) mod tests;
