//! Optimizers over the flat buffers.

pub mod adamw;
pub mod cuda;
