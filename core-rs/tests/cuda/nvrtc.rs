//! Every kernel compiled for the architectures of A100, H100 and H200, and B200, wherever NVRTC is: on the system, or in
//! target/nvrtc, where `deno task nvrtc` puts it. What has been compiled is kept there.

use std::path::PathBuf;

use cloze_core::backend::cuda::program::{PROGRAM, units};
use cloze_core::driver::nvrtc::Kept;
use cloze_core::driver::{Dtype, libraries, nvrtc};

/// Compute capabilities 8.0, 9.0 and 10.0.
pub const ARCHITECTURES: [&str; 3] = ["sm_80", "sm_90a", "sm_100a"];

/// In the project, or, where these tests have travelled to without it, beside them.
fn folder() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    package.map_or_else(
        || std::env::current_exe().expect("a test knows where it is").with_file_name("nvrtc"),
        |package| package.join("../target/nvrtc"),
    )
}

/// Where libraries may be beside the system's search path.
pub fn folders() -> Vec<PathBuf> {
    vec![folder().join("nvidia/cu13/lib")]
}

/// Where compiled kernels are kept.
pub fn cache() -> PathBuf {
    folder().join("kernels")
}

/// Whether there is NVRTC.
pub fn present() -> bool {
    libraries::find(&folders()).libraries.iter().any(|l| l.name == "nvrtc" && l.path.is_some())
}

/// Compiles all kernels and looks for each in the code.
pub fn compile(architecture: &str, activations: Dtype) {
    let code = nvrtc::kernels(architecture, &units(activations, None), Some(&cache()), Kept::Used).unwrap();
    let mut names = Vec::new();
    for (_, text) in PROGRAM {
        for kernel in text.split("KERNEL(").skip(1) {
            let name = kernel.split([')', ',']).next().unwrap_or_default();
            // Made by a macro for several sizes: MACRO(SIZE, …).
            let versions = |stem: &str, from: &str| -> Vec<String> {
                let calls = text.lines().filter_map(|line| line.strip_prefix(from)?.split([',', ')']).next());
                calls.map(|size| format!("{stem}{size}")).collect()
            };
            match name.split_once("##") {
                Some((stem, "D")) => names.extend(versions(stem, "ATTENTION(")),
                Some((stem, _)) if stem.starts_with("norm") => names.extend(versions(stem, "NORM(")),
                Some((stem, _)) => names.extend(versions(stem, "EMBED(")),
                None if name != "name" => names.push(name.to_string()),
                None => {} // the definition of the macro
            }
        }
    }
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let section = format!(".text.{name}\0");
        let has = |code: &Vec<u8>| code.windows(section.len()).any(|w| w == section.as_bytes());
        assert!(code.iter().any(has), "{name} is not in the code");
    }
}
