//! safetensors in and out, under Hugging Face's names.
//!
//! Reading takes what checkpoints in the wild hold: f32, f16 or bf16; the names that a blueprint knows beside its own, with
//! or without the encoder's prefix; the tied decoder present or absent; tensors of other heads beside ours. It refuses what is missing, of another shape, cut off or not
//! finite, and names it. Writing makes a new file and flushes it to the disk; the caller renames folders.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError, TensorView};

use crate::blueprint::{Parameter, ParameterLayout, Part};
use crate::engine::{EngineOptions, Weights};
use crate::error::{Code, Error, Result};
use crate::machine::memory::Buffer;
use crate::optim::slots::Slot;

/// Fills the flat buffer as an engine starts: initialized from its seed, or from a file. Returns the names that the file
/// lacks and that may be missing.
///
/// # Errors
/// As [`load_weights`].
pub fn start_weights(
    file: Option<&Weights>,
    options: &EngineOptions,
    layout: &ParameterLayout,
    flat: &mut [f32],
) -> Result<Vec<String>> {
    if file.is_none_or(|file| !file.may_be_missing.is_empty()) {
        layout.initialize(options.seed, flat);
    }
    match file {
        Some(file) => load_weights(file, layout, flat),
        None => Ok(Vec::new()),
    }
}

/// Fills the flat buffer from a file, but for the parameters that may be missing and are, whose names it returns.
///
/// A decoder weight that differs from the word embeddings is passed over where the configuration ties them
/// (`tie_word_embeddings`, BERT's default), as transformers does.
///
/// # Errors
/// `Io`, `Corrupt`, `Mismatch` (a tensor is missing or has another shape or dtype) or `NonFinite`, naming file and tensor.
pub fn load_weights(file: &Weights, layout: &ParameterLayout, flat: &mut [f32]) -> Result<Vec<String>> {
    let path = &file.path;
    let bytes = map(path)?;
    let tensors = parse(path, &bytes)?;
    let mut absent = Vec::new();
    for parameter in layout.parameters() {
        let name = &parameter.name;
        match find(&tensors, parameter) {
            Some(tensor) => copy(path, name, parameter, &tensor, &mut flat[parameter.range()])?,
            None if file.may_be_missing.iter().any(|prefix| name.starts_with(prefix)) => absent.push(name.clone()),
            None => return Err(missing(path, &tensors, layout, parameter)),
        }
    }
    Ok(absent)
}

/// The weights of a file as they lie in it, without reading them: for inference. Nothing if the file holds them in
/// another order or precision than [`save_weights`] writes, so that they have to be copied.
///
/// Values are not checked: an engine that predicts with NaN says so.
///
/// # Errors
/// `Io` and `Corrupt`, as [`load_weights`].
pub fn map_weights(path: &Path, layout: &ParameterLayout) -> Result<Option<Buffer>> {
    let file = open(path)?;
    // SAFETY: private; this program never changes a weights file in place, and no reader can keep others from it.
    let map = unsafe { memmap2::MmapOptions::new().map_copy(&file) }.map_err(|e| unreadable(path, &e))?;
    let tensors = parse(path, &map)?;
    let start = |data: &[u8]| data.as_ptr() as usize - map.as_ptr() as usize;
    let mut at = None;
    for parameter in layout.parameters() {
        let Ok(tensor) = tensors.tensor(&parameter.name) else { return Ok(None) };
        let here = start(tensor.data());
        let first = *at.get_or_insert(here);
        let in_place = here == first + size_of::<f32>() * parameter.offset;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != parameter.shape || !in_place {
            return Ok(None);
        }
    }
    Ok(at.and_then(|offset| Buffer::in_file(map, offset, layout.len())))
}

