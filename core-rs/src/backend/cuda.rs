//! A CUDA device as a [`Backend`]: hands tensors to the operations' `cuda` modules. Long because the trait has as many
//! methods as a model has operations.
//!
//! Nothing here waits for the device but
//! what the host has to know: losses, the gradient's norm, and what is read.
//!
//! Activations are of the device's type; weights, gradients, moments, statistics and logits are f32.

use super::{AdamWState, Backend, DataGradient, Embeddings, Heads, Linear, Norm};
use crate::batch::Batch;
use crate::cuda::{self, Device, Dtype, Tensor, bytes_of, bytes_of_mut};
use crate::engine::{AdamW, EngineOptions};
use crate::error::{Code, Error, Result};
use crate::memory;
use crate::ops::cross_entropy::RowLoss;
use crate::ops::dropout::Dropout;
use crate::ops::embeddings::cuda::Collisions;
use crate::ops::{attention, cross_entropy, dropout, embeddings, layer_norm, linear, tanh};
use crate::optim;
use crate::parameters::ParameterLayout;
use crate::profile::Entry;
use crate::threads::Threads;

/// Logits that are held at a time: 256 MiB.
const LOGITS: usize = 64 << 20;

/// A device, and the memory that its operations share.
pub struct Cuda<D: Device> {
    device: D,
    optimizer: Option<optim::cuda::Plan<D>>,
    /// i32`[3, N]`: rows of the embedding tables.
    table_rows: cuda::Buffer<D>,
    order: cuda::Buffer<D>,
    pieces: cuda::Buffer<D>,
    joined: cuda::Buffer<D>,
    sums: cuda::Buffer<D>,
    cu_seqlens: cuda::Buffer<D>,
    tiles: cuda::Buffer<D>,
    /// Tokens that rows are gathered from, and labels.
    picked: cuda::Buffer<D>,
    labels: cuda::Buffer<D>,
    loss: cuda::Buffer<D>,
    rank: cuda::Buffer<D>,
    /// f32: partial sums, and attention's `[H, N]`.
    scratch: cuda::Buffer<D>,
    host: Host,
    threads: Threads,
}

/// What the host prepares for the device, reused from batch to batch.
#[derive(Default)]
struct Host {
    table_rows: Vec<i32>,
    tiles: Vec<i32>,
    collisions: Collisions,
    losses: Vec<f32>,
    ranks: Vec<i32>,
    values: Vec<f32>,
}

/// f32 elements; the weights also in the type of activations, if that is another.
pub struct Buffer<D: Device> {
    own: cuda::Buffer<D>,
    copy: Option<cuda::Buffer<D>>,
}

impl<D: Device> Buffer<D> {
    fn exact(&self) -> Tensor {
        self.own.tensor()
    }

    fn working(&self) -> Tensor {
        self.copy.as_ref().unwrap_or(&self.own).tensor()
    }
}

impl<D: Device> Cuda<D> {
    /// Plans for the batches of `options`.
    ///
    /// # Errors
    /// `Unsupported` if the model is wider than the kernels; `OutOfMemory`.
    pub fn new(device: D, options: &EngineOptions) -> Result<Self> {
        let config = &options.config;
        for (name, found, most) in [
            ("hidden_size", config.hidden_size, layer_norm::cuda::MAX_WIDTH),
            ("hidden_size / num_attention_heads", config.head_size(), attention::cuda::MAX_HEAD),
        ] {
            if found > most {
                let message = format!("config.json: {name} is {found}, but the CUDA kernels take up to {most}");
                return Err(Error::new(Code::Unsupported, message).with_hint("use --device cpu"));
            }
        }
        let (n, b, m) = (options.max_tokens, options.max_sequences, options.max_masked);
        let layout = ParameterLayout::new(config, &options.objective);
        let slots = Collisions::most_slots(n);
        let widest = layout.parameters().iter().map(|p| p.shape[0]).chain([3 * config.hidden_size]);
        let partials = widest
            .map(|c| linear::cuda::sum_scratch(n, c))
            .chain([layer_norm::cuda::backward_scratch(n, config.hidden_size), n * config.num_attention_heads])
            .max();
        let zeroed = |len, dtype| cuda::Buffer::zeroed(&device, len, dtype);
        let training = |len| if options.training { len } else { 0 };
        Ok(Self {
            optimizer: None,
            table_rows: zeroed(3 * n, Dtype::I32)?,
            order: zeroed(training(3 * n), Dtype::I32)?,
            pieces: zeroed(training(4 * 3 * n), Dtype::I32)?,
            joined: zeroed(training(3 * slots), Dtype::I32)?,
            sums: zeroed(training(slots * config.hidden_size), Dtype::F32)?,
            cu_seqlens: zeroed(b + 1, Dtype::I32)?,
            tiles: zeroed(attention::cuda::most_tiles(n, b), Dtype::I32)?,
            picked: zeroed(m.max(b), Dtype::I32)?,
            labels: zeroed(m.max(b), Dtype::I32)?,
            loss: zeroed(m.max(b), Dtype::F32)?,
            rank: zeroed(m.max(b), Dtype::I32)?,
            scratch: zeroed(training(partials.unwrap_or(0)), Dtype::F32)?,
            host: Host::default(),
            threads: Threads::new(options.threads),
            device,
        })
    }

