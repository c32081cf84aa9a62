//! Which algorithm computes a product fastest, by measuring: cuBLASLt's own order is a guess. Each shape is measured once
//! on a kind of device, and a file keeps what came of it, so that later runs start at once and sum in the same order.
//! Without that file cuBLASLt's first choice is taken, because it is the same each time.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::matmul::Matmul;
use super::{Algorithm, Device, Dtype, Lane, Matrix, Product, Tensor};
use crate::error::Result;
use crate::rng::splitmix64;

/// Measured runs of each algorithm.
const ROUNDS: usize = 12;
/// Another than cuBLASLt's first choice has to be faster by more than what clocks do.
const MARGIN: f32 = 0.98;
/// Milliseconds of work before the first measurement.
const WARM_UP: f32 = 200.0;
/// Random numbers of an operand before they repeat.
const PATTERN: usize = 1 << 20;

/// What an algorithm is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub sizes: [usize; 3],
    pub strides: [usize; 3],
    pub transposed: [bool; 2],
    pub types: [Dtype; 2],
    /// [`Matmul::alignments`]
    pub alignments: [u32; 4],
    pub bias: bool,
    pub accumulate: bool,
}

impl Key {
    pub fn of(product: &Product) -> Self {
        let (a, b) = (product.a, product.b);
        Self {
            sizes: [product.m, product.n, product.k],
            strides: product.strides,
            transposed: [a.transposed, b.transposed],
            types: [a.elements.dtype, product.c.dtype],
            alignments: Matmul::of(product).alignments(),
            bias: product.bias.is_some(),
            accumulate: product.accumulate,
        }
    }
}

/// The algorithms that have been chosen.
#[derive(Debug, Default)]
pub struct Products {
    /// `None` where the device has no algorithm.
    chosen: HashMap<Key, Option<Algorithm>>,
    /// What the file had, by the text of the key.
    kept: HashMap<String, Algorithm>,
    /// Where choices are kept; `None` where nothing can be written, and then nothing is measured.
    file: Option<PathBuf>,
    /// Whether the device has been warmed up.
    warm: bool,
}

impl Products {
    /// With what an earlier run has left in `folder` for this kind of device.
    pub fn new<D: Device>(device: &D, folder: Option<&Path>) -> Self {
        let file = folder.map(|folder| folder.join(format!("products-{:016x}.txt", hash(&device.kind()))));
        let file = file.filter(|file| append(file, "").is_ok());
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        Self { kept: text.lines().filter_map(parse).collect(), file, ..Self::default() }
    }

    /// The algorithm for a product, if one has been chosen.
    pub fn get(&self, product: &Product) -> Option<&Algorithm> {
        self.chosen.get(&Key::of(product))?.as_ref()
    }

    /// Chooses an algorithm unless that has been done, and says whether there is one. Waits for the device if it has to
    /// measure.
    ///
    /// # Errors
    /// What the driver says.
    pub fn choose<D: Device>(&mut self, device: &D, product: &Product) -> Result<bool> {
        let key = Key::of(product);
        if let Some(chosen) = self.chosen.get(&key) {
            return Ok(chosen.is_some());
        }
        let name = format!("{key:?}");
        // One that another driver has left may not run here.
        let kept = self.kept.get(&name).copied().filter(|kept| device.runs(product, kept));
        let algorithm = match kept {
            Some(kept) => Some(kept),
            None => self.find(device, product, &name)?,
        };
        self.chosen.insert(key, algorithm);
        Ok(algorithm.is_some())
    }

    /// Measures and keeps. Where the choice cannot be kept, the next run could make another one and sum in another order,
    /// so there it is cuBLASLt's first.
    fn find<D: Device>(&mut self, device: &D, product: &Product, name: &str) -> Result<Option<Algorithm>> {
        let algorithms = device.algorithms(product)?;
        let (Some(&first), Some(file)) = (algorithms.first(), &self.file) else {
            return Ok(algorithms.first().copied());
        };
        // Without memory for a trial, the first one is taken, and the next run measures.
        let Ok(trial) = Trial::new(device, product) else { return Ok(Some(first)) };
        if !self.warm {
            trial.warm_up(device, &first)?;
            self.warm = true;
        }
        let times = trial.times(device, &algorithms)?;
        let fastest = (0..times.len()).min_by(|&i, &j| times[i].total_cmp(&times[j])).unwrap_or(0);
        let chosen = if times[fastest] < times[0] * MARGIN { algorithms[fastest] } else { first };
        // A file that cannot be written now costs the next start its time.
        let _ = append(file, &line(name, &chosen));
        Ok(Some(chosen))
    }
}

