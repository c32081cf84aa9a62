//! The stack of post-LN encoder layers: self-attention and feed-forward, each followed by dropout, residual addition
//! and LayerNorm (Vaswani et al., 2017, section 3.1; Devlin et al., 2019, section 3).

use super::{DropoutPlan, Modules};
use crate::backend::{Backend, DataGradient, Heads, Linear, Norm};
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::Result;

/// Where the parameters of a layer are.
struct Layer {
    qkv: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    intermediate: Linear,
    output: Linear,
    output_norm: Norm,
}

/// What a layer's forward pass leaves for its backward pass.
struct Activations<B: Backend> {
    /// `[N, 3C]`
    qkv: B::Activations,
    /// `[H, N]`
    lse: B::Buffer,
    /// `[N, C]`
    context: B::Activations,
    /// `[N, C]`: attention output, then with dropout and residual: the input of the first LayerNorm.
    attention_sum: B::Activations,
    attention_statistics: B::Buffer,
    /// `[N, C]`
    attention_out: B::Activations,
    /// `[N, F]`: what the backward of GELU needs.
    kept: B::Activations,
    /// `[N, F]`
    activated: B::Activations,
    /// `[N, C]`: like `attention_sum`, for the second LayerNorm.
    output_sum: B::Activations,
    output_statistics: B::Buffer,
    /// `[N, C]`
    out: B::Activations,
}

/// Gradients of activations, used by one layer after the other.
pub(super) struct Gradients<B: Backend> {
    /// `[N, C]`: of the hidden states between layers.
    pub hidden: B::Buffer,
    /// `[N, C]`: of what is dropped out before a residual.
    dropped: B::Activations,
    /// `[N, F]`
    intermediate: B::Activations,
    /// `[N, C]`
    context: B::Activations,
    /// `[N, 3C]`
    qkv: B::Activations,
}

impl<B: Backend> Gradients<B> {
    pub fn new(backend: &B, options: &EngineOptions) -> Result<Self> {
        let (n, c) = (options.max_tokens, options.config.hidden_size);
        Ok(Self {
            hidden: backend.zeroed(n * c)?,
            dropped: backend.activations(n * c)?,
            intermediate: backend.activations(n * options.config.intermediate_size)?,
            context: backend.activations(n * c)?,
            qkv: backend.activations(3 * n * c)?,
        })
    }
}

pub(super) struct Encoder<B: Backend> {
    heads: Heads,
    layers: Vec<Layer>,
    /// One for each layer where there is a backward pass; two that take turns otherwise.
    activations: Vec<Activations<B>>,
}

