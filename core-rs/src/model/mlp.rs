//! The second branch of a block: the feed-forward part (Vaswani et al., 2017, section 3.3), with a gate in some families
//! (Shazeer, 2020).

use super::pass::Pass;
use super::places::Places;
use super::residual::{self, Behind};
use super::scratch::Scratch;
use crate::backend::{Backend, DataGradient, Linear};
use crate::blueprint::{self, Site};
use crate::error::Result;
use crate::ops::activation::Activation;

/// Where its parameters are, and how it drops out.
pub(super) struct Mlp {
    up: Linear,
    activation: Activation,
    /// The layer whose output the activation is multiplied by, and the dropout of that product.
    gate: Option<(Linear, Site)>,
    down: Linear,
    pub dropout: Site,
}

/// What its forward pass leaves for its backward pass.
pub(super) struct Kept<B: Backend> {
    /// `[N, F]`: what the backward of the activation needs.
    before: B::Activations,
    /// `[N, F]`
    activated: B::Activations,
    /// `[N, F]`: what is behind the gate.
    gated: Option<B::Activations>,
}

impl Mlp {
    pub fn new(spec: &blueprint::Mlp, places: &Places) -> Result<Self> {
        let (up, gate) = match spec.gate {
            None => (places.dense(&spec.up)?, None),
            Some(dropout) => {
                let [up, gate] = places.halves(&spec.up)?;
                (up, Some((gate, dropout)))
            }
        };
        Ok(Self { up, activation: spec.activation, gate, down: places.dense(&spec.down)?, dropout: spec.dropout })
    }

    pub fn keep<B: Backend>(&self, backend: &B, n: usize) -> Result<Kept<B>> {
        let matrix = || backend.activations(n * self.up.outputs);
        let gated = self.gate.map(|_| matrix()).transpose()?;
        Ok(Kept { before: matrix()?, activated: matrix()?, gated })
    }

    pub fn layers(&self) -> Vec<Linear> {
        [self.up].into_iter().chain(self.gate.map(|(gate, _)| gate)).chain([self.down]).collect()
    }

    /// `sum = dropout(down(f(up(x)))) + residual`, of `n` rows, and the norm `behind` that, if there is one.
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
        behind: Option<Behind<B>>,
    ) {
        let Kept { before, activated, gated } = kept;
        backend.linear_activation(n, self.up, self.activation, weights, x, before, activated);
        if let (Some((gate, site)), Some(gated)) = (self.gate, &mut *gated) {
            backend.linear_gate(n, gate, pass.at(site), weights, x, before, activated, gated);
        }
        let activated = gated.as_ref().unwrap_or(&*activated);
        residual::add(backend, n, self.down, weights, activated, pass.at(self.dropout), residual, sum, behind);
    }

    /// The last layer and what it read.
    pub fn last<'a, B: Backend>(&self, kept: &'a Kept<B>) -> (Linear, &'a B::Activations) {
        (self.down, kept.gated.as_ref().unwrap_or(&kept.activated))
    }

    /// From `scratch.dropped`, the gradient of what the last layer made: that of x to `dx`. The last layer's own are there.
    pub fn backward<B: Backend>(
        &self,
        backend: &mut B,
        weights: &B::Buffer,
        n: usize,
        pass: &Pass,
        kept: &Kept<B>,
        x: &B::Activations,
        scratch: &mut Scratch<B>,
        mut dx: DataGradient<B>,
        gradients: &mut B::Buffer,
    ) {
        let Scratch { dropped, intermediate, gate: d_gate, .. } = scratch;
        let (f, Kept { before, activated, .. }) = (self.activation, kept);
        let (up, down) = (self.up, self.down);
        if let (Some((gate, site)), Some(d_gate)) = (self.gate, d_gate) {
            let dropout = pass.at(site);
            backend.linear_backward_through_gate(
                n,
                down,
                f,
                dropout,
                weights,
                dropped,
                before,
                activated,
                intermediate,
                d_gate,
            );
            backend.linear_parameters_backward(n, gate, x, d_gate, gradients);
            backend.linear_backward(n, gate, weights, d_gate, dx.again());
            dx = dx.added();
            backend.linear_parameters_backward(n, up, x, intermediate, gradients);
        } else {
            backend.linear_backward_through_activation_to_layer(
                n,
                down,
                f,
                weights,
                dropped,
                before,
                intermediate,
                up,
                x,
                gradients,
            );
        }
        backend.linear_backward(n, up, weights, intermediate, dx);
    }
}
