//! Logits, their loss, and the totals on the host.

use super::Cpu;
use crate::backend::loss::LossOps;
use crate::backend::{Head, Linear, Totals};
use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::{Buffer, zeros};
use crate::ops::cross_entropy::{self, RowLoss};
use crate::ops::gemm::epilogue::{Bias, Store};
use crate::ops::linear;

impl<T: Element> LossOps for Cpu<T> {
    type Rows = Vec<RowLoss>;

    fn rows(&self, len: usize) -> Result<Vec<RowLoss>> {
        zeros(len)
    }

    fn logits_at_a_time(&self, rows: usize, vocab_size: usize) -> usize {
        ((8 << 20) / vocab_size).clamp(1, rows.max(1))
    }

    fn logits(&mut self, first: usize, n: usize, decoder: Linear, weights: &Buffer, x: &Buffer<T>, y: &mut Buffer) {
        let _timer = self.profile.start("logits");
        let x = &x[first * decoder.inputs..(first + n) * decoder.inputs];
        let epilogue = Bias::new(decoder.bias(weights), &mut y[..n * decoder.outputs], decoder.outputs);
        self.note(linear::forward(&self.gemm, &self.threads, x, self.weight(decoder, weights), &epilogue));
    }

    fn logits_backward(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        weights: &Buffer,
        x: &Buffer<T>,
        d_logits: &Buffer<T>,
        dx: &mut Buffer,
        gradients: &mut Buffer,
    ) {
        let _timer = self.profile.start("logits_backward");
        let rows = first * decoder.inputs..(first + n) * decoder.inputs;
        self.linear_data(n, decoder, weights, d_logits, &Store::new(&mut dx[rows.clone()], decoder.inputs));
        let (d_weight, d_bias) = decoder.of_mut(gradients);
        let d_logits = &d_logits[..n * decoder.outputs];
        let partials = &mut self.partials;
        let (gemm, threads, v) = (&self.gemm, &self.threads, decoder.outputs);
        let done = linear::backward_parameters(gemm, threads, &x[rows], d_logits, v, d_weight, d_bias, partials);
        self.note(done);
    }

    fn cross_entropy(
        &mut self,
        logits: &mut Buffer,
        vocab_size: usize,
        labels: &[i32],
        first: usize,
        rows: &mut Vec<RowLoss>,
        gradient: Option<&mut Buffer<T>>,
    ) {
        let _timer = self.profile.start("cross_entropy");
        let len = labels.len() * vocab_size;
        let gradient = gradient.map(|gradient| &mut gradient[..len]);
        let rows = &mut rows[first..][..labels.len()];
        cross_entropy::forward_backward(&self.threads, &mut logits[..len], labels, rows, gradient);
    }

    fn read_rows(&mut self, rows: &Vec<RowLoss>, to: &mut [RowLoss]) {
        to.copy_from_slice(&rows[..to.len()]);
    }

    fn add_losses(&mut self, head: Head, n: usize, rows: &Vec<RowLoss>) {
        let Totals { loss, correct, .. } = &mut self.totals;
        loss[head as usize] += rows[..n].iter().map(|row| f64::from(row.loss)).sum::<f64>();
        correct[head as usize] += rows[..n].iter().filter(|row| row.rank == 0).count() as u64;
    }

    fn top_k(
        &mut self,
        n: usize,
        vocab_size: usize,
        logits: &Buffer,
        k: usize,
        ids: &mut [i32],
        probabilities: &mut [f32],
    ) {
        cross_entropy::top_k(&self.threads, &logits[..n * vocab_size], vocab_size, k, ids, probabilities);
    }
}
