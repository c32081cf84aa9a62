//! A [`Device`] on machines without a GPU: compiles the kernels with the C++ compiler after simulator.h, which runs a
//! block's threads as fibers and checks what they touch. Matrix products are the CPU engine's.

use std::ffi::{CStr, c_char, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use cloze_core::cuda::{Argument, Device, Dtype, Launch, Product, Tensor, program_text};
use cloze_core::error::{Code, Error, Result};
use cloze_core::ops::gemm::epilogue::{Add, Bias, Epilogue, Store};
use cloze_core::ops::gemm::{Gemm, MatRef, Right, Size};
use cloze_core::threads::Threads;
use libloading::{Library, Symbol};

const SIMULATOR: &str = include_str!("simulator.h");

type Allocate = unsafe extern "C" fn(usize) -> *mut c_void;
type Release = unsafe extern "C" fn(*mut c_void);
type Run = unsafe extern "C" fn(u32, *const *const c_void, *const u32, usize, i32) -> *const c_char;

/// A compiled program of kernels.
pub struct Program(Library);

impl Program {
    /// Compiles the engine's kernels for one type of activations.
    pub fn kernels(activations: Dtype) -> Arc<Self> {
        let flags: &[&str] = if activations == Dtype::Bf16 { &["-DACTIVATION_BF16"] } else { &[] };
        Self::compile(&program_text(), flags)
    }

    /// Compiles `text` behind the simulator.
    pub fn compile(text: &str, flags: &[&str]) -> Arc<Self> {
        let folder = Folder::new();
        let (source, library) = (folder.0.join("kernels.cc"), folder.0.join("kernels.so"));
        let text = format!("#line 1 \"simulator.h\"\n{SIMULATOR}\n{text}");
        std::fs::write(&source, text).expect("the kernels' source is written");
        let output = Command::new(compiler().expect("a C++ compiler"))
            .args(["-std=c++17", "-O2", "-shared", "-fPIC", "-fcf-protection=none", "-U_FORTIFY_SOURCE", "-w", "-o"])
            .args([&library, &source])
            .args(flags)
            .output()
            .expect("the C++ compiler starts");
        assert!(output.status.success(), "the kernels do not compile:\n{}", String::from_utf8_lossy(&output.stderr));
        // SAFETY: a library of ours without initializers that matter.
        Arc::new(Self(unsafe { Library::new(&library) }.expect("the compiled kernels load")))
    }

    fn symbol<T>(&self, name: &str) -> Option<Symbol<'_, T>> {
        // SAFETY: every caller names the type that simulator.h gives the symbol.
        unsafe { self.0.get(name.as_bytes()) }.ok()
    }
}

/// The C++ compiler, if there is one.
pub fn compiler() -> Option<&'static str> {
    ["c++", "g++", "clang++"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()))
}

/// A folder for one compilation. A loaded library may be deleted.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: Mutex<u32> = Mutex::new(0);
        let mut count = COUNT.lock().unwrap();
        *count += 1;
        let path = std::env::temp_dir().join(format!("cloze-simulator-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all::<&Path>(self.0.as_ref());
    }
}

/// A simulated GPU.
pub struct Simulator {
    program: Arc<Program>,
    activations: Dtype,
    /// Whether threads run in descending order.
    reversed: bool,
    failure: Mutex<Option<Error>>,
}

impl Simulator {
    pub fn new(program: Arc<Program>, activations: Dtype) -> Self {
        Self { program, activations, reversed: false, failure: Mutex::new(None) }
    }

    /// The same with threads in descending order, or not.
    pub fn reversed(self, reversed: bool) -> Self {
        Self { reversed, ..self }
    }
}

/// Memory that the simulator knows the ends of.
pub struct Memory {
    start: *mut c_void,
    program: Arc<Program>,
}

// SAFETY: plain memory; whoever reads and writes it takes turns.
unsafe impl Send for Memory {}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({:?})", self.start)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let release = self.program.symbol::<Release>("cloze_release").expect("in simulator.h");
        // SAFETY: made by cloze_allocate, released once.
        unsafe { release(self.start) };
    }
}

