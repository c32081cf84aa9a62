//! DistilBERT (Sanh et al., 2019): BERT's post-LN blocks under other names, without token types and without dropout behind
//! attention's output. A classifier has relu, and no pooler below it.

use super::bert::Names;
use super::spec::{Attention, Block, Blueprint, Mlp, Norm, NormPlace, Part, SequenceHead, Sites, TokenHead, Transform};
use crate::config::ModelConfig;
use crate::heads::Heads;
use crate::ops::activation::Activation;

/// Modules of the heads of these classes.
const HEADS: &[&str] = &["vocab_transform", "vocab_layer_norm", "vocab_projector", "pre_classifier", "classifier"];

/// Of every norm, whatever a configuration says.
const EPS: f32 = 1e-12;

/// Hugging Face's `DistilBertForMaskedLM`, `DistilBertForSequenceClassification` or `DistilBertForTokenClassification`.
pub fn distilbert(config: &ModelConfig, heads: &Heads) -> Blueprint {
    let (names, c) = (Names { config, prefix: "distilbert." }, config.hidden_size);
    let norm = |module: &str, part| Norm { eps: EPS, ..names.norm(module, part) };
    let mut sites = Sites::default();
    let mut embeddings = names.embeddings(&mut sites);
    embeddings.token_types = None;
    embeddings.norm = Some(norm("distilbert.embeddings.LayerNorm", Part::Encoder));
    let blocks = (0..config.num_hidden_layers).map(|i| block(&names, i, &mut sites)).collect();
    let transform = || Transform {
        dense: names.dense("vocab_transform", [c, c], Part::TokenHead),
        activation: names.activation(),
        norm: norm("vocab_layer_norm", Part::TokenHead),
    };
    let tokens = names.on_tokens(heads, &mut sites, || TokenHead {
        transform: Some(transform()),
        dropout: None,
        decoder: names.decoder_with_bias("vocab_projector", c),
    });
    let sequences = heads.sequence.map(|head| SequenceHead {
        pools: head.pools,
        dropout_before: None,
        dense: names.dense("pre_classifier", [c, c], Part::Pooler),
        activation: Some((Activation::Relu, None)),
        dropout: sites.next(head.classifier_dropout),
        output: names.dense("classifier", [head.num_labels, c], Part::Classifier),
    });
    Blueprint {
        prefix: names.prefix,
        known_heads: HEADS,
        embeddings,
        blocks,
        norm: None,
        causal: false,
        freezes_encoder: heads.freeze_encoder,
        tokens,
        sequences,
        sites,
    }
}

fn block(names: &Names, i: usize, sites: &mut Sites) -> Block {
    let ModelConfig { hidden_size: c, intermediate_size: f, .. } = *names.config;
    let layer = format!("distilbert.transformer.layer.{i}");
    let dense = |module: &str, shape| names.dense(&format!("{layer}.{module}"), shape, Part::Encoder);
    let norm = |module: &str| Norm { eps: EPS, ..names.norm(&format!("{layer}.{module}"), Part::Encoder) };
    let attention = Attention {
        name: format!("{layer}.attention"),
        heads: names.config.num_attention_heads,
        qkv: ["q", "k", "v"].map(|part| dense(&format!("attention.{part}_lin"), [c, c])).into(),
        rotary: None,
        window: None,
        probabilities: sites.next(names.config.attention_probs_dropout_prob),
        output: dense("attention.out_lin", [c, c]),
        dropout: sites.next(0.0),
        norm: Some(norm("sa_layer_norm")),
    };
    let mlp = Mlp {
        name: format!("{layer}.ffn"),
        up: dense("ffn.lin1", [f, c]),
        activation: names.activation(),
        gate: None,
        down: dense("ffn.lin2", [c, f]),
        dropout: sites.next(names.config.hidden_dropout_prob),
        norm: norm("output_layer_norm"),
    };
    Block { attention, mlp, place: NormPlace::After }
}
