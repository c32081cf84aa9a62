//! Dense layers.

use super::elements::ElementOps;
use super::{DataGradient, Linear};
use crate::ops::activation::Activation;
use crate::ops::dropout::Dropout;

/// Products with a layer's weight, and what stands around them.
pub trait LinearOps: ElementOps {
    /// `y = x Wᵀ + b`
    fn linear(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        x: &Self::Activations,
        y: &mut Self::Activations,
    );

    /// `y = dropout(x Wᵀ + b) + residual`
    fn linear_residual(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        x: &Self::Activations,
        dropout: Dropout,
        residual: &Self::Activations,
        y: &mut Self::Activations,
    ) {
        linear_residual(self, n, layer, weights, x, dropout, residual, y);
    }

    /// `y = f(x Wᵀ + b)`; `kept` is what [`ElementOps::activation`] leaves.
    fn linear_activation(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Self::Buffer,
        x: &Self::Activations,
        kept: &mut Self::Activations,
        y: &mut Self::Activations,
    ) {
        linear_activation(self, n, layer, activation, weights, x, kept, y);
    }

    /// `dx = dy W`
    fn linear_backward(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        dx: DataGradient<Self>,
    );

    /// `dx = dy W · f'`, from what `linear_activation` has kept.
    fn linear_backward_through_activation(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        kept: &Self::Activations,
        dx: &mut Self::Activations,
    ) {
        linear_backward_through_activation(self, n, layer, activation, weights, dy, kept, dx);
    }

    /// The same where the activation was applied to what `before` made of `x`: also adds to the gradients of its weight and
    /// bias.
    fn linear_backward_through_activation_to_layer(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        kept: &Self::Activations,
        dx: &mut Self::Activations,
        before: Linear,
        x: &Self::Activations,
        gradients: &mut Self::Buffer,
    ) {
        linear_backward_through_activation_to_layer(
            self, n, layer, activation, weights, dy, kept, dx, before, x, gradients,
        );
    }

    /// `y = dropout(activated · (x Wᵀ + b))`, a gate on what `linear_activation` has left.
    fn linear_gate(
        &mut self,
        n: usize,
        layer: Linear,
        dropout: Dropout,
        weights: &Self::Buffer,
        x: &Self::Activations,
        kept: &mut Self::Activations,
        activated: &mut Self::Activations,
        y: &mut Self::Activations,
    ) {
        linear_gate(self, n, layer, dropout, weights, x, kept, activated, y);
    }

    /// From `dy W`, the gradient of what `linear_gate` made, those of the activation's argument and of the gate.
    fn linear_backward_through_gate(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        dropout: Dropout,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        kept: &Self::Activations,
        activated: &Self::Activations,
        d_up: &mut Self::Activations,
        d_gate: &mut Self::Activations,
    ) {
        linear_backward_through_gate(self, n, layer, activation, dropout, weights, dy, kept, activated, d_up, d_gate);
    }

    /// `dW += dyᵀ x`, `db += Σ dy`
    fn linear_parameters_backward(
        &mut self,
        n: usize,
        layer: Linear,
        x: &Self::Activations,
        dy: &Self::Activations,
        gradients: &mut Self::Buffer,
    );
}

/// [`LinearOps::linear_residual`] in two steps.
pub fn linear_residual<B: LinearOps + ?Sized>(
    backend: &mut B,
    n: usize,
    layer: Linear,
    weights: &B::Buffer,
    x: &B::Activations,
    dropout: Dropout,
    residual: &B::Activations,
    y: &mut B::Activations,
) {
    backend.linear(n, layer, weights, x, y);
    backend.residual(n, layer.outputs, y, dropout, residual);
}

/// [`LinearOps::linear_activation`] in two steps.
pub fn linear_activation<B: LinearOps + ?Sized>(
    backend: &mut B,
    n: usize,
    layer: Linear,
    activation: Activation,
    weights: &B::Buffer,
    x: &B::Activations,
    kept: &mut B::Activations,
    y: &mut B::Activations,
) {
    backend.linear(n, layer, weights, x, kept);
    backend.activation(n, layer.outputs, activation, kept, y);
}

/// [`LinearOps::linear_backward_through_activation`] in two steps.
pub fn linear_backward_through_activation<B: LinearOps + ?Sized>(
    backend: &mut B,
    n: usize,
    layer: Linear,
    activation: Activation,
    weights: &B::Buffer,
    dy: &B::Activations,
    kept: &B::Activations,
    dx: &mut B::Activations,
) {
    backend.linear_backward(n, layer, weights, dy, DataGradient::Operand(dx));
    backend.activation_backward(n, layer.inputs, activation, kept, dx);
}

/// [`LinearOps::linear_backward_through_activation_to_layer`] in two steps.
pub fn linear_backward_through_activation_to_layer<B: LinearOps + ?Sized>(
    backend: &mut B,
    n: usize,
    layer: Linear,
    activation: Activation,
    weights: &B::Buffer,
    dy: &B::Activations,
    kept: &B::Activations,
    dx: &mut B::Activations,
    before: Linear,
    x: &B::Activations,
    gradients: &mut B::Buffer,
) {
    backend.linear_backward_through_activation(n, layer, activation, weights, dy, kept, dx);
    backend.linear_parameters_backward(n, before, x, dx, gradients);
}

/// [`LinearOps::linear_gate`] in two steps.
pub fn linear_gate<B: LinearOps + ?Sized>(
    backend: &mut B,
    n: usize,
    layer: Linear,
    dropout: Dropout,
    weights: &B::Buffer,
    x: &B::Activations,
    kept: &mut B::Activations,
    activated: &mut B::Activations,
    y: &mut B::Activations,
) {
    backend.linear(n, layer, weights, x, y);
    backend.gate(n, layer.outputs, dropout, kept, activated, y);
}

/// [`LinearOps::linear_backward_through_gate`] in two steps.
pub fn linear_backward_through_gate<B: LinearOps + ?Sized>(
    backend: &mut B,
    n: usize,
    layer: Linear,
    activation: Activation,
    dropout: Dropout,
    weights: &B::Buffer,
    dy: &B::Activations,
    kept: &B::Activations,
    activated: &B::Activations,
    d_up: &mut B::Activations,
    d_gate: &mut B::Activations,
) {
    backend.linear_backward(n, layer, weights, dy, DataGradient::Operand(d_up));
    backend.gate_backward(n, layer.inputs, activation, dropout, kept, activated, d_up, d_gate);
}
