//! How a branch of a block joins the residual stream.

use crate::backend::{Backend, Linear, Norm};
use crate::ops::dropout::Dropout;

/// A norm of a sum, and where it goes.
pub(super) struct Behind<'a, B: Backend> {
    pub norm: Norm,
    pub out: &'a mut B::Activations,
    pub statistics: &'a mut B::Buffer,
}

/// `sum = dropout(layer(x)) + residual`, and the norm of that.
pub(super) fn add<B: Backend>(
    backend: &mut B,
    n: usize,
    layer: Linear,
    weights: &B::Buffer,
    x: &B::Activations,
    dropout: Dropout,
    residual: &B::Activations,
    sum: &mut B::Activations,
    behind: Option<Behind<B>>,
) {
    match behind {
        None => backend.linear_residual(n, layer, weights, x, dropout, residual, sum),
        Some(Behind { norm, out, statistics }) => {
            backend.linear_residual_norm(n, layer, weights, x, dropout, residual, sum, norm, out, statistics);
        }
    }
}
