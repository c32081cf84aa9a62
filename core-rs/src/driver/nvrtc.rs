//! Kernels for one architecture: compiled by NVRTC, each unit on a thread of its own, or taken from a folder where an
//! earlier run has left them.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use cudarc::nvrtc::result::NvrtcError;
use cudarc::nvrtc::{result, sys};

use crate::error::{Code, Error, Result};
use crate::rng::splitmix64;

/// Part of the kernels that is compiled by itself.
#[derive(Clone)]
pub struct Unit {
    /// C++ as NVRTC takes it.
    pub text: String,
    /// What the compiler is told, beside the architecture.
    pub options: Vec<String>,
}

/// What becomes of kernels that an earlier run has kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They are taken.
    Used,
    /// They are compiled again.
    Replaced,
}

/// The kernels as GPU code (cubins) for `architecture`, such as `sm_90a`. NVRTC has to be there
/// ([`super::libraries::find`]). `cache` keeps what was compiled, by a hash of all that went in. Says so on standard error
/// when it has to compile, because that takes seconds.
///
/// # Errors
/// `Panic` with the compiler's messages: the kernels are the same everywhere, so that is a bug in cloze. `NoDevice` if
/// NVRTC is there only in part.
pub fn kernels(architecture: &str, units: &[Unit], cache: Option<&Path>, kept: Kept) -> Result<Vec<Vec<u8>>> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: two integers to write to.
    unsafe { sys::nvrtcVersion(&mut major, &mut minor) };
    let always = [format!("--gpu-architecture={architecture}"), "--std=c++17".into()];
    let in_full = |Unit { text, options }: &Unit| Unit {
        text: text.clone(),
        options: always.iter().chain(options).cloned().collect(),
    };
    let units: Vec<_> = units.iter().map(in_full).collect();
    let paths: Vec<_> = units
        .iter()
        .map(|Unit { text, options }| {
            let parts = [text, &options.join(" "), &format!("{major}.{minor}")];
            let key = hash(parts.iter().flat_map(|part| part.bytes().chain([0])));
            cache.map(|folder| folder.join(format!("kernels-{architecture}-{key:016x}.cubin")))
        })
        .collect();
    let read = |path: &Path| std::fs::read(path).ok().and_then(unsealed);
    let used = |path: &Option<PathBuf>| path.as_deref().filter(|_| kept == Kept::Used).and_then(read);
    let kept: Vec<_> = paths.iter().map(used).collect();
    if kept.iter().any(Option::is_none) {
        eprintln!("cloze: compiling the GPU kernels for {architecture}, once; this takes some seconds");
    }
    let build = |unit: &Unit, path: Option<&Path>| -> Result<Vec<u8>> {
        let code = compile(&unit.text, &unit.options)?;
        if let Some(path) = path {
            keep(path, &code);
        }
        Ok(code)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = units
            .iter()
            .zip(&paths)
            .zip(kept)
            .map(|((unit, path), kept)| scope.spawn(move || kept.map_or_else(|| build(unit, path.as_deref()), Ok)))
            .collect();
        let finish = |thread: std::thread::ScopedJoinHandle<Result<Vec<u8>>>| {
            thread.join().unwrap_or_else(|_| Err(Error::new(Code::Panic, "NVRTC panics")))
        };
        threads.into_iter().map(finish).collect()
    })
}

/// A cache that cannot be written costs the next start its time, and nothing else.
fn keep(path: &Path, code: &[u8]) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // Of one machine of several that share the folder, one process and one engine of it.
    let time = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos());
    let own = format!("{}-{}-{time:x}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let temporary = path.with_extension(own);
    let write = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(&temporary, sealed(code))?;
        std::fs::rename(&temporary, path)
    };
    if write().is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
}

/// The code and its hash, 8 bytes: a driver may crash on code that is damaged.
fn sealed(code: &[u8]) -> Vec<u8> {
    [code, &hash(code.iter().copied()).to_le_bytes()].concat()
}

/// What [`sealed`] was given; nothing if the file is damaged.
fn unsealed(mut file: Vec<u8>) -> Option<Vec<u8>> {
    let seal = file.split_off(file.len().checked_sub(8)?);
    (hash(file.iter().copied()).to_le_bytes() == *seal).then_some(file)
}

fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0, |hash, byte| splitmix64(hash ^ u64::from(byte)))
}

/// Compiles a program to GPU code.
fn compile(text: &str, options: &[String]) -> Result<Vec<u8>> {
    let failed = |what: String| Error::new(Code::Panic, format!("NVRTC does not compile the kernels: {what}"));
    let text = CString::new(text).map_err(|e| failed(e.to_string()))?;
    let program = result::create_program(&text, Some(c"kernels.cu")).map_err(|e| failed(format!("{e:?}")))?;
    // SAFETY: the program was just made, is used by these calls only and destroyed once.
    unsafe {
        let compiled = result::compile_program(program, options);
        let code = match compiled {
            Ok(()) => cubin(program).map_err(|e| failed(format!("{e:?}"))),
            Err(NvrtcError(sys::nvrtcResult::NVRTC_ERROR_BUILTIN_OPERATION_FAILURE)) => {
                Err(Error::new(Code::NoDevice, "NVRTC lacks its other half, libnvrtc-builtins")
                    .with_hint("install both in one version: pip install nvidia-cuda-nvrtc, or the CUDA toolkit"))
            }
            Err(error) => {
                let log = result::get_program_log(program).unwrap_or_default();
                // A `char` of C has a sign on x86 and none on ARM.
                let bytes = log.iter().map(|c| c.to_ne_bytes()[0]);
                let log: String = bytes.take_while(|&byte| byte != 0).map(char::from).collect();
                Err(failed(format!("{error:?}\n{log}")))
            }
        };
        let _ = result::destroy_program(program);
        code
    }
}

/// # Safety
/// The program is compiled and not destroyed.
unsafe fn cubin(program: sys::nvrtcProgram) -> std::result::Result<Vec<u8>, NvrtcError> {
    let mut size = 0;
    // SAFETY: by this function's promise; the buffer has the size that was asked for.
    unsafe {
        sys::nvrtcGetCUBINSize(program, &mut size).result()?;
        let mut code = vec![0u8; size];
        sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()).result()?;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsealed_gives_what_was_sealed_and_nothing_that_is_damaged() {
        let whole = sealed(b"\x7fELF code");
        assert_eq!(unsealed(whole.clone()), Some(b"\x7fELF code".to_vec()));
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(unsealed(changed), None, "byte {at}");
            assert_eq!(unsealed(whole[..at].to_vec()), None, "{at} bytes");
        }
    }
}
