//! Logits, their loss, and the totals on the device.

use super::plan::{Buffer, Cuda, FAILED, LOGITS, LOGITS_ALIGNMENT, Rows};
use crate::backend::loss::{LogitRows, LossOps};
use crate::backend::memory::MemoryOps;
use crate::backend::{Head, Linear};
use crate::driver::{self, Device, Dtype, Tensor, bytes_of_mut};
use crate::error::Result;
use crate::ops::cross_entropy::{self, RowLoss};
use crate::ops::linear;
use crate::ops::target_loss::{self, TargetLoss};

impl<D: Device> LossOps for Cuda<D> {
    type Rows = Rows<D>;

    fn rows(&self, len: usize) -> Result<Rows<D>> {
        let zeroed = |dtype| driver::Buffer::zeroed(self.queue.device(), len, dtype);
        Ok(Rows { loss: zeroed(Dtype::F32)?, rank: zeroed(Dtype::I32)? })
    }

    fn logit_rows(&self, classes: usize) -> LogitRows {
        LogitRows { classes, stride: classes.next_multiple_of(LOGITS_ALIGNMENT) }
    }

    fn logits_at_a_time(&self, m: usize, layout: LogitRows) -> usize {
        part_of_logits(m, layout.stride)
    }

    fn logits(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        layout: LogitRows,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        y: &mut Buffer<D>,
    ) {
        let y = y.exact();
        let x = x.tensor().part(first * decoder.inputs, n * decoder.inputs);
        let on_device = linear::cuda::Layer { stride: layout.stride, ..self.layer(decoder, weights, y.dtype) };
        linear::cuda::forward(&self.queue, n, on_device, x, y);
    }

    fn logits_backward(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        layout: LogitRows,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        d_logits: &driver::Buffer<D>,
        dx: &mut Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        let c = decoder.inputs;
        let [x, dx] = [x.tensor(), dx.exact()].map(|all| all.part(first * c, n * c));
        let (stride, d_logits) = (layout.stride, d_logits.tensor());
        let on_device = linear::cuda::Layer { stride, ..self.layer(decoder, weights, self.queue.activations()) };
        linear::cuda::backward_data(&self.queue, n, on_device, d_logits, dx, false);
        self.parameters_backward(n, decoder, x, d_logits, stride, gradients);
    }

    fn cross_entropy(
        &mut self,
        logits: &mut Buffer<D>,
        layout: LogitRows,
        labels: &[i32],
        first: usize,
        rows: &mut Rows<D>,
        gradient: Option<&mut driver::Buffer<D>>,
    ) {
        let n = labels.len();
        let labels = self.queue.input(labels, n);
        let [loss, rank] = [&rows.loss, &rows.rank].map(|buffer| buffer.tensor().part(first, n));
        let gradient = gradient.map(|gradient| gradient.tensor());
        cross_entropy::cuda::forward_backward(&self.queue, layout, logits.exact(), labels, loss, rank, gradient);
    }

    fn target_loss(
        &mut self,
        loss: TargetLoss,
        n: usize,
        logits: &Buffer<D>,
        targets: &[f32],
        rows: &mut Rows<D>,
        gradient: Option<&mut driver::Buffer<D>>,
    ) {
        let targets = self.queue.input(targets, targets.len());
        let targets = Tensor { dtype: Dtype::F32, ..targets }; // inputs are words
        let [of_rows, rank] = [&rows.loss, &rows.rank].map(|buffer| buffer.tensor().part(0, n));
        let (logits, gradient) = (logits.exact(), gradient.map(|gradient| gradient.tensor()));
        target_loss::cuda::forward_backward(&self.queue, loss, logits, targets, of_rows, rank, gradient);
    }

    fn read_rows(&mut self, rows: &Rows<D>, to: &mut [RowLoss]) {
        let (mut losses, mut ranks) = (vec![0f32; to.len()], vec![0i32; to.len()]);
        self.queue.read(rows.loss.tensor().part(0, to.len()), bytes_of_mut(&mut losses));
        self.queue.read(rows.rank.tensor().part(0, to.len()), bytes_of_mut(&mut ranks));
        for ((row, loss), rank) in to.iter_mut().zip(losses).zip(ranks) {
            *row = RowLoss { loss, rank };
        }
    }

    fn add_losses(&mut self, head: Head, n: usize, rows: &Rows<D>) {
        let number = self.queue.input(&[(self.step + 1) as f64], 1);
        let totals = self.totals.tensor();
        let [loss, rank] = [&rows.loss, &rows.rank].map(driver::Buffer::tensor);
        let (of_head, failed) = (totals.part(2 * head as usize, 2), totals.part(FAILED, 1));
        cross_entropy::cuda::add_losses(&self.queue, n, [loss, rank], number, of_head, failed);
    }

    fn read_logits(&mut self, logits: &Buffer<D>, layout: LogitRows, to: &mut [f32]) {
        let LogitRows { classes, stride } = layout;
        let mut values = std::mem::take(self.host_values());
        values.resize(to.len() / classes * stride, 0.0);
        self.read(logits, 0, &mut values);
        for (to, from) in to.chunks_exact_mut(classes).zip(values.chunks_exact(stride)) {
            to.copy_from_slice(&from[..classes]);
        }
        *self.host_values() = values;
    }

    fn top_k(
        &mut self,
        n: usize,
        layout: LogitRows,
        logits: &Buffer<D>,
        k: usize,
        ids: &mut [i32],
        probabilities: &mut [f32],
    ) {
        let mut values = std::mem::take(self.host_values());
        values.resize(n * layout.stride, 0.0);
        self.read(logits, 0, &mut values);
        for row in 0..n {
            values.copy_within(row * layout.stride..row * layout.stride + layout.classes, row * layout.classes);
        }
        let values_of_rows = &values[..n * layout.classes];
        cross_entropy::top_k(&self.threads, values_of_rows, layout.classes, k, ids, probabilities);
        *self.host_values() = values;
    }
}

/// Rows of each part, when `rows` rows of logits are cut into as few parts as they need. The parts have one size: each of
/// them reads and writes the decoder's gradient, and a small one is no faster at that.
fn part_of_logits(rows: usize, stride: usize) -> usize {
    let parts = (rows * stride).div_ceil(LOGITS).max(1);
    rows.div_ceil(parts).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_logits_cuts_evenly_and_keeps_to_the_memory() {
        assert_eq!(part_of_logits(0, 30_528), 1);
        assert_eq!(part_of_logits(2_458, 30_528), 2_458);
        assert_eq!(part_of_logits(9_830, 30_528), 3_277);
        for rows in (1..20_000).step_by(97) {
            let part = part_of_logits(rows, 30_528);
            assert!(part * 30_528 <= LOGITS && rows.div_ceil(part) * part < rows + part, "{rows}: {part}");
        }
    }
}
