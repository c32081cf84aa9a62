//! The CPU as a [`Backend`]: hands slices of its buffers to [`crate::ops`]. `T` is what activations are stored in.
//! Long because the trait has as many methods as a model has operations.

use std::cell::RefCell;

use super::{Backend, DataGradient, Embeddings, Head, Heads, Linear, Norm, Totals};
use std::ops::Range;

use crate::blueprint::ParameterLayout;
use crate::engine::batch::Batch;
use crate::error::{Error, Result};
use crate::machine::dtype::Element;
use crate::machine::memory::{Buffer, zeros};
use crate::machine::profile::{Entry, Profile};
use crate::machine::threads::Threads;
use crate::ops::activation::{self, Activation};
use crate::ops::attention::{self, Shape, TeamScratch};
use crate::ops::cross_entropy::{self, RowLoss};
use crate::ops::dropout::{self, Dropout};
use crate::ops::embeddings::{self, Lookup};
use crate::ops::gemm::Gemm;
use crate::ops::gemm::epilogue::{Add, Bias, BiasActivation, BiasDropoutResidual, Epilogue, Store, TimesSlope};
use crate::ops::layer_norm;
use crate::ops::linear::packed::PackedWeight;
use crate::ops::linear::{self, Weight};
use crate::ops::tanh;
use crate::optim::{OnCpu, Optimizer, State, Team, Update, clip};

/// A thread team and the scratch of its operations.
pub struct Cpu<T: Element = f32> {
    profile: Profile,
    threads: Threads,
    gemm: Gemm<T>,
    attention: TeamScratch<T>,
    /// Packed copies of weights, by the offset of the weight; none where products pack for themselves.
    packed: Vec<(usize, PackedWeight)>,
    optimizer: Option<(Optimizer, Box<dyn OnCpu<T>>)>,
    partials: Vec<f32>,
    squares: Vec<f64>,
    totals: Totals,
    /// What an operation could not do for want of memory, until [`Backend::check`] says it.
    failure: RefCell<Option<Error>>,
}

impl<T: Element> Cpu<T> {
    /// `threads` threads, for sequences up to `longest` and heads of size `head`; with `training`, also for gradients.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(threads: usize, longest: usize, head: usize, training: bool, profile: bool) -> Result<Self> {
        let gemm = Gemm::new(threads)?;
        Ok(Self {
            profile: Profile::new(profile),
            threads: Threads::new(threads),
            attention: TeamScratch::new(&gemm, threads, longest, head, training)?,
            gemm,
            packed: Vec::new(),
            optimizer: None,
            partials: Vec::new(),
            squares: Vec::new(),
            totals: Totals::default(),
            failure: RefCell::default(),
        })
    }

    /// Keeps the first failure of an operation, which has no result of its own.
    fn note(&self, result: Result<()>) {
        if let Err(error) = result {
            self.failure.borrow_mut().get_or_insert(error);
        }
    }

    fn weight<'a>(&'a self, layer: Linear, weights: &'a Buffer) -> Weight<'a> {
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

    fn linear_data(&self, n: usize, layer: Linear, weights: &Buffer, dy: &Buffer<T>, epilogue: &dyn Epilogue) {
        let dy = &dy[..n * layer.outputs];
        self.note(linear::backward_data(&self.gemm, &self.threads, dy, self.weight(layer, weights), epilogue));
    }
}

impl Linear {
    fn bias<'a>(&self, weights: &'a Buffer) -> &'a [f32] {
        &weights[self.bias..][..self.outputs]
    }

    fn of_mut<'a>(&self, gradients: &'a mut Buffer) -> (&'a mut [f32], &'a mut [f32]) {
        let (left, right) = gradients.split_at_mut(self.bias);
        (&mut left[self.weight..][..self.inputs * self.outputs], &mut right[..self.outputs])
    }
}

impl Norm {
    fn of<'a>(&self, weights: &'a Buffer) -> (&'a [f32], &'a [f32]) {
        weights[self.weight..][..2 * self.width].split_at(self.width)
    }
}

impl Embeddings {
    /// Lengths of the three tables.
    fn lengths(&self) -> [usize; 3] {
        self.rows.map(|rows| rows * self.width)
    }
}

fn shape<'a>(batch: &Batch<'a>, heads: Heads) -> Shape<'a> {
    Shape {
        heads: heads.count,
        hidden: heads.hidden,
        cu_seqlens: batch.cu_seqlens,
        max_sequence_length: heads.max_sequence_length,
        causal: heads.causal,
    }
}

impl<T: Element> Backend for Cpu<T> {
    type Buffer = Buffer;
    type Activations = Buffer<T>;
    type Rows = Vec<RowLoss>;
    const DEFERS: bool = false;