impl<B: Backend> Encoder<B> {
    pub fn new(backend: &B, options: &EngineOptions, modules: &Modules) -> Result<Self> {
        let config = &options.config;
        let (n, c, f) = (options.max_tokens, config.hidden_size, config.intermediate_size);
        let layers = (0..config.num_hidden_layers)
            .map(|i| {
                let layer = format!("bert.encoder.layer.{i}");
                let attention = format!("{layer}.attention");
                let query = format!("{attention}.self.query");
                Ok(Layer {
                    qkv: modules.linear(&format!("{query}.weight"), &format!("{query}.bias"), 3 * c)?,
                    attention_output: modules.dense(&format!("{attention}.output.dense"))?,
                    attention_norm: modules.norm(&format!("{attention}.output.LayerNorm"))?,
                    intermediate: modules.dense(&format!("{layer}.intermediate.dense"))?,
                    output: modules.dense(&format!("{layer}.output.dense"))?,
                    output_norm: modules.norm(&format!("{layer}.output.LayerNorm"))?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let kept = options.training && !options.objective.freezes_encoder();
        let slots = if kept { layers.len() } else { layers.len().min(2) };
        let activations = (0..slots)
            .map(|_| {
                Ok(Activations {
                    qkv: backend.activations(3 * n * c)?,
                    lse: backend.zeroed(n * config.num_attention_heads)?,
                    context: backend.activations(n * c)?,
                    attention_sum: backend.activations(n * c)?,
                    attention_statistics: backend.zeroed(2 * n)?,
                    attention_out: backend.activations(n * c)?,
                    kept: backend.activations(n * f)?,
                    activated: backend.activations(n * f)?,
                    output_sum: backend.activations(n * c)?,
                    output_statistics: backend.zeroed(2 * n)?,
                    out: backend.activations(n * c)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let heads = Heads {
            count: config.num_attention_heads,
            hidden: c,
            max_sequence_length: options.max_sequence_length,
            causal: options.objective.is_causal(),
        };
        Ok(Self { heads, layers, activations })
    }

    /// The dense layers.
    pub fn layers(&self) -> Vec<Linear> {
        self.layers.iter().flat_map(|l| [l.qkv, l.attention_output, l.intermediate, l.output]).collect()
    }

    /// Runs all layers on `input` (`[N, C]`) and lends the last one's output.
    pub fn forward<'a>(
        &'a mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        input: &'a B::Activations,
        dropout: &DropoutPlan,
    ) -> &'a B::Activations {
        let n = batch.input_ids.len();
        let slots = self.activations.len();
        for (i, layer) in self.layers.iter().enumerate() {
            let (before, rest) = self.activations.split_at_mut(i % slots);
            let (a, after) = rest.split_first_mut().expect("the slot of this layer");
            let x = match i {
                0 => input,
                _ => before.last().or(after.last()).map_or(input, |previous| &previous.out),
            };
            backend.linear(n, layer.qkv, weights, x, &mut a.qkv);
            let probabilities = dropout.attention_probabilities(i);
            backend.attention(batch, self.heads, &a.qkv, probabilities, &mut a.context, &mut a.lse);
            let (site, sum) = (dropout.attention_output(i), &mut a.attention_sum);
            backend.linear_residual(n, layer.attention_output, weights, &a.context, site, x, sum);
            let (out, statistics) = (&mut a.attention_out, &mut a.attention_statistics);
            backend.norm(n, layer.attention_norm, weights, sum, out, statistics);
            backend.linear_gelu(n, layer.intermediate, weights, out, &mut a.kept, &mut a.activated);
            let (site, sum) = (dropout.feed_forward_output(i), &mut a.output_sum);
            backend.linear_residual(n, layer.output, weights, &a.activated, site, out, sum);
            backend.norm(n, layer.output_norm, weights, sum, &mut a.out, &mut a.output_statistics);
        }
        match self.layers.len() {
            0 => input,
            count => &self.activations[(count - 1) % slots].out,
        }
    }

    /// `scratch.hidden`: gradient of the output → gradient of `input`. Adds to all parameters' gradients.
    pub fn backward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        input: &B::Activations,
        dropout: &DropoutPlan,
        scratch: &mut Gradients<B>,
        gradients: &mut B::Buffer,
    ) {
        let n = batch.input_ids.len();
        let Gradients { hidden, dropped, intermediate, context, qkv } = scratch;
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let a = &self.activations[i];
            let x = if i == 0 { input } else { &self.activations[i - 1].out };

            let site = Some((dropout.feed_forward_output(i), &mut *dropped));
            backend.norm_backward(
                n,
                layer.output_norm,
                weights,
                &a.output_sum,
                &a.output_statistics,
                hidden,
                site,
                gradients,
            );
            backend.linear_parameters_backward(n, layer.output, &a.activated, dropped, gradients);
            backend.linear_backward_through_gelu(n, layer.output, weights, dropped, &a.kept, intermediate);
            backend.linear_parameters_backward(n, layer.intermediate, &a.attention_out, intermediate, gradients);
            backend.linear_backward(n, layer.intermediate, weights, intermediate, hidden, DataGradient::Add);

            let site = Some((dropout.attention_output(i), &mut *dropped));
            let (sum, statistics) = (&a.attention_sum, &a.attention_statistics);
            backend.norm_backward(n, layer.attention_norm, weights, sum, statistics, hidden, site, gradients);
            backend.linear_parameters_backward(n, layer.attention_output, &a.context, dropped, gradients);
            backend.linear_backward_to_operand(n, layer.attention_output, weights, dropped, context);
            let probabilities = dropout.attention_probabilities(i);
            backend.attention_backward(batch, self.heads, &a.qkv, probabilities, &a.context, &a.lse, context, qkv);
            backend.linear_parameters_backward(n, layer.qkv, x, qkv, gradients);
            backend.linear_backward(n, layer.qkv, weights, qkv, hidden, DataGradient::Add);
        }
    }

    pub fn first_non_finite(&self, backend: &mut B, tokens: usize) -> Option<String> {
        // With two slots only the last layers are still there; what is named then is the first of those.
        let kept = self.layers.len().saturating_sub(self.activations.len())..self.layers.len();
        let c = self.heads.hidden;
        kept.into_iter().find_map(|i| {
            let a = &self.activations[i % self.activations.len()];
            [("attention", &a.attention_out), ("output", &a.out)].into_iter().find_map(|(part, x)| {
                let found = backend.first_non_finite_activation(x, tokens * c)?;
                Some(format!("the output of bert.encoder.layer.{i}.{part} (token {})", found / c))
            })
        })
    }
}
