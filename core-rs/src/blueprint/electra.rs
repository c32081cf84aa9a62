//! ELECTRA (Clark et al., 2020): BERT's encoder on embeddings of a width of their own. Its generator predicts tokens; its
//! discriminator, whose own head tells replaced tokens and is not here, is an encoder to fine-tune.

use super::bert::Names;
use super::spec::{Blueprint, Group, Part, SequenceHead, TokenHead, Transform};
use crate::config::ModelConfig;
use crate::heads::Heads;
use crate::ops::activation::Activation;

/// Modules of the heads of these classes.
const HEADS: &[&str] = &[
    "generator_predictions.dense",
    "generator_predictions.LayerNorm",
    "generator_lm_head",
    "discriminator_predictions.dense",
    "discriminator_predictions.dense_prediction",
    "classifier",
    "classifier.dense",
    "classifier.out_proj",
];

/// Hugging Face's `ElectraForMaskedLM`, `ElectraForSequenceClassification` or `ElectraForTokenClassification`.
pub fn electra(config: &ModelConfig, heads: &Heads) -> Blueprint {
    let (names, c) = (Names { config, prefix: "electra." }, config.hidden_size);
    let e = config.embedding_size.unwrap_or(c);
    let mut blueprint = names.encoder(heads, HEADS);
    blueprint.embeddings.projection = (e != c).then(|| {
        let mut dense = names.dense("electra.embeddings_project", [c, e], Part::Encoder);
        dense.weight.group = Group::Decay; // not inside a block
        dense
    });
    let transform = || Transform {
        dense: names.dense("generator_predictions.dense", [e, c], Part::TokenHead),
        activation: Activation::Gelu, // whatever the blocks have
        norm: names.norm_of(e, "generator_predictions.LayerNorm", Part::TokenHead),
    };
    blueprint.tokens = names.on_tokens(heads, &mut blueprint.sites, || TokenHead {
        transform: Some(transform()),
        dropout: None,
        decoder: names.decoder_with_bias("generator_lm_head", e),
    });
    blueprint.sequences = heads.sequence.map(|head| SequenceHead {
        pools: head.pools,
        dropout_before: Some(blueprint.sites.next(head.classifier_dropout)),
        dense: names.dense("classifier.dense", [c, c], Part::Pooler),
        activation: Some((Activation::Gelu, None)),
        dropout: blueprint.sites.next(head.classifier_dropout),
        output: names.dense("classifier.out_proj", [head.num_labels, c], Part::Classifier),
    });
    blueprint
}
