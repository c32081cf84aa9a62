//! One module an operation, its forward and its backward side by side with the tests that compare them.

pub mod gemm;
