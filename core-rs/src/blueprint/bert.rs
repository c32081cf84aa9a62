//! BERT (Devlin et al., 2019): post-LN blocks with biases, learned positions, token types.

use super::spec::{
    Attention, Block, Blueprint, Decoder, Dense, Embeddings, Group, Mlp, Norm, NormPlace, Part, SequenceHead, Sites,
    Start, Tensor, TokenHead, Transform,
};
use crate::config::ModelConfig;
use crate::heads::{Heads, SequenceKind};
use crate::ops::activation::Activation;

/// Modules of the heads of BERT's classes.
const HEADS: &[&str] = &[
    "pooler.dense",
    "cls.predictions",
    "cls.predictions.decoder",
    "cls.predictions.transform.dense",
    "cls.predictions.transform.LayerNorm",
    "cls.seq_relationship",
    "classifier",
];

/// Hugging Face's `BertForMaskedLM`, `BertForPreTraining`, `BertLMHeadModel`, `BertForSequenceClassification` or
/// `BertForTokenClassification`.
pub fn bert(config: &ModelConfig, heads: &Heads) -> Blueprint {
    let names = Names { config, prefix: "bert." };
    let mut blueprint = names.encoder(heads, HEADS);
    blueprint.tokens = names.on_tokens(heads, &mut blueprint.sites, || names.token_head());
    blueprint.sequences = heads.sequence.map(|head| {
        let (module, part) = match head.kind {
            SequenceKind::NextSentence => ("cls.seq_relationship", Part::NextSentence),
            SequenceKind::Classification => ("classifier", Part::Classifier),
        };
        SequenceHead {
            pools: head.pools,
            dropout_before: None,
            dense: names.dense("bert.pooler.dense", [config.hidden_size; 2], Part::Pooler),
            activation: None,
            dropout: blueprint.sites.next(head.classifier_dropout),
            output: names.dense(module, [head.num_labels, config.hidden_size], part),
        }
    });
    blueprint
}

/// Makes the parts of a model under BERT's names, which other families have, too.
pub(super) struct Names<'a> {
    pub config: &'a ModelConfig,
    /// Of the encoder, such as `bert.`.
    pub prefix: &'static str,
}

