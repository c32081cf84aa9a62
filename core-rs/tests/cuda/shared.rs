//! Updates that several processes share, each with a GPU of its own; a thread stands for a process. And what goes wrong between
//! them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cloze_core::backend::cuda::Cuda;
use cloze_core::collective::nccl::Nccl;
use cloze_core::collective::{Collective, Division};
use cloze_core::config::ModelConfig;
use cloze_core::driver::nccl::Calls;
use cloze_core::driver::{Buffer, Device, Dtype, Lane};
use cloze_core::engine::{Engine, EngineOptions, Report, Weights};
use cloze_core::error::{Code, Error, Result};
use cloze_core::heads::Heads;
use cloze_core::machine::dtype;
use cloze_core::optim::Optimizer;
use cloze_core::trainer::Trainer;

use crate::simulator::Simulator;
use crate::step::{MUON, OPTIMIZER, RATE, options, owned};
use crate::{modes, simulated};

/// Threads of one process that speak to each other as processes do over MPI.
struct Local {
    rank: usize,
    size: usize,
    patience: Duration,
    all: Arc<(Mutex<Board>, Condvar)>,
}

/// By number of the exchange, and by sender: what was sent to each.
type Board = Vec<Vec<Option<Vec<Vec<u8>>>>>;

impl Local {
    fn all(size: usize, patience: Duration) -> Vec<(Self, usize)> {
        let all = Arc::default();
        (0..size).map(|rank| (Self { rank, size, patience, all: Arc::clone(&all) }, 0)).collect()
    }
}

/// One of them, and how many exchanges it has made.
struct Talking(Local, usize);

impl Collective for Talking {
    fn rank(&self) -> usize {
        self.0.rank
    }

    fn size(&self) -> usize {
        self.0.size
    }

    fn exchange(&mut self, to: &[&[u8]], from: &mut [&mut [u8]]) -> Result<()> {
        let Self(Local { rank, size, patience, all }, number) = self;
        let (board, changed) = &**all;
        let mut board = board.lock().unwrap();
        if board.len() <= *number {
            board.push(vec![None; *size]);
        }
        board[*number][*rank] = Some(to.iter().map(|bytes| bytes.to_vec()).collect());
        changed.notify_all();
        let missing = |board: &mut Board| board[*number].iter().any(Option::is_none);
        let (board, late) = changed.wait_timeout_while(board, *patience, missing).unwrap();
        if late.timed_out() {
            let missing = board[*number].iter().position(Option::is_none).unwrap_or(0);
            return Err(Error::new(Code::Io, format!("waited for rank {missing}")));
        }
        for (sender, bytes) in from.iter_mut().enumerate() {
            bytes.copy_from_slice(&board[*number][sender].as_ref().expect("all have come")[*rank]);
        }
        *number += 1;
        Ok(())
    }

    fn waited(&self) -> Duration {
        Duration::ZERO
    }

    fn patience(&self) -> Duration {
        self.0.patience
    }
}

/// Runs a thread for each of some processes, and returns what they have come to.
fn processes<T: Send + 'static>(
    size: usize,
    patience: Duration,
    run: impl Fn(Talking) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let run = Arc::new(run);
    let threads = Local::all(size, patience).into_iter().map(|(local, number)| {
        let run = Arc::clone(&run);
        std::thread::spawn(move || run(Talking(local, number)))
    });
    threads
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        .collect()
}

/// Opens the GPU of a process.
pub type Open<D> = Arc<dyn Fn(usize) -> D + Send + Sync>;

const FILES: [&str; 2] = ["model.safetensors", "training_state.safetensors"];
const CUT: usize = 4;

/// What came of training: weights, reports, and the files of a checkpoint.
#[derive(PartialEq)]
struct Trained {
    weights: Vec<u32>,
    reports: Vec<Report>,
    files: Vec<Vec<u8>>,
}

