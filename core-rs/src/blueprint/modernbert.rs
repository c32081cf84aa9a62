//! ModernBERT (Warner et al., 2024): pre-LN blocks without biases, rotary positions, a gated feed-forward part, and a window
//! of attention in most blocks.

use super::spec::{
    Attention, Block, Blueprint, Decoder, Dense, Embeddings, Group, Mlp, Norm, NormPlace, Part, SequenceHead, Sites,
    Start, Tensor, TokenHead, Transform,
};
use crate::config::{ClassifierPooling, ModelConfig, ModernBert};
use crate::heads::{self, Heads, Pools};
use crate::ops::activation::Activation;

/// Modules of the heads of its classes.
const HEADS: &[&str] = &["head.dense", "head.norm", "decoder", "classifier"];

/// Hugging Face's `ModernBertForMaskedLM`, `ModernBertForSequenceClassification` or `ModernBertForTokenClassification`.
pub fn modernbert(config: &ModelConfig, heads: &Heads) -> Blueprint {
    let names = Names { config, own: config.modernbert.clone().unwrap_or_default() };
    let mut sites = Sites::default();
    Blueprint {
        prefix: "model.",
        known_heads: HEADS,
        embeddings: names.embeddings(&mut sites),
        blocks: (0..config.num_hidden_layers).map(|i| names.block(i, &mut sites)).collect(),
        norm: Some(names.norm("model.final_norm", Part::Encoder)),
        causal: false,
        freezes_encoder: heads.freeze_encoder,
        tokens: heads.tokens.map(|head| names.token_head(head, &mut sites)),
        sequences: heads.sequence.map(|head| names.sequence_head(head, &mut sites)),
        sites,
    }
}

/// Makes the parts of a model under its names.
struct Names<'a> {
    config: &'a ModelConfig,
    own: ModernBert,
}

