//! What [`Cuda`] keeps on the device and on the host from batch to batch, how much of it is planned, and how a batch
//! gets there.

use std::path::Path;

use super::super::{Embeddings, Heads, Linear, Norm};
use crate::backend::bucket;
use crate::blueprint::Blueprint;
use crate::collective::nccl::Nccl;
use crate::driver::queue::{Modes, Queue};
use crate::driver::{self, Device, Dtype, Tensor, bytes_of_mut};
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::{Code, Error, Result};
use crate::machine::threads::Threads;
use crate::ops::dropout::Dropout;
use crate::ops::embeddings::cuda::{Collisions, Planned};
use crate::ops::{attention, embeddings, layer_norm, linear};
use crate::optim::cuda::{Clip, OnCuda};

/// Logits that are held at a time: 512 MiB, one part for BERT-base with 16,384 tokens.
pub(super) const LOGITS: usize = 128 << 20;

/// Rows of logits begin at multiples of so many elements: with an odd vocabulary, the products that read and write them
/// would otherwise be left with algorithms that move two or four bytes at a time.
pub(super) const LOGITS_ALIGNMENT: usize = 64;

/// The totals on the device, f64: loss and right answers of the tokens, of the sequences, then these two.
pub(super) const SQUARED_NORM: usize = 4;
/// The first update that failed, from 1; 0 is none.
pub(super) const FAILED: usize = 5;
/// Number of totals.
pub(super) const TOTALS: usize = 6;

/// A device, and the memory that its operations share.
pub struct Cuda<D: Device> {
    /// The GPUs of the processes that share updates, once they have joined. Before the queue, whose device has to be there.
    pub(super) peers: Option<Nccl<D>>,
    pub(super) queue: Queue<D>,
    pub(super) optimizer: Option<(Clip<D>, Box<dyn OnCuda<D>>)>,
    pub(super) totals: driver::Buffer<D>,
    /// Those of the micro-batches of an update that is cut.
    pub(super) kept: Option<driver::Buffer<D>>,
    /// Partial sums of the embeddings' gradient.
    sums: driver::Buffer<D>,
    /// f32: partial sums, and what attention's backward needs.
    pub(super) scratch: driver::Buffer<D>,
    host: Host,
    /// Whether attention turns queries and keys by positions.
    rotary: bool,
    /// Of the batch, without padding.
    pub(super) tokens: usize,
    /// The update that the batch is part of, from 0.
    pub(super) step: u64,
    /// What the last update's gradient was divided by, until the totals are taken.
    pub(super) updated: Option<u64>,
    pub(super) threads: Threads,
}

/// What the host prepares for the device, reused from batch to batch.
#[derive(Default)]
pub(super) struct Host {
    table_rows: Vec<i32>,
    tiles: Vec<i32>,
    collisions: Collisions,
    /// Where the batch in progress lies.
    packed: Option<Sent>,
    pub(super) values: Vec<f32>,
}

/// A batch on the device.
#[derive(Clone, Copy)]
struct Sent {
    cu_seqlens: Tensor,
    tiles: Tensor,
    /// Where they are rotary.
    positions: Option<Tensor>,
}

/// f32 elements; the weights also in the type of activations, if that is another.
pub struct Buffer<D: Device> {
    pub(super) own: driver::Buffer<D>,
    pub(super) copy: Option<driver::Buffer<D>>,
}

impl<D: Device> Buffer<D> {
    pub(super) fn exact(&self) -> Tensor {
        self.own.tensor()
    }

    fn working(&self) -> Tensor {
        self.copy.as_ref().unwrap_or(&self.own).tensor()
    }
}

/// Loss and rank of each row of a head.
pub struct Rows<D: Device> {
    pub(super) loss: driver::Buffer<D>,
    pub(super) rank: driver::Buffer<D>,
}

