//! A blueprint in candle, one sequence after the other.

use candle_core::{D, DType, Device, Result, Tensor, Var};

use cloze_core::blueprint::{
    self, Attention, Block, Blueprint, Dense, Mlp, Norm, NormPlace, ParameterLayout, SequenceHead, Site, TokenHead,
    Transform,
};
use cloze_core::engine::batch::Batch;
use cloze_core::heads::Pools;
use cloze_core::ops::activation::Activation;
use cloze_core::ops::dropout::Dropout;
use cloze_core::ops::target_loss::TargetLoss;
use cloze_core::rng::DropoutKey;

/// Whether, and with which keys, dropout is on.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    Evaluation,
    Training { seed: u64, step: u64, micro_step: u32, max_sequence_length: usize },
}

impl Pass {
    /// The factors of elements `index(0..len)` at a site, or `None` where nothing is dropped.
    fn factors(self, site: Site, shape: &[usize], index: impl Fn(usize) -> u32) -> Result<Option<Tensor>> {
        let Pass::Training { seed, step, micro_step, .. } = self else { return Ok(None) };
        if site.rate == 0.0 {
            return Ok(None);
        }
        let dropout = Dropout::new(DropoutKey::new(seed, step, micro_step, site.number), site.rate);
        let factors: Vec<f32> = (0..shape.iter().product()).map(|i| dropout.factor(index(i))).collect();
        Tensor::from_vec(factors, shape, &Device::Cpu).map(Some)
    }
}

fn apply(x: Tensor, factors: Option<Tensor>) -> Result<Tensor> {
    match factors {
        Some(factors) => x * factors,
        None => Ok(x),
    }
}

/// The logits of both heads, each if the model and the batch have it.
pub(super) struct Outputs {
    /// `[M, V]`, or `[M, K]`
    pub tokens: Option<Tensor>,
    /// `[B, K]`
    pub sequences: Option<Tensor>,
}

impl Outputs {
    /// The loss sum: of the tokens, and of the sequences by their weight.
    pub fn loss(&self, batch: &Batch, target_loss: Option<TargetLoss>) -> Result<Tensor> {
        let mut loss = Tensor::zeros((), DType::F32, &Device::Cpu)?;
        if let Some(logits) = &self.tokens {
            loss = (loss + cross_entropy_sum(logits, batch.labels)?)?;
        }
        if let Some(logits) = &self.sequences {
            let sum = match target_loss {
                Some(loss) => target_loss_sum(loss, logits, batch.sequence_targets)?,
                None => cross_entropy_sum(logits, batch.sequence_labels)?,
            };
            loss = (loss + (sum * batch.sequence_weight)?)?;
        }
        Ok(loss)
    }
}

/// `[L, L]`: what makes the softmax of keys that a row does not see nothing.
fn unseen(l: usize, causal: bool, window: Option<usize>) -> Result<Tensor> {
    let hidden =
        |row: usize, key: usize| causal && key > row || window.is_some_and(|window| row.abs_diff(key) > window);
    let mask = (0..l * l).map(|i| if hidden(i / l, i % l) { -1e9f32 } else { 0.0 }).collect();
    Tensor::from_vec(mask, (l, l), &Device::Cpu)
}

/// Rotary positions (Su et al., 2021) of `x[H, L, D]`: `x cos + (−second half, first half) sin`.
fn rotate(x: &Tensor, base: f32, positions: &[i32]) -> Result<Tensor> {
    let (_, l, d) = x.dims3()?;
    let half = d / 2;
    let angle = |i: usize| {
        let frequency = (1.0 / f64::from(base).powf((2 * (i % half)) as f64 / d as f64)) as f32;
        positions[i / d] as f32 * frequency
    };
    let table = |f: fn(f64) -> f64| {
        let values = (0..l * d).map(|i| f(f64::from(angle(i / d * d + i % d))) as f32).collect();
        Tensor::from_vec(values, (l, d), &Device::Cpu)
    };
    let (first, second) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
    let turned = Tensor::cat(&[second.neg()?, first], 2)?;
    x.broadcast_mul(&table(f64::cos)?)? + turned.broadcast_mul(&table(f64::sin)?)?
}

pub(super) struct Model<'a> {
    pub blueprint: &'a Blueprint,
    pub layout: &'a ParameterLayout,
    pub variables: &'a [Var],
}

/// One sequence of a batch.
#[derive(Clone, Copy)]
struct Sequence<'a> {
    batch: &'a Batch<'a>,
    from: usize,
    to: usize,
    pass: Pass,
}

