//! Clipping by the global norm (Pascanu et al., 2013), shared by all optimizers: the norm is that of all gradients
//! together. The CUDA half is in [`super::cuda`].

use crate::error::Result;
use crate::machine::memory::refill;
use crate::machine::simd::vectorize;
use crate::machine::threads::{Shards, Threads};

/// Elements of a block; a constant, so that the norm is the same for any number of threads.
pub const BLOCK: usize = 1 << 15;
/// Partial sums of a block's norm.
const LANES: usize = 32;

/// What gradients of norm `norm` are multiplied by, so that they have at most the norm `largest`.
pub fn factor(norm: f64, largest: f64) -> f64 {
    if norm > largest { largest / (norm + 1e-6) } else { 1.0 }
}

/// Σ x² in f64, in blocks that are added in order. `partials` is scratch.
///
/// # Errors
/// `OutOfMemory`.
pub fn squared_norm(threads: &Threads, x: &[f32], partials: &mut Vec<f64>) -> Result<f64> {
    squared_norms(threads, x, partials)?;
    Ok(partials.iter().sum())
}

/// Σ x² of each block, in their order.
///
/// # Errors
/// `OutOfMemory`.
pub fn squared_norms(threads: &Threads, x: &[f32], partials: &mut Vec<f64>) -> Result<()> {
    let blocks = x.len().div_ceil(BLOCK);
    refill(partials, blocks)?;
    let partial = Shards::new(partials);
    threads.run(blocks, &|_, block| {
        let x = &x[block * BLOCK..((block + 1) * BLOCK).min(x.len())];
        // SAFETY: one element a block.
        unsafe { partial.part(block..block + 1)[0] = squared_norm_of_block(x) };
    });
    Ok(())
}

/// Σ x² of one block, at most [`BLOCK`] elements.
fn squared_norm_of_block(x: &[f32]) -> f64 {
    let mut sum = 0.0;
    vectorize(
        #[inline(always)]
        || {
            let mut lanes = [[0.0f64; 8]; LANES / 8];
            let (chunks, rest) = x.as_chunks::<LANES>();
            for chunk in chunks {
                // Eight at a time, as arrays: a loop over all lanes is unrolled into scalars that do not fit registers.
                for (lanes, chunk) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
                    let wide = chunk.map(f64::from);
                    *lanes = std::array::from_fn(|l| lanes[l] + wide[l] * wide[l]);
                }
            }
            let lanes = lanes.as_flattened_mut();
            for (lane, &v) in lanes.iter_mut().zip(rest) {
                *lane += f64::from(v) * f64::from(v);
            }
            sum = lanes.iter().sum();
        },
    );
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::random;

    #[test]
    fn factor_leaves_short_gradients_alone_and_brings_long_ones_to_the_largest_norm() {
        assert_eq!(factor(0.5, 1.0), 1.0);
        assert!((factor(8.0, 2.0) * 8.0 - 2.0).abs() < 1e-6);
        assert_eq!(factor(1e300, f64::INFINITY), 1.0);
    }

    #[test]
    fn squared_norm_is_exact_enough_and_the_same_for_any_team() {
        let x = random(100_000, 3);
        let exact: f64 = x.iter().map(|&v| f64::from(v).powi(2)).sum();
        let one = squared_norm(&Threads::new(1), &x, &mut Vec::new()).unwrap();
        assert!((one / exact - 1.0).abs() < 1e-12);
        assert_eq!(one.to_bits(), squared_norm(&Threads::new(3), &x, &mut Vec::new()).unwrap().to_bits());
    }
}
