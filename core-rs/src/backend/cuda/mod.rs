//! A CUDA device as a [`Backend`]: hands tensors to the operations' `cuda` modules. Long because the trait has as many
//! methods as a model has operations; what they share is in [`plan`].
//!
//! Nothing here waits for the device but what is read from it. Activations are of the device's type; weights, gradients,
//! moments, statistics and logits are f32. What differs between two batches of one shape goes through
//! [`Queue::input`](crate::driver::queue::Queue::input), so that a step of the second is the same work as one of the first.

mod plan;
pub mod program;

use super::{Backend, DataGradient, Embeddings, Head, Heads, Linear, Norm, Totals};
use std::ops::Range;

use crate::blueprint::ParameterLayout;
use crate::driver::{self, Device, Dtype, bytes_of, bytes_of_mut};
use crate::engine::batch::Batch;
use crate::error::Result;
use crate::machine::memory;
use crate::machine::profile::Entry;
use crate::ops::activation::{self, Activation};
use crate::ops::cross_entropy::RowLoss;
use crate::ops::dropout::Dropout;
use crate::ops::{attention, cross_entropy, dropout, embeddings, layer_norm, linear, tanh};
use crate::optim::cuda::{Clip, Tensors};
use crate::optim::{self, Optimizer, State, Update};
pub use plan::{Buffer, Cuda, Rows};
use plan::{FAILED, LOGITS, SQUARED_NORM, TOTALS};

impl<D: Device> Backend for Cuda<D> {
    type Buffer = Buffer<D>;
    type Activations = driver::Buffer<D>;
    type Rows = Rows<D>;
    const DEFERS: bool = true;