impl Device for Simulator {
    type Memory = Memory;

    fn name(&self) -> String {
        "simulated".into()
    }

    fn activations(&self) -> Dtype {
        self.activations
    }

    fn allocate(&self, bytes: usize) -> Result<Memory> {
        let allocate = self.program.symbol::<Allocate>("cloze_allocate").expect("in simulator.h");
        // SAFETY: any size is fine.
        let start = unsafe { allocate(bytes) };
        match start.is_null() {
            true => Err(Error::new(Code::OutOfMemory, "the simulator has no memory left")),
            false => Ok(Memory { start, program: Arc::clone(&self.program) }),
        }
    }

    fn address(memory: &Memory) -> u64 {
        memory.start as u64
    }

    fn upload(&self, to: Tensor, from: &[u8]) {
        slice_mut(to)[..from.len()].copy_from_slice(from);
    }

    fn download(&self, from: Tensor, to: &mut [u8]) {
        let len = to.len();
        to.copy_from_slice(&slice_mut(from)[..len]);
    }

    fn clear(&self, x: Tensor) {
        slice_mut(x).fill(0);
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument]) {
        let mut failure = self.failure.lock().unwrap();
        if failure.is_some() {
            return;
        }
        let Some(run) = self.program.symbol::<Run>(&format!("cloze_{}", launch.kernel)) else {
            panic!("there is no kernel {}", launch.kernel);
        };
        let pointers: Vec<*const c_void> = arguments.iter().map(|a| std::ptr::from_ref(a).cast()).collect();
        let size = [launch.grid[0] as u32, launch.grid[1] as u32, 1, launch.threads as u32, 1, 1];
        let count = pointers.len() as u32;
        // SAFETY: the simulator checks what the kernel touches.
        let fault = unsafe { run(count, pointers.as_ptr(), size.as_ptr(), launch.shared, i32::from(self.reversed)) };
        if !fault.is_null() {
            // SAFETY: a text that lives until this thread's next launch.
            let text = unsafe { CStr::from_ptr(fault) }.to_string_lossy().into_owned();
            *failure = Some(Error::new(Code::Panic, text));
        }
    }

    fn multiply(&self, product: &Product) {
        product.check();
        let &Product { m, n, k, a, b, c, bias, accumulate } = product;
        let (a_values, b_values) = (read(a.elements), read(b.elements));
        let view = |values, transposed, rows, columns| match transposed {
            false => MatRef::rows(values, columns),
            true => MatRef::rows(values, rows).t(),
        };
        let c = c.part(0, m * n);
        let mut out = read(c);
        let bias = bias.map(|bias| read(bias.part(0, n)));
        let epilogue: Box<dyn Epilogue> = match (&bias, accumulate) {
            (Some(bias), false) => Box::new(Bias::new(bias, &mut out)),
            (None, true) => Box::new(Add::new(&mut out, n)),
            (None, false) => Box::new(Store::new(&mut out, n)),
            (Some(_), true) => panic!("a bias and an accumulation"),
        };
        Gemm::new(1).run(
            &Threads::new(1),
            Size { m, n, k },
            view(&a_values, a.transposed, m, k),
            Right::Matrix(view(&b_values, b.transposed, k, n)),
            &*epilogue,
        );
        drop(epilogue);
        write(c, &out);
    }

    fn check(&self) -> Result<()> {
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

fn slice_mut<'a>(x: Tensor) -> &'a mut [u8] {
    // SAFETY: tensors of the simulator are views of its memory, whose bounds `part` keeps; calls take turns.
    unsafe { std::slice::from_raw_parts_mut(x.address as *mut u8, x.bytes()) }
}

/// The elements as singles.
pub fn read(x: Tensor) -> Vec<f32> {
    let bytes = &*slice_mut(x);
    match x.dtype {
        Dtype::Bf16 => bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        _ => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    }
}

fn write(x: Tensor, values: &[f32]) {
    let bytes: Vec<u8> = match x.dtype {
        Dtype::Bf16 => values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    slice_mut(x).copy_from_slice(&bytes);
}
