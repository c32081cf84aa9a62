//! Dense layers by cuBLASLt, and the kernels behind them.

use super::plan::{Buffer, Cuda};
use crate::backend::elements::ElementOps;
use crate::backend::linear::LinearOps;
use crate::backend::{DataGradient, Linear};
use crate::driver::{self, Device};
use crate::ops::activation::{self, Activation};
use crate::ops::dropout::{self, Dropout};
use crate::ops::linear;

impl<D: Device> LinearOps for Cuda<D> {
    fn linear(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        y: &mut driver::Buffer<D>,
    ) {
        let on_device = self.layer(layer, weights, self.queue.activations());
        linear::cuda::forward(&self.queue, n, on_device, x.tensor(), y.tensor());
    }

    fn linear_residual(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        dropout: Dropout,
        residual: &driver::Buffer<D>,
        y: &mut driver::Buffer<D>,
    ) {
        self.linear(n, layer, weights, x, y);
        let site = self.site(dropout);
        dropout::cuda::add_residual(&self.queue, n * layer.outputs, y.tensor(), site, residual.tensor());
    }

    fn linear_activation(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        pre: &mut driver::Buffer<D>,
        y: &mut driver::Buffer<D>,
    ) {
        self.linear(n, layer, weights, x, pre);
        activation::cuda::forward(&self.queue, activation, n * layer.outputs, pre.tensor(), y.tensor());
    }

    fn linear_backward(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        dy: &driver::Buffer<D>,
        dx: &mut Buffer<D>,
        how: DataGradient,
    ) {
        let on_device = self.layer(layer, weights, self.queue.activations());
        let accumulate = how == DataGradient::Add;
        linear::cuda::backward_data(&self.queue, n, on_device, dy.tensor(), dx.exact(), accumulate);
    }

    fn linear_backward_to_operand(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        dy: &driver::Buffer<D>,
        dx: &mut driver::Buffer<D>,
    ) {
        let on_device = self.layer(layer, weights, self.queue.activations());
        linear::cuda::backward_data(&self.queue, n, on_device, dy.tensor(), dx.tensor(), false);
    }

    fn linear_backward_through_activation(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Buffer<D>,
        dy: &driver::Buffer<D>,
        pre: &driver::Buffer<D>,
        dx: &mut driver::Buffer<D>,
    ) {
        self.linear_backward_to_operand(n, layer, weights, dy, dx);
        self.activation_backward(n, layer.inputs, activation, pre, dx);
    }

    fn linear_parameters_backward(
        &mut self,
        n: usize,
        layer: Linear,
        x: &driver::Buffer<D>,
        dy: &driver::Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        self.parameters_backward(n, layer, x.tensor(), dy.tensor(), gradients);
    }
}
