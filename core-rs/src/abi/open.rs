//! The cold calls, whose arguments are JSON.

use std::path::PathBuf;
use std::sync::{Arc, Once, OnceLock};

use serde::Deserialize;

use super::call::parse;
use super::lane::Lane;
use super::world;
use crate::backend::cuda::{Cuda, program};
use crate::blueprint::Part;
use crate::collective::{Division, mpi};
use crate::config::ModelConfig;
use crate::driver::gpu::Gpu;
use crate::driver::libraries;
use crate::driver::queue::Modes;
use crate::engine::{Engine, EngineOptions, Weights};
use crate::error::{Code, Error, Result};
use crate::heads::Heads;
use crate::machine::dtype::Dtype;
use crate::machine::host;
use crate::machine::isa::Isa;
use crate::ops::attention;
use crate::ops::gemm::Gemm;
use crate::optim::Optimizer;
use crate::trainer::{self, room};

/// What `cloze_open` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenRequest {
    config: ModelConfig,
    heads: Heads,
    engine: String,
    device: String,
    dtype: String,
    #[serde(default)]
    cuda: CudaRequest,
    threads: usize,
    seed: u64,
    max_tokens: usize,
    max_sequences: usize,
    max_masked: usize,
    max_sequence_length: usize,
    #[serde(default)]
    optimizer: Option<Optimizer>,
    #[serde(default)]
    decoder_bias: Option<Vec<f32>>,
    #[serde(default)]
    inner_initializer_range: Option<f32>,
    #[serde(default)]
    neighbour_attention: bool,
    #[serde(default)]
    profile: bool,
    #[serde(default)]
    weights: Option<PathBuf>,
    #[serde(default)]
    may_be_missing: Vec<Part>,
    #[serde(default)]
    training_state: Option<PathBuf>,
    #[serde(default)]
    micro_batches: Option<usize>,
}

impl OpenRequest {
    fn options(&self) -> Result<EngineOptions> {
        Ok(EngineOptions {
            config: self.config.clone(),
            heads: self.heads.clone(),
            seed: self.seed,
            dtype: dtype(self)?,
            threads: self.threads,
            max_tokens: self.max_tokens,
            max_sequences: self.max_sequences,
            max_masked: self.max_masked,
            max_sequence_length: self.max_sequence_length,
            optimizer: self.optimizer,
            decoder_bias: self.decoder_bias.clone(),
            inner_initializer_range: self.inner_initializer_range,
            neighbour_attention: self.neighbour_attention,
            profile: self.profile,
        })
    }
}

/// Where the GPU engine may look and what it may keep; nothing is read from the environment here.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CudaRequest {
    /// Folders that may hold cuBLASLt and NVRTC, after the system's search path.
    #[serde(default)]
    pub library_folders: Vec<PathBuf>,
    /// Folder for compiled kernels.
    #[serde(default)]
    kernel_cache: Option<PathBuf>,
    /// Which of the GPUs that the driver sees; one of several processes on a machine has one of its own.
    #[serde(default)]
    ordinal: usize,
    /// How work is run to find a fault: [`Modes::parse`].
    #[serde(default)]
    debug: String,
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

/// How an engine is opened that this crate does not have.
pub type Opener = fn(EngineOptions, Option<&Weights>) -> Result<Box<dyn Engine>>;

static CANDLE: OnceLock<Opener> = OnceLock::new();

/// Says how the candle engine is opened, in a library that has it.
pub fn provide_candle(opener: Opener) {
    CANDLE.get_or_init(|| opener);
}

fn no_candle() -> Error {
    Error::new(Code::Unsupported, "this library has the fused engine only: the candle engine is in cloze_candle")
}