/// Some updates of several micro-batches, from a checkpoint on if there is one in the folder.
fn train<D: Device>(open: &Open<D>, optimizer: Optimizer, size: usize, steps: Range<u64>, folder: &Path) -> Trained {
    let (open, folder) = (Arc::clone(open), folder.to_owned());
    let all = processes(size, Duration::from_secs(120), move |collective| {
        let device = open(collective.rank());
        let dtype = if device.activations() == Dtype::Bf16 { dtype::Dtype::Bf16 } else { dtype::Dtype::F32 };
        // Large enough that each of four has a share of it.
        let config = ModelConfig { vocab_size: 4_500, ..options(Heads::MASKED_LM).config };
        let options = EngineOptions { config, dtype, optimizer: Some(optimizer), ..options(Heads::MASKED_LM) };
        let backend = Cuda::new(device, &options, None, modes()).unwrap();
        let (rank, own) = (collective.rank(), CUT / size);
        let files = FILES.map(|name| folder.join(name));
        let file = files[0].exists().then(|| Weights { path: files[0].clone(), may_be_missing: Vec::new() });
        let division = Some(Division { micro_batches: CUT, collective: Box::new(collective) });
        let mut engine = Trainer::sharing(backend, options, file.as_ref(), division).unwrap();
        if file.is_some() {
            engine.load_training_state(&files[1]).unwrap();
        }
        let reports = steps.clone().map(|step| {
            for leaf in rank * own..(rank + 1) * own {
                let mut owned = owned(&Heads::MASKED_LM, &[20, 9, 3], (10 * step) as i32 + leaf as i32);
                // One of the micro-batches has nothing to predict.
                if leaf == 2 {
                    (owned.masked_positions, owned.labels) = Default::default();
                }
                engine.forward_backward(&owned.batch(), step, leaf as u32).unwrap();
            }
            engine.update(RATE, step).unwrap();
            engine.report().unwrap()
        });
        let reports = reports.collect();
        engine.collect_training_state().unwrap();
        let mut written = Vec::new();
        if rank == 0 {
            let new = ["new", "new_state"].map(|name| folder.join(name));
            engine.save_weights(&new[0]).unwrap();
            engine.save_training_state(&new[1]).unwrap();
            written.extend(new.iter().map(|path| std::fs::read(path).unwrap()));
            new.iter().for_each(|path| std::fs::remove_file(path).unwrap());
        }
        let names: Vec<String> = engine.layout().parameters().iter().map(|p| p.name.clone()).collect();
        let weights = names.iter().flat_map(|name| engine.parameter(name).unwrap()).map(f32::to_bits).collect();
        Trained { weights, reports, files: written }
    });
    let mut all = all.into_iter();
    let first = all.next().expect("a process");
    assert!(all.all(|other| other.weights == first.weights && other.reports == first.reports), "all have the same");
    first
}

