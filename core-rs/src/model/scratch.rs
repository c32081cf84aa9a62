//! Gradients of activations that one block after the other works in.

use crate::backend::Backend;
use crate::blueprint;
use crate::error::Result;

/// For blocks of one shape.
pub(super) struct Scratch<B: Backend> {
    /// `[N, C]`: of what is dropped out before a residual.
    pub dropped: B::Activations,
    /// `[N, F]`
    pub intermediate: B::Activations,
    /// `[N, F]`, where the feed-forward part has a gate.
    pub gate: Option<B::Activations>,
    /// `[N, C]`
    pub context: B::Activations,
    /// `[N, 3C]`
    pub qkv: B::Activations,
}

impl<B: Backend> Scratch<B> {
    /// For blocks like that one, of `n` rows.
    pub fn new(backend: &B, spec: &blueprint::Block, n: usize) -> Result<Self> {
        let [c, f] = spec.mlp.down.shape();
        let matrix = |width| backend.activations(n * width);
        let gate = spec.mlp.gate.map(|_| matrix(f)).transpose()?;
        Ok(Self { dropped: matrix(c)?, intermediate: matrix(f)?, gate, context: matrix(c)?, qkv: matrix(3 * c)? })
    }
}
