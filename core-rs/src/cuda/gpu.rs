//! An NVIDIA GPU as a [`Device`]: the driver's context, one stream, the kernels, pinned memory for uploads.
//!
//! A context belongs to the thread that has made it current, and calls of one engine come from different threads of
//! Deno's pool: every call makes it current first, which costs next to nothing where it already is.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::{DriverError, result, sys};

use super::blas::Blas;
use super::{Argument, Device, Dtype, Launch, Product, Tensor, libraries, nvrtc};
use crate::error::{Code, Error, Result};

/// Bytes of each half of the pinned memory.
const STAGE: usize = 4 << 20;

/// The driver's context; the last one that is dropped releases it.
struct Context {
    device: sys::CUdevice,
    context: sys::CUcontext,
}

// SAFETY: the driver's contexts may be used by any thread that makes them current.
unsafe impl Send for Context {}
// SAFETY: as above; the driver locks them itself.
unsafe impl Sync for Context {}

impl Context {
    fn bind(&self) -> std::result::Result<(), DriverError> {
        // SAFETY: the context is alive.
        unsafe { result::ctx::set_current(self.context) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: retained once by `Gpu::open`.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}

/// A GPU with the kernels loaded.
pub struct Gpu {
    name: String,
    activations: Dtype,
    stream: sys::CUstream,
    module: sys::CUmodule,
    functions: Mutex<HashMap<&'static str, Function>>,
    blas: Mutex<Option<Blas>>,
    stage: Mutex<Option<Stage>>,
    failure: Mutex<Option<Error>>,
    _workspace: Memory,
    context: Arc<Context>,
}

// SAFETY: streams, modules and functions are handles that any thread may use once the context is current.
unsafe impl Send for Gpu {}

/// A kernel, and how much dynamic shared memory it is allowed so far.
struct Function {
    handle: sys::CUfunction,
    shared: usize,
}

/// Device memory.
pub struct Memory {
    address: sys::CUdeviceptr,
    context: Arc<Context>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({:#x})", self.address)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated once; freeing waits for what still uses it.
        let _ = self.context.bind().and_then(|()| unsafe { result::free_sync(self.address) });
    }
}

/// Two halves of pinned memory that take turns: the host fills one while the device reads the other.
struct Stage {
    halves: [*mut u8; 2],
    read: [sys::CUevent; 2],
    next: usize,
}

fn cuda_error(what: &str, error: DriverError) -> Error {
    let code = match error.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Code::OutOfMemory,
        _ => Code::Unsupported,
    };
    let error = Error::new(code, format!("the GPU: {what}: {error:?}"));
    match code {
        Code::OutOfMemory => {
            error.with_hint("use a smaller model, fewer tokens per batch or a shorter sequence length")
        }
        _ => error.with_hint("cloze doctor shows driver and libraries; --device cpu does without the GPU"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// Opens the first GPU. Libraries are also looked for in `folders`; `cache` keeps compiled kernels.
    ///
    /// # Errors
    /// `NoDevice` if there is no GPU or a library is missing, with what to install.
    pub fn open(activations: Dtype, folders: &[PathBuf], cache: Option<&Path>) -> Result<Self> {
        let report = libraries::find(folders);
        if let Some(problem) = report.problem {
            let missing = report.libraries.iter().find(|l| l.path.is_none());
            let hint =
                missing.map_or("use --device cpu".into(), |l| format!("install {}; or use --device cpu", l.install));
            return Err(Error::new(Code::NoDevice, format!("there is no CUDA device: {problem}")).with_hint(hint));
        }
        let gpu = &report.gpus[0];
        let (major, minor) = gpu.compute_capability.split_once('.').unwrap_or(("8", "0"));
        // Architecture-specific code from Hopper on: the kernels use none of it yet, but NVRTC may.
        let suffix = if major.parse().unwrap_or(0) >= 9 { "a" } else { "" };
        let code = nvrtc::kernels(&format!("sm_{major}{minor}{suffix}"), activations, cache)?;
        Self::start(format!("{} (compute capability {})", gpu.name, gpu.compute_capability), activations, &code)
            .map_err(|error| cuda_error("it does not start", error))?
    }

    fn start(name: String, activations: Dtype, code: &[u8]) -> std::result::Result<Result<Self>, DriverError> {
        let device = result::device::get(0)?;
        // SAFETY: the handles come from the calls above them; `code` is a whole cubin.
        let (context, stream, module) = unsafe {
            let context = Arc::new(Context { device, context: result::primary_ctx::retain(device)? });
            context.bind()?;
            let stream = result::stream::create(result::stream::StreamKind::NonBlocking)?;
            let module = result::module::load_data(code.as_ptr().cast())?;
            (context, stream, module)
        };
        // SAFETY: the context is current.
        let address = unsafe { result::malloc_sync(Blas::WORKSPACE)? };
        let workspace = Memory { address, context: Arc::clone(&context) };
        // SAFETY: as above.
        let stage = unsafe {
            Stage {
                halves: [result::malloc_host(STAGE, 0)?.cast(), result::malloc_host(STAGE, 0)?.cast()],
                read: [
                    result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)?,
                    result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)?,
                ],
                next: 0,
            }
        };
        Ok(Blas::new(workspace.address).map(|blas| Self {
            name,
            activations,
            stream,
            module,
            functions: Mutex::default(),
            blas: Mutex::new(Some(blas)),
            stage: Mutex::new(Some(stage)),
            failure: Mutex::default(),
            _workspace: workspace,
            context,
        }))
    }

    /// Runs `work` unless something failed before, and keeps what fails.
    fn run(&self, what: &str, work: impl FnOnce() -> std::result::Result<(), DriverError>) {
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            *failure = self.context.bind().and_then(|()| work()).err().map(|error| cuda_error(what, error));
        }
    }

    fn synchronize(&self) -> std::result::Result<(), DriverError> {
        // SAFETY: the stream is alive.
        unsafe { result::stream::synchronize(self.stream) }
    }

    /// The function of a kernel, allowed `shared` bytes of dynamic shared memory.
    fn function(&self, launch: &Launch) -> std::result::Result<sys::CUfunction, DriverError> {
        let mut functions = lock(&self.functions);
        if !functions.contains_key(launch.kernel) {
            let name = CString::new(launch.kernel).expect("names of kernels are plain");
            // SAFETY: the module is loaded.
            let handle = unsafe { result::module::get_function(self.module, name)? };
            functions.insert(launch.kernel, Function { handle, shared: 48 << 10 });
        }
        let function = functions.get_mut(launch.kernel).expect("just found");
        if launch.shared > function.shared {
            let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: a function of a loaded module.
            unsafe { result::function::set_function_attribute(function.handle, attribute, launch.shared as i32)? };
            function.shared = launch.shared;
        }
        Ok(function.handle)
    }
}

impl Device for Gpu {
    type Memory = Memory;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn activations(&self) -> Dtype {
        self.activations
    }

