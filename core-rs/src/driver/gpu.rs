//! An NVIDIA GPU as a [`Device`]: the driver's context, two streams, the kernels, cuBLASLt. One call of the driver a
//! method; what is made of them is in [`super::queue`]. Long because there are many.
//!
//! A context belongs to the thread that has made it current, and calls of one engine come from different threads of
//! Deno's pool: every call makes it current first, which costs next to nothing where it already is.

mod nccl;

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cudarc::driver::{DriverError, result, sys};

use super::blas::Blas;
use super::nvrtc::{Kept, Unit};
use super::{Algorithm, Argument, Device, Dtype, Lane, Launch, Product, Tensor, libraries, nvrtc};
use crate::error::{Code, Error, Result};

type Driver<T> = std::result::Result<T, DriverError>;

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
    kind: String,
    activations: Dtype,
    compute: sys::CUstream,
    copies: sys::CUstream,
    modules: Vec<sys::CUmodule>,
    functions: Mutex<HashMap<&'static str, Function>>,
    blas: Mutex<Option<Blas>>,
    _workspace: Memory,
    /// Where NCCL is looked for, once it is needed.
    folders: Vec<PathBuf>,
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

/// Page-locked host memory.
pub struct Pinned {
    start: *mut u8,
    len: usize,
    context: Arc<Context>,
}

// SAFETY: plain memory with one owner.
unsafe impl Send for Pinned {}

impl AsRef<[u8]> for Pinned {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as many bytes as were allocated.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl AsMut<[u8]> for Pinned {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the queue writes only what no copy in progress reads.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: allocated once; the device, which is dropped first, has waited for all copies.
        let _ = self.context.bind().and_then(|()| unsafe { result::free_host(self.start.cast()) });
    }
}

/// A point in a stream's work.
pub struct Event {
    handle: sys::CUevent,
    context: Arc<Context>,
}

// SAFETY: a handle that any thread may use once the context is current.
unsafe impl Send for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made once; the driver keeps it until it is passed.
        let _ = self.context.bind().and_then(|()| unsafe { result::event::destroy(self.handle) });
    }
}

/// A captured graph, ready to run.
pub struct Graph {
    handle: sys::CUgraphExec,
    context: Arc<Context>,
}

// SAFETY: as for events.
unsafe impl Send for Graph {}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made once; the driver keeps it while it runs.
        let _ = self.context.bind().and_then(|()| unsafe { sys::cuGraphExecDestroy(self.handle).result() });
    }
}

