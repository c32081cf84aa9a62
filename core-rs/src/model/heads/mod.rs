//! What stands on an encoder.

mod sequence;
mod token;

pub use sequence::SequenceHead;
pub use token::TokenHead;
