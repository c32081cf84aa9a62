//! The files that `torch.save` makes of a state dict: a zip archive of a pickle and its storages, or, before PyTorch 1.6,
//! one pickle after another and then the storages.

use std::collections::HashMap;
use std::ops::Range;

use super::pickle::{Pickle, PickledTensor, StateDict};
use super::zip::{self, Entry};

/// A tensor in the file.
pub struct TorchTensor {
    /// Name in the state dict.
    pub name: String,
    /// Its dtype, shape and strides.
    pub tensor: PickledTensor,
    /// Where its first element lies in the file, up to the end of its storage.
    pub range: Range<usize>,
}

/// What a file holds.
pub struct TorchFile {
    /// Its tensors.
    pub tensors: Vec<TorchTensor>,
    /// Names of what else its dict holds.
    pub others: Vec<String>,
}

/// Whether a file begins as one of either form.
pub fn is_torch(file: &[u8]) -> bool {
    file.starts_with(b"PK\x03\x04") || file.starts_with(&[0x80]) && file.get(8) != Some(&b'{')
}

/// Finds the tensors of a file, in the form that it begins with.
///
/// # Errors
/// Says what is wrong with it.
pub fn read(file: &[u8]) -> Result<TorchFile, String> {
    if file.starts_with(b"PK\x03\x04") { read_archive(file) } else { read_pickles(file) }
}

fn read_archive(file: &[u8]) -> Result<TorchFile, String> {
    let entries = zip::entries(file)?;
    let pickles: Vec<&Entry> = entries.iter().filter(|entry| entry.name.ends_with("/data.pkl")).collect();
    let [entry] = pickles[..] else { return Err(format!("it has {} entries named data.pkl, not one", pickles.len())) };
    let folder = entry.name.trim_end_matches("data.pkl");
    let by_name: HashMap<&str, &Entry> =
        entries.iter().filter_map(|entry| Some((entry.name.strip_prefix(folder)?, entry))).collect();
    if by_name.contains_key("constants.pkl") {
        return Err("it is a TorchScript program, not a state dict".into());
    }
    if let Some(order) = by_name.get("byteorder")
        && order.checked(file)? != b"little"
    {
        return Err("its numbers are big-endian".into());
    }
    let pickle = Pickle::read(entry.checked(file)?)?;
    let mut checked: HashMap<&str, Range<usize>> = HashMap::new();
    collect(&pickle, |storage| {
        let path = format!("data/{storage}");
        let (_, entry) =
            by_name.get_key_value(path.as_str()).ok_or_else(|| format!("its entry {path:?} is missing"))?;
        if !checked.contains_key(entry.name.as_str()) {
            entry.checked(file)?;
            checked.insert(&entry.name, entry.range.clone());
        }
        Ok(entry.range.clone())
    })
}

/// Magic number, version, what the machine was, the state dict, the names of its storages in order, and the storages: each
/// with its length before it.
fn read_pickles(file: &[u8]) -> Result<TorchFile, String> {
    const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let not_torch = "it is no file of torch.save: it begins otherwise";
    let mut left = file.strip_prefix(MAGIC).ok_or(not_torch)?;
    let mut next = || {
        let pickle = Pickle::read(left)?;
        left = &left[pickle.len..];
        Ok::<_, String>(pickle)
    };
    let (version, machine, state, names) = (next()?, next()?, next()?, next()?);
    if version.whole_number() != Some(1001) {
        return Err("it is of a version of torch.save that is not known".into());
    }
    if machine.denies("little_endian") {
        return Err("its numbers are big-endian".into());
    }
    let sizes: HashMap<&str, usize> =
        state.state_dict()?.tensors.iter().map(|(_, tensor)| (tensor.storage.as_str(), size_of(tensor))).collect();
    let mut at = file.len() - left.len();
    let mut storages: HashMap<&str, Range<usize>> = HashMap::new();
    for name in names.texts().ok_or("the list of its storages is none")? {
        let len =
            file[at..].first_chunk().copied().map(u64::from_le_bytes).ok_or("it is cut off before its storages")?;
        let size = sizes.get(name).ok_or("it has a storage that none of its tensors lies in")?;
        let bytes = usize::try_from(len).ok().and_then(|len| len.checked_mul(*size));
        let end = bytes.and_then(|bytes| (at + 8).checked_add(bytes)).filter(|&end| end <= file.len());
        let end = end.ok_or("it is cut off within its storages")?;
        if storages.insert(name, at + 8..end).is_some() {
            return Err("it has a storage twice".into());
        }
        at = end;
    }
    collect(&state, |storage| storages.get(storage).cloned().ok_or_else(|| "it lacks the storage of a tensor".into()))
}

/// The tensors of a state dict, each within the storage that `find` finds.
fn collect(pickle: &Pickle, mut find: impl FnMut(&str) -> Result<Range<usize>, String>) -> Result<TorchFile, String> {
    let StateDict { tensors: found, others } = pickle.state_dict()?;
    let mut tensors = Vec::with_capacity(found.len());
    for (name, tensor) in found {
        let storage = find(&tensor.storage).map_err(|why| format!("{why} (it holds {name})"))?;
        let size = size_of(tensor);
        if tensor.storage_len.checked_mul(size) != Some(storage.len()) {
            return Err(format!(
                "the storage of {name} has {} bytes, not {size} × {}",
                storage.len(),
                tensor.storage_len
            ));
        }
        let within = span(tensor)
            .is_some_and(|span| tensor.offset.checked_add(span).is_some_and(|end| end <= tensor.storage_len));
        if !within {
            return Err(format!("{name} reaches beyond its storage"));
        }
        let range = storage.start + tensor.offset * size..storage.end;
        tensors.push(TorchTensor { name: name.to_owned(), tensor: tensor.clone(), range });
    }
    Ok(TorchFile { tensors, others: others.into_iter().map(String::from).collect() })
}

/// Elements from the first one to behind the last one.
fn span(tensor: &PickledTensor) -> Option<usize> {
    if tensor.shape.contains(&0) {
        return Some(0);
    }
    let reach = |(&size, &stride): (&usize, &usize)| (size - 1).checked_mul(stride);
    let mut last = 0usize;
    for step in tensor.shape.iter().zip(&tensor.strides).map(reach) {
        last = last.checked_add(step?)?;
    }
    last.checked_add(1)
}

/// Bytes of an element.
fn size_of(tensor: &PickledTensor) -> usize {
    tensor.dtype.bitsize() / 8
}
