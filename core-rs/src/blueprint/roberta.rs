//! RoBERTa (Liu et al., 2019), XLM-R (Conneau et al., 2020) and CamemBERT (Martin et al., 2020): BERT's encoder with
//! positions that begin behind the row of padding, and heads of other names. A classifier has no pooler below it.

use super::bert::Names;
use super::spec::{Blueprint, Part, SequenceHead, Start, TokenHead, Transform};
use crate::config::ModelConfig;
use crate::heads::Heads;
use crate::ops::activation::Activation;

/// Modules of the heads of these classes. `RobertaModel` has a pooler.
const HEADS: &[&str] = &[
    "pooler.dense",
    "lm_head",
    "lm_head.dense",
    "lm_head.layer_norm",
    "lm_head.decoder",
    "classifier",
    "classifier.dense",
    "classifier.out_proj",
];

/// Hugging Face's `RobertaForMaskedLM`, `RobertaForSequenceClassification` or `RobertaForTokenClassification`, and those of
/// XLM-R and CamemBERT.
pub fn roberta(config: &ModelConfig, heads: &Heads) -> Blueprint {
    let (names, c) = (Names { config, prefix: "roberta." }, config.hidden_size);
    let mut blueprint = names.encoder(heads, HEADS);
    let (deviation, row) = (config.initializer_range, config.pad_token_id);
    blueprint.embeddings.padding_position = Some(row);
    if let Some(positions) = &mut blueprint.embeddings.positions {
        positions.start = Start::NormalButRow { deviation, row };
    }
    let transform = || Transform {
        dense: names.dense("lm_head.dense", [c, c], Part::TokenHead),
        activation: Activation::Gelu, // whatever the blocks have
        norm: names.norm("lm_head.layer_norm", Part::TokenHead),
    };
    blueprint.tokens = names.on_tokens(heads, &mut blueprint.sites, || {
        let mut decoder = names.decoder("lm_head");
        // Tied, too: transformers 4 takes the decoder's bias for both of these classes, transformers 5 the head's.
        decoder.second_bias = decoder.bias.aliases.first().cloned();
        TokenHead { transform: Some(transform()), dropout: None, decoder }
    });
    blueprint.sequences = heads.sequence.map(|head| SequenceHead {
        pools: head.pools,
        dropout_before: Some(blueprint.sites.next(head.classifier_dropout)),
        dense: names.dense("classifier.dense", [c, c], Part::Pooler),
        activation: None,
        dropout: blueprint.sites.next(head.classifier_dropout),
        output: names.dense("classifier.out_proj", [head.num_labels, c], Part::Classifier),
    });
    blueprint
}
