//! Weights in and out, under Hugging Face's names.
//!
//! Reading takes what checkpoints in the wild are: safetensors or PyTorch's own files ([`tensors`]), one or several with an
//! index; f64, f32, f16 or bf16; the names that a blueprint knows beside its own, with or without the encoder's prefix; the
//! tied decoder present or absent; tensors of other heads beside ours ([`unused`]). It refuses what is missing, of another
//! shape, cut off or not finite, and names it. Writing makes a new safetensors file and flushes it to the disk; the caller
//! renames folders.

mod extend;
mod pickle;
mod sha256;
mod tensors;
mod torch;
mod unused;
mod zip;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use safetensors::tensor::Dtype;

use crate::blueprint::{Blueprint, Parameter, ParameterLayout, Part, look_at_neighbours};
use crate::engine::{EngineOptions, Loaded, Weights};
use crate::error::{Code, Error, Result};
use crate::machine::memory::Buffer;
use crate::optim::slots::Slot;

pub use extend::{Extension, extend_weights};
pub use sha256::file_sha256;
use tensors::{Tensor, Tensors};
use unused::unused_of;

/// Fills the flat buffer as an engine starts: initialized from its seed, or from a file.
///
/// # Errors
/// As [`load_weights`].
pub fn start_weights(
    file: Option<&Weights>,
    options: &EngineOptions,
    layout: &ParameterLayout,
    flat: &mut [f32],
) -> Result<Loaded> {
    if file.is_none_or(|file| !file.may_be_missing.is_empty()) {
        layout.initialize(options.seed, flat);
        let blueprint = Blueprint::of(&options.config, &options.heads)?;
        if let Some(range) = options.inner_initializer_range {
            let factor = range / options.config.initializer_range;
            for tensor in blueprint.inner_matrices() {
                flat[layout.find(&tensor.name)?.range()].iter_mut().for_each(|value| *value *= factor);
            }
        }
        if options.neighbour_attention {
            look_at_neighbours(&blueprint, layout, options.seed, flat)?;
        }
    }
    match (file, &options.decoder_bias) {
        (Some(file), _) => return load_weights(file, layout, flat),
        (None, Some(bias)) => flat[layout.decoder_bias()?.range()].copy_from_slice(bias),
        (None, None) => {}
    }
    Ok(Loaded::default())
}

/// Fills the flat buffer from a file, but for the parameters that may be missing and are.
///
/// A decoder weight that differs from the word embeddings is passed over where the configuration ties them
/// (`tie_word_embeddings`, BERT's default), as transformers does.
///
/// # Errors
/// `Io`, `Corrupt`, `Mismatch` (a tensor is missing or has another shape or dtype) or `NonFinite`, naming file and tensor.
pub fn load_weights(file: &Weights, layout: &ParameterLayout, flat: &mut [f32]) -> Result<Loaded> {
    let tensors = Tensors::open(&file.path)?;
    let mut initialized = Vec::new();
    let mut used = HashSet::new();
    for parameter in layout.parameters() {
        let name = &parameter.name;
        match find(&tensors, parameter) {
            Some((found, tensor)) => {
                copy(found, parameter, &tensor, &mut flat[parameter.range()])?;
                used.insert(found);
            }
            None if file.may_be_missing.contains(&parameter.part) => initialized.push((name.clone(), parameter.part)),
            None => return Err(missing(&tensors, layout, parameter)),
        }
    }
    let rest = tensors.names().into_iter().filter(|name| !used.contains(name));
    Ok(Loaded { initialized, ..unused_of(&file.path, layout, rest)? })
}

/// The weights of a file as they lie in it, without reading them: for inference. Nothing if the file holds them in
/// another form, order or precision than [`save_weights`] writes, so that they have to be copied.
///
/// Values are not checked: an engine that predicts with NaN says so.
///
/// # Errors
/// `Io`, `Corrupt` and `Mismatch`, as [`load_weights`].
pub fn map_weights(path: &Path, layout: &ParameterLayout) -> Result<Option<(Buffer, Loaded)>> {
    let file = tensors::open_file(path)?;
    // SAFETY: private; this program never changes a weights file in place, and no reader can keep others from it.
    let map = unsafe { memmap2::MmapOptions::new().map_copy(&file) }.map_err(|e| tensors::unreadable(path, &e))?;
    if torch::is_torch(&map) || tensors::is_index(path) {
        return Ok(None);
    }
    let tensors = tensors::parse(path, &map)?;
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
    let loaded = match tensors.len() == layout.parameters().len() {
        true => Loaded::default(),
        false => {
            let used: HashSet<&str> = layout.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
            let mut rest = tensors.names();
            rest.retain(|name| !used.contains(name));
            rest.sort_unstable();
            unused_of(path, layout, rest.into_iter())?
        }
    };
    Ok(at.and_then(|offset| Buffer::in_file(map, offset, layout.len())).map(|buffer| (buffer, loaded)))
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
    let all = (layout.parameters().iter().map(|p| (p.name.clone(), p)).collect(), flat);
    let again = layout.written_twice().map(|(name, p)| (vec![(name.to_owned(), p)], &flat[p.range()]));
    save(path, &[all].into_iter().chain(again).collect::<Vec<_>>())
}