    fn send(&self, to: &cuda::Buffer<D>, values: &[i32]) -> Tensor {
        let tensor = to.tensor().part(0, values.len());
        self.device.upload(tensor, bytes_of(values));
        tensor
    }

    fn layer(&self, layer: Linear, weights: &Buffer<D>, result: Dtype) -> linear::cuda::Layer {
        let Linear { weight, bias, inputs, outputs } = layer;
        let of_bias = if result == Dtype::F32 { weights.exact() } else { weights.working() };
        linear::cuda::Layer {
            inputs,
            outputs,
            weight: weights.working().part(weight, inputs * outputs),
            bias: of_bias.part(bias, outputs),
        }
    }

    fn norm_of(&self, norm: Norm, weights: &Buffer<D>) -> layer_norm::cuda::Parameters {
        let [weight, bias] = [0, norm.width].map(|after| weights.exact().part(norm.weight + after, norm.width));
        layer_norm::cuda::Parameters { width: norm.width, eps: norm.eps, weight, bias }
    }

    /// The batch that `embed` has sent.
    fn packed(&self, batch: &Batch, heads: Heads) -> attention::cuda::Packed {
        attention::cuda::Packed {
            tokens: batch.input_ids.len(),
            heads: heads.count,
            hidden: heads.hidden,
            max_sequence_length: heads.max_sequence_length,
            causal: heads.causal,
            cu_seqlens: self.cu_seqlens.tensor().part(0, batch.cu_seqlens.len()),
            tiles: self.tiles.tensor().part(0, self.host.tiles.len()),
        }
    }

    fn download(&self, tensor: Tensor, to: &mut [f32]) {
        if tensor.dtype == Dtype::Bf16 {
            let mut bits = vec![0u16; to.len()];
            self.device.download(tensor, bytes_of_mut(&mut bits));
            for (to, bits) in to.iter_mut().zip(bits) {
                *to = f32::from_bits(u32::from(bits) << 16);
            }
        } else {
            self.device.download(tensor, bytes_of_mut(to));
        }
    }

    fn not_finite(&self, tensor: Tensor) -> Option<usize> {
        let mut values = vec![0.0; tensor.len];
        self.download(tensor, &mut values);
        values.iter().position(|v| !v.is_finite())
    }

    fn parameters_backward(&self, n: usize, layer: Linear, x: Tensor, dy: Tensor, gradients: &Buffer<D>) {
        let Linear { weight, bias, inputs, outputs } = layer;
        linear::cuda::backward_parameters(
            &self.device,
            n,
            [inputs, outputs],
            x,
            dy,
            gradients.exact().part(weight, inputs * outputs),
            gradients.exact().part(bias, outputs),
            self.scratch.tensor(),
        );
    }
}

impl<D: Device> Backend for Cuda<D> {
    type Buffer = Buffer<D>;
    type Activations = cuda::Buffer<D>;

