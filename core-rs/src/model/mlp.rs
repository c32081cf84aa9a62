//! The second branch of a block: the feed-forward part (Vaswani et al., 2017, section 3.3), with a gate in some families
//! (Shazeer, 2020).

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
        let Kept { before, activated, gated } = kept;
        backend.linear_activation(n, self.up, self.activation, weights, x, before, activated);
        if let (Some((gate, site)), Some(gated)) = (self.gate, &mut *gated) {
            backend.linear_gate(n, gate, pass.at(site), weights, x, before, activated, gated);
        }
        let activated = gated.as_ref().unwrap_or(&*activated);
        backend.linear_residual(n, self.down, weights, activated, pass.at(self.dropout), residual, sum);
    }

    /// From `scratch.dropped`, the gradient of the last layer: that of x to `dx`.
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
        let (f, Kept { before, activated, gated }) = (self.activation, kept);
        let behind = gated.as_ref().unwrap_or(activated);
        backend.linear_parameters_backward(n, self.down, behind, dropped, gradients);
        if let (Some((gate, site)), Some(d_gate)) = (self.gate, d_gate) {
            let (down, dropout) = (self.down, pass.at(site));
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
        } else {
            backend.linear_backward_through_activation(n, self.down, f, weights, dropped, before, intermediate);
        }
        backend.linear_parameters_backward(n, self.up, x, intermediate, gradients);
        backend.linear_backward(n, self.up, weights, intermediate, dx);
    }
}