/// Fills slots from what [`save_slots`] wrote.
///
/// # Errors
/// As [`load_weights`].
pub fn load_slots(path: &Path, layout: &ParameterLayout, slots: &mut [Slot<Vec<f32>>]) -> Result<()> {
    let tensors = Tensors::open(path)?;
    for Slot { layout: slot, values } in slots {
        for (parameter, offset) in slot.parameters(layout) {
            let name = format!("{}.{}", slot.name, parameter.name);
            let tensor = tensors.get(&name).ok_or_else(|| {
                lacking(path, &name).with_hint("the file belongs to another model, or was written by another optimizer")
            })?;
            copy(&name, parameter, &tensor, &mut values[offset..offset + parameter.len])?;
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

/// The tensor under its name, or under one that other files have for it, and that name.
fn find<'a, 'n>(tensors: &'a Tensors, parameter: &'n Parameter) -> Option<(&'n str, Tensor<'a>)> {
    let names = [&parameter.name].into_iter().chain(&parameter.aliases);
    names.into_iter().find_map(|name| Some((name.as_str(), tensors.get(name)?)))
}

fn lacking(path: &Path, name: &str) -> Error {
    Error::new(Code::Mismatch, format!("{}: the tensor {name} is missing", path.display()))
        .with_hint("config.json and the weights may belong to different models")
}

fn missing(tensors: &Tensors, layout: &ParameterLayout, parameter: &Parameter) -> Error {
    let error = lacking(tensors.path(), &parameter.name);
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

fn copy(name: &str, parameter: &Parameter, tensor: &Tensor, to: &mut [f32]) -> Result<()> {
    let path = tensor.path.display();
    if tensor.shape != parameter.shape {
        return Err(Error::new(
            Code::Mismatch,
            format!("{path}: {name} has shape {:?}, but config.json asks for {:?}", tensor.shape, parameter.shape),
        )
        .with_hint("config.json and the weights belong to different models"));
    }
    tensor.copy_to(to).map_err(|dtype| {
        Error::new(Code::Mismatch, format!("{path}: {name} has dtype {dtype:?}, but F64, F32, F16 or BF16 is needed"))
            .with_hint("weights that are quantized have to be saved again as floating-point numbers")
    })?;
    match to.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::new(Code::NonFinite, format!("{path}: {name} is {} at element {i}", to[i]))
            .with_hint("the run that wrote this file had diverged: use an older checkpoint")),
    }
}

/// Names of tensors, with the parameters whose shapes they have, and their elements: one tensor behind the other.
type Section<'a> = (Vec<(String, &'a Parameter)>, &'a [f32]);

/// Writes header and tensors in one pass, without a second copy of the weights.
fn save(path: &Path, sections: &[Section]) -> Result<()> {
    let tensors = sections.iter().flat_map(|(tensors, _)| tensors);
    let entries: Vec<Entry> = tensors.map(|(name, p)| (name.clone(), Dtype::F32, p.shape.clone())).collect();
    create(path, |file| {
        file.write_all(&header_bytes(&entries))?;
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
        Ok(())
    })
}

/// A tensor of a file to be written: name, dtype and shape.
type Entry = (String, Dtype, Vec<usize>);

/// The beginning of a safetensors file whose tensors follow in that order.
fn header_bytes(entries: &[Entry]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    let mut at = 0;
    for (name, dtype, shape) in entries {
        let end = at + shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let entry = serde_json::json!({ "dtype": dtype, "shape": shape, "data_offsets": [at, end] });
        header.insert(name.clone(), entry);
        at = end;
    }
    let mut header = serde_json::Value::Object(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat()
}

/// Makes a new file and flushes it to the disk.
fn create(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let written = File::create_new(path).and_then(|file| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        file.into_inner()?.sync_all()
    });
    written.map_err(|e| {
        Error::new(Code::Io, format!("{}: could not be written: {e}", path.display()))
            .with_hint("check that the disk has room and that the folder may be written to")
    })
}

#[cfg(test)]
mod tests;
