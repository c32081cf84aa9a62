//! Where operations put their work. It is noted first and submitted as a whole: products get the algorithm that was
//! measured to be the fastest, what the host knows of a batch goes up in one copy while the device still works on the one
//! before, and a step that has been seen before is replayed as one graph. The host waits when it reads, and when it is
//! two submissions ahead. Used by `backend::cuda` and the operations; the calls of the driver are [`Device`]'s.
//!
//! After a failure nothing more is done; [`Queue::check`] says what it was. So an operation needs no result of its own.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use super::products::Products;
use super::work::{Command, Work};
use super::{Argument, Device, Dtype, Lane, Launch, Number, Product, Tensor, bytes_of};
use crate::error::{Code, Error, Result};
use crate::machine::profile::{Entry, Profile};

/// Graphs that are kept; beyond that the one that was not used for longest goes.
const MOST_GRAPHS: usize = 32;
/// Least bytes of each half of the pinned memory: what weights are uploaded by.
const STAGE: usize = 4 << 20;
/// Inputs begin at multiples of this, so that kernels may move packets of them.
const ALIGNMENT: usize = 16;

/// How work is run, beside as fast as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Each command is timed, which costs waiting for each submission.
    pub profile: bool,
    /// Each command is waited for, so that a fault names it: a device tells of one at some later call.
    pub synchronous: bool,
    /// Work that comes again is replayed as a graph.
    pub graphs: bool,
}

impl Default for Modes {
    fn default() -> Self {
        Self { profile: false, synchronous: false, graphs: true }
    }
}

impl Modes {
    /// Words with commas between them that help to find a fault: `synchronous` and `no-graphs`.
    ///
    /// # Errors
    /// `InvalidArgument` for another word.
    pub fn parse(text: &str) -> Result<Self> {
        let mut modes = Self::default();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            match word {
                "synchronous" => (modes.synchronous, modes.graphs) = (true, false),
                "no-graphs" => modes.graphs = false,
                _ => {
                    let message = format!("CLOZE_CUDA: {word:?} is neither synchronous nor no-graphs");
                    return Err(Error::new(Code::InvalidArgument, message));
                }
            }
        }
        Ok(modes)
    }
}

/// Work for a device.
pub struct Queue<D: Device> {
    /// Before the device, because graphs name its kernels.
    state: RefCell<State<D>>,
    device: D,
}

struct State<D: Device> {
    work: Work,
    inputs: Inputs<D>,
    products: Products,
    /// Work that will come again, the last used one last, and its graph from the second time on.
    graphs: Vec<(Work, Option<D::Graph>)>,
    /// Without graphs once the driver has refused one.
    modes: Modes,
    profile: Profile,
    events: Vec<D::Event>,
    failure: Option<Error>,
}

/// What the host says about a batch: it lies at the same place on the device each time, so that graphs can name it. Two
/// halves take turns: the host fills one while the device copies the other.
struct Inputs<D: Device> {
    arena: D::Memory,
    capacity: usize,
    halves: [Half<D>; 2],
    next: usize,
    /// Whether the next half is being filled, and how far: what is promised to inputs, and what is there.
    open: bool,
    promised: usize,
    filled: usize,
}

struct Half<D: Device> {
    pinned: D::Pinned,
    /// Where the upload goes while kernels still read the arena.
    landing: D::Memory,
    /// Passed once the pinned memory has been read.
    uploaded: D::Event,
    /// Passed once the landing place has been read.
    consumed: D::Event,
}

/// Bytes that [`Queue::input`] needs at most for rooms of so many 4-byte numbers each.
pub fn input_bytes(rooms: &[usize]) -> usize {
    rooms.iter().map(|room| (4 * room).next_multiple_of(ALIGNMENT)).sum()
}

