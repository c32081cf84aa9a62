//! The kernels compiled with the C++ compiler behind simulator.h, for the simulator.

use std::ffi::{c_char, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use cloze_core::backend::cuda::program::program_text;
use cloze_core::driver::Dtype;
use libloading::{Library, Symbol};

const SIMULATOR: [(&str, &str); 3] = [
    ("simulator.h", include_str!("simulator.h")),
    ("memory.h", include_str!("memory.h")),
    ("races.h", include_str!("races.h")),
];

pub type Allocate = unsafe extern "C" fn(usize) -> *mut c_void;
pub type Release = unsafe extern "C" fn(*mut c_void);
pub type Run = unsafe extern "C" fn(u32, *const *const c_void, *const u32, usize, u32) -> *const c_char;
pub type Begin = unsafe extern "C" fn(*const c_void) -> *const c_void;
pub type Wrong = unsafe extern "C" fn(*const c_void, usize) -> *const c_char;

/// A compiled program of kernels.
pub struct Program(Library);

impl Program {
    /// Compiles the engine's kernels for one type of activations.
    pub fn kernels(activations: Dtype) -> Arc<Self> {
        let flags: &[&str] = if activations == Dtype::Bf16 { &["-DACTIVATION_BF16"] } else { &[] };
        Self::compile(&program_text(|_| true), flags)
    }

    /// Compiles `text` behind the simulator.
    pub fn compile(text: &str, flags: &[&str]) -> Arc<Self> {
        let folder = Folder::new();
        for (name, text) in SIMULATOR {
            std::fs::write(folder.0.join(name), text).expect("the simulator is written");
        }
        let [source, object, library] = ["kernels.cc", "kernels.o", "kernels.so"].map(|name| folder.0.join(name));
        std::fs::write(&source, format!("#include \"simulator.h\"\n{text}")).expect("the kernels' source is written");
        let run = |command: &mut Command| {
            let output = command.output().expect("the C++ compiler starts");
            assert!(output.status.success(), "the kernels:\n{}", String::from_utf8_lossy(&output.stderr));
        };
        let compiler = compiler().expect("a C++ compiler");
        // Linked without the sanitizer's own library: the hooks that it calls are those of races.h.
        run(Command::new(&compiler)
            .args(["-std=c++17", "-O2", "-c", "-fPIC", "-fcf-protection=none", "-U_FORTIFY_SOURCE", "-w"])
            .args(["-fsanitize=thread", "-fno-threadsafe-statics", "-o"])
            .args([&object, &source])
            .args(flags));
        run(Command::new(&compiler).args(["-shared", "-o"]).args([&library, &object]));
        // SAFETY: a library of ours without initializers that matter.
        Arc::new(Self(unsafe { Library::new(&library) }.expect("the compiled kernels load")))
    }

    pub fn symbol<T>(&self, name: &str) -> Option<Symbol<'_, T>> {
        // SAFETY: every caller names the type that simulator.h gives the symbol.
        unsafe { self.0.get(name.as_bytes()) }.ok()
    }
}

/// The C++ compiler, if there is one: what `CXX` names, which is how another machine than this one gets its own.
pub fn compiler() -> Option<String> {
    let usual = ["c++", "g++", "clang++"].map(String::from);
    let mut names = std::env::var("CXX").into_iter().chain(usual);
    names.find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()))
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
