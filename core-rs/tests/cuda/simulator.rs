//! A [`Device`] on machines without a GPU: runs the kernels of a [`Program`], in which simulator.h makes a block's threads
//! fibers and checks what they touch. Long because it is every call of a driver.
//!
//! Like a GPU it works later than it is asked to: what it has to do waits on its [`lanes`](crate::lanes). Memory starts as
//! NaN, its zeroing waits like everything else, and freed memory is known. Every call is noted, for tests of their order.

use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use cloze_core::driver::matmul::{Matmul, WORKSPACE};
use cloze_core::driver::{Algorithm, Argument, Device, Dtype, Lane, Launch, Product, Tensor};
use cloze_core::error::{Code, Error, Result};
use cloze_core::rng::splitmix64;

use crate::blas;
use crate::lanes::{Event, Host, Lanes, Schedule, Work};
use crate::nccl::Group;
use crate::program::{Allocate, Begin, Program, Release, Run, Wrong};

/// Whether an algorithm is for a product.
pub type Multiplies = fn(&Product, &Algorithm) -> bool;

/// A simulated GPU.
pub struct Simulator {
    core: Arc<Core>,
    activations: Dtype,
    /// Bytes of memory that it pretends to have.
    memory: usize,
    /// Whether it refuses to capture graphs, as a driver may.
    refuses_graphs: bool,
    /// Whether a fault says where it was, which a driver does not.
    names: bool,
    /// Whether an algorithm is for a product.
    multiplies: Multiplies,
    group: Mutex<Group>,
}

/// What memory, too, has to know: freeing it waits for what is still to be done.
struct Core {
    program: Arc<Program>,
    state: Mutex<State>,
    /// Bytes that have been asked for.
    allocated: AtomicUsize,
    calls: Arc<Mutex<Vec<String>>>,
    downloads: Arc<Mutex<u64>>,
}

pub struct State {
    lanes: Lanes,
    schedule: Schedule,
    /// Of the sums in products: a seed.
    sums: u64,
    /// Of blocks, warps and lanes: 0 for ascending, 1 for descending, and else a seed.
    order: u32,
    /// What is captured instead of queued.
    captured: Option<Vec<Work>>,
    /// Kernels that have run: a driver loads them then, and may not be able to while it captures.
    loaded: Vec<&'static str>,
}

impl State {
    /// Those that a launch and a product run in.
    fn orders(&self) -> (u32, u64) {
        (self.order, self.sums)
    }
}

/// Captured work.
pub struct Graph(Vec<Work>);

/// Numbers of the algorithms that it offers: the second one is the fastest, the third one needs more scratch than there is.
const OFFERED: [u64; 3] = [1, FASTEST, 3];
pub const FASTEST: u64 = 2;

/// An algorithm as it is kept: its number, the alignments that it was asked for with, and the scratch that it needs.
pub fn algorithm(number: u64, matmul: &Matmul) -> Algorithm {
    let [a, b, d, bias] = matmul.alignments().map(u64::from);
    let scratch = if number == OFFERED[2] { WORKSPACE as u64 + 1 } else { 0 };
    [number, a, b, d, bias, scratch, 0, 0]
}

impl Simulator {
    pub fn new(program: Arc<Program>, activations: Dtype) -> Self {
        let state = State {
            lanes: Lanes::default(),
            schedule: Schedule::Late,
            order: 0,
            sums: 1,
            captured: None,
            loaded: Vec::new(),
        };
        let (calls, downloads) = Default::default();
        Self {
            core: Arc::new(Core {
                program,
                state: Mutex::new(state),
                allocated: AtomicUsize::new(0),
                calls,
                downloads,
            }),
            activations,
            memory: usize::MAX,
            refuses_graphs: false,
            names: true,
            multiplies: |_, _| true,
            group: Mutex::default(),
        }
    }

    /// The same with blocks, warps and lanes in descending order at 1, and in that of a seed from 2 on.
    pub fn ordered(self, order: u32) -> Self {
        self.core.state.lock().unwrap().order = order;
        self
    }

    /// The same, but its products sum in the order of another seed.
    pub fn summing(self, sums: u64) -> Self {
        self.core.state.lock().unwrap().sums = sums;
        self
    }

    /// The same with lanes that work on another schedule.
    pub fn scheduled(self, schedule: Schedule) -> Self {
        self.core.state.lock().unwrap().schedule = schedule;
        self
    }

