//! safetensors in and out, under Hugging Face's names.
//!
//! Reading takes what BERT checkpoints in the wild hold: f32, f16 or bf16; LayerNorm parameters called `gamma` and
//! `beta` (checkpoints converted from TensorFlow); the tied decoder present or absent; the encoder's names with or
//! without `bert.`; tensors of other heads beside ours. It refuses what is missing, of another shape, cut off or not
//! finite, and names it. Writing makes a new file and flushes it to the disk; the caller renames folders.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError, TensorView};

use crate::engine::{EngineOptions, Weights};
use crate::error::{Code, Error, Result};
use crate::memory::Buffer;
use crate::parameters::{Parameter, ParameterLayout};

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
        layout.initialize(&options.config, options.seed, flat);
    }
    match file {
        Some(file) => load_weights(file, layout, flat),
        None => Ok(Vec::new()),
    }
}

/// Fills the flat buffer from a file, but for the parameters that may be missing and are, whose names it returns.
///
/// A decoder weight that differs from the word embeddings is passed over: the model ties them, as transformers does for
/// `tie_word_embeddings`, BERT's default.
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
        match find(&tensors, name) {
            Some(tensor) => copy(path, name, parameter, &tensor, &mut flat[parameter.range()])?,
            None if file.may_be_missing.iter().any(|prefix| name.starts_with(prefix)) => absent.push(name.clone()),
            None => return Err(missing(path, &tensors, name)),
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
    save(path, layout, &[("", flat)])
}

/// Fills both moments from what [`save_training_state`] wrote.
///
/// # Errors
/// As [`load_weights`].
pub fn load_training_state(
    path: &Path,
    layout: &ParameterLayout,
    exp_avg: &mut [f32],
    exp_avg_sq: &mut [f32],
) -> Result<()> {
    let file = map(path)?;
    let tensors = parse(path, &file)?;
    for (prefix, flat) in [("exp_avg.", exp_avg), ("exp_avg_sq.", exp_avg_sq)] {
        for parameter in layout.parameters() {
            let name = format!("{prefix}{}", parameter.name);
            let tensor = tensors.tensor(&name).map_err(|_| missing(path, &tensors, &name))?;
            copy(path, &name, parameter, &tensor, &mut flat[parameter.range()])?;
        }
    }
    Ok(())
}

/// Writes both moments as a new file.
///
/// # Errors
/// `Io` naming the file.
pub fn save_training_state(path: &Path, layout: &ParameterLayout, exp_avg: &[f32], exp_avg_sq: &[f32]) -> Result<()> {
    save(path, layout, &[("exp_avg.", exp_avg), ("exp_avg_sq.", exp_avg_sq)])
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

/// The tensor of that name, or of its legacy name, or of its name in a bare `BertModel`.
fn find<'a>(tensors: &SafeTensors<'a>, name: &str) -> Option<TensorView<'a>> {
    let bare = || find(tensors, name.strip_prefix("bert.")?);
    let legacy = || {
        let (module, part) = name.rsplit_once('.')?;
        let part = if part == "weight" { "gamma" } else { "beta" };
        module.ends_with("LayerNorm").then(|| tensors.tensor(&format!("{module}.{part}")).ok())?
    };
    let decoder_bias =
        || (name == "cls.predictions.bias").then(|| tensors.tensor("cls.predictions.decoder.bias").ok())?;
    tensors.tensor(name).ok().or_else(legacy).or_else(decoder_bias).or_else(bare)
}