impl<D: Device> Queue<D> {
    /// For inputs of up to `inputs` bytes a submission. `cache` is a folder that keeps the choice of algorithms.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(device: D, inputs: usize, cache: Option<&Path>, modes: Modes) -> Result<Self> {
        let half = || {
            let half = Half {
                pinned: device.pinned(inputs.max(STAGE))?,
                landing: device.allocate(inputs.max(1))?,
                uploaded: device.event()?,
                consumed: device.event()?,
            };
            device.record(&half.consumed, Lane::Compute)?; // zeroed, which the first upload waits for
            Ok(half)
        };
        let inputs = Inputs {
            arena: device.allocate(inputs.max(1))?,
            capacity: inputs,
            halves: [half()?, half()?],
            next: 0,
            open: false,
            promised: 0,
            filled: 0,
        };
        let state = State {
            work: Work::default(),
            inputs,
            products: Products::new(&device, cache),
            graphs: Vec::new(),
            modes,
            profile: Profile::new(modes.profile),
            events: Vec::new(),
            failure: None,
        };
        Ok(Self { device, state: RefCell::new(state) })
    }

    /// The device that it works for.
    pub fn device(&self) -> &D {
        &self.device
    }

    /// What activations are.
    pub fn activations(&self) -> Dtype {
        self.device.activations()
    }

    /// Notes a kernel.
    pub fn launch(&self, launch: &Launch, arguments: &[Argument]) {
        self.state.borrow_mut().work.launch(launch, arguments);
    }

    /// Notes a product. False if the device has no algorithm for it: then nothing is noted.
    pub fn multiply(&self, product: &Product) -> bool {
        product.check();
        let mut found = true;
        self.attempt(|state, device| {
            found = state.products.choose(device, product)?;
            if found {
                state.work.push(Command::Multiply(*product));
            }
            Ok(())
        });
        found
    }

    /// Notes `x = 0`.
    pub fn clear(&self, x: Tensor) {
        self.state.borrow_mut().work.push(Command::Clear(x));
    }

    /// Notes `to = from`, of one length and type.
    ///
    /// # Panics
    /// If they are not.
    pub fn copy(&self, to: Tensor, from: Tensor) {
        assert_eq!((to.len, to.dtype), (from.len, from.dtype), "a copy between tensors that are not alike");
        if to.len > 0 {
            self.state.borrow_mut().work.push(Command::Copy(to, from));
        }
    }

    /// Numbers for the work up to the next submission, at a place with room for `room` of them. The same sequence of calls
    /// with the same rooms gives the same places. What lies behind the numbers in their room is undefined.
    ///
    /// # Panics
    /// If they do not fit: a mistake in the planning.
    pub fn input<T: Number>(&self, values: &[T], room: usize) -> Tensor {
        assert!(values.len() <= room, "{} inputs in a room for {room}", values.len());
        let dtype = if size_of::<T>() == 8 { Dtype::Wide } else { Dtype::I32 };
        self.attempt(|state, device| state.inputs.open(device));
        let state = &mut *self.state.borrow_mut();
        let inputs = &mut state.inputs;
        let place = |first: usize| Tensor { address: D::address(&inputs.arena) + first as u64, len: room, dtype };
        if state.failure.is_some() {
            return place(0); // nothing will be read there
        }
        let first = inputs.promised.next_multiple_of(ALIGNMENT);
        inputs.promised = first + room * size_of::<T>();
        assert!(inputs.promised <= inputs.capacity, "{} bytes of inputs, {} planned", inputs.promised, inputs.capacity);
        if !values.is_empty() {
            let bytes = bytes_of(values);
            inputs.filled = first + bytes.len();
            inputs.halves[inputs.next].pinned.as_mut()[first..inputs.filled].copy_from_slice(bytes);
        }
        place(first)
    }

    /// Puts everything on the device; with `repeats`, as a graph, because the same work will come again. The first time it
    /// runs as it is: a driver loads a kernel when it is first used, and may not be able to while it captures.
    pub fn submit(&self, repeats: bool) {
        self.attempt(|state, device| state.submit(device, repeats));
        let state = &mut *self.state.borrow_mut();
        state.work.clear();
        state.inputs.open = false;
    }

    /// Copies to the device, behind all work so far. `from` may change once this returns.
    ///
    /// # Panics
    /// If it is larger than the tensor.
    pub fn write(&self, to: Tensor, from: &[u8]) {
        assert!(from.len() <= to.bytes(), "{} bytes for a tensor of {}", from.len(), to.bytes());
        self.submit(false);
        self.attempt(|state, device| {
            for (i, part) in from.chunks(STAGE).enumerate() {
                let half = state.inputs.turn();
                device.finish(&half.uploaded)?;
                half.pinned.as_mut()[..part.len()].copy_from_slice(part);
                let to = Tensor { address: to.address + (i * STAGE) as u64, ..to };
                device.copy_in(to, &half.pinned, part.len(), Lane::Compute)?;
                device.record(&half.uploaded, Lane::Compute)?;
            }
            Ok(())
        });
    }

    /// Submits, waits for everything and copies from the device.
    ///
    /// # Panics
    /// If it is more than the tensor has.
    pub fn read(&self, from: Tensor, to: &mut [u8]) {
        assert!(to.len() <= from.bytes(), "{} bytes of a tensor of {}", to.len(), from.bytes());
        self.submit(false);
        self.attempt(|_, device| device.copy_out(from, to));
    }

    /// Whether everything so far succeeded, as far as is known without waiting for it.
    ///
    /// # Errors
    /// What failed first.
    pub fn check(&self) -> Result<()> {
        self.state.borrow().failure.clone().map_or(Ok(()), Err)
    }

    /// Graphs that are kept, for tests.
    pub fn graphs(&self) -> usize {
        self.state.borrow().graphs.iter().filter(|(_, graph)| graph.is_some()).count()
    }

    /// Calls and time of each kernel and kind of product so far, if they were timed.
    pub fn profile(&self) -> Vec<Entry> {
        self.state.borrow().profile.entries()
    }

    /// Calls the device unless something failed before, and keeps what fails.
    fn attempt(&self, call: impl FnOnce(&mut State<D>, &D) -> Result<()>) {
        let state = &mut *self.state.borrow_mut();
        if state.failure.is_none() {
            state.failure = call(state, &self.device).err();
        }
    }
}