    /// The same with so many bytes of memory.
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
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

    /// A hash of all that was copied from the device so far, to look at later.
    pub fn downloads(&self) -> Arc<Mutex<u64>> {
        Arc::clone(&self.core.downloads)
    }

    /// Notes a call, unless something failed before it.
    fn called(&self, name: impl Into<String>) -> Result<MutexGuard<'_, State>> {
        self.core.calls.lock().unwrap().push(name.into());
        let state = self.core.state.lock().unwrap();
        state.lanes.failure.clone().map_or(Ok(state), Err)
    }

    /// The same for a call that may not be made between the beginning and the end of a capture.
    pub fn called_outside(&self, name: &str) -> Result<MutexGuard<'_, State>> {
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
            None => self.core.push(&mut state, Lane::Compute, work),
        }
        Ok(())
    }

    /// Queues work with other processes' GPUs.
    pub fn put(&self, lane: Lane, work: Work) -> Result<()> {
        let mut state = self.called_outside("nccl")?;
        self.core.push(&mut state, lane, work);
        Ok(())
    }

    /// What is wrong with a use of a tensor, if anything.
    pub fn wrong(&self, x: Tensor) -> Option<String> {
        self.core.wrong(x.address, x.bytes())
    }

    /// The same, for later.
    pub fn checks_memory(&self) -> Box<dyn Fn(Tensor) -> Option<String> + Send + Sync> {
        let program = Arc::clone(&self.core.program);
        Box::new(move |x| wrong_in(&program, x.address, x.bytes()))
    }

    /// What is sent to other processes' GPUs in one call.
    pub fn group(&self) -> &Mutex<Group> {
        &self.group
    }

    /// A failure as a driver tells of it.
    fn told(&self, state: &State) -> Result<()> {
        match &state.lanes.failure {
            Some(_) if !self.names => Err(Error::new(Code::Panic, "a kernel or an upload failed")),
            failure => failure.clone().map_or(Ok(()), Err),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.core.run_all();
    }
}

impl Core {
    fn push(&self, state: &mut State, lane: Lane, work: Work) {
        state.lanes.push(lane, work);
        self.advance(state);
    }

    fn advance(&self, state: &mut State) {
        let (schedule, orders) = (state.schedule, state.orders());
        state.lanes.advance(schedule, &|lanes, lane, work| self.run(lanes, lane, work, orders));
    }

    /// Does everything that is left to do.
    fn run_all(&self) {
        let state = &mut *self.state.lock().unwrap();
        let orders = state.orders();
        for lane in [Lane::Copy, Lane::Compute] {
            state.lanes.drain(lane, &|lanes, lane, work| self.run(lanes, lane, work, orders));
        }
    }

    /// Does a piece of work, if the memory is there that it uses and the lanes are in order.
    fn run(&self, lanes: &mut Lanes, lane: Lane, work: Work, (order, sums): (u32, u64)) {
        lanes.clock += match &work {
            Work::Launch(..) => 1.0,
            Work::Multiply(_, algorithm) if algorithm[0] == FASTEST => 1.0,
            Work::Multiply(..) => 2.0,
            _ => 0.0,
        };
        for (address, bytes, writes) in work.uses() {
            match self.wrong(address, bytes) {
                Some(what) => lanes.fail(format!("{}: {what}", work.name())),
                None => lanes.uses(lane, work.name(), self.allocation(address), writes),
            }
        }
        if let Work::Launch(_, arguments) = &work {
            // SAFETY: an argument is 32 bytes, and any of them make a number.
            let address = |argument: &Argument| unsafe { *std::ptr::from_ref(argument).cast::<u64>() };
            let allocations = arguments.iter().map(|argument| self.allocation(address(argument)));
            for allocation in allocations.filter(|&allocation| allocation != 0) {
                lanes.uses(lane, work.name(), allocation, false);
            }
        }
        if lanes.failure.is_some() {
            return;
        }
        match work {
            Work::Launch(launch, arguments) => lanes.failure = self.launch(&launch, &arguments, order),
            Work::Multiply(matmul, _) => blas::multiply(&matmul, sums),
            Work::Clear(x) => slice_mut(x).fill(0),
            // SAFETY: new memory of that size.
            Work::Zero(address, bytes) => unsafe { (address as *mut u8).write_bytes(0, bytes) },
            Work::Copy(to, from) => slice_mut(to)[..from.bytes()].copy_from_slice(slice_mut(from)),
            Work::CopyIn(to, host, bytes) => {
                // SAFETY: as much as there is, which `copy_in` has checked.
                let from = unsafe { std::slice::from_raw_parts(host.start, bytes) };
                slice_mut(to)[..bytes].copy_from_slice(from);
            }
            Work::Peers(operation) => operation.run(),
            Work::Record(..) | Work::Wait(..) => {}
        }
    }

