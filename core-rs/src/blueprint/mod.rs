//! A model is said once: as a [`Blueprint`], which a family makes of a `config.json` and the heads. What a model is,
//! nothing else in the core says.

mod bert;
mod distilbert;
mod electra;
mod layout;
mod megatron_bert;
mod modernbert;
mod neighbours;
mod roberta;
mod rows;
mod spec;

pub use layout::{Linear, Parameter, ParameterLayout};
pub use neighbours::look_at_neighbours;
pub use rows::parameters_per_token;
pub use spec::*;

use crate::config::ModelConfig;
use crate::error::{Code, Error, Result};
use crate::heads::{Heads, SequenceKind};

/// A family of architectures.
struct Family {
    /// Hugging Face's `model_type`; several where classes differ in nothing but their names.
    model_types: &'static [&'static str],
    make: fn(&ModelConfig, &Heads) -> Blueprint,
    /// Whether it has a head on sentence pairs.
    next_sentence: bool,
    /// Whether it can read left to right.
    causal: bool,
}

const FAMILIES: &[Family] = &[
    Family { model_types: &["bert"], make: bert::bert, next_sentence: true, causal: true },
    Family { model_types: &["megatron-bert"], make: megatron_bert::megatron_bert, next_sentence: true, causal: true },
    Family {
        model_types: &["roberta", "xlm-roberta", "camembert"],
        make: roberta::roberta,
        next_sentence: false,
        causal: false,
    },
    Family { model_types: &["distilbert"], make: distilbert::distilbert, next_sentence: false, causal: false },
    Family { model_types: &["electra"], make: electra::electra, next_sentence: false, causal: false },
    Family { model_types: &["modernbert"], make: modernbert::modernbert, next_sentence: false, causal: false },
];

/// A `model_type` of every family.
pub fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.model_types[0])
}

impl Blueprint {
    /// The model that a configuration and heads describe. Both have to be valid.
    ///
    /// # Errors
    /// `Unsupported` if there is no such family, or it has not these heads.
    pub fn of(config: &ModelConfig, heads: &Heads) -> Result<Self> {
        let model_type = &config.model_type;
        let Some(family) = FAMILIES.iter().find(|family| family.model_types.contains(&model_type.as_str())) else {
            let known = FAMILIES.iter().flat_map(|family| family.model_types);
            let known: Vec<_> = known.map(|name| format!("{name:?}")).collect();
            let message = format!("config.json: model_type is {model_type:?}, but has to be {}", known.join(" or "));
            return Err(Error::new(Code::Unsupported, message).with_hint("models of other architectures cannot be run"));
        };
        let pairs = heads.sequence.is_some_and(|head| head.kind == SequenceKind::NextSentence);
        let lacks = match () {
            () if pairs && !family.next_sentence => "head on sentence pairs",
            () if heads.is_decoder && !family.causal => "left-to-right form",
            () => return Ok((family.make)(config, heads)),
        };
        Err(Error::new(Code::Unsupported, format!("a model of the type {model_type:?} has no {lacks}")))
    }

    /// The matrices at the beginning of every block's branches: query, key and value, and the first of the feed-forward part.
    pub fn inner_matrices(&self) -> impl Iterator<Item = &Tensor> {
        self.blocks
            .iter()
            .flat_map(|block| block.attention.qkv.iter().chain([&block.mlp.up]))
            .map(|dense| &dense.weight)
    }

    /// Where its parameters lie.
    pub fn layout(&self) -> ParameterLayout {
        ParameterLayout::new(self)
    }
}
