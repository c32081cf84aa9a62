//! LayerNorm (Ba et al., 2016).

use super::linear::LinearOps;
use super::{Linear, Norm};
use crate::ops::dropout::Dropout;

/// A norm over the columns of each row.
pub trait NormOps: LinearOps {
    /// `out = LayerNorm(x)`; `statistics[n, 2]` is kept for backward.
    fn norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Self::Buffer,
        x: &Self::Activations,
        out: &mut Self::Activations,
        statistics: &mut Self::Buffer,
    );

    /// `sum = dropout(x Wᵀ + b) + residual`, and `out` the norm of that.
    fn linear_residual_norm(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Self::Buffer,
        x: &Self::Activations,
        dropout: Dropout,
        residual: &Self::Activations,
        sum: &mut Self::Activations,
        norm: Norm,
        out: &mut Self::Activations,
        statistics: &mut Self::Buffer,
    ) {
        linear_residual_norm(self, n, layer, weights, x, dropout, residual, sum, norm, out, statistics);
    }

    /// `gradient`: d out → d x, in place. Adds to the gradients of weight and bias.
    fn norm_backward(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Self::Buffer,
        x: &Self::Activations,
        statistics: &Self::Buffer,
        gradient: &mut Self::Buffer,
        gradients: &mut Self::Buffer,
    );

    /// `sum += d x`, from `gradient`: d out, which need not be there any more.
    fn norm_backward_to_sum(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Self::Buffer,
        x: &Self::Activations,
        statistics: &Self::Buffer,
        gradient: &mut Self::Buffer,
        sum: &mut Self::Buffer,
        gradients: &mut Self::Buffer,
    ) {
        norm_backward_to_sum(self, n, norm, weights, x, statistics, gradient, sum, gradients);
    }

    /// `norm_backward`, and `operand` receives d x times a dropout (that of what the residual was added to), as the operand of a
    /// product.
    fn norm_backward_to_operand(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Self::Buffer,
        x: &Self::Activations,
        statistics: &Self::Buffer,
        gradient: &mut Self::Buffer,
        dropout: Dropout,
        operand: &mut Self::Activations,
        gradients: &mut Self::Buffer,
    ) {
        norm_backward_to_operand(self, n, norm, weights, x, statistics, gradient, dropout, operand, gradients);
    }

    /// The same where the dropout was applied to what `layer` made of `input`: also adds to the gradients of its weight and
    /// bias.
    fn norm_backward_to_layer(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Self::Buffer,
        x: &Self::Activations,
        statistics: &Self::Buffer,
        gradient: &mut Self::Buffer,
        dropout: Dropout,
        operand: &mut Self::Activations,
        layer: Linear,
        input: &Self::Activations,
        gradients: &mut Self::Buffer,
    ) {
        norm_backward_to_layer(
            self, n, norm, weights, x, statistics, gradient, dropout, operand, layer, input, gradients,
        );
    }
}

/// [`NormOps::linear_residual_norm`] in two steps.
pub fn linear_residual_norm<B: NormOps + ?Sized>(
    backend: &mut B,
    n: usize,
    layer: Linear,
    weights: &B::Buffer,
    x: &B::Activations,
    dropout: Dropout,
    residual: &B::Activations,
    sum: &mut B::Activations,
    norm: Norm,
    out: &mut B::Activations,
    statistics: &mut B::Buffer,
) {
    backend.linear_residual(n, layer, weights, x, dropout, residual, sum);
    backend.norm(n, norm, weights, sum, out, statistics);
}

/// [`NormOps::norm_backward_to_sum`] in two steps.
pub fn norm_backward_to_sum<B: NormOps + ?Sized>(
    backend: &mut B,
    n: usize,
    norm: Norm,
    weights: &B::Buffer,
    x: &B::Activations,
    statistics: &B::Buffer,
    gradient: &mut B::Buffer,
    sum: &mut B::Buffer,
    gradients: &mut B::Buffer,
) {
    backend.norm_backward(n, norm, weights, x, statistics, gradient, gradients);
    backend.add(n, norm.width, gradient, sum);
}

/// [`NormOps::norm_backward_to_operand`] in two steps.
pub fn norm_backward_to_operand<B: NormOps + ?Sized>(
    backend: &mut B,
    n: usize,
    norm: Norm,
    weights: &B::Buffer,
    x: &B::Activations,
    statistics: &B::Buffer,
    gradient: &mut B::Buffer,
    dropout: Dropout,
    operand: &mut B::Activations,
    gradients: &mut B::Buffer,
) {
    backend.norm_backward(n, norm, weights, x, statistics, gradient, gradients);
    backend.dropout_to_operand(n, norm.width, gradient, dropout, operand);
}

/// [`NormOps::norm_backward_to_layer`] in two steps.
pub fn norm_backward_to_layer<B: NormOps + ?Sized>(
    backend: &mut B,
    n: usize,
    norm: Norm,
    weights: &B::Buffer,
    x: &B::Activations,
    statistics: &B::Buffer,
    gradient: &mut B::Buffer,
    dropout: Dropout,
    operand: &mut B::Activations,
    layer: Linear,
    input: &B::Activations,
    gradients: &mut B::Buffer,
) {
    backend.norm_backward_to_operand(n, norm, weights, x, statistics, gradient, dropout, operand, gradients);
    backend.linear_parameters_backward(n, layer, input, operand, gradients);
}
