//! The kernels for one architecture: compiled by NVRTC, or taken from a folder where an earlier run has left them.

use std::ffi::CString;
use std::path::Path;

use cudarc::nvrtc::{result, sys};

use super::{Dtype, program_text};
use crate::error::{Code, Error, Result};
use crate::rng::splitmix64;

/// What all GPU code begins with: ELF.
const MAGIC: &[u8] = b"\x7fELF";

/// The kernels as GPU code (a cubin) for `architecture`, such as `sm_90a`. NVRTC has to be there
/// ([`super::libraries::find`]). `cache` keeps what was compiled, by a hash of all that went in.
///
/// # Errors
/// `Panic` with the compiler's messages: the kernels are the same everywhere, so that is a bug in cloze.
pub fn kernels(architecture: &str, activations: Dtype, cache: Option<&Path>) -> Result<Vec<u8>> {
    let text = program_text();
    let options = options(architecture, activations);
    let (mut major, mut minor) = (0, 0);
    // SAFETY: two integers to write to.
    unsafe { sys::nvrtcVersion(&mut major, &mut minor) };
    let key = hash(&[&text, &options.join(" "), &format!("{major}.{minor}")]);
    let path = cache.map(|folder| folder.join(format!("kernels-{architecture}-{key:016x}.cubin")));
    if let Some(kept) = path.as_ref().and_then(|path| std::fs::read(path).ok()).filter(|kept| kept.starts_with(MAGIC)) {
        return Ok(kept);
    }
    let code = compile(&text, &options)?;
    if let Some(path) = path {
        keep(&path, &code);
    }
    Ok(code)
}

fn options(architecture: &str, activations: Dtype) -> Vec<String> {
    let mut options = vec![format!("--gpu-architecture={architecture}"), "--std=c++17".into()];
    if activations == Dtype::Bf16 {
        options.push("-DACTIVATION_BF16".into());
    }
    options
}

/// A cache that cannot be written costs the next start its time, and nothing else.
fn keep(path: &Path, code: &[u8]) {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        std::fs::write(&temporary, code)?;
        std::fs::rename(&temporary, path)
    };
    if write().is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
}

fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
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
            Err(error) => {
                let log = result::get_program_log(program).unwrap_or_default();
                let log: String = log.iter().take_while(|&&c| c != 0).map(|&c| c as u8 as char).collect();
                Err(failed(format!("{error:?}\n{log}")))
            }
        };
        let _ = result::destroy_program(program);
        code
    }
}

/// # Safety
/// The program is compiled and not destroyed.
unsafe fn cubin(program: sys::nvrtcProgram) -> std::result::Result<Vec<u8>, result::NvrtcError> {
    let mut size = 0;
    // SAFETY: by this function's promise; the buffer has the size that was asked for.
    unsafe {
        sys::nvrtcGetCUBINSize(program, &mut size).result()?;
        let mut code = vec![0u8; size];
        sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()).result()?;
        Ok(code)
    }
}
