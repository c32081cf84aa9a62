//! One call: its arguments as slices, its error as JSON, its panics as errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

use serde::de::DeserializeOwned;

use crate::engine::batch::Batch;
use crate::error::{Code, Error, Result};

/// A buffer argument: where it starts and how many elements it has. Empty typed arrays arrive as null.
#[derive(Clone, Copy)]
pub(super) struct Bytes {
    start: *mut u8,
    len: usize,
}

impl Bytes {
    pub fn new(start: *mut u8, len: u32) -> Self {
        Self { start, len: len as usize }
    }

    /// A buffer of one element.
    pub fn one(start: *mut u8) -> Self {
        Self { start, len: 1 }
    }

    fn check<T>(&self, name: &str) -> Result<()> {
        let wrong = match (self.len, self.start.is_null()) {
            (0, _) => return Ok(()),
            (_, true) => "null",
            _ if !self.start.cast::<T>().is_aligned() => "not aligned",
            _ => return Ok(()),
        };
        Err(Error::new(
            Code::InvalidArgument,
            format!("the buffer {name} is {wrong}, but {} elements were promised", self.len),
        ))
    }

    /// The elements, to read.
    pub fn read<'a, T>(self, name: &str) -> Result<&'a [T]> {
        self.write_through(name).map(|slice| &*slice)
    }

    /// The elements, to write. Used for one call, whose caller keeps the buffer alive and to itself.
    pub fn write_through<'a, T>(self, name: &str) -> Result<&'a mut [T]> {
        self.check::<T>(name)?;
        if self.len == 0 {
            return Ok(&mut []);
        }
        // SAFETY: not null, aligned, and valid for `len` elements by the promise that every export states; all element
        // types that the exports use are valid for any bits.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.start.cast::<T>(), self.len) })
    }

    /// Copies `values` to the buffer.
    pub fn write<T: Copy>(self, name: &str, values: &[T]) -> Result<()> {
        self.write_through::<T>(name)?[..values.len()].copy_from_slice(values);
        Ok(())
    }
}

/// The arguments that make a batch.
pub(super) struct Arguments {
    pub ids: *mut u8,
    pub types: *mut u8,
    pub positions: *mut u8,
    pub n: u32,
    pub cu: *mut u8,
    pub cu_len: u32,
    pub masked: *mut u8,
    pub m: u32,
    pub labels: *mut u8,
    pub labels_len: u32,
    pub sequence_labels: *mut u8,
    pub sequence_labels_len: u32,
    pub sequence_targets: *mut u8,
    pub sequence_targets_len: u32,
    pub sequence_weight: f64,
}

impl Arguments {
    /// No array at all.
    const NONE: Self = Self {
        ids: null_mut(),
        types: null_mut(),
        positions: null_mut(),
        n: 0,
        cu: null_mut(),
        cu_len: 0,
        masked: null_mut(),
        m: 0,
        labels: null_mut(),
        labels_len: 0,
        sequence_labels: null_mut(),
        sequence_labels_len: 0,
        sequence_targets: null_mut(),
        sequence_targets_len: 0,
        sequence_weight: 1.0,
    };

    pub fn unlabeled(
        ids: *mut u8,
        types: *mut u8,
        positions: *mut u8,
        n: u32,
        cu: *mut u8,
        cu_len: u32,
        masked: *mut u8,
        m: u32,
    ) -> Self {
        Self { ids, types, positions, n, cu, cu_len, masked, m, ..Self::NONE }
    }

    /// The batch as slices. Its content is checked by the engine.
    pub fn batch<'a>(&self) -> Result<Batch<'a>> {
        Ok(Batch {
            input_ids: Bytes::new(self.ids, self.n).read("input_ids")?,
            token_type_ids: Bytes::new(self.types, self.n).read("token_type_ids")?,
            position_ids: Bytes::new(self.positions, self.n).read("position_ids")?,
            cu_seqlens: Bytes::new(self.cu, self.cu_len).read("cu_seqlens")?,
            masked_positions: Bytes::new(self.masked, self.m).read("masked_positions")?,
            labels: Bytes::new(self.labels, self.labels_len).read("labels")?,
            sequence_labels: Bytes::new(self.sequence_labels, self.sequence_labels_len).read("sequence_labels")?,
            sequence_targets: Bytes::new(self.sequence_targets, self.sequence_targets_len).read("sequence_targets")?,
            sequence_weight: self.sequence_weight,
        })
    }
}

/// A request in JSON.
pub(super) fn parse<T: DeserializeOwned>(request: &[u8]) -> Result<T> {
    serde_json::from_slice(request)
        .map_err(|e| Error::new(Code::InvalidArgument, format!("the request is not as the core expects it: {e}")))
}

/// A step's number: JavaScript's numbers are whole up to 2⁵³.
pub(super) fn step_number(step: f64) -> Result<u64> {
    let most = (1u64 << 53) as f64;
    match (0.0..most).contains(&step) && step.fract() == 0.0 {
        true => Ok(step as u64),
        false => Err(Error::new(
            Code::InvalidArgument,
            format!("step is {step}, but has to be a whole number from 0 below 2^53"),
        )),
    }
}

/// Runs the body of an export: an error or a panic becomes JSON in `error` and a status.
pub(super) fn guard(error: Bytes, body: impl FnOnce() -> Result<()>) -> i32 {
    let found = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return 0,
        Ok(Err(found)) => found,
        Err(panic) => panicked(&panic),
    };
    if let Ok(to) = error.write_through::<u8>("error") {
        report(&found, to);
    }
    found.code as i32
}

/// The error that a panic becomes.
pub(super) fn panicked(panic: &Box<dyn Any + Send>) -> Error {
    let what = panic.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
    Error::new(Code::Panic, format!("the core panicked: {}", what.as_deref().unwrap_or("for an unknown reason")))
        .with_hint("this is a bug in cloze; the engine's handle can only be closed now")
}

/// Writes `{code, message, hint}` and a zero byte. A message that does not fit is shortened between characters.
fn report(error: &Error, to: &mut [u8]) {
    let mut message = error.message.as_str();
    loop {
        let code = format!("{:?}", error.code);
        let json = serde_json::json!({ "code": code, "message": message, "hint": error.hint }).to_string();
        if json.len() < to.len() {
            to[..json.len()].copy_from_slice(json.as_bytes());
            to[json.len()] = 0;
            return;
        }
        if message.is_empty() {
            to.fill(0);
            return;
        }
        let half = (0..=message.len() / 2).rev().find(|&i| message.is_char_boundary(i)).unwrap_or(0);
        message = &message[..half];
    }
}
