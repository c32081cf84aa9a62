//! Logits, their loss, and the totals on the device.

use super::plan::{Buffer, Cuda, FAILED, LOGITS, Rows};
use crate::backend::loss::LossOps;
use crate::backend::memory::MemoryOps;
use crate::backend::{Head, Linear};
use crate::driver::{self, Device, Dtype, bytes_of_mut};
use crate::error::Result;
use crate::ops::cross_entropy::{self, RowLoss};
use crate::ops::linear;

impl<D: Device> LossOps for Cuda<D> {
    type Rows = Rows<D>;

    fn rows(&self, len: usize) -> Result<Rows<D>> {
        let zeroed = |dtype| driver::Buffer::zeroed(self.queue.device(), len, dtype);
        Ok(Rows { loss: zeroed(Dtype::F32)?, rank: zeroed(Dtype::I32)? })
    }

    fn logits_at_a_time(&self, rows: usize, vocab_size: usize) -> usize {
        part_of_logits(rows, vocab_size)
    }

    fn logits(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        y: &mut Buffer<D>,
    ) {
        let y = y.exact();
        let x = x.tensor().part(first * decoder.inputs, n * decoder.inputs);
        linear::cuda::forward(&self.queue, n, self.layer(decoder, weights, y.dtype), x, y);
    }

    fn logits_backward(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        d_logits: &driver::Buffer<D>,
        dx: &mut Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        let c = decoder.inputs;
        let [x, dx] = [x.tensor(), dx.exact()].map(|all| all.part(first * c, n * c));
        let on_device = self.layer(decoder, weights, self.queue.activations());
        linear::cuda::backward_data(&self.queue, n, on_device, d_logits.tensor(), dx, false);
        self.parameters_backward(n, decoder, x, d_logits.tensor(), gradients);
    }

    fn cross_entropy(
        &mut self,
        logits: &mut Buffer<D>,
        vocab_size: usize,
        labels: &[i32],
        first: usize,
        rows: &mut Rows<D>,
        gradient: Option<&mut driver::Buffer<D>>,
    ) {
        let n = labels.len();
        let labels = self.queue.input(labels, n);
        let [loss, rank] = [&rows.loss, &rows.rank].map(|buffer| buffer.tensor().part(first, n));
        let gradient = gradient.map(|gradient| gradient.tensor());
        cross_entropy::cuda::forward_backward(&self.queue, vocab_size, logits.exact(), labels, loss, rank, gradient);
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

    fn top_k(
        &mut self,
        n: usize,
        vocab_size: usize,
        logits: &Buffer<D>,
        k: usize,
        ids: &mut [i32],
        probabilities: &mut [f32],
    ) {
        let mut values = std::mem::take(self.host_values());
        values.resize(n * vocab_size, 0.0);
        self.read(logits, 0, &mut values);
        cross_entropy::top_k(&self.threads, &values, vocab_size, k, ids, probabilities);
        *self.host_values() = values;
    }
}

/// Rows of each part, when `rows` rows of logits are cut into as few parts as they need. The parts have one size: each of
/// them reads and writes the decoder's gradient, and a small one is no faster at that.
fn part_of_logits(rows: usize, vocab_size: usize) -> usize {
    let parts = (rows * vocab_size).div_ceil(LOGITS).max(1);
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
