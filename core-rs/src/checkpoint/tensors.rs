//! The tensors of a model by name, in whichever files they are: a safetensors file, one of `torch.save`, or an index that
//! says which of several files has which tensor. The files are mapped; no tensor is copied before it is asked for.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, SafeTensorError};
use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};

use super::torch;
use crate::error::{Code, Error, Result};

/// Every tensor of a model.
pub struct Tensors {
    /// The file or index that was opened.
    path: PathBuf,
    files: Vec<(PathBuf, Mmap)>,
    places: HashMap<String, Place>,
    /// Names of what is no tensor, in files that can hold such things.
    others: Vec<String>,
}

struct Place {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Elements from one index to the next; row after row without.
    strides: Option<Vec<usize>>,
    /// Its elements; with strides, from the first to at least the last one.
    bytes: Range<usize>,
}

/// A tensor as it lies in its file.
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    /// The file.
    pub path: &'a Path,
    /// Of its elements.
    pub dtype: Dtype,
    /// Its sizes.
    pub shape: &'a [usize],
    /// Elements from one index to the next, where they are not row after row.
    pub strides: Option<&'a [usize]>,
    /// Its elements; with strides, from the first to at least the last one.
    pub data: &'a [u8],
}

impl Tensors {
    /// Opens a file of weights or an index (`*.index.json`).
    ///
    /// # Errors
    /// `Io`, or `Corrupt` naming the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self> {
        let mut all = Self { path: path.to_owned(), files: vec![], places: HashMap::new(), others: vec![] };
        match is_index(path) {
            true => all.add_shards(path)?,
            false => all.add_file(path)?,
        }
        Ok(all)
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<Tensor<'_>> {
        let place = self.places.get(name)?;
        let (path, map) = &self.files[place.file];
        Some(Tensor {
            path,
            dtype: place.dtype,
            shape: &place.shape,
            strides: place.strides.as_deref(),
            data: &map[place.bytes.clone()],
        })
    }

    /// The names of the tensors, and of what else the files hold, in alphabetical order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.places.keys().chain(&self.others).map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    fn add_shards(&mut self, index: &Path) -> Result<()> {
        let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, shard) in read_index(index)? {
            shards.entry(shard).or_default().push(name);
        }
        for (shard, names) in shards {
            let path = index.with_file_name(&shard);
            self.add_file(&path).map_err(|error| match path.try_exists() {
                Ok(false) => Error::new(
                    Code::Io,
                    format!("{} is missing: {} says that it holds {}", path.display(), index.display(), names[0]),
                )
                .with_hint("copy or download the rest of the model"),
                _ => error,
            })?;
            let file = self.files.len() - 1;
            if let Some(name) = names.iter().find(|name| self.places.get(*name).is_none_or(|place| place.file != file))
            {
                let message = format!("{} says that {name} is in {shard}, but it is not there", index.display());
                return Err(Error::new(Code::Corrupt, message).with_hint(ANOTHER_COPY));
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<()> {
        let map = map(path)?;
        let places = match torch::is_torch(&map) {
            true => self.torch_places(path, &map)?,
            false => safetensors_places(path, &map, self.files.len())?,
        };
        for (name, place) in places {
            let file = |place: &Place| self.files.get(place.file).map_or(path, |(path, _)| path).display().to_string();
            if let Some(other) = self.places.get(&name) {
                let message = format!("{name} is twice in the model: in {} and in {}", file(other), file(&place));
                return Err(Error::new(Code::Corrupt, message).with_hint(ANOTHER_COPY));
            }
            self.places.insert(name, place);
        }
        self.files.push((path.to_owned(), map));
        Ok(())
    }

    fn torch_places(&mut self, path: &Path, map: &[u8]) -> Result<Vec<(String, Place)>> {
        let found = torch::read(map).map_err(|why| {
            Error::new(Code::Corrupt, format!("{} cannot be read as a PyTorch file: {why}", path.display()))
                .with_hint("save the state dict again with torch.save, or better as safetensors")
        })?;
        self.others.extend(found.others);
        let place = |tensor: torch::TorchTensor| {
            let (name, range, tensor) = (tensor.name, tensor.range, tensor.tensor);
            let in_rows = row_strides(&tensor.shape) == tensor.strides;
            let len = tensor.shape.iter().product::<usize>() * tensor.dtype.bitsize() / 8;
            let (strides, bytes) = match in_rows {
                true => (None, range.start..range.start + len),
                false => (Some(tensor.strides), range),
            };
            (name, Place { file: self.files.len(), dtype: tensor.dtype, shape: tensor.shape, strides, bytes })
        };
        Ok(found.tensors.into_iter().map(place).collect())
    }
}

const ANOTHER_COPY: &str = "the files may belong to different models: copy or download all of them again";

impl<'a> Tensor<'a> {
    /// Reads the elements row after row, as f32; `to` has as many.
    ///
    /// # Errors
    /// The dtype, if it is none of floating-point numbers.
    pub fn copy_to(&self, to: &mut [f32]) -> std::result::Result<(), Dtype> {
        match self.dtype {
            Dtype::F64 => self.copy_with(to, |bytes| f64::from_le_bytes(bytes) as f32),
            Dtype::F32 => self.copy_with(to, f32::from_le_bytes),
            Dtype::BF16 => self.copy_with(to, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Dtype::F16 => self.copy_with(to, |bytes| f16::from_le_bytes(bytes).to_f32()),
            other => return Err(other),
        }
        Ok(())
    }

    fn copy_with<const N: usize>(&self, to: &mut [f32], read: impl Fn([u8; N]) -> f32) {
        if self.strides.is_none() {
            let (elements, _) = self.data.as_chunks::<N>();
            return to.iter_mut().zip(elements).for_each(|(to, bytes)| *to = read(*bytes));
        }
        let mut to = to.iter_mut();
        self.each(|bytes| {
            if let Some(to) = to.next() {
                *to = read(bytes);
            }
        });
    }

    /// The elements, row after row; none if they are no floating-point numbers.
    pub fn numbers(&self) -> Vec<f64> {
        let mut numbers = Vec::new();
        match self.dtype {
            Dtype::F64 => self.each(|bytes| numbers.push(f64::from_le_bytes(bytes))),
            Dtype::F32 => self.each(|bytes| numbers.push(f32::from_le_bytes(bytes).into())),
            Dtype::BF16 => self.each(|bytes| numbers.push(bf16::from_le_bytes(bytes).into())),
            Dtype::F16 => self.each(|bytes| numbers.push(f16::from_le_bytes(bytes).into())),
            _ => {}
        }
        numbers
    }

    /// Writes the elements row after row, as they are.
    ///
    /// # Errors
    /// Of the writer.
    pub fn write_to(&self, to: &mut impl Write) -> std::io::Result<()> {
        if self.strides.is_none() {
            return to.write_all(self.data);
        }
        let mut bytes = Vec::with_capacity(self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8);
        match self.dtype.bitsize() {
            8 => self.each::<1>(|element| bytes.extend(element)),
            16 => self.each::<2>(|element| bytes.extend(element)),
            32 => self.each::<4>(|element| bytes.extend(element)),
            _ => self.each::<8>(|element| bytes.extend(element)),
        }
        to.write_all(&bytes)
    }

    /// What stands at an index of its first size; an element of a tensor that has one size only.
    pub fn row(&self, index: usize) -> Tensor<'a> {
        let shape = &self.shape[1..];
        let len: usize = shape.iter().product();
        let (stride, strides) = match self.strides {
            Some(strides) => (strides[0], Some(&strides[1..])),
            None => (len, None),
        };
        let start = index * stride * self.dtype.bitsize() / 8;
        let end = if strides.is_some() { self.data.len() } else { start + len * self.dtype.bitsize() / 8 };
        Tensor { shape, strides, data: &self.data[start..end], ..*self }
    }

    /// What tensors are in order of, in the files that they lie in.
    pub fn order(&self) -> (&'a Path, usize) {
        (self.path, self.data.as_ptr() as usize)
    }

    /// Hands on the bytes of each element, row after row.
    fn each<const N: usize>(&self, mut take: impl FnMut([u8; N])) {
        let (elements, _) = self.data.as_chunks::<N>();
        let Some(strides) = self.strides else {
            return elements.iter().for_each(|bytes| take(*bytes));
        };
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        for _ in 0..self.shape.iter().product() {
            take(elements[at]);
            for d in (0..index.len()).rev() {
                index[d] += 1;
                at += strides[d];
                if index[d] < self.shape[d] {
                    break;
                }
                at -= strides[d] * self.shape[d];
                index[d] = 0;
            }
        }
    }
}

/// Whether a path is that of an index, which says which file has which tensor.
pub fn is_index(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".index.json")
}

