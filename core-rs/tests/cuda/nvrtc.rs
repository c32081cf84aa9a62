//! Every kernel compiled for the architectures of A100, H100 and H200, and B200, wherever NVRTC is: on the system, or in
//! target/nvrtc, where `deno task nvrtc` puts it. What has been compiled is kept there. Kernels that a step spends its time
//! in are held to what they may take of a multiprocessor.

use std::collections::HashMap;
use std::path::PathBuf;

use cloze_core::backend::cuda::program::{PROGRAM, units};
use cloze_core::driver::nvrtc::{Kept, Unit};
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
    let found: HashMap<_, _> = code.iter().flat_map(|cubin| resources(cubin)).collect();
    for name in names {
        assert!(found.contains_key(&name), "{name} is not in the code");
    }
    if activations == Dtype::Bf16 && architecture == HOPPER {
        for &(name, most) in HOT {
            hold(name, most, found[name]).unwrap_or_else(|why| panic!("{why}"));
        }
    }
}

const HOPPER: &str = "sm_90a";

/// Most registers of a thread, and most bytes of memory for want of registers, as compiled for Hopper with bfloat16. A
/// multiprocessor has 65,536 registers: so many threads of the kernel run on it at once as that is times these.
const HOT: &[(&str, Resources)] = &[
    ("attention_forward_64", [128, 0]),
    ("attention_backward_64", [128, 8]),
    ("norm_forward_768", [48, 0]),
    ("residual_norm_768", [72, 0]),
    ("norm_backward_768", [128, 0]),
    ("gelu_forward", [32, 0]),
    ("gelu_backward", [32, 0]),
    ("sum_activation_columns", [32, 0]),
    ("cross_entropy", [32, 0]),
    ("adamw", [40, 0]),
];

/// Of one kernel: registers of a thread, and bytes of memory for those of its values that have none.
type Resources = [u32; 2];

fn hold(name: &str, most: Resources, [registers, memory]: Resources) -> Result<(), String> {
    match (registers <= most[0], memory <= most[1]) {
        (true, true) => Ok(()),
        (true, _) => Err(format!("{name} keeps {memory} bytes of each thread in memory; {} are allowed", most[1])),
        (false, _) => Err(format!("{name} takes {registers} registers of a thread; {} are allowed", most[0])),
    }
}

/// What a cubin says of its kernels. It is an ELF file whose section `.nv.info` has records of a format, an attribute and,
/// in those of format 4, a size and as many bytes: for these two attributes a symbol's number and a value.
fn resources(cubin: &[u8]) -> HashMap<String, Resources> {
    const REGISTERS: u8 = 0x2f;
    const FRAME: u8 = 0x11;
    let number = |at: usize, bytes: usize| cubin[at..at + bytes].iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
    let text = |at: usize| {
        let name = cubin[at..].split(|&b| b == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    };
    // Offset, size, linked section, name and type of each section.
    let section = |i: usize| {
        let at = number(0x28, 8) + i * number(0x3a, 2);
        (number(at + 24, 8), number(at + 32, 8), number(at + 40, 4), number(at, 4), number(at + 4, 4))
    };
    let sections: Vec<_> = (0..number(0x3c, 2)).map(section).collect();
    let names = sections[number(0x3e, 2)].0;
    let symbols = sections.iter().find(|section| section.4 == 2).expect("symbols");
    let symbol = |i: usize| text(sections[symbols.2].0 + number(symbols.0 + 24 * i, 4));
    let (mut at, size, ..) =
        *sections.iter().find(|section| text(names + section.3) == ".nv.info").expect("attributes");
    let end = at + size;
    let mut found = HashMap::<String, Resources>::new();
    while at < end {
        let (format, attribute, size) = (cubin[at], cubin[at + 1], number(at + 2, 2));
        if format == 4 && [REGISTERS, FRAME].contains(&attribute) {
            let of = found.entry(symbol(number(at + 4, 4))).or_default();
            of[usize::from(attribute == FRAME)] = number(at + 8, 4) as u32;
        }
        at += if format == 4 { 4 + size } else { 4 };
    }
    found
}

/// A kernel with more values than registers is one that would be refused, and a small one is none.
pub fn resources_are_told() {
    const TEXT: &str = r#"
extern "C" __global__ void __launch_bounds__(1024) large(float* x, int n) {
    float v[128];
    for (int i = 0; i < 128; i++) v[i] = x[i * n];
    for (int k = 0; k < n; k++) {
#pragma unroll
        for (int i = 0; i < 128; i++) v[i] = v[i] * v[(i + 64) % 128] + v[(i + 1) % 128];
    }
    for (int i = 0; i < 128; i++) x[i * n] = v[i];
}
extern "C" __global__ void small(float* x) { x[threadIdx.x] *= 2.0f; }
"#;
    let unit = Unit { text: TEXT.into(), options: Vec::new() };
    let code = nvrtc::kernels(HOPPER, &[unit], Some(&cache()), Kept::Used).unwrap();
    let found = resources(&code[0]);
    hold("small", [32, 0], found["small"]).unwrap();
    assert!(hold("large", [64, 0], found["large"]).unwrap_err().ends_with("in memory; 0 are allowed"));
    assert!(hold("small", [4, 0], found["small"]).unwrap_err().ends_with("registers of a thread; 4 are allowed"));
}