/// Opens the engine that a request describes, and the thread that is to run its calls.
pub(super) fn open(request: &[u8]) -> Result<(Box<dyn Engine>, Arc<Lane>)> {
    silence_panics();
    let request: OpenRequest = parse(request)?;
    let options = request.options()?;
    let may_be_missing = request.may_be_missing;
    let weights = request.weights.map(|path| Weights { path, may_be_missing });
    let weights = weights.as_ref();
    let (division, lane) = match request.micro_batches {
        None => (None, Arc::default()),
        Some(_) if request.engine == "candle" => return Err(undivided("the candle engine")),
        Some(micro_batches) => {
            let (collective, lane) = world::collective();
            (Some(Division { micro_batches, collective }), lane)
        }
    };
    let mut engine: Box<dyn Engine> = match request.engine.as_str() {
        "fused" => fused(&request.device, &request.cuda, options, weights, division)?,
        "candle" if request.device == "cuda" => {
            let message = "the candle engine runs on the CPU only, but the device is \"cuda\"";
            return Err(Error::new(Code::Unsupported, message).with_hint("use --device cpu"));
        }
        "candle" => CANDLE.get().ok_or_else(no_candle)?(options, weights)?,
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
    Ok((engine, lane))
}

/// The tokens of the largest batch that the engine of a request could take in what is free on the GPU that it would run on,
/// up to those that it asks for; 0 where it would not run on one.
pub(super) fn tokens_that_fit(request: &[u8]) -> Result<u32> {
    silence_panics();
    let request: OpenRequest = parse(request)?;
    if request.engine != "fused" || !on_gpu(&request) {
        return Ok(0);
    }
    if let Some(problem) = libraries::find(&request.cuda.library_folders).problem {
        return Err(Error::new(Code::NoDevice, format!("there is no CUDA device: {problem}"))
            .with_hint("cloze doctor says what is missing; or use --device cpu"));
    }
    let tokens = room::tokens(Gpu::free_memory(request.cuda.ordinal)?, &request.options()?)?;
    Ok(u32::try_from(tokens).unwrap_or(u32::MAX))
}

/// What cannot cut an update into micro-batches, and so cannot share it.
fn undivided(what: &str) -> Error {
    Error::new(Code::Unsupported, format!("{what} cannot cut its updates into micro-batches that processes share"))
        .with_hint("use the fused engine for that")
}

/// The fused engine on the device that is asked for; `auto` is the GPU where there is one that can be used.
fn fused(
    device: &str,
    cuda: &CudaRequest,
    options: EngineOptions,
    weights: Option<&Weights>,
    division: Option<Division>,
) -> Result<Box<dyn Engine>> {
    let on_gpu = match device {
        "cpu" => false,
        "cuda" => true,
        "auto" => libraries::find(&cuda.library_folders).problem.is_none(),
        other => {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("the device is {other:?}, but has to be \"cpu\", \"cuda\" or \"auto\""),
            ));
        }
    };
    if !on_gpu {
        return trainer::open_divided(options, weights, division);
    }
    options.validate()?;
    let (columns, cache) = (attention::cuda::version(options.config.head_size()), cuda.kernel_cache.as_deref());
    let activations = options.dtype.into();
    let units = program::units(activations, Some(columns));
    let gpu = Gpu::open(activations, units, &cuda.library_folders, cache, cuda.ordinal)?;
    // Which algorithm is the fastest, each GPU would measure for itself, and sum in another order than the others.
    let measured = if division.is_some() { None } else { cache };
    let backend = Cuda::new(gpu, &options, measured, Modes::parse(&cuda.debug)?)?;
    Ok(Box::new(trainer::Trainer::sharing(backend, options, weights, division)?))
}

/// What `cloze_doctor` takes: where to look.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DoctorRequest {
    cuda: CudaRequest,
    mpi: mpi::Search,
}

/// JSON about this machine, whether or not there is a GPU.
pub(super) fn doctor(request: &[u8]) -> Result<String> {
    silence_panics();
    let request: DoctorRequest = parse(request)?;
    let report = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "processor": host::processor(),
        "memory_bytes": host::memory_bytes(),
        "instruction_set": Gemm::<f32>::new(1)?.name(),
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        "cuda": libraries::find(&request.cuda.library_folders),
        "mpi": mpi::all(&request.mpi),
    });
    Ok(report.to_string())
}

/// Whether a request will run on a GPU.
fn on_gpu(request: &OpenRequest) -> bool {
    request.device == "cuda"
        || request.device == "auto" && libraries::find(&request.cuda.library_folders).problem.is_none()
}

/// The dtype that a request names. `auto` is bf16 where this machine multiplies it faster than f32.
fn dtype(request: &OpenRequest) -> Result<Dtype> {
    match request.dtype.as_str() {
        "f32" => Ok(Dtype::F32),
        "bf16" => Ok(Dtype::Bf16),
        "auto" if request.engine == "fused" && (on_gpu(request) || Isa::for_bf16() > Isa::Avx512) => Ok(Dtype::Bf16),
        "auto" => Ok(Dtype::F32),
        other => Err(Error::new(
            Code::InvalidArgument,
            format!("the dtype is {other:?}, but has to be \"f32\", \"bf16\" or \"auto\""),
        )),
    }
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
    let (layout, options, loaded) = (engine.layout(), engine.options(), engine.loaded());
    let parameters: Vec<_> =
        layout.parameters().iter().map(|p| serde_json::json!({ "name": p.name, "shape": p.shape })).collect();
    let initialized: Vec<_> =
        loaded.initialized.iter().map(|(name, part)| serde_json::json!({ "name": name, "part": part })).collect();
    let profile: Vec<_> = engine
        .profile()
        .iter()
        .map(|e| {
            let ms = e.time.as_secs_f64() * 1e3;
            serde_json::json!({ "operation": e.operation, "calls": e.calls, "ms": ms, "bytes": e.bytes })
        })
        .collect();
    serde_json::json!({
        "parameters": parameters,
        "profile": profile,
        "parameter_count": layout.len(),
        "initialized": initialized,
        "passed_over": loaded.passed_over,
        "unknown": loaded.unknown,
        "engine": engine.name(),
        "device": engine.device(),
        "dtype": options.dtype.name(),
        "instruction_set": engine.instruction_set(),
        "threads": options.threads,
        "version": env!("CARGO_PKG_VERSION"),
    })
    .to_string()
}