    fn device(&self) -> &'static str {
        "cuda"
    }

    fn name(&self) -> String {
        self.queue.device().name()
    }

    fn profile(&self) -> Vec<Entry> {
        self.queue.profile()
    }

    fn zeroed(&self, len: usize) -> Result<Buffer<D>> {
        Ok(Buffer { own: driver::Buffer::zeroed(self.queue.device(), len, Dtype::F32)?, copy: None })
    }

    fn activations(&self, len: usize) -> Result<driver::Buffer<D>> {
        driver::Buffer::zeroed(self.queue.device(), len, self.queue.activations())
    }

    fn rows(&self, len: usize) -> Result<Rows<D>> {
        let zeroed = |dtype| driver::Buffer::zeroed(self.queue.device(), len, dtype);
        Ok(Rows { loss: zeroed(Dtype::F32)?, rank: zeroed(Dtype::I32)? })
    }

    fn logits_at_a_time(&self) -> usize {
        LOGITS
    }

    fn plan(&mut self, layout: &ParameterLayout, _layers: &[Linear], optimizer: Option<&Optimizer>) -> Result<()> {
        if let Some(optimizer) = optimizer {
            let clip = Clip::new(&self.queue, layout.len(), optimizer.max_grad_norm())?;
            self.optimizer = Some((clip, optimizer.on_cuda(&self.queue, layout)?));
        }
        Ok(())
    }

    fn weights_changed(&mut self, weights: &Buffer<D>) {
        if let Some(copy) = &weights.copy {
            optim::cuda::narrow(&self.queue, weights.exact(), copy.tensor());
        }
    }

    fn upload(&mut self, host: memory::Buffer) -> Result<Buffer<D>> {
        let copy = match self.queue.activations() {
            Dtype::F32 => None,
            _ => Some(self.activations(host.len())?),
        };
        let mut buffer = Buffer { copy, ..self.zeroed(host.len())? };
        self.write(&mut buffer, 0, &host);
        self.queue.check()?;
        Ok(buffer)
    }

    fn write(&mut self, to: &mut Buffer<D>, offset: usize, from: &[f32]) {
        self.queue.write(to.exact().part(offset, from.len()), bytes_of(from));
    }

    fn read(&mut self, from: &Buffer<D>, offset: usize, to: &mut [f32]) {
        self.download(from.exact().part(offset, to.len()), to);
    }

    fn first_non_finite(&mut self, x: &Buffer<D>, len: usize) -> Option<usize> {
        self.not_finite(x.exact().part(0, len))
    }

    fn first_non_finite_activation(&mut self, x: &driver::Buffer<D>, len: usize) -> Option<usize> {
        self.not_finite(x.tensor().part(0, len))
    }

    fn check(&mut self) -> Result<()> {
        self.queue.check()
    }

    fn begin(&mut self, tokens: usize, step: u64) {
        self.queue.submit(false); // what is not part of the work that repeats
        (self.tokens, self.step) = (tokens, step);
    }

    fn end(&mut self) {
        self.queue.submit(true);
    }

    fn embed(&mut self, batch: &Batch, tables: Embeddings, weights: &Buffer<D>, out: &mut driver::Buffer<D>) {
        let rows = self.send_batch(batch, tables);
        let (n, c) = (batch.input_ids.len(), tables.width);
        let tables = weights.exact().part(0, tables.rows.iter().sum::<usize>() * c);
        embeddings::cuda::sum(&self.queue, n, c, rows, tables, out.tensor());
    }

    fn embed_norm(
        &mut self,
        batch: &Batch,
        tables: Embeddings,
        norm: Norm,
        weights: &Buffer<D>,
        dropout: Dropout,
        sum: &mut driver::Buffer<D>,
        out: &mut driver::Buffer<D>,
        statistics: &mut Buffer<D>,
    ) {
        let rows = self.send_batch(batch, tables);
        let tables = weights.exact().part(0, tables.rows.iter().sum::<usize>() * tables.width);
        embeddings::cuda::forward(
            &self.queue,
            batch.input_ids.len(),
            self.norm_of(norm, weights),
            rows,
            tables,
            self.site(dropout),
            sum.tensor(),
            out.tensor(),
            statistics.exact(),
        );
    }

    fn embed_backward(&mut self, batch: &Batch, tables: Embeddings, gradient: &Buffer<D>, gradients: &mut Buffer<D>) {
        let (rows, c, n) = (tables.rows.iter().sum(), tables.width, batch.input_ids.len());
        let planned = self.send_collisions(rows);
        let gradient = gradient.exact().part(0, n * c);
        embeddings::cuda::backward(&self.queue, c, planned, gradient, gradients.exact().part(0, rows * c));
    }

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

    fn add(&mut self, n: usize, width: usize, x: &Buffer<D>, to: &mut Buffer<D>) {
        dropout::cuda::add(&self.queue, n * width, x.exact(), to.exact());
    }

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

    fn activation_backward(
        &mut self,
        n: usize,
        width: usize,
        activation: Activation,
        pre: &driver::Buffer<D>,
        gradient: &mut driver::Buffer<D>,
    ) {
        activation::cuda::backward(&self.queue, activation, n * width, pre.tensor(), gradient.tensor());
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

    fn norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        out: &mut driver::Buffer<D>,
        statistics: &mut Buffer<D>,
    ) {
        let (norm, statistics) = (self.norm_of(norm, weights), statistics.exact());
        layer_norm::cuda::forward(&self.queue, n, norm, x.tensor(), out.tensor(), statistics);
    }

    fn norm_backward(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &driver::Buffer<D>,
        statistics: &Buffer<D>,
        gradient: &mut Buffer<D>,
        operand: Option<(Dropout, &mut driver::Buffer<D>)>,
        gradients: &mut Buffer<D>,
    ) {
        layer_norm::cuda::backward(
            &self.queue,
            n,
            self.norm_of(norm, weights),
            x.tensor(),
            statistics.exact(),
            gradient.exact(),
            operand.map(|(dropout, to)| (self.site(dropout), to.tensor())),
            gradients.exact().part(norm.weight, 2 * norm.width),
            self.scratch.tensor(),
        );
    }

    fn attention(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &driver::Buffer<D>,
        dropout: Dropout,
        out: &mut driver::Buffer<D>,
        lse: &mut Buffer<D>,
    ) {
        let packed = self.packed(batch, heads);
        let site = self.score_site(dropout);
        attention::cuda::forward(&self.queue, &packed, qkv.tensor(), site, out.tensor(), lse.exact());
    }

    fn attention_backward(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &driver::Buffer<D>,
        dropout: Dropout,
        out: &driver::Buffer<D>,
        lse: &Buffer<D>,
        d_out: &driver::Buffer<D>,
        d_qkv: &mut driver::Buffer<D>,
    ) {
        attention::cuda::backward(
            &self.queue,
            &self.packed(batch, heads),
            qkv.tensor(),
            self.score_site(dropout),
            out.tensor(),
            lse.exact(),
            d_out.tensor(),
            d_qkv.tensor(),
            self.scratch.tensor(),
        );
    }

    fn gather(&mut self, rows: &[i32], width: usize, x: &driver::Buffer<D>, out: &mut driver::Buffer<D>) {
        let rows = self.queue.input(rows, rows.len());
        embeddings::cuda::gather(&self.queue, width, rows, x.tensor(), out.tensor());
    }

    fn scatter(&mut self, n: usize, rows: &[i32], width: usize, x: &Buffer<D>, out: &mut Buffer<D>) {
        let rows = self.queue.input(rows, rows.len());
        embeddings::cuda::scatter(&self.queue, width, rows, x.exact(), out.exact().part(0, n * width));
    }

    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Buffer<D>, out: &mut Buffer<D>) {
        let rows = self.queue.input(rows, rows.len());
        embeddings::cuda::scatter_add(&self.queue, width, rows, x.exact(), out.exact());
    }

    fn tanh(&mut self, n: usize, width: usize, x: &driver::Buffer<D>, y: &mut driver::Buffer<D>) {
        tanh::cuda::forward(&self.queue, n * width, x.tensor(), y.tensor());
    }

    fn tanh_backward(&mut self, n: usize, width: usize, y: &driver::Buffer<D>, gradient: &mut driver::Buffer<D>) {
        tanh::cuda::backward(&self.queue, n * width, y.tensor(), gradient.tensor());
    }

    fn scale(&mut self, n: usize, width: usize, factor: f32, x: &mut driver::Buffer<D>) {
        let factor = self.queue.input(&[factor], 1);
        linear::cuda::scale(&self.queue, n * width, factor, x.tensor());
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

    fn take_totals(&mut self) -> Totals {
        let mut values = [0f64; TOTALS];
        self.queue.read(self.totals.tensor(), bytes_of_mut(&mut values));
        self.queue.clear(self.totals.tensor());
        let [tokens, tokens_correct, sequences, sequences_correct, squared_norm, failed] = values;
        Totals {
            loss: [tokens, sequences],
            correct: [tokens_correct, sequences_correct].map(|count| count as u64),
            grad_norm: self.updated.take().map(|units| squared_norm.sqrt() / units as f64),
            failed_step: (failed as u64).checked_sub(1),
        }
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

    fn update(&mut self, state: State<Buffer<D>>, update: Update) {
        let Some((clip, optimizer)) = &self.optimizer else { return };
        let tensors = Tensors {
            weights: state.weights.exact(),
            copy: state.weights.copy.as_ref().map(driver::Buffer::tensor),
            gradients: state.gradients.exact(),
            slots: state.slots.iter().map(|slot| (slot.layout.name, slot.values.exact())).collect(),
        };
        let totals = self.totals.tensor();
        let (norm, failed) = (totals.part(SQUARED_NORM, 1), totals.part(FAILED, 1));
        let scale = clip.run(&self.queue, tensors.gradients, update, norm, failed);
        optimizer.update(&self.queue, &tensors, scale, update);
        self.updated = Some(update.units);
    }

    fn clear(&mut self, x: &mut Buffer<D>) {
        self.queue.clear(x.exact());
    }

    fn clear_part(&mut self, x: &mut Buffer<D>, part: Range<usize>) {
        self.queue.clear(x.exact().part(part.start, part.len()));
    }
}
