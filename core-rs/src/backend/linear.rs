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
    );

    /// `y = f(x Wᵀ + b)`; `kept` is what this backend's backward of f needs: the argument or the slope there.
    fn linear_activation(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Self::Buffer,
        x: &Self::Activations,
        kept: &mut Self::Activations,
        y: &mut Self::Activations,
    );

    /// `dx = dy W`
    fn linear_backward(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        dx: &mut Self::Buffer,
        how: DataGradient,
    );

    /// `dx = dy W`, where dx is the operand of a product.
    fn linear_backward_to_operand(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        dy: &Self::Activations,
        dx: &mut Self::Activations,
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
    );

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