fn cuda_error(what: &str, error: DriverError) -> Error {
    let message = |place: &str| format!("the GPU: {place}: {error:?}");
    match error.0 {
        sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => Error::new(Code::OutOfMemory, message(what))
            .with_hint("use a smaller model, fewer tokens per batch or a shorter sequence length"),
        // The driver tells of these at whichever call comes next.
        sys::CUresult::CUDA_ERROR_ILLEGAL_ADDRESS
        | sys::CUresult::CUDA_ERROR_MISALIGNED_ADDRESS
        | sys::CUresult::CUDA_ERROR_ILLEGAL_INSTRUCTION
        | sys::CUresult::CUDA_ERROR_INVALID_ADDRESS_SPACE
        | sys::CUresult::CUDA_ERROR_INVALID_PC
        | sys::CUresult::CUDA_ERROR_HARDWARE_STACK_ERROR
        | sys::CUresult::CUDA_ERROR_LAUNCH_FAILED
        | sys::CUresult::CUDA_ERROR_LAUNCH_TIMEOUT => {
            Error::new(Code::Unsupported, message(&format!("work that was queued before {what}")))
                .with_hint("CLOZE_CUDA=synchronous in the environment says which kernel it was")
        }
        _ => Error::new(Code::Unsupported, message(what))
            .with_hint("cloze doctor shows driver and libraries; --device cpu does without the GPU"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// Opens a GPU with the kernels of `units`, whose activations are of that type: number `ordinal` of those that the driver
    /// sees. Libraries are also looked for in `folders`; `cache` keeps compiled kernels.
    ///
    /// # Errors
    /// `NoDevice` if there is no GPU or a library is missing, with what to install.
    pub fn open(
        activations: Dtype,
        units: Vec<Unit>,
        folders: &[PathBuf],
        cache: Option<&Path>,
        ordinal: usize,
    ) -> Result<Self> {
        let report = libraries::find(folders);
        if let Some(problem) = report.problem {
            let missing = report.libraries.iter().find(|l| l.path.is_none());
            let hint =
                missing.map_or("use --device cpu".into(), |l| format!("install {}; or use --device cpu", l.install));
            return Err(Error::new(Code::NoDevice, format!("there is no CUDA device: {problem}")).with_hint(hint));
        }
        let Some(gpu) = report.gpus.get(ordinal).filter(|gpu| gpu.problem.is_none()) else {
            let problem = report.gpus.get(ordinal).and_then(|gpu| gpu.problem.clone());
            let message = problem
                .unwrap_or_else(|| format!("GPU {ordinal} is asked for, but the driver sees {}", report.gpus.len()));
            return Err(Error::new(Code::NoDevice, message).with_hint("use --device cpu"));
        };
        let (major, minor) = gpu.compute_capability.split_once('.').unwrap_or(("8", "0"));
        // Architecture-specific code from Hopper on: the kernels use none of it yet, but NVRTC may.
        let suffix = if major.parse().unwrap_or(0) >= 9 { "a" } else { "" };
        let architecture = format!("sm_{major}{minor}{suffix}");
        let [_, blas, _] = &report.libraries[..] else { unreachable!("three libraries are looked for") };
        let kind = format!("{} cuBLASLt {}", gpu.name, blas.version.as_deref().unwrap_or("?"));
        let name = format!("{} (compute capability {})", gpu.name, gpu.compute_capability);
        let start = |code: &[Vec<u8>]| Self::start(ordinal, [&name, &kind], folders, activations, code);
        let mut started = start(&nvrtc::kernels(&architecture, &units, cache, Kept::Used)?);
        // What was kept is whole, but this driver does not take it.
        if let Err(DriverError(sys::CUresult::CUDA_ERROR_INVALID_IMAGE | sys::CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU)) =
            started
        {
            started = start(&nvrtc::kernels(&architecture, &units, cache, Kept::Replaced)?);
        }
        started.map_err(|error| cuda_error("it does not start", error))?
    }

    /// Bytes that are free on a GPU, by its number, once [`libraries::find`] has found the driver.
    ///
    /// # Errors
    /// What the driver says.
    pub fn free_memory(ordinal: usize) -> Result<usize> {
        let free = || {
            let device = result::device::get(ordinal as i32)?;
            // SAFETY: the device comes from the driver; the context is released when it is dropped.
            let context = Context { device, context: unsafe { result::primary_ctx::retain(device)? } };
            context.bind()?;
            Ok(result::mem_get_info()?.0)
        };
        free().map_err(|error| cuda_error("its free memory", error))
    }

    fn start(
        ordinal: usize,
        [name, kind]: [&str; 2],
        folders: &[PathBuf],
        activations: Dtype,
        code: &[Vec<u8>],
    ) -> Driver<Result<Self>> {
        let device = result::device::get(ordinal as i32)?;
        // SAFETY: the handles come from the calls above them; each of `code` is a whole cubin.
        let (context, compute, copies, modules) = unsafe {
            // As for events. Another user of the context may have decided otherwise already.
            let _ = sys::cuDevicePrimaryCtxSetFlags_v2(device, sys::CUctx_flags::CU_CTX_SCHED_BLOCKING_SYNC as u32);
            let context = Arc::new(Context { device, context: result::primary_ctx::retain(device)? });
            context.bind()?;
            let compute = result::stream::create(result::stream::StreamKind::NonBlocking)?;
            let copies = result::stream::create(result::stream::StreamKind::NonBlocking)?;
            let load = |code: &Vec<u8>| result::module::load_data(code.as_ptr().cast());
            (context, compute, copies, code.iter().map(load).collect::<Driver<Vec<_>>>()?)
        };
        // SAFETY: the context is current.
        let address = unsafe { result::malloc_sync(Blas::WORKSPACE)? };
        let workspace = Memory { address, context: Arc::clone(&context) };
        Ok(Blas::new(workspace.address).map(|blas| Self {
            name: name.into(),
            kind: kind.into(),
            activations,
            compute,
            copies,
            modules,
            functions: Mutex::default(),
            blas: Mutex::new(Some(blas)),
            _workspace: workspace,
            folders: folders.to_vec(),
            context,
        }))
    }

    /// Calls the driver with the context current.
    fn call<T>(&self, what: &str, call: impl FnOnce() -> Driver<T>) -> Result<T> {
        self.context.bind().and_then(|()| call()).map_err(|error| cuda_error(what, error))
    }

    fn stream(&self, lane: Lane) -> sys::CUstream {
        match lane {
            Lane::Compute => self.compute,
            Lane::Copy => self.copies,
        }
    }

    /// The function of a kernel, allowed `shared` bytes of dynamic shared memory: above 48 KB a kernel has to ask.
    fn function(&self, launch: &Launch) -> Driver<sys::CUfunction> {
        let mut functions = lock(&self.functions);
        if !functions.contains_key(launch.kernel) {
            let name = CString::new(launch.kernel).expect("names of kernels are plain");
            // SAFETY: the modules are loaded.
            let find = |module: &sys::CUmodule| unsafe { result::module::get_function(*module, name.clone()) };
            let (last, others) = self.modules.split_last().expect("there are kernels");
            let handle = others.iter().find_map(|module| find(module).ok()).map_or_else(|| find(last), Ok)?;
            if launch.shared > 0 {
                // All that a multiprocessor has for shared memory, so that as many blocks run as fit.
                let carveout = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT;
                // SAFETY: a function of a loaded module.
                unsafe { result::function::set_function_attribute(handle, carveout, 100)? };
            }
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

    fn blas<T>(&self, call: impl FnOnce(&mut Blas) -> Result<T>) -> Result<T> {
        self.context.bind().map_err(|error| cuda_error("a product", error))?;
        call(lock(&self.blas).as_mut().expect("there until the device is dropped"))
    }
}

impl Device for Gpu {
    type Memory = Memory;
    type Pinned = Pinned;
    type Event = Event;
    type Graph = Graph;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn kind(&self) -> String {
        self.kind.clone()
    }

    fn activations(&self) -> Dtype {
        self.activations
    }

    fn allocate(&self, bytes: usize) -> Result<Memory> {
        self.call(&format!("{} MiB", bytes.div_ceil(1 << 20)), || {
            // SAFETY: new memory of that size is cleared.
            unsafe {
                let memory = Memory { address: result::malloc_sync(bytes)?, context: Arc::clone(&self.context) };
                result::memset_d8_async(memory.address, 0, bytes, self.compute)?;
                Ok(memory)
            }
        })
    }

    fn address(memory: &Memory) -> u64 {
        memory.address
    }

    fn pinned(&self, bytes: usize) -> Result<Pinned> {
        self.call("page-locked memory", || {
            // SAFETY: any size is fine.
            let start = unsafe { result::malloc_host(bytes, 0)? }.cast::<u8>();
            // SAFETY: just allocated; a slice has to be initialized.
            unsafe { start.write_bytes(0, bytes) };
            Ok(Pinned { start, len: bytes, context: Arc::clone(&self.context) })
        })
    }

    fn event(&self) -> Result<Event> {
        // Whoever waits for it sleeps: a training step is long, and the core is wanted for the next batch.
        let flags = sys::CUevent_flags::CU_EVENT_BLOCKING_SYNC;
        self.call("an event", || {
            Ok(Event { handle: result::event::create(flags)?, context: Arc::clone(&self.context) })
        })
    }

    fn record(&self, event: &Event, lane: Lane) -> Result<()> {
        // SAFETY: event and stream are alive, here and below.
        self.call("an event", || unsafe { result::event::record(event.handle, self.stream(lane)) })
    }

    fn wait(&self, event: &Event, lane: Lane) -> Result<()> {
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        // SAFETY: as above.
        self.call("an event", || unsafe { result::stream::wait_event(self.stream(lane), event.handle, flags) })
    }

    fn finish(&self, event: &Event) -> Result<()> {
        // SAFETY: as above.
        self.call("a kernel or an upload", || unsafe { result::event::synchronize(event.handle) })
    }

    fn is_passed(&self, event: &Event) -> Result<bool> {
        // SAFETY: as above.
        self.call("a kernel or an exchange", || match unsafe { result::event::query(event.handle) } {
            Err(DriverError(sys::CUresult::CUDA_ERROR_NOT_READY)) => Ok(false),
            done => done.map(|()| true),
        })
    }

    fn milliseconds(&self, from: &Event, to: &Event) -> Result<f32> {
        // SAFETY: as above.
        self.call("an event", || unsafe { result::event::elapsed(from.handle, to.handle) })
    }

    fn copy_in(&self, to: Tensor, from: &Pinned, bytes: usize, lane: Lane) -> Result<()> {
        assert!(bytes <= to.bytes() && bytes <= from.len, "{bytes} bytes for a tensor of {}", to.bytes());
        // SAFETY: both places have that many bytes, and the queue leaves them alone until the copy is done.
        self.call("an upload", || unsafe {
            result::memcpy_htod_async(to.address, &from.as_ref()[..bytes], self.stream(lane))
        })
    }

    fn copy(&self, to: Tensor, from: Tensor) -> Result<()> {
        assert!(from.bytes() <= to.bytes(), "{} bytes for a tensor of {}", from.bytes(), to.bytes());
        // SAFETY: both places have that many bytes.
        self.call("a copy", || unsafe {
            result::memcpy_dtod_async(to.address, from.address, from.bytes(), self.compute)
        })
    }

    fn copy_out(&self, from: Tensor, to: &mut [u8]) -> Result<()> {
        assert!(to.len() <= from.bytes(), "{} bytes of a tensor of {}", to.len(), from.bytes());
        // SAFETY: the source is inside the tensor, and the call waits before `to` is used.
        self.call("a kernel or a download", || unsafe {
            result::memcpy_dtoh_async(to, from.address, self.compute)?;
            result::stream::synchronize(self.compute)
        })
    }

    fn clear(&self, x: Tensor) -> Result<()> {
        // SAFETY: the tensor's memory.
        self.call("clearing", || unsafe { result::memset_d8_async(x.address, 0, x.bytes(), self.compute) })
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<()> {
        self.call(launch.kernel, || {
            let function = self.function(launch)?;
            // No kernel takes more; nothing is allocated for a launch.
            let mut pointers = [std::ptr::null_mut::<c_void>(); 16];
            for (pointer, argument) in pointers.iter_mut().zip(arguments) {
                *pointer = std::ptr::from_ref(argument).cast_mut().cast();
            }
            let [x, y] = launch.grid.map(|blocks| blocks as u32);
            let threads = (launch.threads as u32, 1, 1);
            // SAFETY: the operations give each kernel the arguments that its source names; the simulator's tests hold it.
            unsafe {
                let shared = launch.shared as u32;
                let pointers = &mut pointers[..arguments.len()];
                result::launch_kernel(function, (x, y, 1), threads, shared, self.compute, pointers)
            }
        })
    }

    fn algorithms(&self, product: &Product) -> Result<Vec<Algorithm>> {
        self.blas(|blas| blas.algorithms(product))
    }

    fn runs(&self, product: &Product, algorithm: &Algorithm) -> bool {
        self.blas(|blas| Ok(blas.runs(product, algorithm))).unwrap_or(false)
    }

    fn multiply(&self, product: &Product, algorithm: &Algorithm) -> Result<()> {
        self.blas(|blas| blas.multiply(self.compute, product, algorithm))
    }

    fn begin_capture(&self) -> Result<()> {
        // Of this thread only: other engines may allocate meanwhile.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is alive.
        self.call("a graph", || unsafe { result::stream::begin_capture(self.compute, mode) })
    }

    fn end_capture(&self) -> Result<Graph> {
        self.call("a graph", || {
            // SAFETY: the stream is alive and captures; the graph is destroyed once what is made of it stands by itself.
            unsafe {
                let graph = result::stream::end_capture(self.compute)?;
                let handle = result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0));
                let _ = sys::cuGraphDestroy(graph);
                Ok(Graph { handle: handle?, context: Arc::clone(&self.context) })
            }
        })
    }

    fn replay(&self, graph: &Graph) -> Result<()> {
        // SAFETY: graph and stream are alive, and so is the memory that the graph names, which the same queue owns.
        self.call("a step", || unsafe { result::graph::launch(graph.handle, self.compute) })
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.context.bind().is_err() {
            return;
        }
        // SAFETY: once both streams have come to their end, nothing runs; each of these was made by `start` and is freed
        // once.
        unsafe {
            for stream in [self.compute, self.copies] {
                let _ = result::stream::synchronize(stream);
            }
            drop(lock(&self.blas).take());
            for module in &self.modules {
                let _ = result::module::unload(*module);
            }
            for stream in [self.compute, self.copies] {
                let _ = result::stream::destroy(stream);
            }
        }
    }
}
