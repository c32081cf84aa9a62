//! Logits, their loss, and the totals on the host.

use super::Cpu;
use crate::backend::loss::{LogitRows, LossOps};
use crate::backend::memory::MemoryOps;
use crate::backend::{Head, Linear, Totals};
use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::{Buffer, zeros};
use crate::ops::cross_entropy::{self, RowLoss};
use crate::ops::gemm::epilogue::{Bias, Store};
use crate::ops::linear;
use crate::ops::target_loss::{self, TargetLoss};

impl<T: Element> LossOps for Cpu<T> {
    type Rows = Vec<RowLoss>;

    fn rows(&self, len: usize) -> Result<Vec<RowLoss>> {
        zeros(len)
    }

    fn logits_at_a_time(&self, m: usize, layout: LogitRows) -> usize {
        ((8 << 20) / layout.stride).clamp(1, m.max(1))
    }

    fn logits(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        layout: LogitRows,
        weights: &Buffer,
        x: &Buffer<T>,
        y: &mut Buffer,
    ) {
        let _timer = self.profile.start("logits");
        let x = &x[first * decoder.inputs..(first + n) * decoder.inputs];
        let epilogue = Bias::new(decoder.bias(weights), &mut y[..n * layout.stride], layout.stride);
        self.note(linear::forward(&self.gemm, &self.threads, x, self.weight(decoder, weights), &epilogue));
    }

    fn logits_backward(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        layout: LogitRows,
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
        let d_logits = &d_logits[..n * layout.stride];
        let (begins, partials) = (self.sums.begin(decoder), &mut self.partials);
        let (gemm, threads, v) = (&self.gemm, &self.threads, layout.stride);
        let done =
            linear::backward_parameters(gemm, threads, &x[rows], d_logits, v, d_weight, begins, d_bias, partials);
        self.note(done);
    }

    fn cross_entropy(
        &mut self,
        logits: &mut Buffer,
        layout: LogitRows,
        labels: &[i32],
        first: usize,
        rows: &mut Vec<RowLoss>,
        gradient: Option<&mut Buffer<T>>,
    ) {
        let _timer = self.profile.start("cross_entropy");
        let len = labels.len() * layout.stride;
        let gradient = gradient.map(|gradient| &mut gradient[..len]);
        let rows = &mut rows[first..][..labels.len()];
        cross_entropy::forward_backward(&self.threads, &mut logits[..len], labels, rows, gradient);
    }

    fn target_loss(
        &mut self,
        loss: TargetLoss,
        n: usize,
        logits: &Buffer,
        targets: &[f32],
        rows: &mut Vec<RowLoss>,
        gradient: Option<&mut Buffer<T>>,
    ) {
        let _timer = self.profile.start("target_loss");
        let len = targets.len();
        let gradient = gradient.map(|gradient| &mut gradient[..len]);
        target_loss::forward_backward(&self.threads, loss, &logits[..len], targets, &mut rows[..n], gradient);
    }

    fn read_rows(&mut self, rows: &Vec<RowLoss>, to: &mut [RowLoss]) {
        to.copy_from_slice(&rows[..to.len()]);
    }

    fn add_losses(&mut self, head: Head, n: usize, rows: &Vec<RowLoss>) {
        let Totals { loss, correct, .. } = &mut self.totals;
        loss[head as usize] += rows[..n].iter().map(|row| f64::from(row.loss)).sum::<f64>();
        correct[head as usize] += rows[..n].iter().filter(|row| row.rank == 0).count() as u64;
    }

    fn read_logits(&mut self, logits: &Buffer, _layout: LogitRows, to: &mut [f32]) {
        self.read(logits, 0, to);
    }

    fn top_k(
        &mut self,
        n: usize,
        layout: LogitRows,
        logits: &Buffer,
        k: usize,
        ids: &mut [i32],
        probabilities: &mut [f32],
    ) {
        cross_entropy::top_k(&self.threads, &logits[..n * layout.stride], layout.stride, k, ids, probabilities);
    }
}