/// Writes the flat buffer as a new file.
///
/// # Errors
/// `Io` naming the file; `NonFinite` naming the tensor, before anything is written.
pub fn save_weights(path: &Path, layout: &ParameterLayout, flat: &[f32]) -> Result<()> {
    if let Some(i) = flat.iter().position(|x| !x.is_finite()) {
        return Err(Error::new(
            Code::NonFinite,
            format!("the parameter {} is {}: it is not saved", layout.name_at(i), flat[i]),
        )
        .with_hint("use a lower learning rate; the checkpoint before this one is good"));
    }
    save(path, &[(layout.parameters().iter().map(|p| (p.name.clone(), p)).collect(), flat)])
}

/// Fills slots from what [`save_slots`] wrote.
///
/// # Errors
/// As [`load_weights`].
pub fn load_slots(path: &Path, layout: &ParameterLayout, slots: &mut [Slot<Vec<f32>>]) -> Result<()> {
    let file = map(path)?;
    let tensors = parse(path, &file)?;
    for Slot { layout: slot, values } in slots {
        for (parameter, offset) in slot.parameters(layout) {
            let name = format!("{}.{}", slot.name, parameter.name);
            let tensor = tensors.tensor(&name).map_err(|_| {
                lacking(path, &name).with_hint("the file belongs to another model, or was written by another optimizer")
            })?;
            copy(path, &name, parameter, &tensor, &mut values[offset..offset + parameter.len])?;
        }
    }
    Ok(())
}

/// Writes slots as a new file: `SLOT.NAME` for each parameter that has the slot.
///
/// # Errors
/// `Io` naming the file.
pub fn save_slots(path: &Path, layout: &ParameterLayout, slots: &[Slot<Vec<f32>>]) -> Result<()> {
    let sections = slots.iter().map(|slot| {
        let tensors = slot.layout.parameters(layout).map(|(p, _)| (format!("{}.{}", slot.layout.name, p.name), p));
        (tensors.collect(), &slot.values[..])
    });
    save(path, &sections.collect::<Vec<_>>())
}

fn unreadable(path: &Path, e: &std::io::Error) -> Error {
    Error::new(Code::Io, format!("{}: could not be read: {e}", path.display()))
}

fn open(path: &Path) -> Result<File> {
    // Looked at before it is opened: a FIFO would wait for someone who writes to it.
    if !std::fs::metadata(path).map_err(|e| unreadable(path, &e))?.is_file() {
        return Err(Error::new(Code::Io, format!("{}: could not be read: it is not a regular file", path.display())));
    }
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    match file.metadata().map_err(|e| unreadable(path, &e))?.len() {
        0 => Err(corrupt(path, "it is empty")),
        _ => Ok(file),
    }
}

fn map(path: &Path) -> Result<memmap2::Mmap> {
    let file = open(path)?;
    // SAFETY: the mapping is only read, and dropped before this module returns; a file that another program cuts short
    // meanwhile would fault, which no reader of a shared file can prevent.
    unsafe { memmap2::Mmap::map(&file) }.map_err(|e| unreadable(path, &e))
}

fn corrupt(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(Code::Corrupt, format!("{} is not a whole safetensors file: {why}", path.display()))
        .with_hint("the file may be cut off or still being written: copy it again or use an older checkpoint")
}

fn parse<'a>(path: &Path, file: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(file).map_err(|e| match e {
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => {
            corrupt(path, format!("its header is longer than its {} bytes", file.len()))
        }
        SafeTensorError::MetadataIncompleteBuffer => corrupt(path, "its tensors do not fill it exactly"),
        other => corrupt(path, other),
    })
}

/// The tensor under its name, or under one that other files have for it.
fn find<'a>(tensors: &SafeTensors<'a>, parameter: &Parameter) -> Option<TensorView<'a>> {
    [&parameter.name].into_iter().chain(&parameter.aliases).find_map(|name| tensors.tensor(name).ok())
}

fn lacking(path: &Path, name: &str) -> Error {
    Error::new(Code::Mismatch, format!("{}: the tensor {name} is missing", path.display()))
        .with_hint("config.json and the weights may belong to different models")
}

