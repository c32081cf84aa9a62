//! Megatron's BERT (Shoeybi et al., 2019, section 3): BERT under its own names with the norms moved, so that deep models
//! train. The embeddings have none, each branch begins with one, and one stands behind the last block.

use super::bert::{Names, bert};
use super::spec::{Blueprint, NormPlace, Part};
use crate::config::ModelConfig;
use crate::heads::Heads;

/// Hugging Face's `MegatronBertForMaskedLM`, `…ForPreTraining`, `…ForCausalLM`, `…ForSequenceClassification`
/// or `…ForTokenClassification`.
pub fn megatron_bert(config: &ModelConfig, heads: &Heads) -> Blueprint {
    let norm = |module: &str| Names { config, prefix: "bert." }.norm(module, Part::Encoder);
    let mut blueprint = bert(config, heads);
    blueprint.embeddings.norm = None;
    for (i, block) in blueprint.blocks.iter_mut().enumerate() {
        block.attention.norm = Some(norm(&format!("bert.encoder.layer.{i}.attention.ln")));
        block.mlp.norm = norm(&format!("bert.encoder.layer.{i}.ln"));
        block.place = NormPlace::Before;
    }
    blueprint.norm = Some(norm("bert.encoder.ln"));
    blueprint
}