/// Strides of elements that lie row after row, as PyTorch has them.
fn row_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d].saturating_mul(shape[d]);
    }
    strides
}

/// Opens a file for reading.
///
/// # Errors
/// `Io`; `Corrupt` if it is empty.
pub fn open_file(path: &Path) -> Result<File> {
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

fn map(path: &Path) -> Result<Mmap> {
    let file = open_file(path)?;
    // SAFETY: the mapping is only read; a file that another program cuts short meanwhile would fault, which no reader of
    // a shared file can prevent.
    unsafe { Mmap::map(&file) }.map_err(|e| unreadable(path, &e))
}

/// The error of a file that the system does not let be read.
pub fn unreadable(path: &Path, e: &std::io::Error) -> Error {
    Error::new(Code::Io, format!("{}: could not be read: {e}", path.display()))
}

fn corrupt(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(Code::Corrupt, format!("{} is not a whole safetensors file: {why}", path.display()))
        .with_hint("the file may be cut off or still being written: copy it again or use an older checkpoint")
}

/// The tensors of a safetensors file.
///
/// # Errors
/// `Corrupt` naming the file.
pub fn parse<'a>(path: &Path, file: &'a [u8]) -> Result<SafeTensors<'a>> {
    if file.starts_with(b"version https://git-lfs") {
        return Err(Error::new(
            Code::Corrupt,
            format!("{} is a pointer of Git LFS, not the weights themselves", path.display()),
        )
        .with_hint("fetch them with git lfs pull"));
    }
    let tensors = SafeTensors::deserialize(file).map_err(|e| match e {
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => {
            corrupt(path, format!("its header is longer than its {} bytes", file.len()))
        }
        SafeTensorError::MetadataIncompleteBuffer => corrupt(path, "its tensors do not fill it exactly"),
        other => corrupt(path, other),
    })?;
    let header_len = file.first_chunk().map_or(0, |len| u64::from_le_bytes(*len) as usize);
    serde_json::from_slice::<Entries<IgnoredAny>>(&file[8..8 + header_len]).map_err(|e| corrupt(path, e))?;
    Ok(tensors)
}

