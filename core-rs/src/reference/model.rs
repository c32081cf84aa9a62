//! BERT and its heads in candle, one sequence after the other.

use candle_core::{D, DType, Device, Result, Tensor, Var};

use crate::config::ModelConfig;
use crate::engine::batch::Batch;
use crate::objective::Objective;
use crate::ops::dropout::Dropout;
use crate::parameters::{ParameterLayout, decoder_names};
use crate::rng::DropoutKey;

/// Whether, and with which keys, dropout is on.
#[derive(Clone, Copy)]
pub(super) enum Pass {
    Evaluation,
    Training { seed: u64, step: u64, micro_step: u32, max_sequence_length: usize },
}

impl Pass {
    /// The factors of elements `index(0..len)` at a site, or `None` where nothing is dropped.
    fn factors(self, site: u32, rate: f32, shape: &[usize], index: impl Fn(usize) -> u32) -> Result<Option<Tensor>> {
        let Pass::Training { seed, step, micro_step, .. } = self else { return Ok(None) };
        if rate == 0.0 {
            return Ok(None);
        }
        let dropout = Dropout::new(DropoutKey::new(seed, step, micro_step, site), rate);
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

/// The logits of both heads, each if the objective and the batch have it.
pub(super) struct Outputs {
    /// `[M, V]`
    pub tokens: Option<Tensor>,
    /// `[B, K]`
    pub sequences: Option<Tensor>,
}

impl Outputs {
    /// The loss sum: of the tokens, and of the sequences by their weight.
    pub fn loss(&self, batch: &Batch) -> Result<Tensor> {
        let mut loss = Tensor::zeros((), DType::F32, &Device::Cpu)?;
        if let Some(logits) = &self.tokens {
            loss = (loss + cross_entropy_sum(logits, batch.labels)?)?;
        }
        if let Some(logits) = &self.sequences {
            loss = (loss + (cross_entropy_sum(logits, batch.sequence_labels)? * batch.sequence_weight)?)?;
        }
        Ok(loss)
    }
}

/// `[L, L]`: what makes the softmax of keys behind a row nothing.
fn unseen(l: usize) -> Result<Tensor> {
    let mask = (0..l * l).map(|i| if i % l > i / l { -1e9f32 } else { 0.0 }).collect();
    Tensor::from_vec(mask, (l, l), &Device::Cpu)
}

pub(super) struct Model<'a> {
    pub config: &'a ModelConfig,
    pub objective: &'a Objective,
    pub layout: &'a ParameterLayout,
    pub variables: &'a [Var],
}

impl Model<'_> {
    fn get(&self, name: &str) -> Result<&Tensor> {
        let at = self.layout.parameters().iter().position(|p| p.name == name);
        match at {
            Some(at) => Ok(self.variables[at].as_tensor()),
            None => candle_core::bail!("no parameter named {name}"),
        }
    }

    fn linear(&self, x: &Tensor, module: &str) -> Result<Tensor> {
        let weight = self.get(&format!("{module}.weight"))?;
        x.matmul(&weight.t()?)?.broadcast_add(self.get(&format!("{module}.bias"))?)
    }

