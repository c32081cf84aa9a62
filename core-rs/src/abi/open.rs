//! The cold calls, whose arguments are JSON.

use std::path::PathBuf;
use std::sync::Once;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::config::ModelConfig;
use crate::engine::{Engine, EngineOptions, Weights};
use crate::error::{Code, Error, Result};
use crate::objective::Objective;
use crate::reference::CandleEngine;
use crate::trainer::Trainer;

/// What `cloze_open` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenRequest {
    config: ModelConfig,
    objective: Objective,
    engine: String,
    device: String,
    threads: usize,
    seed: u64,
    max_tokens: usize,
    max_sequences: usize,
    max_masked: usize,
    max_sequence_length: usize,
    training: bool,
    #[serde(default)]
    weights: Option<PathBuf>,
    #[serde(default)]
    may_be_missing: Vec<String>,
    #[serde(default)]
    training_state: Option<PathBuf>,
}

/// What `cloze_save` takes: new files to write.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaveRequest {
    #[serde(default)]
    weights: Option<PathBuf>,
    #[serde(default)]
    training_state: Option<PathBuf>,
}

fn parse<T: DeserializeOwned>(request: &[u8]) -> Result<T> {
    serde_json::from_slice(request)
        .map_err(|e| Error::new(Code::InvalidArgument, format!("the request is not as the core expects it: {e}")))
}

/// Opens the engine that a request describes.
pub(super) fn open(request: &[u8]) -> Result<Box<dyn Engine>> {
    silence_panics();
    let request: OpenRequest = parse(request)?;
    if request.device != "cpu" {
        return Err(Error::new(
            Code::Unsupported,
            format!("the device {:?} is not available: this core has \"cpu\"", request.device),
        )
        .with_hint("use --device cpu"));
    }
    let options = EngineOptions {
        config: request.config,
        objective: request.objective,
        seed: request.seed,
        threads: request.threads,
        max_tokens: request.max_tokens,
        max_sequences: request.max_sequences,
        max_masked: request.max_masked,
        max_sequence_length: request.max_sequence_length,
        training: request.training,
    };
    let may_be_missing = request.may_be_missing;
    let weights = request.weights.map(|path| Weights { path, may_be_missing });
    let weights = weights.as_ref();
    let mut engine: Box<dyn Engine> = match request.engine.as_str() {
        "fused" => Box::new(Trainer::new(options, weights)?),
        "candle" => Box::new(CandleEngine::new(options, weights)?),
        other => {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("the engine is {other:?}, but has to be \"fused\" or \"candle\""),
            ));
        }
    };
    if let Some(path) = &request.training_state {
        engine.load_training_state(path)?;
    }
    Ok(engine)
}

/// Panics become errors of the call; the default hook would also print them. This library has its own copy of the
/// standard library when Deno loads it, so only its own panics are concerned. Tests keep their messages.
fn silence_panics() {
    static ONCE: Once = Once::new();
    if !cfg!(test) {
        ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    }
}

/// Saves what a request asks for.
pub(super) fn save(engine: &mut dyn Engine, request: &[u8]) -> Result<()> {
    let request: SaveRequest = parse(request)?;
    if let Some(path) = &request.weights {
        engine.save_weights(path)?;
    }
    if let Some(path) = &request.training_state {
        engine.save_training_state(path)?;
    }
    Ok(())
}

/// JSON about an engine.
pub(super) fn describe(engine: &dyn Engine) -> String {
    let (layout, options) = (engine.layout(), engine.options());
    let parameters: Vec<_> =
        layout.parameters().iter().map(|p| serde_json::json!({ "name": p.name, "shape": p.shape })).collect();
    serde_json::json!({
        "parameters": parameters,
        "parameter_count": layout.len(),
        "initialized": engine.initialized(),
        "engine": engine.name(),
        "device": "cpu",
        "instruction_set": engine.instruction_set(),
        "threads": options.threads,
        "version": env!("CARGO_PKG_VERSION"),
    })
    .to_string()
}