impl<D: Device> Cuda<D> {
    /// Plans for the batches of `options`; `cache` is a folder that keeps which algorithms are the fastest.
    ///
    /// # Errors
    /// `Unsupported` if the model is wider than the kernels; `OutOfMemory`.
    pub fn new(device: D, options: &EngineOptions, cache: Option<&Path>, modes: Modes) -> Result<Self> {
        let options = &bucket::planned(options);
        let config = &options.config;
        let embedding_size = config.embedding_size.unwrap_or(config.hidden_size);
        for (name, found, most) in [
            ("hidden_size", config.hidden_size, layer_norm::cuda::MAX_WIDTH),
            ("embedding_size", embedding_size, layer_norm::cuda::MAX_WIDTH),
            ("hidden_size / num_attention_heads", config.head_size(), attention::cuda::MAX_HEAD),
        ] {
            if found > most {
                let message = format!("config.json: {name} is {found}, but the CUDA kernels take up to {most}");
                return Err(Error::new(Code::Unsupported, message).with_hint("use --device cpu"));
            }
        }
        let n = options.max_tokens;
        let blueprint = Blueprint::of(config, &options.heads)?;
        // Query, key and value are one matrix.
        let widest = blueprint.tensors().into_iter().map(|tensor| tensor.shape[0]).chain([3 * blueprint.width()]);
        let partials = widest
            .map(|c| linear::cuda::sum_scratch(n, c))
            .chain([
                layer_norm::cuda::backward_scratch(n, config.hidden_size.max(embedding_size)),
                attention::cuda::backward_scratch(
                    n,
                    options.max_sequences,
                    config.num_attention_heads,
                    config.hidden_size,
                    options.max_sequence_length,
                ),
            ])
            .max();
        let modes = Modes { profile: options.profile, ..modes };
        let queue = Queue::new(device, input_bytes(options, &blueprint), cache, modes)?;
        let training = |len| if options.training() { len } else { 0 };
        let zeroed = |len, dtype| driver::Buffer::zeroed(queue.device(), len, dtype);
        Ok(Self {
            peers: None,
            optimizer: None,
            kept: None,
            totals: zeroed(TOTALS, Dtype::Wide)?,
            sums: zeroed(training(Collisions::most_slots(n) * embedding_size), Dtype::F32)?,
            scratch: zeroed(training(partials.unwrap_or(0)), Dtype::F32)?,
            host: Host::default(),
            rotary: blueprint.blocks.iter().any(|block| block.attention.rotary.is_some()),
            tokens: 0,
            step: 0,
            updated: None,
            threads: Threads::new(options.threads),
            queue,
        })
    }

    /// The queue, for tests.
    pub fn queue(&self) -> &Queue<D> {
        &self.queue
    }

    pub(super) fn host_values(&mut self) -> &mut Vec<f32> {
        &mut self.host.values
    }

    /// Sends what a batch is made of, and returns its rows of the embedding tables.
    pub(super) fn send_batch(&mut self, batch: &Batch, tables: Embeddings) -> Tensor {
        let (n, b) = (batch.input_ids.len(), batch.sequences());
        let Host { table_rows, tiles, packed, .. } = &mut self.host;
        let ids = [batch.input_ids, batch.position_ids, batch.token_type_ids];
        embeddings::cuda::table_rows(ids, tables.rows, table_rows);
        attention::cuda::tiles(self.queue.activations(), batch.cu_seqlens, tiles);
        tiles.resize(attention::cuda::most_tiles(n, b), -1);
        *packed = Some(Sent {
            cu_seqlens: self.queue.input(batch.cu_seqlens, b + 1),
            tiles: self.queue.input(tiles, tiles.len()),
            positions: self.rotary.then(|| self.queue.input(batch.position_ids, n)),
        });
        self.queue.input(table_rows, table_rows.len())
    }

    /// Sends how the `n` tokens of the batch collide in a table of `rows` rows. What it needs room for is little of what it
    /// may need, so it is sent last, and the largest part of it behind the rest.
    pub(super) fn send_collisions(&mut self, n: usize, rows: usize) -> Planned {
        let Host { table_rows, collisions, .. } = &mut self.host;
        collisions.plan(table_rows, n, rows);
        let ids = table_rows.len();
        let counts = [collisions.pieces.len() / 4, collisions.rows.len() / 3].map(|count| count as i32);
        Planned {
            counts: self.queue.input(&counts, 2),
            order: self.queue.input(&collisions.order, ids),
            rows: self.queue.input(&collisions.rows, 3 * Collisions::most_rows(n)),
            pieces: self.queue.input(&collisions.pieces, 4 * ids),
            partials: self.sums.tensor(),
        }
    }

    /// A dropout's key among the inputs.
    pub(super) fn site(&self, dropout: Dropout) -> Option<Tensor> {
        (!dropout.is_none()).then(|| self.queue.input(&dropout.words(), 4))
    }

    /// The same for attention's scores.
    pub(super) fn score_site(&self, dropout: Dropout) -> Option<Tensor> {
        let [low, high, threshold, scale] = dropout.words();
        let words = [low, high, threshold, scale, self.tokens as u32];
        (!dropout.is_none()).then(|| self.queue.input(&words, 5))
    }