/// One call of the system for a line: lines of two runs do not mix.
fn append(file: &Path, text: &str) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::OpenOptions::new().append(true).create(true).open(file)?.write_all(text.as_bytes())
}

/// A product on operands of its own: random ones, because zeros take less power than a training step's numbers do and so
/// leave the device clocks that it will not have.
struct Trial<D: Device> {
    product: Product,
    events: [D::Event; 2],
    _operands: [D::Memory; 3],
}

impl<D: Device> Trial<D> {
    fn new(device: &D, product: &Product) -> Result<Self> {
        let (a, b, c) = (product.a.elements, product.b.elements, product.c);
        let [new_a, new_b] = [random(device, a)?, random(device, b)?];
        let new_c = device.allocate(c.bytes())?;
        let at = |tensor: Tensor, memory: &D::Memory| Tensor { address: D::address(memory), ..tensor };
        let product = Product {
            a: Matrix { elements: at(a, &new_a), ..product.a },
            b: Matrix { elements: at(b, &new_b), ..product.b },
            c: at(c, &new_c),
            ..*product
        };
        Ok(Self { product, events: [device.event()?, device.event()?], _operands: [new_a, new_b, new_c] })
    }

    /// The time of so many runs.
    fn time(&self, device: &D, algorithm: &Algorithm, runs: usize) -> Result<f32> {
        let [from, to] = &self.events;
        device.record(from, Lane::Compute)?;
        for _ in 0..runs {
            device.multiply(&self.product, algorithm)?;
        }
        device.record(to, Lane::Compute)?;
        device.finish(to)?;
        device.milliseconds(from, to)
    }

    /// A GPU that was idle takes a while to reach its clocks.
    fn warm_up(&self, device: &D, algorithm: &Algorithm) -> Result<()> {
        let mut milliseconds = 0.0;
        while milliseconds < WARM_UP {
            milliseconds += self.time(device, algorithm, 8)?.max(0.01);
        }
        Ok(())
    }

    /// The least time of each, in turns, so that a change of clocks meets all of them. One that does not run here takes
    /// for ever.
    fn times(&self, device: &D, algorithms: &[Algorithm]) -> Result<Vec<f32>> {
        let mut least = vec![f32::INFINITY; algorithms.len()];
        let runs: Vec<bool> = algorithms.iter().map(|a| self.time(device, a, 1).is_ok()).collect();
        for _ in 0..ROUNDS {
            for (i, algorithm) in algorithms.iter().enumerate().filter(|(i, _)| runs[*i]) {
                least[i] = least[i].min(self.time(device, algorithm, 1)?);
            }
        }
        Ok(least)
    }
}

/// Memory like a tensor's, with random numbers between -1 and 1: some from the host, and copies of them.
fn random<D: Device>(device: &D, like: Tensor) -> Result<D::Memory> {
    let memory = device.allocate(like.bytes())?;
    let tensor = Tensor { address: D::address(&memory), ..like };
    let count = like.len.min(PATTERN);
    let mut pattern = device.pinned(count * like.dtype.size())?;
    for (i, place) in pattern.as_mut().chunks_exact_mut(like.dtype.size()).enumerate() {
        let number = (splitmix64(i as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let bytes = number.to_bits().to_ne_bytes();
        place.copy_from_slice(&bytes[4 - place.len()..]); // a bfloat16 is the upper half
    }
    device.copy_in(tensor.part(0, count), &pattern, pattern.as_ref().len(), Lane::Compute)?;
    let mut filled = count;
    while filled < like.len {
        let more = filled.min(like.len - filled);
        device.copy(tensor.part(filled, more), tensor.part(0, more))?;
        filled += more;
    }
    let done = device.event()?;
    device.record(&done, Lane::Compute)?;
    device.finish(&done)?; // before the pattern goes
    Ok(memory)
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
