//! What stands on an encoder.

mod masked_lm;
mod sequence;

pub use masked_lm::MaskedLmHead;
pub use sequence::SequenceHead;