    /// What is wrong with a use of memory.
    fn wrong(&self, address: u64, bytes: usize) -> Option<String> {
        wrong_in(&self.program, address, bytes)
    }

    /// Where the allocation begins that an address lies in; 0 if it lies in none.
    fn allocation(&self, address: u64) -> u64 {
        let begin = self.program.symbol::<Begin>("cloze_begin").expect("in memory.h");
        // SAFETY: any address is fine.
        unsafe { begin(address as *const c_void) as u64 }
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument], order: u32) -> Option<Error> {
        let run = self.program.symbol::<Run>(&format!("cloze_{}", launch.kernel)).expect("looked for before");
        let pointers: Vec<*const c_void> = arguments.iter().map(|a| std::ptr::from_ref(a).cast()).collect();
        let size = [launch.grid[0] as u32, launch.grid[1] as u32, 1, launch.threads as u32, 1, 1];
        let count = pointers.len() as u32;
        // SAFETY: the simulator checks what the kernel touches.
        let fault = unsafe { run(count, pointers.as_ptr(), size.as_ptr(), launch.shared, order) };
        text(fault).map(|text| Error::new(Code::Panic, text))
    }
}

fn wrong_in(program: &Program, address: u64, bytes: usize) -> Option<String> {
    let wrong = program.symbol::<Wrong>("cloze_wrong").expect("in memory.h");
    // SAFETY: any address is fine.
    text(unsafe { wrong(address as *const c_void, bytes) })
}

/// A text that lives until this thread's next call.
fn text(from: *const c_char) -> Option<String> {
    // SAFETY: null, or a text of the simulator's.
    (!from.is_null()).then(|| unsafe { CStr::from_ptr(from) }.to_string_lossy().into_owned())
}

/// Page-locked memory that knows whether the host may change it.
pub struct Pinned {
    host: Arc<Host>,
    core: Arc<Core>,
}

impl AsRef<[u8]> for Pinned {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as many bytes as there are.
        unsafe { std::slice::from_raw_parts(self.host.start, self.host.len) }
    }
}

