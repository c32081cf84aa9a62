//! LayerNorm of [`crate::ops::layer_norm`].

use super::Cpu;
use crate::backend::Norm;
use crate::backend::norm::NormOps;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::ops::dropout::Dropout;
use crate::ops::layer_norm;

impl Norm {
    fn of<'a>(&self, weights: &'a Buffer) -> (&'a [f32], Option<&'a [f32]>) {
        let (weight, bias) = weights[self.weight..][..self.len()].split_at(self.width);
        (weight, self.has_bias.then_some(bias))
    }
}

impl<T: Element> Cpu<T> {
    fn backward_of_norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer,
        x: &Buffer<T>,
        statistics: &Buffer,
        gradient: &mut Buffer,
        operand: Option<(Dropout, &mut Buffer<T>)>,
        gradients: &mut Buffer,
    ) {
        let _timer = self.profile.start("norm_backward");
        let len = n * norm.width;
        let (d_weight, d_bias) = gradients[norm.weight..][..norm.len()].split_at_mut(norm.width);
        let d_bias = norm.has_bias.then_some(d_bias);
        let operand = operand.map(|(dropout, to)| (dropout, &mut to[..len]));
        let (x, gradient, partials) = (&x[..len], &mut gradient[..len], &mut self.partials);
        let weight = norm.of(weights).0;
        let done =
            layer_norm::backward(&self.threads, x, statistics, weight, gradient, operand, d_weight, d_bias, partials);
        self.note(done);
    }
}

impl<T: Element> NormOps for Cpu<T> {
    fn norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer,
        x: &Buffer<T>,
        out: &mut Buffer<T>,
        statistics: &mut Buffer,
    ) {
        let _timer = self.profile.start("norm");
        let ((weight, bias), len) = (norm.of(weights), n * norm.width);
        let (x, out) = (&x[..len], &mut out[..len]);
        layer_norm::forward(&self.threads, x, weight, bias, norm.eps, out, &mut statistics[..2 * n]);
    }

    fn norm_backward(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer,
        x: &Buffer<T>,
        statistics: &Buffer,
        gradient: &mut Buffer,
        gradients: &mut Buffer,
    ) {
        self.backward_of_norm(n, norm, weights, x, statistics, gradient, None, gradients);
    }

    fn norm_backward_to_operand(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer,
        x: &Buffer<T>,
        statistics: &Buffer,
        gradient: &mut Buffer,
        dropout: Dropout,
        operand: &mut Buffer<T>,
        gradients: &mut Buffer,
    ) {
        let operand = Some((dropout, operand));
        self.backward_of_norm(n, norm, weights, x, statistics, gradient, operand, gradients);
    }
}
