//! What is done to each element alone.

use super::memory::MemoryOps;
use crate::ops::activation::Activation;
use crate::ops::dropout::Dropout;

/// Functions of single elements.
pub trait ElementOps: MemoryOps {
    /// `x[n, width] *= dropout`
    fn dropout(&mut self, n: usize, width: usize, x: &mut Self::Activations, dropout: Dropout);

    /// The same to a gradient.
    fn dropout_backward(&mut self, n: usize, width: usize, gradient: &mut Self::Buffer, dropout: Dropout);

    /// `to = gradient · dropout`, as the operand of a product.
    fn dropout_to_operand(
        &mut self,
        n: usize,
        width: usize,
        gradient: &Self::Buffer,
        dropout: Dropout,
        to: &mut Self::Activations,
    );

    /// `x[n, width] = dropout(x) + residual`
    fn residual(
        &mut self,
        n: usize,
        width: usize,
        x: &mut Self::Activations,
        dropout: Dropout,
        residual: &Self::Activations,
    );

    /// `to[n, width] += x`
    fn add(&mut self, n: usize, width: usize, x: &Self::Buffer, to: &mut Self::Buffer);

    /// `x[n, width] *= factor`
    fn scale(&mut self, n: usize, width: usize, factor: f32, x: &mut Self::Activations);

    /// `y[n, width] = f(kept)`; `kept` becomes what this device's backward of f needs: the argument or the slope there.
    fn activation(
        &mut self,
        n: usize,
        width: usize,
        activation: Activation,
        kept: &mut Self::Activations,
        y: &mut Self::Activations,
    );

    /// `gradient[n, width] *= f'`, from what `activation` has kept.
    fn activation_backward(
        &mut self,
        n: usize,
        width: usize,
        activation: Activation,
        kept: &Self::Activations,
        gradient: &mut Self::Activations,
    );

    /// `y[n, width] = dropout(activated · y)`, where y is the gate, and `kept` and `activated` are what `activation` has left;
    /// they become what this device's backward needs.
    fn gate(
        &mut self,
        n: usize,
        width: usize,
        dropout: Dropout,
        kept: &mut Self::Activations,
        activated: &mut Self::Activations,
        y: &mut Self::Activations,
    );

    /// From the gradient of what `gate` made, in `d_up`, those of the activation's argument, in place, and of the gate.
    fn gate_backward(
        &mut self,
        n: usize,
        width: usize,
        activation: Activation,
        dropout: Dropout,
        kept: &Self::Activations,
        activated: &Self::Activations,
        d_up: &mut Self::Activations,
        d_gate: &mut Self::Activations,
    );

    /// `y[n, width] = tanh(x)`
    fn tanh(&mut self, n: usize, width: usize, x: &Self::Activations, y: &mut Self::Activations);

    /// `gradient[n, width] *= 1 − y²`
    fn tanh_backward(&mut self, n: usize, width: usize, y: &Self::Activations, gradient: &mut Self::Activations);
}