fn safetensors_places(path: &Path, map: &[u8], file: usize) -> Result<Vec<(String, Place)>> {
    let tensors = parse(path, map)?;
    let place = |(name, view): (&str, safetensors::tensor::TensorView)| {
        let start = view.data().as_ptr() as usize - map.as_ptr() as usize;
        let bytes = start..start + view.data().len();
        (name.to_owned(), Place { file, dtype: view.dtype(), shape: view.shape().to_vec(), strides: None, bytes })
    };
    Ok(tensors.iter().map(place).collect())
}

/// What an index says: the file of each tensor.
fn read_index(path: &Path) -> Result<Vec<(String, String)>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: Entries<String>,
    }
    let refuse = |why: String| {
        Error::new(Code::Corrupt, format!("{} is no index of weights: {why}", path.display()))
            .with_hint("copy or download it again")
    };
    let text = map(path)?;
    let Index { weight_map } = serde_json::from_slice(&text).map_err(|e| refuse(e.to_string()))?;
    if weight_map.0.is_empty() {
        return Err(refuse("its weight_map is empty".into()));
    }
    match weight_map.0.iter().find(|(_, shard)| !is_beside(shard)) {
        Some((name, shard)) => Err(refuse(format!("it says that {name} is in {shard:?}, which is no file beside it"))),
        None => Ok(weight_map.0),
    }
}

/// Whether it is a plain name of a file, that of no other index.
fn is_beside(shard: &str) -> bool {
    !shard.contains(['/', '\\', '\0', ':']) && !matches!(shard, "" | "." | "..") && !shard.ends_with(".index.json")
}

/// The entries of a JSON object, which are an error if two have the same name.
struct Entries<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Read<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Entries<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut entries: Vec<(String, T)> = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                let mut names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                match names.windows(2).find(|pair| pair[0] == pair[1]) {
                    Some(pair) => Err(A::Error::custom(format!("it names {} twice", pair[0]))),
                    None => Ok(Entries(entries)),
                }
            }
        }
        deserializer.deserialize_map(Read(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests;
