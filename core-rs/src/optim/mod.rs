//! Optimizers over the flat buffers.

pub mod adamw;
