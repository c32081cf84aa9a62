//! A [`Device`] on machines without a GPU: runs the kernels of a [`Program`], in which simulator.h makes a block's threads
//! fibers and checks what they touch.
//!
//! Like a GPU it works later than it is asked to: each lane keeps what it has to do until somebody waits for it, which
//! is as late as it can be. So memory that is used again too early, or a missing event, shows as a wrong result. Every
//! call is noted, for tests of their order.

use std::collections::VecDeque;
use std::ffi::{CStr, c_void};
use std::sync::{Arc, Mutex};

use cloze_core::driver::{Algorithm, Argument, Device, Dtype, Lane, Launch, Product, Tensor};
use cloze_core::error::{Code, Error, Result};

use crate::program::{Allocate, Program, Release, Run};

/// Whether an algorithm is for a product.
pub type Multiplies = fn(&Product, &Algorithm) -> bool;

/// A simulated GPU.
pub struct Simulator {
    core: Arc<Core>,
    activations: Dtype,
    /// Whether it refuses to capture graphs, as a driver may.
    refuses_graphs: bool,
    /// Whether a fault says where it was, which a driver does not.
    names: bool,
    /// Whether an algorithm is for a product.
    multiplies: Multiplies,
}

/// What memory, too, has to know: freeing it waits for what is still to be done.
struct Core {
    program: Arc<Program>,
    /// Whether threads run in descending order.
    reversed: bool,
    state: Mutex<State>,
    calls: Arc<Mutex<Vec<String>>>,
}

#[derive(Default)]
struct State {
    lanes: [VecDeque<Work>; 2],
    /// What is captured instead of queued.
    captured: Option<Vec<Work>>,
    /// Kernels that have run: a driver loads them then, and may not be able to while it captures.
    loaded: Vec<&'static str>,
    /// Milliseconds.
    clock: f32,
    failure: Option<Error>,
}

/// What a lane has to do.
#[derive(Clone)]
enum Work {
    Launch(Launch, Vec<Argument>),
    Multiply(Product, Algorithm),
    Clear(Tensor),
    CopyIn(Tensor, Host, usize),
    Copy(Tensor, Tensor),
    Record(Event, u64),
    Wait(Event, u64),
}

/// Host memory that a copy reads when its turn comes.
#[derive(Clone, Copy)]
struct Host(*const u8);

// SAFETY: the queue keeps the memory as long as the simulator.
unsafe impl Send for Host {}

/// How often it was recorded and passed, and when it was passed last.
#[derive(Clone, Default)]
pub struct Event(Arc<Mutex<(u64, u64, f32)>>);

impl Event {
    fn recorded(&self) -> u64 {
        self.0.lock().unwrap().0
    }

    fn passed(&self) -> u64 {
        self.0.lock().unwrap().1
    }
}

/// Captured work.
pub struct Graph(Vec<Work>);

/// The algorithms that it offers: the second one is the fastest, the third one does not run.
pub const ALGORITHMS: [Algorithm; 3] = [[1; 8], [2; 8], [3; 8]];

impl Simulator {
    pub fn new(program: Arc<Program>, activations: Dtype) -> Self {
        let (state, calls) = (Mutex::default(), Arc::default());
        Self {
            core: Arc::new(Core { program, reversed: false, state, calls }),
            activations,
            refuses_graphs: false,
            names: true,
            multiplies: |_, _| true,
        }
    }

    /// The same with threads in descending order, or not.
    pub fn reversed(mut self, reversed: bool) -> Self {
        let (state, calls) = (Mutex::default(), Arc::clone(&self.core.calls));
        let program = Arc::clone(&self.core.program);
        self.core = Arc::new(Core { program, reversed, state, calls });
        self
    }

    /// The same, but it captures no graphs.
    pub fn without_graphs(mut self) -> Self {
        self.refuses_graphs = true;
        self
    }

    /// The same, but faults do not say where they were.
    pub fn without_names(mut self) -> Self {
        self.names = false;
        self
    }

    /// The same, but it has some algorithms for some products only.
    pub fn multiplying(mut self, multiplies: Multiplies) -> Self {
        self.multiplies = multiplies;
        self
    }

    /// The calls so far, to look at later.
    pub fn calls(&self) -> Arc<Mutex<Vec<String>>> {
        Arc::clone(&self.core.calls)
    }

