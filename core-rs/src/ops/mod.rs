//! One module an operation, its forward and its backward side by side with the tests that compare them. Operations know
//! slices and shapes, no model.

pub mod activation;
pub mod attention;
pub mod cross_entropy;
pub mod dropout;
pub mod embeddings;
pub mod gemm;
pub mod layer_norm;
pub mod linear;
pub mod pooling;
pub mod rotary;
pub mod tanh;
pub mod target_loss;

/// Rows whose sums are taken together: a constant, so that sums are the same for any number of threads.
pub(crate) const ROW_BLOCK: usize = 64;

/// `to += partial`
pub(crate) fn add_partials(to: &mut [f32], partial: &[f32]) {
    crate::machine::simd::vectorize(
        #[inline(always)]
        || crate::machine::simd::add(to, partial),
    );
}

#[cfg(test)]
pub(crate) mod tests {
    /// Numbers between −1 and 1.
    pub(crate) fn random(len: usize, seed: u64) -> Vec<f32> {
        (0..len as u64)
            .map(|i| (crate::rng::splitmix64(seed.wrapping_mul(1_000_003) ^ i) >> 40) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }

    /// Compares `analytic` with central differences of `f` at `x`, every element, relative to the largest gradient.
    pub(crate) fn check_gradient(x: &[f32], analytic: &[f32], tolerance: f64, f: impl Fn(&[f32]) -> f64) {
        assert_eq!(x.len(), analytic.len());
        let largest = analytic.iter().fold(0.0f64, |m, &g| m.max(f64::from(g.abs())));
        assert!(largest > 0.0 && largest.is_finite(), "the gradient is zero or not finite");
        let mut v = x.to_vec();
        for i in 0..x.len() {
            let step = 4e-3f32;
            v[i] = x[i] + step;
            let (above, at) = (f(&v), v[i]);
            v[i] = x[i] - step;
            let numeric = (above - f(&v)) / f64::from(at - v[i]);
            v[i] = x[i];
            let error = (numeric - f64::from(analytic[i])).abs();
            assert!(
                error < tolerance * largest.max(0.1),
                "element {i}: {numeric} by differences, {} analytic",
                analytic[i]
            );
        }
    }
}