impl Names<'_> {
    /// A model without heads. `known_heads` are those of the family's classes.
    pub fn encoder(&self, heads: &Heads, known_heads: &'static [&'static str]) -> Blueprint {
        let mut sites = Sites::default();
        Blueprint {
            prefix: self.prefix,
            known_heads,
            embeddings: self.embeddings(&mut sites),
            blocks: (0..self.config.num_hidden_layers).map(|i| self.block(i, &mut sites)).collect(),
            norm: None,
            causal: heads.is_decoder,
            freezes_encoder: heads.freeze_encoder,
            tokens: None,
            sequences: None,
            sites,
        }
    }

    pub fn embeddings(&self, sites: &mut Sites) -> Embeddings {
        let &ModelConfig { vocab_size, max_position_embeddings, type_vocab_size, .. } = self.config;
        let (deviation, row) = (self.config.initializer_range, self.config.pad_token_id);
        let width = self.config.embedding_size.unwrap_or(self.config.hidden_size);
        let module = format!("{}embeddings", self.prefix);
        let table = |name: &str, rows: usize, start| {
            let name = format!("{module}.{name}.weight");
            let shape = vec![rows, width];
            Tensor { name, aliases: Vec::new(), shape, start, group: Group::Decay, part: Part::Encoder }
        };
        Embeddings {
            name: module.clone(),
            words: table("word_embeddings", vocab_size, Start::NormalButRow { deviation, row }),
            positions: Some(table("position_embeddings", max_position_embeddings, Start::Normal(deviation))),
            padding_position: None,
            token_types: Some(table("token_type_embeddings", type_vocab_size, Start::Normal(deviation))),
            norm: Some(self.norm_of(width, &format!("{module}.LayerNorm"), Part::Encoder)),
            dropout: sites.next(self.config.hidden_dropout_prob),
            projection: None,
        }
    }

    fn block(&self, i: usize, sites: &mut Sites) -> Block {
        let ModelConfig { hidden_size: c, intermediate_size: f, .. } = *self.config;
        let layer = format!("{}encoder.layer.{i}", self.prefix);
        let dense = |module: &str, shape| self.dense(&format!("{layer}.{module}"), shape, Part::Encoder);
        let attention = Attention {
            name: format!("{layer}.attention"),
            heads: self.config.num_attention_heads,
            qkv: ["query", "key", "value"].map(|part| dense(&format!("attention.self.{part}"), [c, c])).into(),
            rotary: None,
            window: None,
            probabilities: sites.next(self.config.attention_probs_dropout_prob),
            output: dense("attention.output.dense", [c, c]),
            dropout: sites.next(self.config.hidden_dropout_prob),
            norm: Some(self.norm(&format!("{layer}.attention.output.LayerNorm"), Part::Encoder)),
        };
        let mlp = Mlp {
            name: format!("{layer}.output"),
            up: dense("intermediate.dense", [f, c]),
            activation: self.activation(),
            gate: None,
            down: dense("output.dense", [c, f]),
            dropout: sites.next(self.config.hidden_dropout_prob),
            norm: self.norm(&format!("{layer}.output.LayerNorm"), Part::Encoder),
        };
        Block { attention, mlp, place: NormPlace::After }
    }

    fn token_head(&self) -> TokenHead {
        let c = self.config.hidden_size;
        let transform = Transform {
            dense: self.dense("cls.predictions.transform.dense", [c, c], Part::TokenHead),
            activation: self.activation(),
            norm: self.norm("cls.predictions.transform.LayerNorm", Part::TokenHead),
        };
        TokenHead { transform: Some(transform), dropout: None, decoder: self.decoder("cls.predictions") }
    }

    /// The head on tokens: `masked_lm`, or a classifier, which is the same in all families that have BERT's names.
    pub fn on_tokens(
        &self,
        heads: &Heads,
        sites: &mut Sites,
        masked_lm: impl FnOnce() -> TokenHead,
    ) -> Option<TokenHead> {
        let Some((num_labels, dropout)) = heads.token_classes() else { return heads.tokens.map(|_| masked_lm()) };
        let weight = self.weight("classifier", [num_labels, self.config.hidden_size], Part::Classifier);
        let bias = self.bias("classifier", num_labels, Part::Classifier);
        let decoder = Decoder { weight: Some(weight), bias, second_bias: None };
        Some(TokenHead { transform: None, dropout: Some(sites.next(dropout)), decoder })
    }

    /// The decoder of the head `module`. transformers ties both of its tensors or neither: to the word embeddings, and to a
    /// bias of the head's own. Files of transformers 4 have one of the two biases for both; untied, it reads the head's in
    /// some families, and transformers 5 has both and reads the decoder's.
    pub fn decoder(&self, module: &str) -> Decoder {
        let shape = [self.config.vocab_size, self.config.hidden_size];
        let weight = self.weight(&format!("{module}.decoder"), shape, Part::TokenHead);
        let (own, tied) =
            (self.bias(&format!("{module}.decoder"), shape[0], Part::TokenHead), format!("{module}.bias"));
        match self.config.tie_word_embeddings {
            true => {
                let bias = Tensor { name: tied, aliases: vec![own.name.clone()], ..own };
                Decoder { weight: None, bias, second_bias: None }
            }
            false => Decoder {
                weight: Some(Tensor { part: Part::Decoder, ..weight }),
                bias: Tensor { aliases: vec![tied.clone()], ..own },
                second_bias: Some(tied),
            },
        }
    }

    /// A decoder `[V, width]` whose bias is its own, tied or not.
    pub fn decoder_with_bias(&self, module: &str, width: usize) -> Decoder {
        let vocab_size = self.config.vocab_size;
        let weight = self.weight(module, [vocab_size, width], Part::Decoder);
        Decoder {
            weight: (!self.config.tie_word_embeddings).then_some(weight),
            bias: self.bias(module, vocab_size, Part::TokenHead),
            second_bias: None,
        }
    }

    /// Of both feed-forward part and head. The configuration is valid, so that there is one.
    pub fn activation(&self) -> Activation {
        Activation::named(&self.config.hidden_act).unwrap_or(Activation::Gelu)
    }

    /// A dense layer of `[outputs, inputs]`.
    pub fn dense(&self, module: &str, shape: [usize; 2], part: Part) -> Dense {
        Dense { weight: self.weight(module, shape, part), bias: Some(self.bias(module, shape[0], part)) }
    }

    fn weight(&self, module: &str, shape: [usize; 2], part: Part) -> Tensor {
        let group = if part == Part::Encoder { Group::Matrix } else { Group::Decay };
        let (name, start) = (format!("{module}.weight"), Start::Normal(self.config.initializer_range));
        Tensor { name, aliases: Vec::new(), shape: shape.to_vec(), start, group, part }
    }

    fn bias(&self, module: &str, outputs: usize, part: Part) -> Tensor {
        let (name, start, group) = (format!("{module}.bias"), Start::Zeros, Group::NoDecay);
        Tensor { name, aliases: Vec::new(), shape: vec![outputs], start, group, part }
    }

    pub fn norm(&self, module: &str, part: Part) -> Norm {
        self.norm_of(self.config.hidden_size, module, part)
    }

    /// Checkpoints made from TensorFlow's call a norm's tensors `gamma` and `beta`.
    pub fn norm_of(&self, width: usize, module: &str, part: Part) -> Norm {
        let tensor = |name: &str, older: &str, start| Tensor {
            name: format!("{module}.{name}"),
            aliases: vec![format!("{module}.{older}")],
            shape: vec![width],
            start,
            group: Group::NoDecay,
            part,
        };
        Norm {
            weight: tensor("weight", "gamma", Start::Ones),
            bias: Some(tensor("bias", "beta", Start::Zeros)),
            eps: self.config.layer_norm_eps,
        }
    }
}
