//! Kernels of single elements.

use super::plan::{Buffer, Cuda};
use crate::backend::elements::ElementOps;
use crate::driver::{self, Device};
use crate::ops::activation::{self, Activation};
use crate::ops::dropout::{self, Dropout};
use crate::ops::{linear, tanh};

impl<D: Device> ElementOps for Cuda<D> {
    fn dropout(&mut self, n: usize, width: usize, x: &mut driver::Buffer<D>, dropout: Dropout) {
        dropout::cuda::apply(&self.queue, n * width, x.tensor(), self.site(dropout));
    }

    fn dropout_backward(&mut self, n: usize, width: usize, gradient: &mut Buffer<D>, dropout: Dropout) {
        dropout::cuda::apply_to_gradient(&self.queue, n * width, gradient.exact(), self.site(dropout));
    }

    fn dropout_to_operand(
        &mut self,
        n: usize,
        width: usize,
        gradient: &Buffer<D>,
        dropout: Dropout,
        to: &mut driver::Buffer<D>,
    ) {
        dropout::cuda::apply_to(&self.queue, n * width, gradient.exact(), self.site(dropout), to.tensor());
    }

    fn residual(
        &mut self,
        n: usize,
        width: usize,
        x: &mut driver::Buffer<D>,
        dropout: Dropout,
        residual: &driver::Buffer<D>,
    ) {
        dropout::cuda::add_residual(&self.queue, n * width, x.tensor(), self.site(dropout), residual.tensor());
    }

    fn add(&mut self, n: usize, width: usize, x: &Buffer<D>, to: &mut Buffer<D>) {
        dropout::cuda::add(&self.queue, n * width, x.exact(), to.exact());
    }

    fn scale(&mut self, n: usize, width: usize, factor: f32, x: &mut driver::Buffer<D>) {
        let factor = self.queue.input(&[factor], 1);
        linear::cuda::scale(&self.queue, n * width, factor, x.tensor());
    }

    fn activation(
        &mut self,
        n: usize,
        width: usize,
        activation: Activation,
        kept: &mut driver::Buffer<D>,
        y: &mut driver::Buffer<D>,
    ) {
        activation::cuda::forward(&self.queue, activation, n * width, kept.tensor(), y.tensor());
    }

    fn activation_backward(
        &mut self,
        n: usize,
        width: usize,
        activation: Activation,
        pre: &driver::Buffer<D>,
        gradient: &mut driver::Buffer<D>,
    ) {
        activation::cuda::backward(&self.queue, activation, [n, width], pre.tensor(), gradient.tensor(), None);
    }

    fn gate(
        &mut self,
        n: usize,
        width: usize,
        dropout: Dropout,
        _pre: &mut driver::Buffer<D>,
        activated: &mut driver::Buffer<D>,
        y: &mut driver::Buffer<D>,
    ) {
        let site = self.site(dropout);
        activation::cuda::gate_forward(&self.queue, n * width, site, activated.tensor(), y.tensor());
    }

    fn gate_backward(
        &mut self,
        n: usize,
        width: usize,
        activation: Activation,
        dropout: Dropout,
        pre: &driver::Buffer<D>,
        gate: &driver::Buffer<D>,
        d_up: &mut driver::Buffer<D>,
        d_gate: &mut driver::Buffer<D>,
    ) {
        let (from, to) = ([pre.tensor(), gate.tensor()], [d_up.tensor(), d_gate.tensor()]);
        activation::cuda::gate_backward(&self.queue, activation, n * width, self.site(dropout), from, to);
    }

    fn tanh(&mut self, n: usize, width: usize, x: &driver::Buffer<D>, y: &mut driver::Buffer<D>) {
        tanh::cuda::forward(&self.queue, n * width, x.tensor(), y.tensor());
    }

    fn tanh_backward(&mut self, n: usize, width: usize, y: &driver::Buffer<D>, gradient: &mut driver::Buffer<D>) {
        tanh::cuda::backward(&self.queue, n * width, y.tensor(), gradient.tensor());
    }
}
