//! How fast this machine multiplies matrices with the engine's own product, for people who plan a run. Not a benchmark of
//! kernels: `examples/gemm_rate.rs` is.

use std::time::Instant;

use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::machine::threads::Threads;
use crate::ops::gemm::epilogue::Store;
use crate::ops::gemm::{Gemm, MatRef, Right, Size};
use crate::ops::linear::packed::PackedWeight;

/// The feed-forward layer of `mini` on 4,096 tokens, as forward computes it.
const SIZE: Size = Size { m: 4096, n: 1024, k: 256 };
/// Timed products; the median counts.
const RUNS: usize = 15;

/// GFLOP/s of `x Wᵀ` in the engine's dtype, by `threads` threads.
///
/// # Errors
/// `OutOfMemory`.
pub fn gemm_gflops<T: Element>(threads: usize) -> Result<f64> {
    let Size { m, n, k } = SIZE;
    let (team, gemm) = (Threads::new(threads), Gemm::<T>::new(threads)?);
    let mut x = Buffer::<T>::zeroed(m * k)?;
    x.fill(T::from_f32(0.5));
    let mut weight = Buffer::<f32>::zeroed(n * k)?;
    weight.fill(0.5);
    let mut y = Buffer::<T>::zeroed(m * n)?;
    let packed = match gemm.panels_pay() {
        true => {
            let mut packed = PackedWeight::new(&gemm, n, k, false)?;
            packed.write(&team, &weight);
            Some(packed)
        }
        false => None,
    };
    let right = match &packed {
        Some(packed) => Right::Panels(packed.forward()),
        None => Right::Weights(MatRef::rows(&weight, k).t()),
    };
    let mut seconds = [0.0; RUNS];
    for time in &mut seconds {
        let start = Instant::now();
        gemm.run(&team, SIZE, MatRef::rows(&x, k), right, &Store::new(&mut y, n))?;
        *time = start.elapsed().as_secs_f64();
    }
    seconds.sort_by(f64::total_cmp);
    Ok(2.0 * (m * n * k) as f64 / seconds[RUNS / 2] / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::dtype::Bf16;

    #[test]
    fn gemm_gflops_is_a_rate_in_both_dtypes() {
        for rate in [gemm_gflops::<f32>(1), gemm_gflops::<Bf16>(2)] {
            let rate = rate.unwrap();
            assert!(rate > 0.1 && rate < 1e6, "{rate} GFLOP/s");
        }
    }
}
