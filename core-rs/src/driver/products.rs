//! Which algorithm computes a product fastest, by measuring: cuBLASLt's own order is a guess. Each shape is measured once
//! on a kind of device, and a file keeps what came of it, so that later runs start at once and sum in the same order.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Algorithm, Device, Dtype, Lane, Product, Tensor};
use crate::error::Result;
use crate::rng::splitmix64;

/// Measured runs of each algorithm, after one that warms up.
const RUNS: usize = 3;

/// What an algorithm is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub sizes: [usize; 3],
    pub transposed: [bool; 2],
    pub types: [Dtype; 2],
    /// Of A, B, C and the bias: the largest power of two, up to 256, that the address is a multiple of.
    pub alignments: [u32; 4],
    pub bias: bool,
    pub accumulate: bool,
}

impl Key {
    pub fn of(product: &Product) -> Self {
        let alignment = |x: Tensor| 1 << x.address.trailing_zeros().min(8);
        let (a, b) = (product.a, product.b);
        Self {
            sizes: [product.m, product.n, product.k],
            transposed: [a.transposed, b.transposed],
            types: [a.elements.dtype, product.c.dtype],
            alignments: [
                alignment(a.elements),
                alignment(b.elements),
                alignment(product.c),
                product.bias.map_or(256, alignment),
            ],
            bias: product.bias.is_some(),
            accumulate: product.accumulate,
        }
    }
}

/// The algorithms that have been chosen.
#[derive(Debug, Default)]
pub struct Products {
    chosen: HashMap<Key, Algorithm>,
    /// What the file had, by the text of the key.
    kept: HashMap<String, Algorithm>,
    file: Option<PathBuf>,
}

impl Products {
    /// With what an earlier run has left in `folder` for this kind of device.
    pub fn new<D: Device>(device: &D, folder: Option<&Path>) -> Self {
        let file = folder.map(|folder| folder.join(format!("products-{:016x}.txt", hash(&device.kind()))));
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        Self { kept: text.lines().filter_map(parse).collect(), chosen: HashMap::new(), file }
    }

    /// The algorithm for a product, if one has been chosen.
    pub fn get(&self, product: &Product) -> Option<&Algorithm> {
        self.chosen.get(&Key::of(product))
    }

    /// Chooses an algorithm unless that has been done. Waits for the device if it has to measure.
    ///
    /// # Errors
    /// If there is none for the product.
    pub fn choose<D: Device>(&mut self, device: &D, product: &Product) -> Result<()> {
        let key = Key::of(product);
        if self.chosen.contains_key(&key) {
            return Ok(());
        }
        let name = format!("{key:?}");
        let algorithm = match self.kept.get(&name) {
            Some(kept) => *kept,
            None => {
                let fastest = fastest(device, product)?;
                self.keep(&name, &fastest);
                fastest
            }
        };
        self.chosen.insert(key, algorithm);
        Ok(())
    }

    /// A file that cannot be written costs the next start its time, and nothing else.
    fn keep(&self, name: &str, algorithm: &Algorithm) {
        let Some(file) = &self.file else { return };
        let _ = file.parent().map(std::fs::create_dir_all);
        if let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(file) {
            let _ = file.write_all(line(name, algorithm).as_bytes()); // one call: lines of two runs do not mix
        }
    }
}

/// The algorithm that took the least time. Its result goes to memory of its own, because the product may add to what is
/// there; where there is no memory for that, the first one is taken.
fn fastest<D: Device>(device: &D, product: &Product) -> Result<Algorithm> {
    let algorithms = device.algorithms(product)?;
    let first = algorithms[0];
    let (bytes, true) = (product.c.bytes(), algorithms.len() > 1) else { return Ok(first) };
    let Ok(memory) = device.allocate(bytes) else { return Ok(first) };
    let trial = Product { c: Tensor { address: D::address(&memory), ..product.c }, ..*product };
    let (from, to) = (device.event()?, device.event()?);
    let time = |algorithm: &Algorithm| -> Result<f32> {
        device.multiply(&trial, algorithm)?;
        device.record(&from, Lane::Compute)?;
        for _ in 0..RUNS {
            device.multiply(&trial, algorithm)?;
        }
        device.record(&to, Lane::Compute)?;
        device.finish(&to)?;
        device.milliseconds(&from, &to)
    };
    let mut best = (f32::INFINITY, first);
    for algorithm in algorithms {
        // One that does not run on this device is not the fastest.
        if let Ok(milliseconds) = time(&algorithm)
            && milliseconds < best.0
        {
            best = (milliseconds, algorithm);
        }
    }
    Ok(best.1)
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0, |hash, byte| splitmix64(hash ^ u64::from(byte)))
}

/// `KEY = WORDS CHECK`: eight words and a hash of the rest of the line, in hexadecimal.
fn line(name: &str, algorithm: &Algorithm) -> String {
    let words: Vec<String> = algorithm.iter().map(|word| format!("{word:016x}")).collect();
    let text = format!("{name} = {}", words.join(" "));
    format!("{text} {:016x}\n", hash(&text))
}

/// What [`line`] wrote; nothing if the line is damaged.
fn parse(line: &str) -> Option<(String, Algorithm)> {
    let (text, check) = line.rsplit_once(' ')?;
    if u64::from_str_radix(check, 16).ok()? != hash(text) {
        return None;
    }
    let (name, words) = text.split_once(" = ")?;
    let words: Vec<u64> = words.split(' ').map(|word| u64::from_str_radix(word, 16).ok()).collect::<Option<_>>()?;
    Some((name.into(), words.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written_and_a_damaged_one_is_not() {
        let algorithm = [1, 2, 3, u64::MAX, 5, 6, 7, 0];
        let text = line("Key { sizes: [1, 2, 3] }", &algorithm);
        let whole = text.trim_end();
        assert_eq!(parse(whole), Some(("Key { sizes: [1, 2, 3] }".into(), algorithm)));
        for damaged in [&whole[1..], &whole[..whole.len() - 1], &whole.replace("ffff", "fffe"), "", "x = 1 2"] {
            assert_eq!(parse(damaged), None, "{damaged}");
        }
    }
}
