//! The kernels that [`Cuda`](super::Cuda) is made of. A new `kernel.cu` is a line in [`PROGRAM`].

use crate::driver::nvrtc::Unit;
use crate::driver::{Dtype, PRELUDE};

/// The files of kernels in the order in which they need each other: path and text.
pub const PROGRAM: &[(&str, &str)] = &[
    PRELUDE,
    ("ops/dropout/kernel.cu", include_str!("../../ops/dropout/kernel.cu")),
    ("ops/activation/kernel.cu", include_str!("../../ops/activation/kernel.cu")),
    ("ops/tanh/kernel.cu", include_str!("../../ops/tanh/kernel.cu")),
    ("ops/layer_norm/kernel.cu", include_str!("../../ops/layer_norm/kernel.cu")),
    ("ops/embeddings/kernel.cu", include_str!("../../ops/embeddings/kernel.cu")),
    ("ops/linear/kernel.cu", include_str!("../../ops/linear/kernel.cu")),
    ("ops/rotary/kernel.cu", include_str!("../../ops/rotary/kernel.cu")),
    ("ops/pooling/kernel.cu", include_str!("../../ops/pooling/kernel.cu")),
    ("ops/attention/kernel.cu", include_str!("../../ops/attention/kernel.cu")),
    ("ops/attention/backward.cu", include_str!("../../ops/attention/backward.cu")),
    ("ops/cross_entropy/kernel.cu", include_str!("../../ops/cross_entropy/kernel.cu")),
    ("ops/target_loss/kernel.cu", include_str!("../../ops/target_loss/kernel.cu")),
    ("optim/kernel.cu", include_str!("../../optim/kernel.cu")),
    ("optim/adamw/kernel.cu", include_str!("../../optim/adamw/kernel.cu")),
    ("optim/muon/kernel.cu", include_str!("../../optim/muon/kernel.cu")),
];

/// The text of some files of [`PROGRAM`], so that a compiler's messages name them.
pub fn program_text(wanted: impl Fn(&str) -> bool) -> String {
    let wanted = PROGRAM.iter().filter(|(file, _)| wanted(file));
    wanted.map(|(file, text)| format!("#line 1 \"{file}\"\n{text}\n")).collect()
}

/// Which files are compiled together: those that take long apart, with what they need.
fn group(file: &str) -> usize {
    match file {
        _ if file.starts_with("ops/attention") => 0,
        _ if file.starts_with("ops/layer_norm") || file.starts_with("ops/embeddings") => 1,
        _ => 2,
    }
}

/// What NVRTC compiles side by side, because attention alone takes as long as all the rest: with attention's version for
/// heads of up to `columns` columns, or all its versions.
pub fn units(activations: Dtype, columns: Option<usize>) -> Vec<Unit> {
    let bf16 = (activations == Dtype::Bf16).then(|| "-DACTIVATION_BF16".to_string());
    let unit = |wanted: usize, more: Option<String>| Unit {
        text: program_text(|file| file == PRELUDE.0 || group(file) == wanted),
        options: bf16.iter().cloned().chain(more).collect(),
    };
    let versions = columns.map_or(vec![128, 64], |columns| vec![columns]);
    let attention = versions.into_iter().map(|columns| unit(0, Some(format!("-DATTENTION_HEAD={columns}"))));
    attention.chain([unit(1, None), unit(2, None)]).collect()
}
