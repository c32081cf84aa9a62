//! Dense layers: products whose epilogue does what follows them, by packed weights where those pay.

use super::Cpu;
use crate::backend::linear::LinearOps;
use crate::backend::{DataGradient, Linear};
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::ops::activation::Activation;
use crate::ops::dropout::Dropout;
use crate::ops::gemm::epilogue::{Add, Bias, BiasActivation, BiasDropoutResidual, Epilogue, Store, TimesSlope};
use crate::ops::gemm::gate::{Gate, TimesBoth};
use crate::ops::linear::{self, Weight};

impl<T: Element> Cpu<T> {
    pub(super) fn weight<'a>(&'a self, layer: Linear, weights: &'a Buffer) -> Weight<'a> {
        let at = self.packed.binary_search_by_key(&layer.weight, |(offset, _)| *offset);
        Weight {
            values: &weights[layer.weight..][..layer.inputs * layer.outputs],
            inputs: layer.inputs,
            packed: at.ok().map(|at| &self.packed[at].1),
        }
    }

    fn linear_forward(&self, n: usize, layer: Linear, weights: &Buffer, x: &Buffer<T>, epilogue: &dyn Epilogue) {
        let x = &x[..n * layer.inputs];
        self.note(linear::forward(&self.gemm, &self.threads, x, self.weight(layer, weights), epilogue));
    }

    pub(super) fn linear_data(
        &self,
        n: usize,
        layer: Linear,
        weights: &Buffer,
        dy: &Buffer<T>,
        epilogue: &dyn Epilogue,
    ) {
        let dy = &dy[..n * layer.outputs];
        self.note(linear::backward_data(&self.gemm, &self.threads, dy, self.weight(layer, weights), epilogue));
    }
}

impl Linear {
    pub(super) fn bias<'a>(&self, weights: &'a Buffer) -> Option<&'a [f32]> {
        self.bias.map(|bias| &weights[bias..][..self.outputs])
    }

    /// Weight and bias.
    pub(super) fn of_mut<'a>(&self, gradients: &'a mut Buffer) -> (&'a mut [f32], Option<&'a mut [f32]>) {
        let (left, right) = gradients.split_at_mut(self.bias.unwrap_or(self.weight + self.inputs * self.outputs));
        let d_bias = self.bias.map(|_| &mut right[..self.outputs]);
        (&mut left[self.weight..][..self.inputs * self.outputs], d_bias)
    }
}

impl<T: Element> LinearOps for Cpu<T> {
    fn linear(&mut self, n: usize, layer: Linear, weights: &Buffer, x: &Buffer<T>, y: &mut Buffer<T>) {
        let _timer = self.profile.start("linear");
        let epilogue = Bias::new(layer.bias(weights), &mut y[..n * layer.outputs], layer.outputs);
        self.linear_forward(n, layer, weights, x, &epilogue);
    }

    fn linear_residual(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer,
        x: &Buffer<T>,
        dropout: Dropout,
        residual: &Buffer<T>,
        y: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("linear_residual");
        let len = n * layer.outputs;
        let epilogue =
            BiasDropoutResidual::new(layer.bias(weights), dropout, &residual[..len], &mut y[..len], layer.outputs);
        self.linear_forward(n, layer, weights, x, &epilogue);
    }

    fn linear_activation(
        &mut self,
        n: usize,
        layer: Linear,
        activation: Activation,
        weights: &Buffer,
        x: &Buffer<T>,
        kept: &mut Buffer<T>,
        y: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("linear_activation");
        let len = n * layer.outputs;
        let epilogue =
            BiasActivation::new(layer.bias(weights), activation, &mut kept[..len], &mut y[..len], layer.outputs);
        self.linear_forward(n, layer, weights, x, &epilogue);
    }

    fn linear_backward(&mut self, n: usize, layer: Linear, weights: &Buffer, dy: &Buffer<T>, dx: DataGradient<Self>) {
        let _timer = self.profile.start("linear_backward");
        let (len, stride) = (n * layer.inputs, layer.inputs);
        match dx {
            DataGradient::Store(dx) => self.linear_data(n, layer, weights, dy, &Store::new(&mut dx[..len], stride)),
            DataGradient::Add(dx) => self.linear_data(n, layer, weights, dy, &Add::new(&mut dx[..len], stride)),
            DataGradient::Operand(dx) => self.linear_data(n, layer, weights, dy, &Store::new(&mut dx[..len], stride)),
        }
    }

    fn linear_backward_through_activation(
        &mut self,
        n: usize,
        layer: Linear,
        _activation: Activation,
        weights: &Buffer,
        dy: &Buffer<T>,
        kept: &Buffer<T>,
        dx: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("linear_backward_through_activation");
        let len = n * layer.inputs;
        self.linear_data(n, layer, weights, dy, &TimesSlope::new(&kept[..len], &mut dx[..len], layer.inputs));
    }

    fn linear_gate(
        &mut self,
        n: usize,
        layer: Linear,
        dropout: Dropout,
        weights: &Buffer,
        x: &Buffer<T>,
        slope: &mut Buffer<T>,
        activated: &mut Buffer<T>,
        y: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("linear_gate");
        let [slope, activated, y] = [slope, activated, y].map(|x| &mut x[..n * layer.outputs]);
        let epilogue = Gate::new(layer.bias(weights), dropout, slope, activated, y, layer.outputs);
        self.linear_forward(n, layer, weights, x, &epilogue);
    }

    fn linear_backward_through_gate(
        &mut self,
        n: usize,
        layer: Linear,
        _activation: Activation,
        _dropout: Dropout, // is in both factors
        weights: &Buffer,
        dy: &Buffer<T>,
        slope: &Buffer<T>,
        activated: &Buffer<T>,
        d_up: &mut Buffer<T>,
        d_gate: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("linear_backward_through_gate");
        let [d_up, d_gate] = [d_up, d_gate].map(|x| &mut x[..n * layer.inputs]);
        let epilogue = TimesBoth::new(slope, activated, d_up, d_gate, layer.inputs);
        self.linear_data(n, layer, weights, dy, &epilogue);
    }

    fn linear_parameters_backward(
        &mut self,
        n: usize,
        layer: Linear,
        x: &Buffer<T>,
        dy: &Buffer<T>,
        gradients: &mut Buffer,
    ) {
        let _timer = self.profile.start("linear_parameters_backward");
        let (x, dy) = (&x[..n * layer.inputs], &dy[..n * layer.outputs]);
        let (d_weight, d_bias) = layer.of_mut(gradients);
        let (begins, partials) = (self.sums.begin(layer), &mut self.partials);
        let (gemm, threads) = (&self.gemm, &self.threads);
        let done = linear::backward_parameters(gemm, threads, x, dy, layer.outputs, d_weight, begins, d_bias, partials);
        self.note(done);
    }
}
