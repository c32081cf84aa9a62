//! Weights with more tokens: a copy as one safetensors file, in which every tensor that has a row a token has more rows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use half::{bf16, f16};
use safetensors::tensor::Dtype;
use serde::Deserialize;

use super::tensors::{Tensor, Tensors};
use super::{create, find, header_bytes};
use crate::blueprint::parameters_per_token;
use crate::config::ModelConfig;
use crate::error::{Code, Error, Result};

/// What to copy, and which rows to add.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Weights, in any form.
    pub weights: PathBuf,
    /// The file to make.
    pub to: PathBuf,
    /// The model; it has `vocab_size` rows now.
    pub config: ModelConfig,
    /// Rows then; at least as many.
    pub new_rows: usize,
    /// The first new token. Rows that are there beyond the tokens, as padding, are used first.
    pub first: usize,
    /// For each new token, those whose rows' mean its row begins as.
    pub pieces: Vec<Vec<usize>>,
}

impl Extension {
    fn validate(&self) -> Result<()> {
        let rows = self.config.vocab_size;
        let last = self.first.checked_add(self.pieces.len());
        let fits = last.is_some_and(|last| last.max(rows) == self.new_rows) && self.first <= rows;
        let known = self.pieces.iter().flatten().all(|&id| id < self.first);
        match fits && known && self.new_rows <= 1 << 28 && rows > 0 {
            true => Ok(()),
            false => Err(Error::new(
                Code::InvalidArgument,
                format!("{} tokens from {} on do not fit {} rows", self.pieces.len(), self.first, self.new_rows),
            )),
        }
    }
}

/// Writes the copy. Each tensor keeps its name and dtype; in memory there is a row at a time.
///
/// # Errors
/// `Io`, `Corrupt`; `Mismatch` naming a tensor that has not one row a token, or is not of floating-point numbers.
pub fn extend_weights(extension: &Extension) -> Result<()> {
    extension.validate()?;
    let tensors = Tensors::open(&extension.weights)?;
    let mut all: Vec<(&str, Tensor)> =
        tensors.names().into_iter().filter_map(|name| Some((name, tensors.get(name)?))).collect();
    let per_token = parameters_per_token(&extension.config)?;
    if find(&tensors, &per_token[0]).is_none() {
        let message = format!("{} has no {}", tensors.path().display(), per_token[0].name);
        return Err(
            Error::new(Code::Mismatch, message).with_hint("config.json and the weights may belong to different models")
        );
    }
    let grows = |name: &str| per_token.iter().any(|p| p.name == name || p.aliases.iter().any(|alias| alias == name));
    all.sort_by_key(|(_, tensor)| tensor.order());
    let mut entries = Vec::with_capacity(all.len());
    for (name, tensor) in &all {
        let mut shape = tensor.shape.to_vec();
        if grows(name) {
            check(name, tensor, extension.config.vocab_size)?;
            shape[0] = extension.new_rows;
        }
        entries.push((name.to_string(), tensor.dtype, shape));
    }
    let header = header_bytes(&entries);
    create(&extension.to, |file| {
        file.write_all(&header)?;
        for (name, tensor) in &all {
            match grows(name) {
                true => write_extended(file, tensor, extension)?,
                false => tensor.write_to(file)?,
            }
        }
        Ok(())
    })
}

fn check(name: &str, tensor: &Tensor, rows: usize) -> Result<()> {
    let path = tensor.path.display();
    let found = tensor.shape.first().copied().unwrap_or(0);
    if found != rows {
        return Err(Error::new(Code::Mismatch, format!("{path}: {name} has {found} rows, but vocab_size is {rows}"))
            .with_hint("config.json and the weights belong to different models"));
    }
    match tensor.dtype {
        Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16 => Ok(()),
        other => Err(Error::new(Code::Mismatch, format!("{path}: {name} is {other:?}, not F64, F32, F16 or BF16"))),
    }
}

fn write_extended(file: &mut BufWriter<File>, tensor: &Tensor, extension: &Extension) -> std::io::Result<()> {
    let (rows, first) = (extension.config.vocab_size, extension.first);
    for row in 0..first {
        tensor.row(row).write_to(file)?;
    }
    for ids in &extension.pieces {
        let mut mean = vec![0.0; tensor.row(0).shape.iter().product()];
        for &id in ids {
            for (sum, value) in mean.iter_mut().zip(tensor.row(id).numbers()) {
                *sum += value / ids.len() as f64;
            }
        }
        for value in mean {
            match tensor.dtype {
                Dtype::F64 => file.write_all(&value.to_le_bytes())?,
                Dtype::F16 => file.write_all(&f16::from_f64(value).to_le_bytes())?,
                Dtype::BF16 => file.write_all(&bf16::from_f32(value as f32).to_le_bytes())?,
                _ => file.write_all(&(value as f32).to_le_bytes())?,
            }
        }
    }
    for row in first + extension.pieces.len()..rows {
        tensor.row(row).write_to(file)?;
    }
    Ok(())
}