    pub(super) fn layer(&self, layer: Linear, weights: &Buffer<D>, result: Dtype) -> linear::cuda::Layer {
        let Linear { weight, bias, inputs, outputs } = layer;
        let of_bias = if result == Dtype::F32 { weights.exact() } else { weights.working() };
        linear::cuda::Layer {
            inputs,
            outputs,
            stride: outputs,
            weight: weights.working().part(weight, inputs * outputs),
            bias: bias.map(|bias| of_bias.part(bias, outputs)),
        }
    }

    pub(super) fn norm_of(&self, norm: Norm, weights: &Buffer<D>) -> layer_norm::cuda::Parameters {
        let part = |at| weights.exact().part(at, norm.width);
        let (weight, bias) = (part(norm.weight), norm.has_bias.then(|| part(norm.weight + norm.width)));
        layer_norm::cuda::Parameters { width: norm.width, eps: norm.eps, weight, bias }
    }

    fn sent(&self) -> Sent {
        self.host.packed.expect("the embeddings come first")
    }

    /// Bounds of the sequences of the batch that `send_batch` has sent.
    pub(super) fn bounds(&self) -> Tensor {
        self.sent().cu_seqlens
    }

    /// Positions of its tokens.
    pub(super) fn positions(&self) -> Tensor {
        self.sent().positions.expect("sent where they are rotary")
    }

    /// That batch, for attention.
    pub(super) fn packed(&self, batch: &Batch, heads: Heads) -> attention::cuda::Packed {
        let Sent { cu_seqlens, tiles, .. } = self.sent();
        attention::cuda::Packed {
            tokens: batch.input_ids.len(),
            heads: heads.count,
            hidden: heads.hidden,
            max_sequence_length: heads.max_sequence_length,
            causal: heads.causal,
            window: heads.window,
            cu_seqlens,
            tiles,
        }
    }

    pub(super) fn download(&self, tensor: Tensor, to: &mut [f32]) {
        if tensor.dtype == Dtype::Bf16 {
            let mut bits = vec![0u16; to.len()];
            self.queue.read(tensor, bytes_of_mut(&mut bits));
            for (to, bits) in to.iter_mut().zip(bits) {
                *to = f32::from_bits(u32::from(bits) << 16);
            }
        } else {
            self.queue.read(tensor, bytes_of_mut(to));
        }
    }

    pub(super) fn not_finite(&self, tensor: Tensor) -> Option<usize> {
        let mut values = vec![0.0; tensor.len];
        self.download(tensor, &mut values);
        values.iter().position(|v| !v.is_finite())
    }

    /// Of the weight alone, where the bias' comes from what makes dy.
    pub(super) fn weight_backward(&self, n: usize, layer: Linear, x: Tensor, dy: Tensor, gradients: &Buffer<D>) {
        let Linear { weight, inputs, outputs, .. } = layer;
        let d_weight = gradients.exact().part(weight, inputs * outputs);
        linear::cuda::backward_weight(&self.queue, n, [inputs, outputs, outputs], x, dy, d_weight);
    }

    /// Of a layer whose rows of dy are `stride` elements apart.
    pub(super) fn parameters_backward(
        &self,
        n: usize,
        layer: Linear,
        x: Tensor,
        dy: Tensor,
        stride: usize,
        gradients: &Buffer<D>,
    ) {
        let Linear { weight, bias, inputs, outputs } = layer;
        linear::cuda::backward_parameters(
            &self.queue,
            n,
            [inputs, outputs, stride],
            x,
            dy,
            gradients.exact().part(weight, inputs * outputs),
            bias.map(|bias| gradients.exact().part(bias, outputs)),
            self.scratch.tensor(),
        );
    }
}

/// What a step sends at most: the batch, rows of both heads there and back, labels in as many parts as there are chunks of
/// logits, where tokens collide, and small ones: a key for each dropout site there and back, counts, an update.
fn input_bytes(options: &EngineOptions, blueprint: &Blueprint) -> usize {
    let (n, b, m) = (options.max_tokens, options.max_sequences, options.max_masked);
    let chunks = m * (options.config.vocab_size + LOGITS_ALIGNMENT) / LOGITS + 2;
    let targets = b * options.heads.sequence.map_or(0, |head| head.num_labels);
    let mut rooms = vec![3 * n, n, b + 1, attention::cuda::most_tiles(n, b), m, m, b, b, b, targets];
    rooms.extend(std::iter::repeat_n(m.div_ceil(chunks) + 1, chunks));
    rooms.extend(std::iter::repeat_n(16, 2 * blueprint.sites.count() + 16));
    if options.training() {
        rooms.extend([2, 3 * n, 3 * Collisions::most_rows(n), 12 * n]);
    }
    crate::driver::queue::input_bytes(&rooms)
}