    fn device(&self) -> &'static str {
        "cpu"
    }

    fn name(&self) -> String {
        self.gemm.name().into()
    }

    fn profile(&self) -> Vec<Entry> {
        self.profile.entries()
    }

    fn zeroed(&self, len: usize) -> Result<Buffer> {
        Buffer::zeroed(len)
    }

    fn activations(&self, len: usize) -> Result<Buffer<T>> {
        Buffer::zeroed(len)
    }

    fn rows(&self, len: usize) -> Result<Vec<RowLoss>> {
        zeros(len)
    }

    fn logits_at_a_time(&self) -> usize {
        8 << 20
    }

    fn plan(&mut self, layout: &ParameterLayout, layers: &[Linear], optimizer: Option<&Optimizer>) -> Result<()> {
        if self.gemm.panels_pay() {
            for layer in layers {
                let packed = PackedWeight::new(&self.gemm, layer.outputs, layer.inputs, optimizer.is_some())?;
                self.packed.push((layer.weight, packed));
            }
            self.packed.sort_by_key(|(offset, _)| *offset);
        }
        if let Some(optimizer) = optimizer {
            self.optimizer = Some((*optimizer, optimizer.on_cpu(layout, layers, self.threads.count())?));
        }
        Ok(())
    }

    fn weights_changed(&mut self, weights: &Buffer) {
        for (offset, packed) in &mut self.packed {
            packed.write(&self.threads, &weights[*offset..]);
        }
    }

    fn check(&mut self) -> Result<()> {
        self.failure.get_mut().take().map_or(Ok(()), Err)
    }

    fn upload(&mut self, host: Buffer) -> Result<Buffer> {
        Ok(host)
    }

    fn write(&mut self, to: &mut Buffer, offset: usize, from: &[f32]) {
        to[offset..offset + from.len()].copy_from_slice(from);
    }

    fn read(&mut self, from: &Buffer, offset: usize, to: &mut [f32]) {
        to.copy_from_slice(&from[offset..offset + to.len()]);
    }

    fn first_non_finite(&mut self, x: &Buffer, len: usize) -> Option<usize> {
        x[..len].iter().position(|v| !v.is_finite())
    }

    fn first_non_finite_activation(&mut self, x: &Buffer<T>, len: usize) -> Option<usize> {
        x[..len].iter().position(|v| !v.to_f32().is_finite())
    }

    fn embed(&mut self, batch: &Batch, tables: Embeddings, weights: &Buffer, out: &mut Buffer<T>) {
        let _timer = self.profile.start("embed");
        let [word, position, _] = tables.lengths();
        let lookups = [
            Lookup { table: &weights[..], ids: batch.input_ids },
            Lookup { table: &weights[word..], ids: batch.position_ids },
            Lookup { table: &weights[word + position..], ids: batch.token_type_ids },
        ];
        let len = batch.input_ids.len() * tables.width;
        embeddings::forward(&self.threads, lookups, tables.width, &mut out[..len]);
    }

    fn embed_backward(&mut self, batch: &Batch, tables: Embeddings, gradient: &Buffer, gradients: &mut Buffer) {
        let _timer = self.profile.start("embed_backward");
        let [word, position, token_type] = tables.lengths();
        let (words, rest) = gradients.split_at_mut(word);
        let (positions, rest) = rest.split_at_mut(position);
        let lookups = [
            Lookup { table: words, ids: batch.input_ids },
            Lookup { table: positions, ids: batch.position_ids },
            Lookup { table: &mut rest[..token_type], ids: batch.token_type_ids },
        ];
        let len = batch.input_ids.len() * tables.width;
        embeddings::backward(&self.threads, &gradient[..len], tables.width, lookups);
    }

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

    fn add(&mut self, n: usize, width: usize, x: &Buffer, to: &mut Buffer) {
        let _timer = self.profile.start("add");
        dropout::add(&self.threads, &x[..n * width], &mut to[..n * width]);
    }

    fn linear(&mut self, n: usize, layer: Linear, weights: &Buffer, x: &Buffer<T>, y: &mut Buffer<T>) {
        let _timer = self.profile.start("linear");
        let epilogue = Bias::new(layer.bias(weights), &mut y[..n * layer.outputs]);
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
        let epilogue = BiasDropoutResidual::new(layer.bias(weights), dropout, &residual[..len], &mut y[..len]);
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
        let epilogue = BiasActivation::new(layer.bias(weights), activation, &mut kept[..len], &mut y[..len]);
        self.linear_forward(n, layer, weights, x, &epilogue);
    }

    fn linear_backward(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer,
        dy: &Buffer<T>,
        dx: &mut Buffer,
        how: DataGradient,
    ) {
        let _timer = self.profile.start("linear_backward");
        let dx = &mut dx[..n * layer.inputs];
        match how {
            DataGradient::Store => self.linear_data(n, layer, weights, dy, &Store::new(dx, layer.inputs)),
            DataGradient::Add => self.linear_data(n, layer, weights, dy, &Add::new(dx, layer.inputs)),
        }
    }

    fn linear_backward_to_operand(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer,
        dy: &Buffer<T>,
        dx: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("linear_backward_to_operand");
        self.linear_data(n, layer, weights, dy, &Store::new(&mut dx[..n * layer.inputs], layer.inputs));
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
        let partials = &mut self.partials;
        let done = linear::backward_parameters(&self.gemm, &self.threads, x, dy, d_weight, d_bias, partials);
        self.note(done);
    }

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
        operand: Option<(Dropout, &mut Buffer<T>)>,
        gradients: &mut Buffer,
    ) {
        let _timer = self.profile.start("norm_backward");
        let len = n * norm.width;
        let (d_weight, d_bias) = gradients[norm.weight..][..2 * norm.width].split_at_mut(norm.width);
        let operand = operand.map(|(dropout, to)| (dropout, &mut to[..len]));
        let (x, gradient, partials) = (&x[..len], &mut gradient[..len], &mut self.partials);
        let weight = norm.of(weights).0;
        let done =
            layer_norm::backward(&self.threads, x, statistics, weight, gradient, operand, d_weight, d_bias, partials);
        self.note(done);
    }

    fn attention(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Buffer<T>,
        dropout: Dropout,
        out: &mut Buffer<T>,
        lse: &mut Buffer,
    ) {
        let _timer = self.profile.start("attention");
        attention::forward(&self.gemm, &self.threads, &self.attention, shape(batch, heads), qkv, dropout, out, lse);
    }

    fn attention_backward(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Buffer<T>,
        dropout: Dropout,
        out: &Buffer<T>,
        lse: &Buffer,
        d_out: &Buffer<T>,
        d_qkv: &mut Buffer<T>,
    ) {
        let _timer = self.profile.start("attention_backward");
        let (gemm, threads, team, shape) = (&self.gemm, &self.threads, &self.attention, shape(batch, heads));
        attention::backward(gemm, threads, team, shape, qkv, dropout, out, lse, d_out, d_qkv);
    }

    fn gather(&mut self, rows: &[i32], width: usize, x: &Buffer<T>, out: &mut Buffer<T>) {
        let _timer = self.profile.start("gather");
        embeddings::gather(x, rows, width, &mut out[..rows.len() * width]);
    }

    fn scatter(&mut self, n: usize, rows: &[i32], width: usize, x: &Buffer, out: &mut Buffer) {
        let _timer = self.profile.start("scatter");
        embeddings::scatter(&x[..rows.len() * width], rows, width, &mut out[..n * width]);
    }

    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Buffer, out: &mut Buffer) {
        embeddings::scatter_add(&x[..rows.len() * width], rows, width, out);
    }

    fn tanh(&mut self, n: usize, width: usize, x: &Buffer<T>, y: &mut Buffer<T>) {
        tanh::forward(&x[..n * width], &mut y[..n * width]);
    }

    fn tanh_backward(&mut self, n: usize, width: usize, y: &Buffer<T>, gradient: &mut Buffer<T>) {
        tanh::backward(&y[..n * width], &mut gradient[..n * width]);
    }

    fn scale(&mut self, n: usize, width: usize, factor: f32, x: &mut Buffer<T>) {
        x[..n * width].iter_mut().for_each(|x| *x = T::from_f32(x.to_f32() * factor));
    }

    fn logits(&mut self, first: usize, n: usize, decoder: Linear, weights: &Buffer, x: &Buffer<T>, y: &mut Buffer) {
        let _timer = self.profile.start("logits");
        let x = &x[first * decoder.inputs..(first + n) * decoder.inputs];
        let epilogue = Bias::new(decoder.bias(weights), &mut y[..n * decoder.outputs]);
        self.note(linear::forward(&self.gemm, &self.threads, x, self.weight(decoder, weights), &epilogue));
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

    fn take_totals(&mut self) -> Totals {
        std::mem::take(&mut self.totals)
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
        let done =
            linear::backward_parameters(&self.gemm, &self.threads, &x[rows], d_logits, d_weight, d_bias, partials);
        self.note(done);
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

    fn update(&mut self, state: State<Buffer>, update: Update) {
        let Some((options, optimizer)) = &mut self.optimizer else { return };
        let units = update.units as f64;
        let timer = self.profile.start("squared_norm");
        let squared = clip::squared_norm(&self.threads, state.gradients, &mut self.squares);
        drop(timer);
        let norm = match squared {
            Ok(squared) => squared.sqrt() / units,
            Err(error) => return self.note(Err(error)),
        };
        if norm.is_finite() {
            let _timer = self.profile.start(options.name());
            let scale = clip::factor(norm, options.max_grad_norm()) / units;
            let team = Team { threads: &self.threads, gemm: &self.gemm, packed: &self.packed };
            let done = optimizer.update(team, state, scale, update);
            self.note(done);
        }
        self.totals.grad_norm = Some(norm);
    }

    fn clear(&mut self, x: &mut Buffer) {
        let _timer = self.profile.start("clear");
        x.fill(0.0);
    }

    fn clear_part(&mut self, x: &mut Buffer, part: Range<usize>) {
        let _timer = self.profile.start("clear");
        x[part].fill(0.0);
    }
}