    /// Notes a call, unless something failed before it.
    fn called(&self, name: impl Into<String>) -> Result<std::sync::MutexGuard<'_, State>> {
        self.core.calls.lock().unwrap().push(name.into());
        let state = self.core.state.lock().unwrap();
        state.failure.clone().map_or(Ok(state), Err)
    }

    /// The same for a call that may not be made between the beginning and the end of a capture.
    fn called_outside(&self, name: &str) -> Result<std::sync::MutexGuard<'_, State>> {
        let state = self.called(name)?;
        match state.captured.is_some() {
            true => Err(Error::new(Code::Unsupported, format!("{name} while a graph is captured"))),
            false => Ok(state),
        }
    }

    /// Queues or captures a kernel, a product or clearing.
    fn add(&self, name: String, work: Work) -> Result<()> {
        let mut state = self.called(name)?;
        match &mut state.captured {
            Some(captured) => captured.push(work),
            None => state.lanes[Lane::Compute as usize].push_back(work),
        }
        Ok(())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.core.run_all();
    }
}

impl Core {
    /// Does everything that is left to do.
    fn run_all(&self) {
        let mut state = self.state.lock().unwrap();
        for lane in [Lane::Copy, Lane::Compute] {
            while self.run_next(&mut state, lane) {}
        }
    }

    /// Works on a lane until an event has been passed so many times.
    fn run_until(&self, state: &mut State, event: &Event, times: u64) {
        while event.passed() < times {
            let records = |work: &Work| matches!(work, Work::Record(e, _) if Arc::ptr_eq(&e.0, &event.0));
            let lane =
                [Lane::Compute, Lane::Copy].into_iter().find(|lane| state.lanes[*lane as usize].iter().any(records));
            self.run_next(state, lane.expect("an event that is recorded somewhere"));
        }
    }

    /// Does the next thing on a lane; false if there is none.
    fn run_next(&self, state: &mut State, lane: Lane) -> bool {
        let Some(work) = state.lanes[lane as usize].pop_front() else { return false };
        state.clock += match &work {
            Work::Launch(..) => 1.0,
            Work::Multiply(_, algorithm) if *algorithm == ALGORITHMS[1] => 1.0,
            Work::Multiply(..) => 2.0,
            _ => 0.0,
        };
        match work {
            Work::Wait(event, times) => self.run_until(state, &event, times),
            Work::Record(event, times) => {
                let mut event = event.0.lock().unwrap();
                (event.1, event.2) = (times, state.clock);
            }
            _ if state.failure.is_some() => {}
            Work::Launch(launch, arguments) => state.failure = self.launch(&launch, &arguments),
            Work::Multiply(product, _) => multiply(&product),
            Work::Clear(x) => slice_mut(x).fill(0),
            Work::Copy(to, from) => slice_mut(to)[..from.bytes()].copy_from_slice(slice_mut(from)),
            Work::CopyIn(to, from, bytes) => {
                // SAFETY: pinned memory of the queue, which is dropped after this device.
                let from = unsafe { std::slice::from_raw_parts(from.0, bytes) };
                slice_mut(to)[..bytes].copy_from_slice(from);
            }
        }
        true
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Option<Error> {
        let run = self.program.symbol::<Run>(&format!("cloze_{}", launch.kernel)).expect("looked for before");
        let pointers: Vec<*const c_void> = arguments.iter().map(|a| std::ptr::from_ref(a).cast()).collect();
        let size = [launch.grid[0] as u32, launch.grid[1] as u32, 1, launch.threads as u32, 1, 1];
        let count = pointers.len() as u32;
        // SAFETY: the simulator checks what the kernel touches.
        let fault = unsafe { run(count, pointers.as_ptr(), size.as_ptr(), launch.shared, i32::from(self.reversed)) };
        // SAFETY: a text that lives until this thread's next launch.
        let text = (!fault.is_null()).then(|| unsafe { CStr::from_ptr(fault) }.to_string_lossy().into_owned());
        text.map(|text| Error::new(Code::Panic, text))
    }
}

/// Memory that the simulator knows the ends of.
pub struct Memory {
    start: *mut c_void,
    core: Arc<Core>,
}

// SAFETY: plain memory; whoever reads and writes it takes turns.
unsafe impl Send for Memory {}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({:?})", self.start)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.core.run_all();
        let release = self.core.program.symbol::<Release>("cloze_release").expect("in simulator.h");
        // SAFETY: made by cloze_allocate, released once.
        unsafe { release(self.start) };
    }
}