fn folder(name: &str, dtype: Dtype) -> PathBuf {
    let path = std::env::temp_dir().join(format!("cloze-shared-{}-{name}-{dtype:?}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The same bits for any number of processes that there are GPUs for.
pub fn bits<D: Device>(open: &Open<D>, sizes: &[usize], optimizer: Optimizer) {
    let folder = folder(optimizer.name(), open(0).activations());
    let one = train(open, optimizer, 1, 0..2, &folder);
    assert!(one.reports[0].grad_norm > 0.0 && one.reports[0].sums.loss_sum > 0.0);
    assert!(one.weights.iter().all(|&bits| f32::from_bits(bits).is_finite()));
    for &size in sizes {
        let many = train(open, optimizer, size, 0..2, &folder);
        assert!(many.weights == one.weights, "{size} processes have other weights");
        assert!(many.reports == one.reports, "{size} processes report {:?}, one {:?}", many.reports, one.reports);
        assert!(many.files == one.files, "{size} processes save other files");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// A run that two have begun goes on with another number to the bits of one.
pub fn resumed<D: Device>(open: &Open<D>, sizes: &[usize]) {
    let folder = folder("resumed", open(0).activations());
    let whole = train(open, OPTIMIZER, 1, 0..2, &folder);
    let begun = train(open, OPTIMIZER, 2, 0..1, &folder);
    FILES.iter().zip(&begun.files).for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes).unwrap());
    for &size in sizes {
        assert!(train(open, OPTIMIZER, size, 1..2, &folder).files == whole.files, "{size} processes");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// A name, and what is run on GPUs that it opens, by so many processes.
type Test<D> = (&'static str, fn(&Open<D>, &[usize]));

/// The tests that want GPUs.
pub fn tests<D: Device>() -> Vec<Test<D>> {
    vec![
        ("adamw", |open, sizes| bits(open, sizes, OPTIMIZER)),
        ("muon", |open, sizes| bits(open, sizes, MUON)),
        ("resumed", |open, sizes| resumed(open, sizes)),
    ]
}

/// Tests of the simulated NCCL, and of what is made of its refusals.
pub const TESTS: &[(&str, fn())] = &[
    ("exchanges_arrive", exchanges_arrive),
    ("calls_in_another_order_are_refused", other_order),
    ("sizes_that_differ_are_refused", other_sizes),
    ("a_communicator_on_two_lanes_is_refused", two_lanes),
    ("freed_memory_is_refused", freed_memory),
    ("sending_outside_of_a_group_is_refused", no_group),
    ("a_process_that_does_not_come_is_named", missing_process),
    ("an_exchange_that_does_not_end_is_given_up", unfinished_exchange),
    ("a_host_that_does_not_look_after_an_exchange_is_found", unattended),
];

fn gpu() -> Simulator {
    simulated(Dtype::F32)
}

const SOON: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_secs(60);

/// What two processes say that run this.
fn two(
    patience: Duration,
    run: impl Fn(&Simulator, &mut Nccl<Simulator>, usize) -> Result<()> + Send + Sync + 'static,
) -> Vec<String> {
    let said = processes(2, patience, move |mut collective| {
        let device = gpu();
        let mut peers = Nccl::join(&device, &mut collective).unwrap();
        run(&device, &mut peers, collective.rank()).map_err(|error| error.message)
    });
    said.into_iter().map(|said| said.err().unwrap_or_default()).collect()
}

fn buffer(device: &Simulator, len: usize) -> Buffer<Simulator> {
    Buffer::zeroed(device, len, Dtype::F32).unwrap()
}

fn exchanges_arrive() {
    let said = two(LATE, |device, peers, rank| {
        let [sent, received, all] = [3, 3, 6].map(|len| buffer(device, len));
        let mut pinned = device.pinned(12)?;
        pinned.as_mut().fill(rank as u8 + 1);
        device.copy_in(sent.tensor(), &pinned, 12, Lane::Compute)?;
        peers.exchange(device, rank, &[(sent.tensor(), received.tensor()); 2])?;
        device.copy(all.tensor().part(3 * rank, 3), sent.tensor())?;
        peers.gather(device, rank, 2, all.tensor())?;
        let (mut came, mut gathered) = ([0; 12], [0; 24]);
        device.copy_out(received.tensor(), &mut came)?;
        device.copy_out(all.tensor(), &mut gathered)?;
        assert_eq!(came, [2 - rank as u8; 12]);
        assert!(gathered[..12] == [1; 12] && gathered[12..] == [2; 12]);
        Ok(())
    });
    assert_eq!(said, ["", ""]);
}

/// One of them at least says what is wrong, the other that, or that nothing came, or it noticed nothing.
#[track_caller]
fn assert_said(said: &[String], what: &str) {
    let known = |text: &String| text.is_empty() || text.contains(what) || text.contains("was not done after");
    assert!(said.iter().any(|text| text.contains(what)) && said.iter().all(known), "{said:?}");
}

fn other_order() {
    let said = two(LATE, |device, peers, rank| {
        let (x, all) = (buffer(device, 3), buffer(device, 6));
        match rank {
            0 => peers.exchange(device, 0, &[(x.tensor(), all.tensor().part(0, 3)); 2]),
            _ => peers.gather(device, 1, 2, all.tensor()),
        }
    });
    assert_said(&said, "where another");
}

fn other_sizes() {
    let said = two(LATE, |device, peers, rank| {
        let (x, y) = (buffer(device, 3 + rank), buffer(device, 3));
        peers.exchange(device, rank, &[(x.tensor(), y.tensor()); 2])
    });
    assert_said(&said, "rank 1 sends 16 bytes where rank 0 receives 12");
}

/// What NCCL says to one process alone.
fn alone(run: impl Fn(&Simulator, &<Simulator as Calls>::Communicator) -> Result<()>) -> String {
    let device = gpu();
    let alone = device.join(&device.unique_id().unwrap(), 0, 1).unwrap();
    run(&device, &alone).unwrap_err().message
}

fn two_lanes() {
    let said = alone(|device, alone| {
        let x = buffer(device, 4);
        device.all_gather(alone, x.tensor(), x.tensor(), Lane::Compute)?;
        device.all_gather(alone, x.tensor(), x.tensor(), Lane::Copy)
    });
    assert!(said.contains("two streams"), "{said}");
}

fn freed_memory() {
    let said = alone(|device, alone| {
        let freed = buffer(device, 4).tensor();
        device.all_gather(alone, freed, freed, Lane::Compute)
    });
    assert!(said.contains("memory that is wrong") && said.contains("freed"), "{said}");
}

fn no_group() {
    let said = alone(|device, alone| device.send(alone, buffer(device, 4).tensor(), 0, Lane::Compute));
    assert!(said.contains("outside of a group"), "{said}");
}

fn missing_process() {
    let said = processes(2, SOON, |mut collective| match collective.rank() {
        0 => Nccl::join(&gpu(), &mut collective).err().map(|error| error.message),
        _ => None, // it has died
    });
    assert_eq!(said, [Some("waited for rank 1".into()), None]);
}

fn unfinished_exchange() {
    let said = two(SOON, |device, peers, rank| {
        let all = buffer(device, 6);
        if rank == 1 {
            return Ok(()); // it has died, once all had met
        }
        let error = peers.gather(device, 0, 2, all.tensor()).unwrap_err();
        let again = peers.gather(device, 0, 2, all.tensor()).unwrap_err();
        assert!(again.message.contains("parted by an earlier failure"), "{again}");
        Err(error)
    });
    assert!(said[0].contains("a gathering of weights was not done after 0 s") && said[1].is_empty(), "{said:?}");
}

fn unattended() {
    let [one, other] = [gpu(), gpu()];
    let id = one.unique_id().unwrap();
    let first = one.join(&id, 0, 2).unwrap();
    let x = buffer(&one, 4).tensor();
    let error = one.all_gather(&first, x.part(0, 2), x, Lane::Compute).unwrap_err();
    assert!(error.message.contains("another one is in progress"), "nobody else has joined: {error}");
    let _second = other.join(&id, 1, 2).unwrap();
    let all = buffer(&one, 4);
    one.all_gather(&first, all.tensor().part(0, 2), all.tensor(), Lane::Compute).unwrap();
    let error = one.copy_out(all.tensor(), &mut [0; 16]).unwrap_err();
    assert!(error.message.contains("without looking after them"), "{error}");
}