fn missing(path: &Path, tensors: &SafeTensors, name: &str) -> Error {
    let error = Error::new(Code::Mismatch, format!("{}: the tensor {name} is missing", path.display()));
    let encoder = find(tensors, "bert.embeddings.word_embeddings.weight").is_some();
    error.with_hint(match name {
        _ if !encoder => "config.json and the weights may belong to different models",
        _ if name.starts_with("cls.predictions.") => {
            "this file has no masked-LM head: it holds a bare encoder or another head"
        }
        _ if name.starts_with("cls.seq_relationship.") => "this file has no next-sentence head",
        _ if name.starts_with("bert.pooler.") => {
            "this file has no pooler: it holds a model without a head on sequences"
        }
        _ if name.starts_with("classifier.") => "this file has no classifier",
        _ => "config.json and the weights may belong to different models",
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

/// Writes header and tensors in one pass, without a second copy of the weights.
fn save(path: &Path, layout: &ParameterLayout, groups: &[(&str, &[f32])]) -> Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    let mut at = 0;
    for (prefix, _) in groups {
        for p in layout.parameters() {
            let end = at + p.len * 4;
            let entry = serde_json::json!({ "dtype": "F32", "shape": p.shape, "data_offsets": [at, end] });
            header.insert(format!("{prefix}{}", p.name), entry);
            at = end;
        }
    }
    let mut header = serde_json::Value::Object(header).to_string();
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create_new(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for (_, flat) in groups {
            // The layout has no gaps, so the tensors' bytes in order are the flat buffer's.
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
mod tests {
    use super::*;
    use crate::config::tests::tiny;
    use crate::objective::Objective;
    use crate::objective::tests::classification;
    use crate::ops::tests::random;
    use std::path::PathBuf;

    /// A path in a fresh folder that goes away with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("cloze-checkpoint-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn file(&self) -> PathBuf {
            self.0.join("model.safetensors")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn layout() -> ParameterLayout {
        ParameterLayout::new(&tiny(), &Objective::MaskedLm)
    }

    /// Name, dtype, shape and bytes of a tensor.
    type Raw = (String, Dtype, Vec<usize>, Vec<u8>);

    /// Writes tensors under other names and dtypes than ours.
    fn write(path: &Path, tensors: &[Raw]) {
        let views: Vec<_> = tensors
            .iter()
            .map(|(name, dtype, shape, data)| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()))
            .collect();
        safetensors::serialize_to_file(views, None, path).unwrap();
    }

    fn tensors(flat: &[f32]) -> Vec<Raw> {
        let bytes = |p: &Parameter| flat[p.range()].iter().flat_map(|x| x.to_le_bytes()).collect();
        layout().parameters().iter().map(|p| (p.name.clone(), Dtype::F32, p.shape.clone(), bytes(p))).collect()
    }

    fn load(path: &Path) -> Result<Vec<f32>> {
        let mut flat = vec![0.0; layout().len()];
        let file = Weights { path: path.to_owned(), may_be_missing: vec![] };
        load_weights(&file, &layout(), &mut flat).map(|_| flat)
    }

    #[test]
    fn weights_and_training_state_come_back_bit_for_bit() {
        let place = Place::new("roundtrip");
        let (a, b) = (random(layout().len(), 1), random(layout().len(), 2));
        save_weights(&place.file(), &layout(), &a).unwrap();
        assert_eq!(load(&place.file()).unwrap(), a);
        let state = place.0.join("training_state.safetensors");
        save_training_state(&state, &layout(), &a, &b).unwrap();
        let (mut m, mut v) = (vec![0.0; a.len()], vec![0.0; a.len()]);
        load_training_state(&state, &layout(), &mut m, &mut v).unwrap();
        assert!(m == a && v == b);
        assert_eq!(save_weights(&place.file(), &layout(), &a).unwrap_err().code, Code::Io, "never overwrites");
        let diverged = [&a[1..], &[f32::NAN]].concat();
        let other = place.0.join("other.safetensors");
        assert_eq!(save_weights(&other, &layout(), &diverged).unwrap_err().code, Code::NonFinite);
        assert!(!other.exists());
    }

    #[test]
    fn map_weights_takes_its_own_files_in_place_and_leaves_others_to_be_copied() {
        let place = Place::new("map");
        let flat = random(layout().len(), 1);
        save_weights(&place.file(), &layout(), &flat).unwrap();
        assert_eq!(map_weights(&place.file(), &layout()).unwrap().unwrap()[..], flat);
        let change = |f: &dyn Fn(&mut Vec<Raw>)| {
            let mut all = tensors(&flat);
            f(&mut all);
            write(&place.file(), &all);
            map_weights(&place.file(), &layout()).unwrap().is_none()
        };
        assert!(change(&|_| {}), "sorted by name, as the safetensors library writes them");
        assert!(change(&|t| t.truncate(3)));
        assert!(change(&|t| t[1].2 = vec![t[1].2[0] * t[1].2[1]]));
        std::fs::write(place.file(), b"not a safetensors file").unwrap();
        assert_eq!(map_weights(&place.file(), &layout()).err().unwrap().code, Code::Corrupt);
    }

    #[test]
    fn load_takes_legacy_names_half_precision_and_foreign_tensors() {
        let place = Place::new("legacy");
        let flat: Vec<f32> =
            random(layout().len(), 3).iter().map(|x| f32::from_bits(x.to_bits() & 0xffff_0000)).collect();
        let mut old = tensors(&flat);
        for (name, dtype, _, data) in &mut old {
            if name.contains("LayerNorm") {
                *name = name.replace(".weight", ".gamma").replace(".bias", ".beta");
            } else if name == "cls.predictions.bias" {
                *name = "cls.predictions.decoder.bias".into();
            } else {
                *dtype = Dtype::BF16;
                *data = data.chunks_exact(4).flat_map(|b| [b[2], b[3]]).collect();
            }
        }
        old.push(("cls.seq_relationship.bias".into(), Dtype::F32, vec![2], vec![0; 8]));
        old.push(("cls.predictions.decoder.weight".into(), Dtype::F32, vec![1], vec![0; 4]));
        write(&place.file(), &old);
        assert_eq!(load(&place.file()).unwrap(), flat);
        assert_eq!([0x3c00, 0xc000, 0x0001, 0x7bff].map(f16_to_f32), [1.0, -2.0, 5.960_464_5e-8, 65504.0]);
    }

    #[test]
    fn load_leaves_new_heads_as_they_are_and_takes_a_bare_encoder() {
        let place = Place::new("heads");
        let flat = random(layout().len(), 6);
        let mut bare = tensors(&flat);
        bare.retain(|t| t.0.starts_with("bert."));
        bare.iter_mut().for_each(|t| t.0 = t.0.replacen("bert.", "", 1));
        write(&place.file(), &bare);
        let layout = ParameterLayout::new(&tiny(), &classification(false));
        let load = |may_be_missing: &[&str]| {
            let may_be_missing = may_be_missing.iter().map(|&s| s.to_owned()).collect();
            let mut found = vec![7.0; layout.len()];
            load_weights(&Weights { path: place.file(), may_be_missing }, &layout, &mut found).map(|new| (found, new))
        };
        let (found, new) = load(&["bert.pooler.", "classifier."]).unwrap();
        let pooler = layout.find("bert.pooler.dense.weight").unwrap().offset;
        assert_eq!(found[..pooler], flat[..pooler]);
        assert!(found[pooler..].iter().all(|&x| x == 7.0));
        assert_eq!(new.len(), 4, "{new:?}");
        let error = load(&["classifier."]).unwrap_err();
        assert!(error.message.contains("bert.pooler.dense.weight is missing"), "{error}");
        assert!(error.hint.contains("no pooler"), "{error}");
    }

    #[test]
    fn load_names_what_is_missing_misshapen_or_not_finite() {
        let flat = random(layout().len(), 4);
        let change = |what: &str, f: &dyn Fn(&mut Vec<Raw>)| {
            let place = Place::new(what);
            let mut all = tensors(&flat);
            f(&mut all);
            write(&place.file(), &all);
            load(&place.file()).unwrap_err()
        };
        let error = change("missing", &|t| t.retain(|x| x.0 != "bert.encoder.layer.1.output.dense.bias"));
        assert!(error.code == Code::Mismatch && error.message.contains("layer.1.output.dense.bias"), "{error}");
        let error = change("headless", &|t| t.retain(|x| !x.0.starts_with("cls.")));
        assert!(error.hint.contains("no masked-LM head"), "{error}");
        let error = change("shape", &|t| t[1].2 = vec![t[1].2[0] * t[1].2[1]]);
        assert!(error.code == Code::Mismatch && error.message.contains("[10, 8]"), "{error}");
        let error = change("nan", &|t| t[2].3[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
        assert!(error.code == Code::NonFinite && error.message.contains("token_type_embeddings"), "{error}");
        let error = change("dtype", &|t| (t[3].1, t[3].3) = (Dtype::I64, vec![0; 64]));
        assert!(error.code == Code::Mismatch && error.message.contains("I64"), "{error}");
    }

    #[test]
    fn load_refuses_empty_truncated_and_lying_files() {
        let place = Place::new("attacks");
        let path = place.file();
        assert_eq!(load(&path).unwrap_err().code, Code::Io);
        save_weights(&path, &layout(), &random(layout().len(), 5)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut lying = whole.clone();
        lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let text =
            String::from_utf8_lossy(&whole).replacen("\"data_offsets\":[0,", "\"data_offsets\":[9,", 1).into_bytes();
        for bytes in [
            &[][..],
            &whole[..5],
            &whole[..whole.len() / 2],
            &whole[..whole.len() - 1],
            &lying,
            b"not a safetensors file",
            &text,
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = load(&path).unwrap_err();
            assert!(error.code == Code::Corrupt && error.message.contains("model.safetensors"), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn save_to_a_full_disk_is_an_io_error() {
        let place = Place::new("full");
        let link = place.file();
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let mut file = File::options().write(true).open(&link).unwrap();
        assert!(file.write_all(&[0; 8]).is_err(), "/dev/full takes nothing");
        assert_eq!(save_weights(&link, &layout(), &random(layout().len(), 6)).unwrap_err().code, Code::Io);
    }
}