    fn device(&self) -> &'static str {
        "cuda"
    }

    fn name(&self) -> String {
        self.device.name()
    }

    fn profile(&self) -> Vec<Entry> {
        Vec::new() // work runs behind the caller's back: NVIDIA's tools tell its time
    }

    fn zeroed(&self, len: usize) -> Result<Buffer<D>> {
        Ok(Buffer { own: cuda::Buffer::zeroed(&self.device, len, Dtype::F32)?, copy: None })
    }

    fn activations(&self, len: usize) -> Result<cuda::Buffer<D>> {
        cuda::Buffer::zeroed(&self.device, len, self.device.activations())
    }

    fn logits_at_a_time(&self) -> usize {
        LOGITS
    }

    fn plan(&mut self, layout: &ParameterLayout, _layers: &[Linear], training: bool) -> Result<()> {
        if training {
            self.optimizer = Some(optim::cuda::Plan::new(&self.device, layout)?);
        }
        Ok(())
    }

    fn weights_changed(&mut self, weights: &Buffer<D>) {
        if let Some(copy) = &weights.copy {
            optim::cuda::narrow(&self.device, weights.exact(), copy.tensor());
        }
    }

    fn upload(&mut self, host: memory::Buffer) -> Result<Buffer<D>> {
        let copy = match self.device.activations() {
            Dtype::F32 => None,
            _ => Some(self.activations(host.len())?),
        };
        let mut buffer = Buffer { copy, ..self.zeroed(host.len())? };
        self.write(&mut buffer, 0, &host);
        self.device.check()?;
        Ok(buffer)
    }

    fn write(&mut self, to: &mut Buffer<D>, offset: usize, from: &[f32]) {
        self.device.upload(to.exact().part(offset, from.len()), bytes_of(from));
    }

    fn read(&mut self, from: &Buffer<D>, offset: usize, to: &mut [f32]) {
        self.download(from.exact().part(offset, to.len()), to);
    }

    fn first_non_finite(&mut self, x: &Buffer<D>, len: usize) -> Option<usize> {
        self.not_finite(x.exact().part(0, len))
    }

    fn first_non_finite_activation(&mut self, x: &cuda::Buffer<D>, len: usize) -> Option<usize> {
        self.not_finite(x.tensor().part(0, len))
    }

    fn check(&mut self) -> Result<()> {
        self.device.check()
    }

    fn embed_norm(
        &mut self,
        batch: &Batch,
        tables: Embeddings,
        norm: Norm,
        weights: &Buffer<D>,
        dropout: Dropout,
        sum: &mut cuda::Buffer<D>,
        out: &mut cuda::Buffer<D>,
        statistics: &mut Buffer<D>,
    ) {
        let ids = [batch.input_ids, batch.position_ids, batch.token_type_ids];
        embeddings::cuda::table_rows(ids, tables.rows, &mut self.host.table_rows);
        attention::cuda::tiles(self.device.activations(), batch.cu_seqlens, &mut self.host.tiles);
        self.send(&self.cu_seqlens, batch.cu_seqlens);
        self.send(&self.tiles, &self.host.tiles);
        let rows = self.send(&self.table_rows, &self.host.table_rows);
        let tables = weights.exact().part(0, tables.rows.iter().sum::<usize>() * tables.width);
        embeddings::cuda::forward(
            &self.device,
            batch.input_ids.len(),
            self.norm_of(norm, weights),
            rows,
            tables,
            dropout,
            sum.tensor(),
            out.tensor(),
            statistics.exact(),
        );
    }

    fn embed_backward(&mut self, batch: &Batch, tables: Embeddings, gradient: &Buffer<D>, gradients: &mut Buffer<D>) {
        let (rows, c) = (tables.rows.iter().sum(), tables.width);
        self.host.collisions.plan(&self.host.table_rows, rows);
        let plan = &self.host.collisions;
        let planned = embeddings::cuda::Planned {
            order: self.send(&self.order, &plan.order),
            pieces: self.send(&self.pieces, &plan.pieces),
            rows: self.send(&self.joined, &plan.rows),
            partials: self.sums.tensor().part(0, plan.slots * c),
        };
        let gradient = gradient.exact().part(0, batch.input_ids.len() * c);
        embeddings::cuda::backward(&self.device, c, planned, gradient, gradients.exact().part(0, rows * c));
    }

    fn dropout(&mut self, n: usize, width: usize, x: &mut cuda::Buffer<D>, dropout: Dropout) {
        dropout::cuda::apply(&self.device, n * width, x.tensor(), dropout);
    }

    fn dropout_backward(&mut self, n: usize, width: usize, gradient: &mut Buffer<D>, dropout: Dropout) {
        dropout::cuda::apply_to_gradient(&self.device, n * width, gradient.exact(), dropout);
    }

    fn linear(&mut self, n: usize, layer: Linear, weights: &Buffer<D>, x: &cuda::Buffer<D>, y: &mut cuda::Buffer<D>) {
        let on_device = self.layer(layer, weights, self.device.activations());
        linear::cuda::forward(&self.device, n, on_device, x.tensor(), y.tensor());
    }

    fn linear_residual(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        x: &cuda::Buffer<D>,
        dropout: Dropout,
        residual: &cuda::Buffer<D>,
        y: &mut cuda::Buffer<D>,
    ) {
        self.linear(n, layer, weights, x, y);
        dropout::cuda::add_residual(&self.device, n * layer.outputs, y.tensor(), dropout, residual.tensor());
    }

    fn linear_gelu(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        x: &cuda::Buffer<D>,
        pre: &mut cuda::Buffer<D>,
        y: &mut cuda::Buffer<D>,
    ) {
        self.linear(n, layer, weights, x, pre);
        linear::cuda::gelu_forward(&self.device, n * layer.outputs, pre.tensor(), y.tensor());
    }

    fn linear_backward(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        dy: &cuda::Buffer<D>,
        dx: &mut Buffer<D>,
        how: DataGradient,
    ) {
        let on_device = self.layer(layer, weights, self.device.activations());
        let accumulate = how == DataGradient::Add;
        linear::cuda::backward_data(&self.device, n, on_device, dy.tensor(), dx.exact(), accumulate);
    }

    fn linear_backward_to_operand(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        dy: &cuda::Buffer<D>,
        dx: &mut cuda::Buffer<D>,
    ) {
        let on_device = self.layer(layer, weights, self.device.activations());
        linear::cuda::backward_data(&self.device, n, on_device, dy.tensor(), dx.tensor(), false);
    }

    fn linear_backward_through_gelu(
        &mut self,
        n: usize,
        layer: Linear,
        weights: &Buffer<D>,
        dy: &cuda::Buffer<D>,
        pre: &cuda::Buffer<D>,
        dx: &mut cuda::Buffer<D>,
    ) {
        self.linear_backward_to_operand(n, layer, weights, dy, dx);
        self.gelu_backward(n, layer.inputs, pre, dx);
    }

    fn gelu_backward(&mut self, n: usize, width: usize, pre: &cuda::Buffer<D>, gradient: &mut cuda::Buffer<D>) {
        linear::cuda::gelu_backward(&self.device, n * width, pre.tensor(), gradient.tensor());
    }

    fn linear_parameters_backward(
        &mut self,
        n: usize,
        layer: Linear,
        x: &cuda::Buffer<D>,
        dy: &cuda::Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        self.parameters_backward(n, layer, x.tensor(), dy.tensor(), gradients);
    }

    fn norm(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &cuda::Buffer<D>,
        out: &mut cuda::Buffer<D>,
        statistics: &mut Buffer<D>,
    ) {
        let (norm, statistics) = (self.norm_of(norm, weights), statistics.exact());
        layer_norm::cuda::forward(&self.device, n, norm, x.tensor(), out.tensor(), statistics);
    }

    fn norm_backward(
        &mut self,
        n: usize,
        norm: Norm,
        weights: &Buffer<D>,
        x: &cuda::Buffer<D>,
        statistics: &Buffer<D>,
        gradient: &mut Buffer<D>,
        operand: Option<(Dropout, &mut cuda::Buffer<D>)>,
        gradients: &mut Buffer<D>,
    ) {
        layer_norm::cuda::backward(
            &self.device,
            n,
            self.norm_of(norm, weights),
            x.tensor(),
            statistics.exact(),
            gradient.exact(),
            operand.map(|(dropout, to)| (dropout, to.tensor())),
            gradients.exact().part(norm.weight, 2 * norm.width),
            self.scratch.tensor(),
        );
    }

    fn attention(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &cuda::Buffer<D>,
        dropout: Dropout,
        out: &mut cuda::Buffer<D>,
        lse: &mut Buffer<D>,
    ) {
        let packed = self.packed(batch, heads);
        attention::cuda::forward(&self.device, &packed, qkv.tensor(), dropout, out.tensor(), lse.exact());
    }

    fn attention_backward(
        &mut self,
        batch: &Batch,
        heads: Heads,
        qkv: &cuda::Buffer<D>,
        dropout: Dropout,
        out: &cuda::Buffer<D>,
        lse: &Buffer<D>,
        d_out: &cuda::Buffer<D>,
        d_qkv: &mut cuda::Buffer<D>,
    ) {
        attention::cuda::backward(
            &self.device,
            &self.packed(batch, heads),
            qkv.tensor(),
            dropout,
            out.tensor(),
            lse.exact(),
            d_out.tensor(),
            d_qkv.tensor(),
            self.scratch.tensor(),
        );
    }

    fn gather(&mut self, rows: &[i32], width: usize, x: &cuda::Buffer<D>, out: &mut cuda::Buffer<D>) {
        let rows = self.send(&self.picked, rows);
        embeddings::cuda::gather(&self.device, width, rows, x.tensor(), out.tensor());
    }

    fn scatter(&mut self, n: usize, rows: &[i32], width: usize, x: &Buffer<D>, out: &mut Buffer<D>) {
        let rows = self.send(&self.picked, rows);
        embeddings::cuda::scatter(&self.device, width, rows, x.exact(), out.exact().part(0, n * width));
    }

    fn scatter_add(&mut self, rows: &[i32], width: usize, x: &Buffer<D>, out: &mut Buffer<D>) {
        let rows = self.send(&self.picked, rows);
        embeddings::cuda::scatter_add(&self.device, width, rows, x.exact(), out.exact());
    }

    fn tanh(&mut self, n: usize, width: usize, x: &cuda::Buffer<D>, y: &mut cuda::Buffer<D>) {
        tanh::cuda::forward(&self.device, n * width, x.tensor(), y.tensor());
    }

    fn tanh_backward(&mut self, n: usize, width: usize, y: &cuda::Buffer<D>, gradient: &mut cuda::Buffer<D>) {
        tanh::cuda::backward(&self.device, n * width, y.tensor(), gradient.tensor());
    }

    fn scale(&mut self, n: usize, width: usize, factor: f32, x: &mut cuda::Buffer<D>) {
        linear::cuda::scale(&self.device, n * width, factor, x.tensor());
    }

    fn logits(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        weights: &Buffer<D>,
        x: &cuda::Buffer<D>,
        y: &mut Buffer<D>,
    ) {
        let y = y.exact();
        let x = x.tensor().part(first * decoder.inputs, n * decoder.inputs);
        linear::cuda::forward(&self.device, n, self.layer(decoder, weights, y.dtype), x, y);
    }

    fn cross_entropy(
        &mut self,
        logits: &mut Buffer<D>,
        vocab_size: usize,
        labels: &[i32],
        rows: &mut [RowLoss],
        gradient: Option<&mut cuda::Buffer<D>>,
    ) {
        let n = labels.len();
        let labels = self.send(&self.labels, labels);
        let [loss, rank] = [&self.loss, &self.rank].map(|buffer| buffer.tensor().part(0, n));
        let gradient = gradient.map(|gradient| gradient.tensor());
        cross_entropy::cuda::forward_backward(&self.device, vocab_size, logits.exact(), labels, loss, rank, gradient);
        let Host { losses, ranks, .. } = &mut self.host;
        losses.resize(n, 0.0);
        ranks.resize(n, 0);
        self.device.download(loss, bytes_of_mut(losses));
        self.device.download(rank, bytes_of_mut(ranks));
        for ((row, &loss), &rank) in rows.iter_mut().zip(&*losses).zip(&*ranks) {
            *row = RowLoss { loss, rank };
        }
    }

    fn logits_backward(
        &mut self,
        first: usize,
        n: usize,
        decoder: Linear,
        weights: &Buffer<D>,
        x: &cuda::Buffer<D>,
        d_logits: &cuda::Buffer<D>,
        dx: &mut Buffer<D>,
        gradients: &mut Buffer<D>,
    ) {
        let c = decoder.inputs;
        let [x, dx] = [x.tensor(), dx.exact()].map(|all| all.part(first * c, n * c));
        let on_device = self.layer(decoder, weights, self.device.activations());
        linear::cuda::backward_data(&self.device, n, on_device, d_logits.tensor(), dx, false);
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
        let mut values = std::mem::take(&mut self.host.values);
        values.resize(n * vocab_size, 0.0);
        self.read(logits, 0, &mut values);
        cross_entropy::top_k(&self.threads, &values, vocab_size, k, ids, probabilities);
        self.host.values = values;
    }

    fn update(&mut self, state: AdamWState<Buffer<D>>, hyper: &AdamW, units: u64, step: u64) -> f64 {
        let AdamWState { weights, gradients, exp_avg, exp_avg_sq } = state;
        let state = optim::cuda::State {
            weights: weights.exact(),
            copy: weights.copy.as_ref().map(cuda::Buffer::tensor),
            gradients: gradients.exact(),
            exp_avg: exp_avg.exact(),
            exp_avg_sq: exp_avg_sq.exact(),
        };
        let optimizer = self.optimizer.as_ref().expect("planned for training");
        let norm = optimizer.squared_norm(&self.device, state.gradients);
        optimizer.update(&self.device, &state, hyper, units, step, norm);
        let mut squared = [f64::NAN];
        self.device.download(norm, bytes_of_mut(&mut squared));
        squared[0].sqrt() / units as f64
    }

    fn clear(&mut self, x: &mut Buffer<D>) {
        self.device.clear(x.exact());
    }
}
