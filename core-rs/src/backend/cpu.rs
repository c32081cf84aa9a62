//! The CPU as a [`Backend`]: hands slices of its buffers to [`crate::ops`].

use super::{AdamWState, Backend, DataGradient, Embeddings, Heads, Linear, Norm};
use crate::batch::Batch;
use crate::engine::AdamW;
use crate::error::Result;
use crate::memory::Buffer;
use crate::ops::attention::{self, Shape, TeamScratch};
use crate::ops::cross_entropy::{self, RowLoss};
use crate::ops::dropout::{self, Dropout};
use crate::ops::embeddings::{self, Lookup};
use crate::ops::gemm::{Epilogue, Gemm};
use crate::ops::layer_norm::{self, Residual};
use crate::ops::linear;
use crate::ops::tanh;
use crate::optim::adamw;
use crate::parameters::ParameterLayout;
use crate::simd;
use crate::threads::Threads;

/// A thread team and the scratch of its operations.
pub struct Cpu {
    threads: Threads,
    gemm: Gemm,
    attention: TeamScratch,
    partials: Vec<f32>,
    squares: Vec<f64>,
}

impl Cpu {
    /// `threads` threads, for sequences up to `longest` and heads of size `head`.
    pub fn new(threads: usize, longest: usize, head: usize) -> Self {
        let threads = Threads::new(threads);
        Self {
            attention: TeamScratch::new(threads.count(), longest, head),
            threads,
            gemm: Gemm::default(),
            partials: Vec::new(),
            squares: Vec::new(),
        }
    }
}