impl AsMut<[u8]> for Pinned {
    fn as_mut(&mut self) -> &mut [u8] {
        self.core.state.lock().unwrap().lanes.changes(&self.host, "changed");
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.host.start, self.host.len) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.core.state.lock().unwrap().lanes.changes(&self.host, "freed");
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
    type Pinned = Pinned;
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
        let mut state = self.called_outside("allocate")?;
        if self.core.allocated.fetch_add(bytes, Ordering::Relaxed) + bytes > self.memory {
            return Err(Error::new(Code::OutOfMemory, "the simulator has no memory left"));
        }
        let allocate = self.core.program.symbol::<Allocate>("cloze_allocate").expect("in simulator.h");
        // SAFETY: any size is fine.
        let start = unsafe { allocate(bytes) };
        if start.is_null() {
            return Err(Error::new(Code::OutOfMemory, "the simulator has no memory left"));
        }
        self.core.push(&mut state, Lane::Compute, Work::Zero(start as u64, bytes));
        Ok(Memory { start, core: Arc::clone(&self.core) })
    }

    fn address(memory: &Memory) -> u64 {
        memory.start as u64
    }

    fn pinned(&self, bytes: usize) -> Result<Pinned> {
        Ok(Pinned { host: Arc::new(Host::new(bytes)), core: Arc::clone(&self.core) })
    }

    fn event(&self) -> Result<Event> {
        Ok(Event::default())
    }

    fn record(&self, event: &Event, lane: Lane) -> Result<()> {
        let mut state = self.called_outside("record")?;
        state.lanes.record(event, lane);
        self.core.advance(&mut state);
        Ok(())
    }

    fn wait(&self, event: &Event, lane: Lane) -> Result<()> {
        let mut state = self.called_outside("wait")?;
        state.lanes.wait(event, lane);
        self.core.advance(&mut state);
        Ok(())
    }

    fn finish(&self, event: &Event) -> Result<()> {
        let state = &mut *self.called_outside("finish")?;
        let orders = state.orders();
        let run = |lanes: &mut Lanes, lane, work| self.core.run(lanes, lane, work, orders);
        state.lanes.until(event, event.recorded(), &run);
        state.lanes.finished(event);
        self.told(state)
    }

    fn is_passed(&self, event: &Event) -> Result<bool> {
        let state = &mut *self.called_outside("is_passed")?;
        let orders = state.orders();
        state.lanes.towards(event, &|lanes, lane, work| self.core.run(lanes, lane, work, orders));
        if event.is_passed() {
            state.lanes.finished(event);
        }
        self.told(state).map(|()| event.is_passed())
    }

    fn milliseconds(&self, from: &Event, to: &Event) -> Result<f32> {
        let [from, to] = [from, to].map(|event| event.milliseconds().expect("an event that has been passed"));
        Ok(to - from)
    }

    fn copy_in(&self, to: Tensor, from: &Pinned, bytes: usize, lane: Lane) -> Result<()> {
        assert!(bytes <= to.bytes() && bytes <= from.host.len, "{bytes} bytes for a tensor of {}", to.bytes());
        let mut state = self.called_outside("copy_in")?;
        self.core.push(&mut state, lane, Work::CopyIn(to, Arc::clone(&from.host), bytes));
        Ok(())
    }

    fn copy(&self, to: Tensor, from: Tensor) -> Result<()> {
        assert!(from.bytes() <= to.bytes(), "{} bytes for a tensor of {}", from.bytes(), to.bytes());
        let mut state = self.called_outside("copy")?;
        self.core.push(&mut state, Lane::Compute, Work::Copy(to, from));
        Ok(())
    }

    fn copy_out(&self, from: Tensor, to: &mut [u8]) -> Result<()> {
        assert!(to.len() <= from.bytes(), "{} bytes of a tensor of {}", to.len(), from.bytes());
        let state = &mut *self.called_outside("copy_out")?;
        let orders = state.orders();
        let run = |lanes: &mut Lanes, lane, work| self.core.run(lanes, lane, work, orders);
        state.lanes.drain(Lane::Compute, &run);
        match self.core.wrong(from.address, to.len()) {
            Some(what) => state.lanes.fail(format!("copy_out: {what}")),
            None => {
                state.lanes.uses(Lane::Compute, "copy_out", self.core.allocation(from.address), false);
                to.copy_from_slice(&slice_mut(from)[..to.len()]);
            }
        }
        let mut hash = self.core.downloads.lock().unwrap();
        *hash = to.iter().fold(*hash, |hash, byte| splitmix64(hash ^ u64::from(*byte)));
        self.told(state)
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
        let matmul = Matmul::of(product);
        if blas::refusal(&matmul).is_some() {
            return Ok(Vec::new());
        }
        let offered = OFFERED.map(|number| algorithm(number, &matmul));
        Ok(offered.into_iter().filter(|algorithm| (self.multiplies)(product, algorithm)).collect())
    }

    fn runs(&self, product: &Product, algorithm: &Algorithm) -> bool {
        (self.multiplies)(product, algorithm) && blas::refusal_of(algorithm, &Matmul::of(product), WORKSPACE).is_none()
    }

    fn multiply(&self, product: &Product, algorithm: &Algorithm) -> Result<()> {
        let matmul = Matmul::of(product);
        let another = (!(self.multiplies)(product, algorithm)).then_some("another algorithm's product");
        let refusal = blas::refusal(&matmul).or(blas::refusal_of(algorithm, &matmul, WORKSPACE)).or(another);
        if let Some(why) = refusal {
            return Err(Error::new(Code::Unsupported, format!("cuBLASLt refuses {why}: {matmul:?}")));
        }
        self.add("multiply".into(), Work::Multiply(matmul, *algorithm))
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
        for work in &graph.0 {
            self.core.push(&mut state, Lane::Compute, work.clone());
        }
        Ok(())
    }
}

/// The bytes of a tensor.
pub fn bytes<'a>(x: Tensor) -> &'a [u8] {
    slice_mut(x)
}

/// The same, to write.
pub fn bytes_mut<'a>(x: Tensor) -> &'a mut [u8] {
    slice_mut(x)
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

/// Singles as the elements.
pub fn write(x: Tensor, values: &[f32]) {
    let bytes: Vec<u8> = match x.dtype {
        Dtype::Bf16 => values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    slice_mut(x).copy_from_slice(&bytes);
}
