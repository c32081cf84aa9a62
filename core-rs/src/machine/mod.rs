//! What the machine under an engine has: instructions, threads, memory, numbers and time. Knows no operation and no model.

pub mod dtype;
pub mod host;
pub mod isa;
pub mod memory;
pub mod profile;
pub mod simd;
pub mod threads;