impl Device for Simulator {
    type Memory = Memory;
    type Pinned = Box<[u8]>;
    type Event = Event;
    type Graph = Graph;

    fn name(&self) -> String {
        "simulated".into()
    }

    fn kind(&self) -> String {
        "simulated".into()
    }

    fn activations(&self) -> Dtype {
        self.activations
    }

    fn allocate(&self, bytes: usize) -> Result<Memory> {
        drop(self.called_outside("allocate")?);
        let allocate = self.core.program.symbol::<Allocate>("cloze_allocate").expect("in simulator.h");
        // SAFETY: any size is fine.
        let start = unsafe { allocate(bytes) };
        match start.is_null() {
            true => Err(Error::new(Code::OutOfMemory, "the simulator has no memory left")),
            false => Ok(Memory { start, core: Arc::clone(&self.core) }),
        }
    }

    fn address(memory: &Memory) -> u64 {
        memory.start as u64
    }

    fn pinned(&self, bytes: usize) -> Result<Box<[u8]>> {
        Ok(vec![0; bytes].into())
    }

    fn event(&self) -> Result<Event> {
        Ok(Event::default())
    }

    fn record(&self, event: &Event, lane: Lane) -> Result<()> {
        let mut state = self.called_outside("record")?;
        let times = event.recorded() + 1;
        event.0.lock().unwrap().0 = times;
        state.lanes[lane as usize].push_back(Work::Record(event.clone(), times));
        Ok(())
    }

    fn wait(&self, event: &Event, lane: Lane) -> Result<()> {
        let mut state = self.called_outside("wait")?;
        state.lanes[lane as usize].push_back(Work::Wait(event.clone(), event.recorded()));
        Ok(())
    }

    fn finish(&self, event: &Event) -> Result<()> {
        let mut state = self.called_outside("finish")?;
        self.core.run_until(&mut state, event, event.recorded());
        match &state.failure {
            Some(_) if !self.names => Err(Error::new(Code::Panic, "a kernel or an upload failed")),
            failure => failure.clone().map_or(Ok(()), Err),
        }
    }

    fn milliseconds(&self, from: &Event, to: &Event) -> Result<f32> {
        let (from, to) = (*from.0.lock().unwrap(), *to.0.lock().unwrap());
        assert!(from.0 == from.1 && to.0 == to.1, "an event that has not been passed");
        Ok(to.2 - from.2)
    }

    fn copy_in(&self, to: Tensor, from: &Box<[u8]>, bytes: usize, lane: Lane) -> Result<()> {
        assert!(bytes <= to.bytes() && bytes <= from.len(), "{bytes} bytes for a tensor of {}", to.bytes());
        let mut state = self.called_outside("copy_in")?;
        state.lanes[lane as usize].push_back(Work::CopyIn(to, Host(from.as_ptr()), bytes));
        Ok(())
    }

    fn copy(&self, to: Tensor, from: Tensor) -> Result<()> {
        let mut state = self.called_outside("copy")?;
        state.lanes[Lane::Compute as usize].push_back(Work::Copy(to, from));
        Ok(())
    }

    fn copy_out(&self, from: Tensor, to: &mut [u8]) -> Result<()> {
        let mut state = self.called_outside("copy_out")?;
        while self.core.run_next(&mut state, Lane::Compute) {}
        let len = to.len();
        to.copy_from_slice(&slice_mut(from)[..len]);
        state.failure.clone().map_or(Ok(()), Err)
    }

