//! LayerNorm's kernels.

use super::plan::{Buffer, Cuda};
use crate::backend::linear::LinearOps;
use crate::backend::norm::NormOps;
use crate::backend::{Linear, Norm};
use crate::driver::{self, Device};
use crate::ops::dropout::Dropout;
use crate::ops::layer_norm;

impl<D: Device> Cuda<D> {
    /// `bias` is that of the layer before the dropout, if its gradient is wanted, too.
    fn backward_of_norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        statistics: &Buffer<D>,
        gradient: &Buffer<D>,
        sum: Option<&Buffer<D>>,
        operand: Option<(Dropout, &mut driver::Buffer<D>)>,
        bias: Option<usize>,
        gradients: &mut Buffer<D>,
    ) {
        layer_norm::cuda::backward(
            &self.queue,
            n,
            self.norm_of(norm, weights),
            x.tensor(),
            statistics.exact(),
            gradient.exact(),
            sum.map(Buffer::exact),
            operand.map(|(dropout, to)| (self.site(dropout), to.tensor())),
            gradients.exact().part(norm.weight, norm.len()),
            bias.map(|bias| gradients.exact().part(bias, norm.width)),
            self.scratch.tensor(),
        );
    }
}

impl<D: Device> NormOps for Cuda<D> {
    fn norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        out: &mut driver::Buffer<D>,
        statistics: &mut Buffer<D>,
    ) {
        let (norm, statistics) = (self.norm_of(norm, weights), statistics.exact());
        layer_norm::cuda::forward(&self.queue, n, norm, x.tensor(), out.tensor(), statistics);
    }

    fn linear_residual_norm(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        dropout: Dropout,
        residual: &driver::Buffer<D>,
        sum: &mut driver::Buffer<D>,
        norm: Norm,
        out: &mut driver::Buffer<D>,
        statistics: &mut Buffer<D>,
    ) {
        self.linear(n, layer, weights, x, sum);
        let (norm, site) = (self.norm_of(norm, weights), self.site(dropout));
        let (residual, sum) = (residual.tensor(), sum.tensor());
        layer_norm::cuda::residual(&self.queue, n, norm, residual, site, sum, out.tensor(), statistics.exact());
    }

    fn norm_backward(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        statistics: &Buffer<D>,
        gradient: &mut Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        self.backward_of_norm(n, norm, weights, x, statistics, gradient, None, None, None, gradients);
    }

    fn norm_backward_to_sum(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        statistics: &Buffer<D>,
        gradient: &mut Buffer<D>,
        sum: &mut Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        self.backward_of_norm(n, norm, weights, x, statistics, gradient, Some(sum), None, None, gradients);
    }

    fn norm_backward_to_operand(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        statistics: &Buffer<D>,
        gradient: &mut Buffer<D>,
        dropout: Dropout,
        operand: &mut driver::Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        let operand = Some((dropout, operand));
        self.backward_of_norm(n, norm, weights, x, statistics, gradient, None, operand, None, gradients);
    }

    fn norm_backward_to_layer(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        statistics: &Buffer<D>,
        gradient: &mut Buffer<D>,
        dropout: Dropout,
        operand: &mut driver::Buffer<D>,
        layer: Linear,
        input: &driver::Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        let (dy, to) = (operand.tensor(), Some((dropout, operand)));
        self.backward_of_norm(n, norm, weights, x, statistics, gradient, None, to, layer.bias, gradients);
        self.weight_backward(n, layer, input.tensor(), dy, gradients);
    }
}
