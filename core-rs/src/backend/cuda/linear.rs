//! Dense layers by cuBLASLt, and the kernels behind them.

use super::plan::{Buffer, Cuda};
use crate::backend::linear::LinearOps;
use crate::backend::{DataGradient, Linear};
use crate::driver::{self, Device};
use crate::ops::activation::{self, Activation};
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

    fn linear_backward(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        dy: &driver::Buffer<D>,
        dx: DataGradient<Self>,
    ) {
        let on_device = self.layer(layer, weights, self.queue.activations());
        let (dx, accumulate) = match dx {
            DataGradient::Store(dx) => (dx.exact(), false),
            DataGradient::Add(dx) => (dx.exact(), true),
            DataGradient::Operand(dx) => (dx.tensor(), false),
        };
        linear::cuda::backward_data(&self.queue, n, on_device, dy.tensor(), dx, accumulate);
    }

    fn linear_backward_through_activation_to_layer(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Buffer<D>,
        dy: &driver::Buffer<D>,
        kept: &driver::Buffer<D>,
        dx: &mut driver::Buffer<D>,
        before: Linear,
        x: &driver::Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        self.linear_backward(n, layer, weights, dy, DataGradient::Operand(dx));
        let bias = before.bias.map(|at| (gradients.exact().part(at, before.outputs), self.scratch.tensor()));
        activation::cuda::backward(&self.queue, activation, [n, layer.inputs], kept.tensor(), dx.tensor(), bias);
        self.weight_backward(n, before, x.tensor(), dx.tensor(), gradients);
    }

    fn linear_parameters_backward(
        &mut self,
        n: usize,
        layer: Linear,
        x: &driver::Buffer<D>,
        dy: &driver::Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        self.parameters_backward(n, layer, x.tensor(), dy.tensor(), layer.outputs, gradients);
    }
}