impl Sequence<'_> {
    fn len(&self) -> usize {
        self.to - self.from
    }

    /// Dropout of rows of `width`.
    fn drop(&self, x: Tensor, site: Site, width: usize) -> Result<Tensor> {
        let first = self.from * width;
        let factors = self.pass.factors(site, &[self.len(), width], |i| (first + i) as u32)?;
        apply(x, factors)
    }

    /// Dropout of attention's probabilities.
    fn drop_probabilities(&self, x: Tensor, site: Site, heads: usize) -> Result<Tensor> {
        let (l, tokens) = (self.len(), self.batch.input_ids.len());
        let longest = match self.pass {
            Pass::Training { max_sequence_length, .. } => max_sequence_length,
            Pass::Evaluation => 0,
        };
        let factors = self.pass.factors(site, &[heads, l, l], |index| {
            let (head, row, key) = (index / (l * l), index / l % l, index % l);
            ((head * tokens + self.from + row) as u32).wrapping_mul(longest as u32).wrapping_add(key as u32)
        })?;
        apply(x, factors)
    }
}

impl Model<'_> {
    fn get(&self, tensor: &blueprint::Tensor) -> Result<&Tensor> {
        let at = self.layout.parameters().iter().position(|p| p.name == tensor.name);
        match at {
            Some(at) => Ok(self.variables[at].as_tensor()),
            None => candle_core::bail!("no parameter named {}", tensor.name),
        }
    }

    fn linear(&self, x: &Tensor, dense: &Dense) -> Result<Tensor> {
        self.biased(x.matmul(&self.get(&dense.weight)?.t()?)?, dense.bias.as_ref())
    }

    fn layer_norm(&self, x: &Tensor, norm: &Norm) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let deviation = (variance + f64::from(norm.eps))?.sqrt()?;
        let scaled = centred.broadcast_div(&deviation)?.broadcast_mul(self.get(&norm.weight)?)?;
        self.biased(scaled, norm.bias.as_ref())
    }

    fn biased(&self, x: Tensor, bias: Option<&blueprint::Tensor>) -> Result<Tensor> {
        bias.map_or(Ok(x.clone()), |bias| x.broadcast_add(self.get(bias)?))
    }

    /// The logits of both heads.
    pub fn outputs(&self, batch: &Batch, pass: Pass) -> Result<Outputs> {
        let Blueprint { freezes_encoder: frozen, tokens, sequences, .. } = self.blueprint;
        let inside = if *frozen { Pass::Evaluation } else { pass };
        let (mut rows, mut pooled) = (Vec::new(), Vec::new());
        for b in 0..batch.sequences() {
            let (from, to) = (batch.cu_seqlens[b], batch.cu_seqlens[b + 1]);
            let masked: Vec<u32> =
                batch.masked_positions.iter().filter(|p| (from..to).contains(p)).map(|p| (p - from) as u32).collect();
            if masked.is_empty() && sequences.is_none() {
                continue;
            }
            let hidden = self.encode(Sequence { batch, from: from as usize, to: to as usize, pass: inside })?;
            let hidden = if *frozen { hidden.detach() } else { hidden };
            if !masked.is_empty() {
                let count = masked.len();
                rows.push(hidden.index_select(&Tensor::from_vec(masked, count, &Device::Cpu)?, 0)?);
            }
            pooled.push(match sequences.as_ref().map(|head| head.pools) {
                Some(Pools::Mean) => hidden.mean_keepdim(0)?,
                Some(Pools::Last) => hidden.narrow(0, (to - from) as usize - 1, 1)?,
                Some(Pools::First) | None => hidden.narrow(0, 0, 1)?,
            });
        }
        let tokens = tokens.as_ref().filter(|_| !rows.is_empty());
        let tokens = tokens.map(|head| self.token_logits(Tensor::cat(&rows, 0)?, head, pass)).transpose()?;
        let sequences = sequences.as_ref();
        let sequences =
            sequences.map(|head| self.sequence_logits(&Tensor::cat(&pooled, 0)?, head, pass)).transpose()?;
        Ok(Outputs { tokens, sequences })
    }

    /// The encoder's output `[N, C]` for every token, without dropout.
    pub fn hidden_states(&self, batch: &Batch) -> Result<Tensor> {
        let sequences = (0..batch.sequences()).map(|b| {
            let (from, to) = (batch.cu_seqlens[b] as usize, batch.cu_seqlens[b + 1] as usize);
            self.encode(Sequence { batch, from, to, pass: Pass::Evaluation })
        });
        Tensor::cat(&sequences.collect::<Result<Vec<_>>>()?, 0)
    }

    fn token_logits(&self, rows: Tensor, head: &TokenHead, pass: Pass) -> Result<Tensor> {
        let x = match &head.transform {
            None => rows,
            Some(Transform { dense, activation, norm }) => {
                self.layer_norm(&activate(&self.linear(&rows, dense)?, *activation)?, norm)?
            }
        };
        let factors = head.dropout.map(|site| pass.factors(site, x.dims(), |i| i as u32)).transpose()?;
        let x = apply(x, factors.flatten())?;
        let weight = head.decoder.weight.as_ref().unwrap_or(&self.blueprint.embeddings.words);
        x.matmul(&self.get(weight)?.t()?)?.broadcast_add(self.get(&head.decoder.bias)?)
    }

    fn sequence_logits(&self, pooled: &Tensor, head: &SequenceHead, pass: Pass) -> Result<Tensor> {
        let factors = head.dropout_before.map(|site| pass.factors(site, pooled.dims(), |i| i as u32)).transpose()?;
        let pooled = apply(pooled.clone(), factors.flatten())?;
        let pooled = self.linear(&pooled, &head.dense)?;
        let pooled = match &head.activation {
            Some((activation, norm)) => {
                let activated = activate(&pooled, *activation)?;
                norm.as_ref().map_or(Ok(activated.clone()), |norm| self.layer_norm(&activated, norm))?
            }
            None => pooled.tanh()?,
        };
        let factors = pass.factors(head.dropout, pooled.dims(), |i| i as u32)?;
        self.linear(&apply(pooled, factors)?, &head.output)
    }

    /// The encoder's output `[L, C]` of one sequence.
    fn encode(&self, sequence: Sequence) -> Result<Tensor> {
        let x = self.blocks(&self.blueprint.blocks, sequence)?;
        match &self.blueprint.norm {
            Some(norm) => self.layer_norm(&x, norm),
            None => Ok(x),
        }
    }

    /// What these blocks, the first ones, make of a sequence.
    fn blocks(&self, blocks: &[Block], sequence: Sequence) -> Result<Tensor> {
        let mut x = self.embed(sequence)?;
        for Block { attention, mlp, place } in blocks {
            x = self.branch(x, attention.norm.as_ref(), *place, |x| self.attention(x, attention, sequence))?;
            x = self.branch(x, Some(&mlp.norm), *place, |x| self.mlp(x, mlp, sequence))?;
        }
        Ok(x)
    }

    /// The probabilities `[H, T, T]` of the attention of one layer in the batch's only sequence, without dropout.
    pub fn probabilities(&self, batch: &Batch, layer: usize) -> Result<Tensor> {
        let sequence = Sequence { batch, from: 0, to: batch.input_ids.len(), pass: Pass::Evaluation };
        let (before, Block { attention, place, .. }) = (&self.blueprint.blocks[..layer], &self.blueprint.blocks[layer]);
        let x = self.blocks(before, sequence)?;
        let x = match (place, &attention.norm) {
            (NormPlace::Before, Some(norm)) => self.layer_norm(&x, norm)?,
            _ => x,
        };
        let [probabilities, _] = self.weighted(&x, attention, sequence)?;
        Ok(probabilities)
    }

    fn embed(&self, sequence: Sequence) -> Result<Tensor> {
        let Sequence { batch, from, to, .. } = sequence;
        let embeddings = &self.blueprint.embeddings;
        let blueprint::Embeddings { words, positions, token_types, norm, dropout, projection, .. } = embeddings;
        let mut behind = Vec::new();
        let batch = batch.behind_padding(embeddings.padding_position, &mut behind);
        let look_up = |table: &blueprint::Tensor, ids: &[i32]| {
            let ids: Vec<u32> = ids[from..to].iter().map(|&id| id as u32).collect();
            self.get(table)?.index_select(&Tensor::from_vec(ids, to - from, &Device::Cpu)?, 0)
        };
        let mut sum = look_up(words, batch.input_ids)?;
        for (table, ids) in [(positions, batch.position_ids), (token_types, batch.token_type_ids)] {
            if let Some(table) = table {
                sum = (sum + look_up(table, ids)?)?;
            }
        }
        let sum = norm.as_ref().map_or(Ok(sum.clone()), |norm| self.layer_norm(&sum, norm))?;
        let out = sequence.drop(sum, *dropout, words.shape[1])?;
        projection.as_ref().map_or(Ok(out.clone()), |dense| self.linear(&out, dense))
    }

    /// A branch beside the residual stream x, with its norm if it has one.
    fn branch(
        &self,
        x: Tensor,
        norm: Option<&Norm>,
        place: NormPlace,
        branch: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let Some(norm) = norm else { return branch(&x)? + x };
        match place {
            NormPlace::Before => branch(&self.layer_norm(&x, norm)?)? + x,
            NormPlace::After => self.layer_norm(&(branch(&x)? + x)?, norm),
        }
    }

    fn attention(&self, x: &Tensor, attention: &Attention, sequence: Sequence) -> Result<Tensor> {
        let Attention { heads, probabilities: site, output, dropout, .. } = attention;
        let (l, c) = x.dims2()?;
        let [probabilities, v] = self.weighted(x, attention, sequence)?;
        let context = sequence.drop_probabilities(probabilities, *site, *heads)?.matmul(&v)?;
        let context = context.transpose(0, 1)?.contiguous()?.reshape((l, c))?;
        sequence.drop(self.linear(&context, output)?, *dropout, c)
    }

    /// The probabilities `[H, L, L]` of attention before dropout, and the values `[H, L, D]` that they weigh.
    fn weighted(&self, x: &Tensor, attention: &Attention, sequence: Sequence) -> Result<[Tensor; 2]> {
        let Attention { heads, qkv, rotary, window, .. } = attention;
        let (l, c) = x.dims2()?;
        let parts = qkv.iter().map(|dense| self.linear(x, dense)).collect::<Result<Vec<_>>>()?;
        let qkv = Tensor::cat(&parts, 1)?;
        let split = |part: usize| {
            let part = qkv.narrow(1, part * c, c)?.reshape((l, *heads, c / heads))?;
            part.transpose(0, 1)?.contiguous()
        };
        let turned = |x: Tensor| match rotary {
            Some(base) => rotate(&x, *base, &sequence.batch.position_ids[sequence.from..sequence.to]),
            None => Ok(x),
        };
        let (q, k, v) = (turned(split(0)?)?, turned(split(1)?)?, split(2)?);
        let scores = (q.matmul(&k.t()?)? / ((c / heads) as f64).sqrt())?;
        let scores = scores.broadcast_add(&unseen(l, self.blueprint.causal, *window)?)?;
        let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
        Ok([scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?, v])
    }

    fn mlp(&self, x: &Tensor, mlp: &Mlp, sequence: Sequence) -> Result<Tensor> {
        let up = self.linear(x, &mlp.up)?;
        let inner = match mlp.gate {
            Some(site) => {
                let f = up.dim(1)? / 2;
                let gated = (activate(&up.narrow(1, 0, f)?, mlp.activation)? * up.narrow(1, f, f)?)?;
                sequence.drop(gated, site, f)?
            }
            None => activate(&up, mlp.activation)?,
        };
        sequence.drop(self.linear(&inner, &mlp.down)?, mlp.dropout, self.blueprint.width())
    }
}

