//! The operations, one folder each, forward and backward side by side.

pub mod gemm;
