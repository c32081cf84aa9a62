//! Single elements, in blocks by the team.

use super::Cpu;
use crate::backend::elements::ElementOps;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::ops::activation::{self, Activation};
use crate::ops::dropout::{self, Dropout};
use crate::ops::tanh;

impl<T: Element> ElementOps for Cpu<T> {
    fn dropout(&mut self, n: usize, width: usize, x: &mut Buffer<T>, dropout: Dropout) {
        let _timer = self.profile.start("dropout");
        dropout::apply(&self.threads, &mut x[..n * width], dropout);
    }

    fn dropout_backward(&mut self, n: usize, width: usize, gradient: &mut Buffer, dropout: Dropout) {
        let _timer = self.profile.start("dropout_backward");
        dropout::apply(&self.threads, &mut gradient[..n * width], dropout);
    }

    fn dropout_to_operand(&mut self, n: usize, width: usize, gradient: &Buffer, dropout: Dropout, to: &mut Buffer<T>) {
        let _timer = self.profile.start("dropout_to_operand");
        dropout::apply_to(&self.threads, &gradient[..n * width], &mut to[..n * width], dropout);
    }

    fn residual(&mut self, n: usize, width: usize, x: &mut Buffer<T>, dropout: Dropout, residual: &Buffer<T>) {
        let _timer = self.profile.start("residual");
        dropout::add_residual(&self.threads, &mut x[..n * width], dropout, &residual[..n * width]);
    }

    fn add(&mut self, n: usize, width: usize, x: &Buffer, to: &mut Buffer) {
        let _timer = self.profile.start("add");
        dropout::add(&self.threads, &x[..n * width], &mut to[..n * width]);
    }

    fn scale(&mut self, n: usize, width: usize, factor: f32, x: &mut Buffer<T>) {
        x[..n * width].iter_mut().for_each(|x| *x = T::from_f32(x.to_f32() * factor));
    }

    fn activation(&mut self, n: usize, width: usize, activation: Activation, kept: &mut Buffer<T>, y: &mut Buffer<T>) {
        let _timer = self.profile.start("activation");
        activation::forward(&self.threads, activation, &mut kept[..n * width], &mut y[..n * width]);
    }

    fn activation_backward(
        &mut self,
        n: usize,
        width: usize,
        _activation: Activation,
        kept: &Buffer<T>,
        gradient: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("activation_backward");
        activation::backward(&self.threads, &mut gradient[..n * width], &kept[..n * width]);
    }

    fn gate(
        &mut self,
        n: usize,
        width: usize,
        dropout: Dropout,
        slope: &mut Buffer<T>,
        activated: &mut Buffer<T>,
        y: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("gate");
        let [slope, activated, y] = [slope, activated, y].map(|x| &mut x[..n * width]);
        activation::gate(&self.threads, dropout, slope, activated, y);
    }

    fn gate_backward(
        &mut self,
        n: usize,
        width: usize,
        _activation: Activation,
        _dropout: Dropout, // is in both factors
        slope: &Buffer<T>,
        activated: &Buffer<T>,
        d_up: &mut Buffer<T>,
        d_gate: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("gate_backward");
        let [d_up, d_gate] = [d_up, d_gate].map(|x| &mut x[..n * width]);
        d_gate.copy_from_slice(d_up);
        activation::backward(&self.threads, d_up, &slope[..n * width]);
        activation::backward(&self.threads, d_gate, &activated[..n * width]);
    }

    fn tanh(&mut self, n: usize, width: usize, x: &Buffer<T>, y: &mut Buffer<T>) {
        tanh::forward(&x[..n * width], &mut y[..n * width]);
    }

    fn tanh_backward(&mut self, n: usize, width: usize, y: &Buffer<T>, gradient: &mut Buffer<T>) {
        tanh::backward(&y[..n * width], &mut gradient[..n * width]);
    }
}