fn missing(path: &Path, tensors: &SafeTensors, layout: &ParameterLayout, parameter: &Parameter) -> Error {
    let error = lacking(path, &parameter.name);
    if layout.parameters().first().is_none_or(|words| find(tensors, words).is_none()) {
        return error;
    }
    error.with_hint(match parameter.part {
        Part::Encoder => "config.json and the weights may belong to different models",
        Part::Decoder => "config.json says tie_word_embeddings false, but this file has no decoder of its own",
        Part::TokenHead => "this file has no masked-LM head: it holds a bare encoder or another head",
        Part::NextSentence => "this file has no next-sentence head",
        Part::Pooler => "this file has no pooler: it holds a model without a head on sequences",
        Part::Classifier => "this file has no classifier",
    })
}

fn copy(path: &Path, name: &str, parameter: &Parameter, tensor: &TensorView, to: &mut [f32]) -> Result<()> {
    if tensor.shape() != parameter.shape {
        return Err(Error::new(
            Code::Mismatch,
            format!(
                "{}: {name} has shape {:?}, but config.json asks for {:?}",
                path.display(),
                tensor.shape(),
                parameter.shape
            ),
        )
        .with_hint("config.json and the weights belong to different models"));
    }
    let data = tensor.data();
    match tensor.dtype() {
        Dtype::F32 => {
            for (to, bytes) in to.iter_mut().zip(data.chunks_exact(4)) {
                *to = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
        }
        Dtype::BF16 => {
            for (to, bytes) in to.iter_mut().zip(data.chunks_exact(2)) {
                *to = f32::from_bits(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 16);
            }
        }
        Dtype::F16 => {
            for (to, bytes) in to.iter_mut().zip(data.chunks_exact(2)) {
                *to = f16_to_f32(u16::from_le_bytes([bytes[0], bytes[1]]));
            }
        }
        other => {
            return Err(Error::new(
                Code::Mismatch,
                format!("{}: {name} has dtype {other:?}, but F32, F16 or BF16 is needed", path.display()),
            ));
        }
    }
    match to.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::new(Code::NonFinite, format!("{}: {name} is {} at element {i}", path.display(), to[i]))
            .with_hint("the run that wrote this file had diverged: use an older checkpoint")),
    }
}

/// IEEE 754 binary16 to binary32.
fn f16_to_f32(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1.0 + fraction / 1024.0) * 2f32.powi(e - 15),
    }
}

/// Names of tensors, with the parameters whose shapes they have, and their elements: one tensor behind the other.
type Section<'a> = (Vec<(String, &'a Parameter)>, &'a [f32]);

/// Writes header and tensors in one pass, without a second copy of the weights.
fn save(path: &Path, sections: &[Section]) -> Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    let mut at = 0;
    for (name, p) in sections.iter().flat_map(|(tensors, _)| tensors) {
        let end = at + p.len * 4;
        let entry = serde_json::json!({ "dtype": "F32", "shape": p.shape, "data_offsets": [at, end] });
        header.insert(name.clone(), entry);
        at = end;
    }
    let mut header = serde_json::Value::Object(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for (_, flat) in sections {
            // There are no gaps, so the tensors' bytes in order are the buffer's.
            for chunk in flat.chunks(1 << 14) {
                let mut bytes = [0; 4 << 14];
                for (to, value) in bytes.chunks_exact_mut(4).zip(chunk) {
                    to.copy_from_slice(&value.to_le_bytes());
                }
                file.write_all(&bytes[..chunk.len() * 4])?;
            }
        }
        file.into_inner()?.sync_all()
    };
    write().map_err(|e| {
        Error::new(Code::Io, format!("{}: could not be written: {e}", path.display()))
            .with_hint("check that the disk has room and that the folder may be written to")
    })
}

#[cfg(test)]
mod tests;
