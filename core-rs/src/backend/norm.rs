//! LayerNorm (Ba et al., 2016).

use super::Norm;
use super::elements::ElementOps;
use crate::ops::dropout::Dropout;

/// A norm over the columns of each row.
pub trait NormOps: ElementOps {
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

    /// `gradient`: d out → d x, in place. `operand`, if given, receives d x times a dropout (that of what the residual was
    /// added to), as the operand of a product. Adds to the gradients of weight and bias.
    fn norm_backward(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Self::Buffer,
        x: &Self::Activations,
        statistics: &Self::Buffer,
        gradient: &mut Self::Buffer,
        operand: Option<(Dropout, &mut Self::Activations)>,
        gradients: &mut Self::Buffer,
    );
}
