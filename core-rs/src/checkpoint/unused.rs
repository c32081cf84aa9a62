//! Tensors of a file that a model has no use for: which are fine, which a person should know of, and which say that the file
//! is another model's.

use std::collections::HashSet;
use std::path::Path;

use crate::blueprint::{ParameterLayout, Part};
use crate::engine::Loaded;
use crate::error::{Code, Error, Result};

/// Buffers that say nothing which the model does not know.
const BUFFERS: [&str; 2] = ["embeddings.position_ids", "embeddings.token_type_ids"];

/// Sorts the names of the tensors that were not used.
///
/// # Errors
/// `Mismatch` if one belongs to the encoder, which would be another one without it.
pub fn unused_of<'a>(path: &Path, layout: &ParameterLayout, rest: impl Iterator<Item = &'a str>) -> Result<Loaded> {
    let encoder = encoder_modules(layout);
    let is_encoder = |name: &str| encoder.iter().any(|module| is_within(name, module).is_some());
    let mut loaded = Loaded::default();
    for name in rest {
        if is_known(name, layout.known_heads()) {
            loaded.passed_over += 1;
        } else if is_encoder(name) {
            let message = format!("{}: the model that config.json describes has no tensor {name}", path.display());
            return Err(Error::new(Code::Mismatch, message)
                .with_hint("config.json and the weights may belong to different models"));
        } else {
            loaded.unknown.push(name.to_owned());
        }
    }
    Ok(loaded)
}

/// The modules that the encoder is made of, such as `bert.encoder`, and their names in a file of a bare encoder.
fn encoder_modules(layout: &ParameterLayout) -> HashSet<&str> {
    let mut modules = HashSet::new();
    for parameter in layout.parameters().iter().filter(|parameter| parameter.part == Part::Encoder) {
        let bare = parameter.aliases.iter().find_map(|alias| parameter.name.strip_suffix(alias.as_str()));
        let prefix = bare.map_or(0, str::len);
        let root = parameter.name[prefix..].split('.').next().map_or(0, str::len);
        modules.extend([&parameter.name[..prefix + root], &parameter.name[prefix..prefix + root]]);
    }
    modules
}

/// Whether it is a buffer, or a parameter of a head, with or without the encoder's prefix.
fn is_known(name: &str, heads: &[&str]) -> bool {
    let without_prefix = name.split_once('.').map_or(name, |(_, rest)| rest);
    let parts = ["weight", "bias", "gamma", "beta"];
    [name, without_prefix].iter().any(|name| {
        BUFFERS.contains(name)
            || heads.iter().any(|head| is_within(name, head).is_some_and(|part| parts.contains(&part)))
    })
}

/// The rest of a name that lies within a module.
fn is_within<'a>(name: &'a str, module: &str) -> Option<&'a str> {
    name.strip_prefix(module)?.strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::Blueprint;
    use crate::config::tests::tiny;
    use crate::heads::Heads;

    #[test]
    fn unused_of_tells_heads_and_buffers_from_what_would_change_the_encoder() {
        let layout = Blueprint::of(&tiny(), &Heads::MASKED_LM).unwrap().layout();
        let sort = |name: &str| {
            let sorted = unused_of(Path::new("w"), &layout, [name].into_iter());
            sorted.map(|loaded| loaded.passed_over == 1)
        };
        for name in [
            "bert.embeddings.position_ids",
            "embeddings.position_ids",
            "bert.pooler.dense.bias",
            "pooler.dense.bias",
            "cls.seq_relationship.weight",
            "cls.predictions.transform.LayerNorm.gamma",
            "cls.predictions.decoder.weight",
            "cls.predictions.bias",
            "classifier.weight",
        ] {
            assert!(sort(name).unwrap(), "{name}");
        }
        for name in ["classifier.dense.weight", "crf.transitions", "epoch", "bert.pooler.weight", "encoders.weight"] {
            assert!(!sort(name).unwrap(), "{name}");
        }
        for name in [
            "bert.encoder.layer.2.output.dense.weight",
            "encoder.layer.0.attention.self.query.lora_A.weight",
            "bert.embeddings.word_embeddings.weight_scale",
        ] {
            let error = sort(name).unwrap_err();
            assert!(error.code == Code::Mismatch && error.message.contains(name), "{error}");
        }
    }
}