impl Linear {
    fn of<'a>(&self, weights: &'a Buffer) -> (&'a [f32], &'a [f32]) {
        (&weights[self.weight..][..self.inputs * self.outputs], &weights[self.bias..][..self.outputs])
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

impl Backend for Cpu {
    type Buffer = Buffer;

    fn device(&self) -> &'static str {
        "cpu"
    }

    fn name(&self) -> String {
        simd::instruction_set().into()
    }

    fn zeroed(&self, len: usize) -> Result<Buffer> {
        Buffer::zeroed(len)
    }

    fn logits_at_a_time(&self) -> usize {
        8 << 20
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

    fn embed_norm(
        &mut self,
        batch: &Batch,
        tables: Embeddings,
        norm: Norm,
        weights: &Buffer,
        dropout: Dropout,
        sum: &mut Buffer,
        out: &mut Buffer,
        statistics: &mut Buffer,
    ) {
        let [word, position, _] = tables.lengths();
        let lookups = [
            Lookup { table: &weights[..], ids: batch.input_ids },
            Lookup { table: &weights[word..], ids: batch.position_ids },
            Lookup { table: &weights[word + position..], ids: batch.token_type_ids },
        ];
        let n = batch.input_ids.len();
        embeddings::forward(&self.threads, lookups, tables.width, &mut sum[..n * tables.width]);
        self.norm(n, norm, weights, sum, out, statistics);
        self.dropout(n, tables.width, out, dropout);
    }

    fn embed_backward(&mut self, batch: &Batch, tables: Embeddings, gradient: &Buffer, gradients: &mut Buffer) {
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

    fn dropout(&mut self, n: usize, width: usize, x: &mut Buffer, dropout: Dropout) {
        dropout::apply(&self.threads, &mut x[..n * width], dropout);
    }

    fn linear(&mut self, n: usize, layer: Linear, weights: &Buffer, x: &Buffer, y: &mut Buffer) {
        self.logits(0, n, layer, weights, x, y);
    }

    fn linear_gelu(&mut self, n: usize, layer: Linear, weights: &Buffer, x: &Buffer, pre: &mut Buffer, y: &mut Buffer) {
        let (weight, bias) = layer.of(weights);
        let (x, len) = (&x[..n * layer.inputs], n * layer.outputs);
        linear::forward(&self.gemm, &self.threads, x, weight, bias, &mut y[..len], Some(&mut pre[..len]));
    }

    fn linear_backward(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer,
        dy: &Buffer,
        dx: &mut Buffer,
        how: DataGradient,
    ) {
        let epilogue = match how {
            DataGradient::Store => Epilogue::Store,
            DataGradient::Add => Epilogue::Accumulate,
        };
        let (dy, dx) = (&dy[..n * layer.outputs], &mut dx[..n * layer.inputs]);
        linear::backward_data(&self.gemm, &self.threads, dy, layer.of(weights).0, layer.inputs, dx, epilogue);
    }

    fn linear_backward_through_gelu(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer,
        dy: &Buffer,
        pre: &Buffer,
        dx: &mut Buffer,
    ) {
        let (dy, dx) = (&dy[..n * layer.outputs], &mut dx[..n * layer.inputs]);
        let epilogue = Epilogue::GeluBackward { pre: &pre[..n * layer.inputs] };
        linear::backward_data(&self.gemm, &self.threads, dy, layer.of(weights).0, layer.inputs, dx, epilogue);
    }

    fn gelu_backward(&mut self, n: usize, width: usize, pre: &Buffer, gradient: &mut Buffer) {
        linear::gelu_backward(&self.threads, &mut gradient[..n * width], &pre[..n * width]);
    }

    fn linear_parameters_backward(&mut self, n: usize, layer: Linear, x: &Buffer, dy: &Buffer, gradients: &mut Buffer) {
        let (x, dy) = (&x[..n * layer.inputs], &dy[..n * layer.outputs]);
        let (d_weight, d_bias) = layer.of_mut(gradients);
        linear::backward_parameters(&self.gemm, &self.threads, x, dy, d_weight, d_bias, &mut self.partials);
    }

    fn norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer,
        x: &mut Buffer,
        out: &mut Buffer,
        statistics: &mut Buffer,
    ) {
        let ((weight, bias), len) = (norm.of(weights), n * norm.width);
        let (x, out) = (&mut x[..len], &mut out[..len]);
        layer_norm::forward(&self.threads, x, None, weight, bias, norm.eps, out, &mut statistics[..2 * n]);
    }

    fn residual_norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer,
        residual: &Buffer,
        dropout: Dropout,
        x: &mut Buffer,
        out: &mut Buffer,
        statistics: &mut Buffer,
    ) {
        let ((weight, bias), len) = (norm.of(weights), n * norm.width);
        let before = Some(Residual { residual: &residual[..len], dropout });
        let (x, out) = (&mut x[..len], &mut out[..len]);
        layer_norm::forward(&self.threads, x, before, weight, bias, norm.eps, out, &mut statistics[..2 * n]);
    }

    fn norm_backward(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer,
        x: &Buffer,
        statistics: &Buffer,
        gradient: &mut Buffer,
        dropped: Option<(Dropout, &mut Buffer)>,
        gradients: &mut Buffer,
    ) {
        let len = n * norm.width;
        let (d_weight, d_bias) = gradients[norm.weight..][..2 * norm.width].split_at_mut(norm.width);
        let dropped = dropped.map(|(dropout, to)| (dropout, &mut to[..len]));
        let (gradient, partials) = (&mut gradient[..len], &mut self.partials);
        let weight = norm.of(weights).0;
        layer_norm::backward(
            &self.threads,
            &x[..len],
            statistics,
            weight,
            gradient,
            dropped,
            d_weight,
            d_bias,
            partials,
        );
    }

    fn attention(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Buffer,
        dropout: Dropout,
        out: &mut Buffer,
        lse: &mut Buffer,
    ) {
        attention::forward(&self.gemm, &self.threads, &self.attention, shape(batch, heads), qkv, dropout, out, lse);
    }

    fn attention_backward(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &Buffer,
        dropout: Dropout,
        out: &Buffer,
        lse: &Buffer,
        d_out: &Buffer,
        d_qkv: &mut Buffer,
    ) {
        let (gemm, threads, team, shape) = (&self.gemm, &self.threads, &self.attention, shape(batch, heads));
        attention::backward(gemm, threads, team, shape, qkv, dropout, out, lse, d_out, d_qkv);
    }

    fn gather(&mut self, rows: &[i32], width: usize, x: &Buffer, out: &mut Buffer) {
        embeddings::gather(x, rows, width, &mut out[..rows.len() * width]);
    }

    fn scatter(&mut self, n: usize, rows: &[i32], width: usize, x: &Buffer, out: &mut Buffer) {
        embeddings::scatter(&x[..rows.len() * width], rows, width, &mut out[..n * width]);
    }

    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Buffer, out: &mut Buffer) {
        embeddings::scatter_add(&x[..rows.len() * width], rows, width, out);
    }

    fn tanh(&mut self, n: usize, width: usize, x: &Buffer, y: &mut Buffer) {
        tanh::forward(&x[..n * width], &mut y[..n * width]);
    }

    fn tanh_backward(&mut self, n: usize, width: usize, y: &Buffer, gradient: &mut Buffer) {
        tanh::backward(&y[..n * width], &mut gradient[..n * width]);
    }

    fn scale(&mut self, n: usize, width: usize, factor: f32, x: &mut Buffer) {
        x[..n * width].iter_mut().for_each(|x| *x *= factor);
    }

    fn logits(&mut self, first: usize, n: usize, decoder: Linear, weights: &Buffer, x: &Buffer, y: &mut Buffer) {
        let (weight, bias) = decoder.of(weights);
        let x = &x[first * decoder.inputs..(first + n) * decoder.inputs];
        linear::forward(&self.gemm, &self.threads, x, weight, bias, &mut y[..n * decoder.outputs], None);
    }

    fn cross_entropy(
        &mut self,
        logits: &mut Buffer,
        vocab_size: usize,
        labels: &[i32],
        rows: &mut [RowLoss],
        gradient: bool,
    ) {
        cross_entropy::forward_backward(
            &self.threads,
            &mut logits[..labels.len() * vocab_size],
            labels,
            rows,
            gradient,
        );
    }

    fn logits_backward(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        weights: &Buffer,
        x: &Buffer,
        d_logits: &Buffer,
        dx: &mut Buffer,
        gradients: &mut Buffer,
    ) {
        let rows = first * decoder.inputs..(first + n) * decoder.inputs;
        let d_logits = &d_logits[..n * decoder.outputs];
        let weight = decoder.of(weights).0;
        let dx = &mut dx[rows.clone()];
        linear::backward_data(&self.gemm, &self.threads, d_logits, weight, decoder.inputs, dx, Epilogue::Store);
        let (d_weight, d_bias) = decoder.of_mut(gradients);
        linear::backward_parameters(
            &self.gemm,
            &self.threads,
            &x[rows],
            d_logits,
            d_weight,
            d_bias,
            &mut self.partials,
        );
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

    fn update(
        &mut self,
        layout: &ParameterLayout,
        state: AdamWState<Buffer>,
        hyper: &AdamW,
        units: u64,
        step: u64,
    ) -> f64 {
        let AdamWState { weights, gradients, exp_avg, exp_avg_sq } = state;
        let norm = adamw::squared_norm(&self.threads, gradients, &mut self.squares).sqrt() / units as f64;
        if norm.is_finite() {
            let clip = if norm > hyper.max_grad_norm { hyper.max_grad_norm / (norm + 1e-6) } else { 1.0 };
            let state = adamw::State { weights, gradients, exp_avg, exp_avg_sq };
            adamw::update(&self.threads, layout, state, hyper, clip / units as f64, step);
        }
        norm
    }

    fn clear(&mut self, x: &mut Buffer) {
        x.fill(0.0);
    }
}
