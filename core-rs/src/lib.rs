//! The engine of cloze: a BERT encoder with its heads, losses, gradients and optimizers.
//!
//! What it is not: it reads no text, knows no tokenizer, does no network I/O and chooses no default; the
//! TypeScript side decides what to run, when, and where to save. [`abi`] is the only module that knows C.
//!
//! Dimension letters, everywhere: B sequences, N packed tokens, M masked tokens, C hidden size, H heads, D head
//! size, F intermediate size, V vocabulary, T longest sequence, K outputs of the head on sequences.

pub mod abi;
pub mod backend;
pub mod blueprint;
pub mod checkpoint;
pub mod collective;
pub mod config;
pub mod driver;
pub mod engine;
pub mod error;
pub mod heads;
pub mod machine;
pub mod model;
pub mod ops;
pub mod optim;
pub mod rng;
pub mod trainer;
