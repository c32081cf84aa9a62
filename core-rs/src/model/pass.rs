//! What is drawn in one forward pass and again in its backward pass.

use crate::blueprint::Site;
use crate::ops::dropout::Dropout;
use crate::rng::DropoutKey;

/// A pass of training, or one of evaluation.
#[derive(Clone, Copy)]
pub struct Pass {
    /// Seed, step and micro-step; `None` without dropout.
    keys: Option<(u64, u64, u32)>,
}

impl Pass {
    /// No dropout at all.
    pub fn evaluation() -> Self {
        Self { keys: None }
    }

    /// The masks of that seed, step and micro-step.
    pub fn training(seed: u64, step: u64, micro_step: u32) -> Self {
        Self { keys: Some((seed, step, micro_step)) }
    }

    /// The dropout of a site.
    pub fn at(&self, site: Site) -> Dropout {
        match self.keys {
            Some((seed, step, micro_step)) => {
                Dropout::new(DropoutKey::new(seed, step, micro_step, site.number), site.rate)
            }
            None => Dropout::none(),
        }
    }
}
