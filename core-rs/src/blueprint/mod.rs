//! A model is said once: as a [`Blueprint`], which a family makes of a `config.json` and the heads. What a model is,
//! nothing else in the core says.

mod bert;
mod layout;
mod megatron_bert;
mod rows;
mod spec;

pub use layout::{Linear, Parameter, ParameterLayout};
pub use spec::*;

use crate::config::ModelConfig;
use crate::error::{Code, Error, Result};
use crate::heads::Heads;

/// Makes a blueprint.
type Family = fn(&ModelConfig, &Heads) -> Blueprint;

/// The families by Hugging Face's `model_type`.
const FAMILIES: &[(&str, Family)] = &[("bert", bert::bert), ("megatron-bert", megatron_bert::megatron_bert)];

/// The `model_type` of every family.
pub fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _)| *name)
}

impl Blueprint {
    /// The model that a configuration and heads describe. Both have to be valid.
    ///
    /// # Errors
    /// `Unsupported` if there is no such family.
    pub fn of(config: &ModelConfig, heads: &Heads) -> Result<Self> {
        let family = FAMILIES.iter().find(|(name, _)| *name == config.model_type);
        family.map(|(_, make)| make(config, heads)).ok_or_else(|| {
            let names: Vec<_> = families().map(|name| format!("{name:?}")).collect();
            let message =
                format!("config.json: model_type is {:?}, but has to be {}", config.model_type, names.join(" or "));
            Error::new(Code::Unsupported, message).with_hint("models of other architectures cannot be run")
        })
    }

    /// Where its parameters lie.
    pub fn layout(&self) -> ParameterLayout {
        ParameterLayout::new(self)
    }
}