impl Names<'_> {
    fn embeddings(&self, sites: &mut Sites) -> Embeddings {
        let (shape, start) = ([self.config.vocab_size, self.config.hidden_size], self.inner());
        Embeddings {
            name: "model.embeddings".into(),
            words: tensor("model.embeddings.tok_embeddings.weight", &shape, start, Group::Decay, Part::Encoder),
            positions: None,
            padding_position: None,
            token_types: None,
            norm: Some(self.norm("model.embeddings.norm", Part::Encoder)),
            dropout: sites.next(self.own.embedding_dropout),
            projection: None,
        }
    }

    /// The norm behind the embeddings stands for that of the first block's attention.
    fn block(&self, i: usize, sites: &mut Sites) -> Block {
        let ModelConfig { hidden_size: c, intermediate_size: f, attention_probs_dropout_prob: rate, .. } = *self.config;
        let own = &self.own;
        let is_global = i.is_multiple_of(own.global_attn_every_n_layers);
        let module = |name: &str| format!("model.layers.{i}.{name}");
        let dense = |name: &str, shape, start, bias| dense(&module(name), shape, start, bias, Part::Encoder);
        Block {
            attention: Attention {
                name: module("attn"),
                heads: self.config.num_attention_heads,
                qkv: vec![dense("attn.Wqkv", [3 * c, c], self.inner(), own.attention_bias)],
                rotary: Some(if is_global { own.global_rope_theta } else { own.local_rope_theta }),
                window: (!is_global).then_some(own.local_attention / 2),
                probabilities: sites.next(rate),
                output: dense("attn.Wo", [c, c], self.outer(), own.attention_bias),
                dropout: sites.next(rate),
                norm: (i > 0).then(|| self.norm(&module("attn_norm"), Part::Encoder)),
            },
            mlp: Mlp {
                name: module("mlp"),
                up: dense("mlp.Wi", [2 * f, c], self.inner(), own.mlp_bias),
                activation: named(&self.config.hidden_act),
                gate: Some(sites.next(own.mlp_dropout)),
                down: dense("mlp.Wo", [c, f], self.outer(), own.mlp_bias),
                dropout: sites.next(0.0),
                norm: self.norm(&module("mlp_norm"), Part::Encoder),
            },
            place: NormPlace::Before,
        }
    }

    fn token_head(&self, head: heads::TokenHead, sites: &mut Sites) -> TokenHead {
        let shape = [head.outputs(self.config.vocab_size), self.config.hidden_size];
        let transform = |part| Transform {
            dense: self.head(part),
            activation: named(&self.own.classifier_activation),
            norm: self.norm("head.norm", part),
        };
        let last = |module: &str, start, [weight, bias]: [Part; 2]| Decoder {
            weight: Some(tensor(&format!("{module}.weight"), &shape, start, Group::Decay, weight)),
            bias: tensor(&format!("{module}.bias"), &shape[..1], Start::Zeros, Group::NoDecay, bias),
            second_bias: None,
        };
        match head {
            heads::TokenHead::MaskedLm => {
                let Decoder { weight, bias, .. } = last("decoder", self.outer(), [Part::Decoder, Part::TokenHead]);
                let weight = weight.filter(|_| !self.config.tie_word_embeddings);
                let decoder = Decoder { weight, bias, second_bias: None };
                TokenHead { transform: Some(transform(Part::TokenHead)), dropout: None, decoder }
            }
            heads::TokenHead::Classification { classifier_dropout, .. } => TokenHead {
                transform: Some(transform(Part::Pooler)),
                dropout: Some(sites.next(classifier_dropout)),
                decoder: last("classifier", self.classifier(), [Part::Classifier; 2]),
            },
        }
    }

    fn sequence_head(&self, head: heads::SequenceHead, sites: &mut Sites) -> SequenceHead {
        let c = self.config.hidden_size;
        let start = self.classifier();
        let pools = match self.own.classifier_pooling {
            ClassifierPooling::Cls => head.pools,
            ClassifierPooling::Mean => Pools::Mean,
        };
        SequenceHead {
            pools,
            dropout_before: None,
            dense: self.head(Part::Pooler),
            activation: Some((named(&self.own.classifier_activation), Some(self.norm("head.norm", Part::Pooler)))),
            dropout: sites.next(head.classifier_dropout),
            output: dense("classifier", [head.num_labels, c], start, true, Part::Classifier),
        }
    }

    /// The first layer of either head.
    fn head(&self, part: Part) -> Dense {
        dense("head.dense", [self.config.hidden_size; 2], self.outer(), self.own.classifier_bias, part)
    }

    fn norm(&self, module: &str, part: Part) -> Norm {
        let shape = [self.config.hidden_size];
        let tensor = |name: &str, start| tensor(&format!("{module}.{name}"), &shape, start, Group::NoDecay, part);
        let bias = self.own.norm_bias.then(|| tensor("bias", Start::Zeros));
        Norm { weight: tensor("weight", Start::Ones), bias, eps: self.config.layer_norm_eps }
    }

    fn start(&self, deviation: f32) -> Start {
        Start::TruncatedNormal { deviation, cutoff: self.own.initializer_cutoff_factor }
    }

    /// Of the last layer of what tells classes.
    fn classifier(&self) -> Start {
        self.start((self.config.hidden_size as f32).powf(-0.5))
    }

    /// Of embeddings and of what stands at the beginning of a branch.
    fn inner(&self) -> Start {
        self.start(self.config.initializer_range)
    }

    /// Of what is added to the residual stream, and of the heads: smaller, the more layers add to it (Shoeybi et al., 2019).
    fn outer(&self) -> Start {
        self.start(self.config.initializer_range / (2.0 * self.config.num_hidden_layers as f32).sqrt())
    }
}

/// The configuration is valid, so that there is one.
fn named(activation: &str) -> Activation {
    Activation::named(activation).unwrap_or(Activation::Gelu)
}

fn tensor(name: &str, shape: &[usize], start: Start, group: Group, part: Part) -> Tensor {
    Tensor { name: name.into(), aliases: Vec::new(), shape: shape.to_vec(), start, group, part }
}

fn dense(module: &str, shape: [usize; 2], start: Start, has_bias: bool, part: Part) -> Dense {
    let group = if part == Part::Encoder { Group::Matrix } else { Group::Decay };
    let bias = || tensor(&format!("{module}.bias"), &shape[..1], Start::Zeros, Group::NoDecay, part);
    Dense { weight: tensor(&format!("{module}.weight"), &shape, start, group, part), bias: has_bias.then(bias) }
}
