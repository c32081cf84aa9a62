//! The one error type of the core. It crosses the boundary as `{code, message, hint}`.

use std::fmt;

/// What kind of thing went wrong; the number is the status that an exported call returns (0 is success).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// A length, range, shape or option that the caller passed is wrong.
    InvalidArgument = 1,
    /// The handle is unknown, closed or poisoned, or the call does not fit its state.
    InvalidState = 2,
    /// The operating system refused a read or write.
    Io = 3,
    /// A file's content is not what its format demands.
    Corrupt = 4,
    /// Two things that belong together disagree (weights and config, state and weights).
    Mismatch = 5,
    /// A loss, gradient or activation is NaN or infinite.
    NonFinite = 6,
    /// A buffer could not be had.
    OutOfMemory = 7,
    /// The core panicked: a bug in cloze.
    Panic = 8,
    /// The request is meaningful but this build or machine cannot do it.
    Unsupported = 9,
    /// There is no GPU, or a library that the GPU needs is missing.
    NoDevice = 10,
}

/// An error with the sentence that says what failed, where, expected and found, and a hint on what to do.
#[derive(Clone, Debug)]
pub struct Error {
    /// Kind of failure.
    pub code: Code,
    /// What failed, where, expected and found.
    pub message: String,
    /// What the user can do about it; may be empty.
    pub hint: String,
}

/// Result of everything in the core that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: String::new() }
    }

    /// The same error with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, "\nhint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
