//! Where the entries of a zip archive lie, for archives whose entries are stored and not compressed, as PyTorch writes
//! them. They are then slices of the mapped file: nothing is copied or unpacked.

use std::ops::Range;

/// A stored entry.
#[derive(Debug)]
pub struct Entry {
    /// Path within the archive.
    pub name: String,
    /// Where its bytes lie in the file.
    pub range: Range<usize>,
    crc32: u32,
}

impl Entry {
    /// The bytes, if they have the entry's checksum. PyTorch writes 0 where it was told to compute none.
    ///
    /// # Errors
    /// Says that the entry is damaged.
    pub fn checked<'a>(&self, file: &'a [u8]) -> Result<&'a [u8], String> {
        let bytes = &file[self.range.clone()];
        match self.crc32 == 0 || crc32fast::hash(bytes) == self.crc32 {
            true => Ok(bytes),
            false => Err(format!("its entry {:?} is damaged: the checksum is another one", self.name)),
        }
    }
}

/// The entries that the archive's directory lists.
///
/// # Errors
/// Says what is wrong with the archive.
pub fn entries(file: &[u8]) -> Result<Vec<Entry>, String> {
    let Directory { at, len, count } = directory(file)?;
    let mut left = file.get(at..).and_then(|rest| rest.get(..len)).ok_or("its directory lies outside it")?;
    let mut entries: Vec<Entry> = Vec::new();
    while !left.is_empty() {
        let (entry, rest) = entry(file, left)?;
        entries.push(entry);
        left = rest;
    }
    if entries.len() as u64 != count {
        return Err(format!("its directory has {} entries, but says {count}", entries.len()));
    }
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("its entry {:?} is there twice", pair[0])),
        None => Ok(entries),
    }
}

struct Directory {
    at: usize,
    len: usize,
    count: u64,
}

/// Finds the directory from the record at the archive's end, or from its 64-bit form.
fn directory(file: &[u8]) -> Result<Directory, String> {
    const END: &[u8] = b"PK\x05\x06";
    const END_LEN: usize = 22;
    const LONGEST_COMMENT: usize = 0xFFFF;
    let first = file.len().saturating_sub(END_LEN + LONGEST_COMMENT);
    let end = (first..file.len().saturating_sub(END_LEN - 1))
        .rev()
        .find(|&at| file[at..].starts_with(END) && usize::from(u16_at(file, at + 20)) == file.len() - at - END_LEN)
        .ok_or("it is cut off: the directory at its end is missing")?;
    let (count, len, at) = (u16_at(file, end + 10), u32_at(file, end + 12), u32_at(file, end + 16));
    if count != u16::MAX && len != u32::MAX && at != u32::MAX {
        return Ok(Directory { at: at as usize, len: len as usize, count: count.into() });
    }
    let outside = "its 64-bit directory lies outside it";
    let locator = end.checked_sub(20).filter(|&at| file[at..].starts_with(b"PK\x06\x07")).ok_or(outside)?;
    let record = size(u64_at(file, locator + 8))?;
    let whole = file.get(record..).is_some_and(|rest| rest.len() >= 56 && rest.starts_with(b"PK\x06\x06"));
    if !whole {
        return Err(outside.into());
    }
    let field = |offset| u64_at(file, record + offset);
    Ok(Directory { at: size(field(48))?, len: size(field(40))?, count: field(32) })
}

/// Reads the entry that a directory begins with; returns what follows it.
fn entry<'a>(file: &[u8], directory: &'a [u8]) -> Result<(Entry, &'a [u8]), String> {
    let cut = "its directory is cut off";
    if directory.len() < 46 || !directory.starts_with(b"PK\x01\x02") {
        return Err(cut.into());
    }
    let lengths = [28, 30, 32].map(|at| usize::from(u16_at(directory, at)));
    let name = directory.get(46..46 + lengths[0]).ok_or(cut)?;
    let extra = directory.get(46 + lengths[0]..46 + lengths[0] + lengths[1]).ok_or(cut)?;
    let rest = directory.get(46 + lengths.iter().sum::<usize>()..).ok_or(cut)?;
    let name = std::str::from_utf8(name).map_err(|_| "the name of an entry is not UTF-8")?.to_owned();
    let (flags, method) = (u16_at(directory, 8), u16_at(directory, 10));
    let mut long = LongFields(extra_field(extra, 1));
    let len = long.or(u32_at(directory, 24))?;
    let stored = long.or(u32_at(directory, 20))?;
    let header = size(long.or(u32_at(directory, 42))?)?;
    if flags & 1 != 0 {
        return Err(format!("its entry {name:?} is encrypted"));
    }
    if method != 0 || stored != len {
        return Err(format!("its entry {name:?} is compressed, which PyTorch's own files are not"));
    }
    let local = file.get(header..).filter(|rest| rest.len() >= 30 && rest.starts_with(b"PK\x03\x04"));
    let local = local.ok_or_else(|| format!("its entry {name:?} lies outside it"))?;
    let start = header + 30 + usize::from(u16_at(local, 26)) + usize::from(u16_at(local, 28));
    let end = start.checked_add(size(len)?).filter(|&end| end <= file.len());
    let end = end.ok_or_else(|| format!("its entry {name:?} is cut off"))?;
    Ok((Entry { name, range: start..end, crc32: u32_at(directory, 16) }, rest))
}

/// The 64-bit fields of an entry: each is there only if its 32-bit field is full.
struct LongFields<'a>(&'a [u8]);

impl LongFields<'_> {
    fn or(&mut self, short: u32) -> Result<u64, String> {
        if short != u32::MAX {
            return Ok(short.into());
        }
        let (long, rest) = self.0.split_first_chunk().ok_or("an entry lacks its 64-bit size")?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*long))
    }
}

/// The extra field of that kind; empty if there is none.
fn extra_field(mut extra: &[u8], kind: u16) -> &[u8] {
    while extra.len() >= 4 {
        let len = usize::from(u16_at(extra, 2));
        let Some(data) = extra.get(4..4 + len) else { break };
        if u16_at(extra, 0) == kind {
            return data;
        }
        extra = &extra[4 + len..];
    }
    &[]
}

fn size(value: u64) -> Result<usize, String> {
    usize::try_from(value).map_err(|_| "it says a size that no file has".into())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}