impl<D: Device> Drop for Queue<D> {
    /// Host memory is freed once the device has read it.
    fn drop(&mut self) {
        for half in &self.state.borrow().inputs.halves {
            let _ = self.device.finish(&half.uploaded);
        }
    }
}

impl<D: Device> Inputs<D> {
    /// The half whose turn it is.
    fn turn(&mut self) -> &mut Half<D> {
        let half = &mut self.halves[self.next];
        self.next = 1 - self.next;
        half
    }

    /// Begins to fill the next half, once the device has read it.
    fn open(&mut self, device: &D) -> Result<()> {
        if !self.open {
            device.finish(&self.halves[self.next].uploaded)?;
            (self.open, self.promised, self.filled) = (true, 0, 0);
        }
        Ok(())
    }

    /// Has what was filled copied up beside the work in progress, and into the arena behind it.
    fn send(&mut self, device: &D) -> Result<()> {
        let (bytes, arena) = (self.filled, D::address(&self.arena));
        if !self.open || bytes == 0 {
            return Ok(());
        }
        let half = self.turn();
        let place = |address| Tensor { address, len: bytes.div_ceil(4), dtype: Dtype::I32 };
        let landing = place(D::address(&half.landing));
        device.wait(&half.consumed, Lane::Copy)?;
        device.copy_in(landing, &half.pinned, bytes, Lane::Copy)?;
        device.record(&half.uploaded, Lane::Copy)?;
        device.wait(&half.uploaded, Lane::Compute)?;
        device.copy(place(arena), landing)?;
        device.record(&half.consumed, Lane::Compute)
    }
}