    fn allocate(&self, bytes: usize) -> Result<Memory> {
        let what = format!("{} MiB", bytes.div_ceil(1 << 20));
        let allocate = || {
            self.context.bind()?;
            // SAFETY: new memory of that size is cleared.
            unsafe {
                let address = result::malloc_sync(bytes)?;
                result::memset_d8_async(address, 0, bytes, self.stream)?;
                Ok(Memory { address, context: Arc::clone(&self.context) })
            }
        };
        allocate().map_err(|error| cuda_error(&what, error))
    }

    fn address(memory: &Memory) -> u64 {
        memory.address
    }

    fn upload(&self, to: Tensor, from: &[u8]) {
        assert!(from.len() <= to.bytes(), "{} bytes for a tensor of {}", from.len(), to.bytes());
        self.run("an upload", || {
            let mut stage = lock(&self.stage);
            let Some(stage) = stage.as_mut() else { return Ok(()) };
            for (i, part) in from.chunks(STAGE).enumerate() {
                let half = stage.next;
                stage.next = 1 - half;
                // SAFETY: the event says that the device has read this half (an event never recorded says so too), which
                // has room for a part; the target is inside the tensor.
                unsafe {
                    result::event::synchronize(stage.read[half])?;
                    std::ptr::copy_nonoverlapping(part.as_ptr(), stage.halves[half], part.len());
                    let staged = std::slice::from_raw_parts(stage.halves[half], part.len());
                    result::memcpy_htod_async(to.address + (i * STAGE) as u64, staged, self.stream)?;
                    result::event::record(stage.read[half], self.stream)?;
                }
            }
            Ok(())
        });
    }

    fn download(&self, from: Tensor, to: &mut [u8]) {
        assert!(to.len() <= from.bytes(), "{} bytes of a tensor of {}", to.len(), from.bytes());
        self.run("a kernel or a download", || {
            // SAFETY: the source is inside the tensor, and the call waits before `to` is used.
            unsafe { result::memcpy_dtoh_async(to, from.address, self.stream)? };
            self.synchronize()
        });
    }

    fn clear(&self, x: Tensor) {
        // SAFETY: the tensor's memory.
        self.run("clearing", || unsafe { result::memset_d8_async(x.address, 0, x.bytes(), self.stream) });
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument]) {
        self.run(launch.kernel, || {
            let function = self.function(launch)?;
            let mut pointers: Vec<*mut c_void> =
                arguments.iter().map(|a| std::ptr::from_ref(a).cast_mut().cast()).collect();
            let [x, y] = launch.grid.map(|blocks| blocks as u32);
            let threads = (launch.threads as u32, 1, 1);
            // SAFETY: the operations give each kernel the arguments that its source names; the simulator's tests hold it.
            unsafe {
                let shared = launch.shared as u32;
                result::launch_kernel(function, (x, y, 1), threads, shared, self.stream, &mut pointers)
            }
        });
    }

    fn multiply(&self, product: &Product) {
        let mut failure = lock(&self.failure);
        if failure.is_some() {
            return;
        }
        let run = || {
            self.context.bind().map_err(|error| cuda_error("a product", error))?;
            match lock(&self.blas).as_mut() {
                Some(blas) => blas.multiply(self.stream, product),
                None => Ok(()),
            }
        };
        *failure = run().err();
    }

    fn check(&self) -> Result<()> {
        lock(&self.failure).clone().map_or(Ok(()), Err)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.context.bind().is_err() {
            return;
        }
        let _ = self.synchronize();
        drop(lock(&self.blas).take());
        // SAFETY: nothing runs any more; each of these was made by `start` and is freed once.
        unsafe {
            if let Some(stage) = lock(&self.stage).take() {
                for i in 0..2 {
                    let _ = result::free_host(stage.halves[i].cast());
                    let _ = result::event::destroy(stage.read[i]);
                }
            }
            let _ = result::module::unload(self.module);
            let _ = result::stream::destroy(self.stream);
        }
    }
}
