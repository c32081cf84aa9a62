//! The second branch of a block: the feed-forward part (Vaswani et al., 2017, section 3.3).

use super::pass::Pass;
use super::places::Places;
use super::scratch::Scratch;
use crate::backend::{Backend, DataGradient, Linear};
use crate::blueprint::{self, Site};
use crate::error::Result;
use crate::ops::activation::Activation;

/// Where its parameters are, and how it drops out.
pub(super) struct Mlp {
    up: Linear,
    activation: Activation,
    down: Linear,
    pub dropout: Site,
}

/// What its forward pass leaves for its backward pass.
pub(super) struct Kept<B: Backend> {
    /// `[N, F]`: what the backward of the activation needs.
    before: B::Activations,
    /// `[N, F]`
    activated: B::Activations,
}

impl Mlp {
    pub fn new(spec: &blueprint::Mlp, places: &Places) -> Result<Self> {
        let (up, down) = (places.dense(&spec.up)?, places.dense(&spec.down)?);
        Ok(Self { up, activation: spec.activation, down, dropout: spec.dropout })
    }

    pub fn keep<B: Backend>(&self, backend: &B, n: usize) -> Result<Kept<B>> {
        let matrix = || backend.activations(n * self.up.outputs);
        Ok(Kept { before: matrix()?, activated: matrix()? })
    }

    pub fn layers(&self) -> [Linear; 2] {
        [self.up, self.down]
    }

    /// `sum = dropout(down(f(up(x)))) + residual`, of `n` rows.
    pub fn forward<B: Backend>(
        &self,
        backend: &mut B,
        weights: &B::Buffer,
        n: usize,
        pass: &Pass,
        kept: &mut Kept<B>,
        x: &B::Activations,
        residual: &B::Activations,
        sum: &mut B::Activations,
    ) {
        let Kept { before, activated } = kept;
        backend.linear_activation(n, self.up, self.activation, weights, x, before, activated);
        backend.linear_residual(n, self.down, weights, activated, pass.at(self.dropout), residual, sum);
    }

    /// From `scratch.dropped`, the gradient of the last layer: that of x to `dx`.
    pub fn backward<B: Backend>(
        &self,
        backend: &mut B,
        weights: &B::Buffer,
        n: usize,
        kept: &Kept<B>,
        x: &B::Activations,
        scratch: &mut Scratch<B>,
        dx: DataGradient<B>,
        gradients: &mut B::Buffer,
    ) {
        let Scratch { dropped, intermediate, .. } = scratch;
        backend.linear_parameters_backward(n, self.down, &kept.activated, dropped, gradients);
        let (activation, before) = (self.activation, &kept.before);
        backend.linear_backward_through_activation(n, self.down, activation, weights, dropped, before, intermediate);
        backend.linear_parameters_backward(n, self.up, x, intermediate, gradients);
        backend.linear_backward(n, self.up, weights, intermediate, dx);
    }
}