    fn layer_norm(&self, x: &Tensor, module: &str) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let deviation = (variance + f64::from(self.config.layer_norm_eps))?.sqrt()?;
        centred
            .broadcast_div(&deviation)?
            .broadcast_mul(self.get(&format!("{module}.weight"))?)?
            .broadcast_add(self.get(&format!("{module}.bias"))?)
    }

    /// The logits of both heads.
    pub fn outputs(&self, batch: &Batch, pass: Pass) -> Result<Outputs> {
        let task = self.objective.sequence_task();
        let frozen = self.objective.freezes_encoder();
        let inside = if frozen { Pass::Evaluation } else { pass };
        let (mut rows, mut pooled) = (Vec::new(), Vec::new());
        for b in 0..batch.sequences() {
            let (from, to) = (batch.cu_seqlens[b], batch.cu_seqlens[b + 1]);
            let masked: Vec<u32> =
                batch.masked_positions.iter().filter(|p| (from..to).contains(p)).map(|p| (p - from) as u32).collect();
            if masked.is_empty() && task.is_none() {
                continue;
            }
            let hidden = self.encode(batch, from as usize, to as usize, inside)?;
            let hidden = if frozen { hidden.detach() } else { hidden };
            if !masked.is_empty() {
                let count = masked.len();
                rows.push(hidden.index_select(&Tensor::from_vec(masked, count, &Device::Cpu)?, 0)?);
            }
            let last = task.is_some_and(|task| task.pools_last);
            pooled.push(hidden.narrow(0, if last { (to - from) as usize - 1 } else { 0 }, 1)?);
        }
        let tokens = match rows.is_empty() {
            true => None,
            false => Some(self.token_logits(&Tensor::cat(&rows, 0)?)?),
        };
        let sequences = match task {
            None => None,
            Some(task) => {
                let shape = [pooled.len(), self.config.hidden_size];
                let pooled = self.linear(&Tensor::cat(&pooled, 0)?, "bert.pooler.dense")?.tanh()?;
                let site = 1 + 3 * self.config.num_hidden_layers as u32;
                let pooled = apply(pooled, pass.factors(site, task.dropout, &shape, |i| i as u32)?)?;
                Some(self.linear(&pooled, task.module)?)
            }
        };
        Ok(Outputs { tokens, sequences })
    }

    fn token_logits(&self, rows: &Tensor) -> Result<Tensor> {
        let x = self.linear(rows, "cls.predictions.transform.dense")?.gelu_erf()?;
        let x = self.layer_norm(&x, "cls.predictions.transform.LayerNorm")?;
        let [weight, bias] = decoder_names(self.config);
        x.matmul(&self.get(weight)?.t()?)?.broadcast_add(self.get(bias)?)
    }

    /// The encoder's output `[L, C]` of one sequence.
    fn encode(&self, batch: &Batch, from: usize, to: usize, pass: Pass) -> Result<Tensor> {
        let (l, c, heads) = (to - from, self.config.hidden_size, self.config.num_attention_heads);
        let tokens = batch.input_ids.len();
        let (hidden_rate, attention_rate) = (self.config.hidden_dropout_prob, self.config.attention_probs_dropout_prob);
        let hidden_factors = |site| pass.factors(site, hidden_rate, &[l, c], |i| (from * c + i) as u32);
        let embed = |table: &str, ids: &[i32]| {
            let ids: Vec<u32> = ids[from..to].iter().map(|&id| id as u32).collect();
            let table = self.get(&format!("bert.embeddings.{table}.weight"))?;
            table.index_select(&Tensor::from_vec(ids, l, &Device::Cpu)?, 0)
        };
        let sum = (embed("word_embeddings", batch.input_ids)? + embed("position_embeddings", batch.position_ids)?)?;
        let sum = (sum + embed("token_type_embeddings", batch.token_type_ids)?)?;
        let mut x = apply(self.layer_norm(&sum, "bert.embeddings.LayerNorm")?, hidden_factors(0)?)?;
        for i in 0..self.config.num_hidden_layers {
            let (layer, site) = (format!("bert.encoder.layer.{i}"), 3 * i as u32);
            let split = |name: &str| {
                let part = self.linear(&x, &format!("{layer}.attention.self.{name}"))?;
                part.reshape((l, heads, c / heads))?.transpose(0, 1)?.contiguous()
            };
            let (q, k, v) = (split("query")?, split("key")?, split("value")?);
            let scores = (q.matmul(&k.t()?)? / ((c / heads) as f64).sqrt())?;
            let scores = match self.objective.is_causal() {
                true => scores.broadcast_add(&unseen(l)?)?,
                false => scores,
            };
            let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
            let probabilities = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
            let longest = match pass {
                Pass::Training { max_sequence_length, .. } => max_sequence_length,
                Pass::Evaluation => 0,
            };
            let factors = pass.factors(1 + site, attention_rate, &[heads, l, l], |index| {
                let (head, row, key) = (index / (l * l), index / l % l, index % l);
                ((head * tokens + from + row) as u32).wrapping_mul(longest as u32).wrapping_add(key as u32)
            })?;
            let context = apply(probabilities, factors)?.matmul(&v)?;
            let context = context.transpose(0, 1)?.contiguous()?.reshape((l, c))?;
            let y = self.linear(&context, &format!("{layer}.attention.output.dense"))?;
            let y = (apply(y, hidden_factors(2 + site)?)? + &x)?;
            let attention = self.layer_norm(&y, &format!("{layer}.attention.output.LayerNorm"))?;
            let y = self.linear(&attention, &format!("{layer}.intermediate.dense"))?.gelu_erf()?;
            let y = self.linear(&y, &format!("{layer}.output.dense"))?;
            let y = (apply(y, hidden_factors(3 + site)?)? + attention)?;
            x = self.layer_norm(&y, &format!("{layer}.output.LayerNorm"))?;
        }
        Ok(x)
    }
}

/// Σ −log softmax(logits)[label] over the rows.
fn cross_entropy_sum(logits: &Tensor, labels: &[i32]) -> Result<Tensor> {
    let labels: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
    let count = labels.len();
    let labels = Tensor::from_vec(labels, (count, 1), &Device::Cpu)?;
    let top = logits.max_keepdim(1)?.detach();
    let log_total = logits.broadcast_sub(&top)?.exp()?.sum_keepdim(1)?.log()?;
    ((log_total + top)? - logits.gather(&labels, 1)?)?.sum_all()
}