impl<D: Device> State<D> {
    fn submit(&mut self, device: &D, repeats: bool) -> Result<()> {
        self.inputs.send(device)?;
        match self.modes {
            _ if self.work.is_empty() => Ok(()),
            Modes { synchronous: true, .. } => self.run_one_by_one(device),
            Modes { profile: true, .. } => self.run_timed(device),
            Modes { graphs: true, .. } if repeats => self.run_as_graph(device),
            _ => self.run(device),
        }
    }

    fn run(&self, device: &D) -> Result<()> {
        self.work.run(device, |_| Ok(()), |product| multiply(device, &self.products, product))
    }

    /// Replays the graph of this work, or makes it first. A driver that makes none is asked no more.
    fn run_as_graph(&mut self, device: &D) -> Result<()> {
        let Some(at) = self.graphs.iter().position(|(work, _)| *work == self.work) else {
            if self.graphs.len() == MOST_GRAPHS {
                self.graphs.remove(0);
            }
            self.graphs.push((self.work.clone(), None));
            return self.run(device);
        };
        let (work, graph) = self.graphs.remove(at);
        let graph = match graph.map_or_else(|| self.capture(device), Ok) {
            Ok(graph) => graph,
            Err(error) => {
                (self.modes.graphs, self.graphs) = (false, Vec::new());
                eprintln!("cloze: steps are not replayed as CUDA graphs, so they start more slowly: {error}");
                return self.run(device);
            }
        };
        let replayed = device.replay(&graph);
        self.graphs.push((work, Some(graph)));
        replayed
    }

    fn capture(&self, device: &D) -> Result<D::Graph> {
        device.begin_capture()?;
        let noted = self.run(device);
        let graph = device.end_capture();
        noted.and(graph)
    }

    /// Waits for each command, and says which one failed.
    fn run_one_by_one(&self, device: &D) -> Result<()> {
        let event = device.event()?;
        let finish = |command: Option<&'static str>| {
            let Some(name) = command else { return Ok(()) };
            let named = |error: Error| Error { message: format!("{name}: {}", error.message), ..error };
            device.record(&event, Lane::Compute).and_then(|()| device.finish(&event)).map_err(named)
        };
        let mut last = None;
        let before = |command: &Command| finish(last.replace(command.name()));
        self.work.run(device, before, |product| multiply(device, &self.products, product))?;
        finish(last)
    }

    /// With an event before each command and behind the last one.
    fn run_timed(&mut self, device: &D) -> Result<()> {
        let commands = self.work.commands().len();
        while self.events.len() <= commands {
            self.events.push(device.event()?);
        }
        let mut events = self.events.iter();
        let mut record = || events.next().map_or(Ok(()), |event| device.record(event, Lane::Compute));
        self.work.run(device, |_| record(), |product| multiply(device, &self.products, product))?;
        record()?;
        device.finish(&self.events[commands])?;
        for (command, events) in self.work.commands().iter().zip(self.events.windows(2)) {
            let milliseconds = f64::from(device.milliseconds(&events[0], &events[1])?);
            self.profile.add(command.name(), Duration::from_secs_f64(milliseconds.max(0.0) / 1e3));
        }
        Ok(())
    }
}

fn multiply<D: Device>(device: &D, products: &Products, product: &Product) -> Result<()> {
    match products.get(product) {
        Some(algorithm) => device.multiply(product, algorithm),
        None => Err(Error::new(Code::Panic, "a product without an algorithm")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_parse_takes_two_words_and_no_other() {
        let graphs = |graphs| Modes { graphs, ..Modes::default() };
        assert_eq!(Modes::parse("").unwrap(), graphs(true));
        assert_eq!(Modes::parse("no-graphs").unwrap(), graphs(false));
        assert_eq!(Modes::parse("no-graphs,synchronous").unwrap(), Modes { synchronous: true, ..graphs(false) });
        assert!(Modes::parse("sync").unwrap_err().message.contains("\"sync\" is neither"));
    }
}