/// The function by candle's primitives.
fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    let sigmoid = |v: Tensor| (v.neg()?.exp()? + 1.0)?.recip();
    match activation {
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => {
            let inner = ((x.sqr()? * 0.044715)? + 1.0)?.mul(x)?;
            let tanh = ((inner * (2.0 / std::f64::consts::PI).sqrt())?.tanh()? + 1.0)?;
            (x * tanh)? * 0.5
        }
        Activation::Relu => x.relu(),
        Activation::SquaredRelu => x.relu()?.sqr(),
        Activation::Silu => x * sigmoid(x.clone())?,
    }
}

/// Σ −log softmax(logits)[label] over the rows.
/// Of rows `[B, K]`, the sum of each one's mean.
fn target_loss_sum(loss: TargetLoss, logits: &Tensor, targets: &[f32]) -> Result<Tensor> {
    let targets = Tensor::from_slice(targets, logits.shape(), &Device::Cpu)?;
    let entries = match loss {
        TargetLoss::SquaredError => (logits - targets)?.sqr()?,
        // log(1 + exp x) − x t, with what exp takes kept from above 0.
        TargetLoss::BinaryCrossEntropy => {
            let small = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
            ((logits.relu()? + small)? - (logits * targets)?)?
        }
    };
    entries.mean(D::Minus1)?.sum_all()
}

fn cross_entropy_sum(logits: &Tensor, labels: &[i32]) -> Result<Tensor> {
    let labels: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
    let count = labels.len();
    let labels = Tensor::from_vec(labels, (count, 1), &Device::Cpu)?;
    let top = logits.max_keepdim(1)?.detach();
    let log_total = logits.broadcast_sub(&top)?.exp()?.sum_keepdim(1)?.log()?;
    ((log_total + top)? - logits.gather(&labels, 1)?)?.sum_all()
}