    fn clear(&self, x: Tensor) -> Result<()> {
        self.add("clear".into(), Work::Clear(x))
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<()> {
        let Some(_) = self.core.program.symbol::<Run>(&format!("cloze_{}", launch.kernel)) else {
            panic!("there is no kernel {}", launch.kernel);
        };
        // What the driver refuses at once.
        let [x, y] = launch.grid;
        if x == 0 || y == 0 || x >= 1 << 31 || y >= 1 << 16 {
            return Err(Error::new(Code::Panic, format!("{}: a grid of {x} x {y} blocks", launch.kernel)));
        }
        let mut state = self.core.state.lock().unwrap();
        match (state.loaded.contains(&launch.kernel), &state.captured) {
            (true, _) => {}
            (false, None) => state.loaded.push(launch.kernel),
            (false, Some(_)) => {
                return Err(Error::new(Code::Panic, format!("{} is first used while it is captured", launch.kernel)));
            }
        }
        drop(state);
        self.add(format!("launch {}", launch.kernel), Work::Launch(*launch, arguments.to_vec()))
    }

    fn algorithms(&self, product: &Product) -> Result<Vec<Algorithm>> {
        drop(self.called_outside("algorithms")?);
        Ok(ALGORITHMS.into_iter().filter(|algorithm| (self.multiplies)(product, algorithm)).collect())
    }

    fn runs(&self, product: &Product, algorithm: &Algorithm) -> bool {
        (self.multiplies)(product, algorithm) && ALGORITHMS[..2].contains(algorithm)
    }

    fn multiply(&self, product: &Product, algorithm: &Algorithm) -> Result<()> {
        if !self.runs(product, algorithm) || product.m * product.n * product.k == 0 {
            return Err(Error::new(Code::Unsupported, format!("no such product: {product:?} by {algorithm:?}")));
        }
        if product.bias.is_some_and(|bias| !bias.address.is_multiple_of(16)) {
            return Err(Error::new(Code::Unsupported, format!("a bias that is not aligned: {product:?}")));
        }
        self.add("multiply".into(), Work::Multiply(*product, *algorithm))
    }

    fn begin_capture(&self) -> Result<()> {
        let mut state = self.called_outside("begin_capture")?;
        if self.refuses_graphs {
            return Err(Error::new(Code::Unsupported, "the simulator was told to refuse graphs"));
        }
        state.captured = Some(Vec::new());
        Ok(())
    }

    fn end_capture(&self) -> Result<Graph> {
        let mut state = self.called("end_capture")?;
        Ok(Graph(state.captured.take().expect("a capture that has begun")))
    }

    fn replay(&self, graph: &Graph) -> Result<()> {
        let mut state = self.called_outside("replay")?;
        state.lanes[Lane::Compute as usize].extend(graph.0.iter().cloned());
        Ok(())
    }
}

/// Sums in another order than the CPU engine does, as cuBLASLt will: what only holds for one order is no tolerance.
fn multiply(product: &Product) {
    const PARTS: usize = 8;
    let &Product { m, n, k, a, b, c, bias, accumulate } = product;
    let (a_values, b_values, bias) = (read(a.elements), read(b.elements), bias.map(read));
    assert!(bias.is_none() || !accumulate, "a bias and an accumulation");
    let at =
        |transposed, row, column, rows, columns| if transposed { column * rows + row } else { row * columns + column };
    let c = c.part(0, m * n);
    let mut out = read(c);
    for (i, out) in out.iter_mut().enumerate() {
        let (row, column) = (i / n, i % n);
        let mut parts = [0f32; PARTS];
        for l in 0..k {
            parts[l % PARTS] += a_values[at(a.transposed, row, l, m, k)] * b_values[at(b.transposed, l, column, k, n)];
        }
        let sum = (0..PARTS / 2).map(|part| parts[part] + parts[part + PARTS / 2]).sum::<f32>();
        *out = sum + bias.as_ref().map_or(if accumulate { *out } else { 0.0 }, |bias| bias[column]);
    }
    write(c, &out);
}

fn slice_mut<'a>(x: Tensor) -> &'a mut [u8] {
    // SAFETY: tensors of the simulator are views of its memory, whose bounds `part` keeps; calls take turns.
    unsafe { std::slice::from_raw_parts_mut(x.address as *mut u8, x.bytes()) }
}

/// The elements as singles.
pub fn read(x: Tensor) -> Vec<f32> {
    let bytes = &*slice_mut(x);
    match x.dtype {
        Dtype::Bf16 => bytes.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        _ => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
    }
}

fn write(x: Tensor, values: &[f32]) {
    let bytes: Vec<u8> = match x.dtype {
        Dtype::Bf16 => values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    slice_mut(x).copy_from_slice(&bytes);
}
