//! Tests of the CUDA engine that need something a machine may lack, so that what is skipped depends on the machine and
//! not on the build: a C++ compiler (the simulator), NVRTC, a GPU. The harness is our own, because `#[ignore]` is decided
//! when a test is compiled.

mod blas;
mod faults;
mod fused;
mod harness;
mod lanes;
mod nccl;
mod nvrtc;
mod ops;
mod program;
mod queue;
mod shared;
mod simulator;
mod step;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use cloze_core::backend::cpu::Cpu;
use cloze_core::backend::cuda::Cuda;
use cloze_core::backend::cuda::program::units;
use cloze_core::driver::gpu::Gpu;
use cloze_core::driver::queue::{Modes, Queue};
use cloze_core::driver::{Device, Dtype, libraries};
use cloze_core::heads::Heads;
use cloze_core::machine::dtype::{Bf16, Element};
use harness::Trial;
use lanes::Schedule;
use program::Program;
use simulator::{Multiplies, Simulator};

/// The two kinds of activations.
const DTYPES: [(&str, Dtype); 2] = [("f32", Dtype::F32), ("bf16", Dtype::Bf16)];

/// The simulated kernels, compiled once for each type.
fn simulated(dtype: Dtype) -> Simulator {
    static PROGRAMS: [OnceLock<Arc<Program>>; 2] = [OnceLock::new(), OnceLock::new()];
    let program = PROGRAMS[usize::from(dtype == Dtype::Bf16)].get_or_init(|| Program::kernels(dtype));
    Simulator::new(Arc::clone(program), dtype)
}

/// What helps to find a fault on a GPU, as in the product.
fn modes() -> Modes {
    Modes::parse(&std::env::var("CLOZE_CUDA").unwrap_or_default()).expect("words of CLOZE_CUDA")
}

/// A queue for operations on a device.
fn queue<D: Device>(device: D) -> Queue<D> {
    Queue::new(device, 1 << 16, None, modes()).expect("memory for a queue")
}

/// What the CPU fuses, which no machine lacks.
fn fused_on_the_cpu<T: Element>(name: &str) -> Vec<Trial>
where
    Cpu<T>: fused::Readable,
{
    let cpu = || Cpu::<T>::new(2, 80, 12, true, false).expect("memory");
    let tests = fused::tests::<Cpu<T>>().into_iter();
    tests.map(|(test, run)| Trial::new(format!("cpu::{name}::fused::{test}"), None, move || run(&mut cpu()))).collect()
}

/// A hash of what a test copies from the device.
fn bits_of(run: fn(&Queue<Simulator>), simulator: Simulator) -> u64 {
    let downloads = simulator.downloads();
    run(&queue(simulator));
    *downloads.lock().unwrap()
}

/// A backend for what is fused.
fn backend<D: Device>(device: D) -> Cuda<D> {
    Cuda::new(device, &step::options(Heads::MASKED_LM), None, modes()).expect("memory")
}

fn main() -> ExitCode {
    let compiler = program::compiler().is_none().then_some("no C++ compiler");
    let mut trials = fused_on_the_cpu::<f32>("f32");
    trials.extend(fused_on_the_cpu::<Bf16>("bf16"));
    trials.push(Trial::new("harness::flags_are_read".into(), None, harness::flags_are_read));
    for &(name, run) in faults::TESTS {
        trials.push(Trial::new(format!("simulator::{name}"), compiler, run));
    }
    for &(name, run) in queue::TESTS {
        trials.push(Trial::new(format!("queue::{name}"), compiler, run));
    }
    for &(name, run) in shared::TESTS {
        trials.push(Trial::new(format!("shared::{name}"), compiler, run));
    }
    for (dtype_name, dtype) in DTYPES {
        for (name, run) in shared::tests::<Simulator>() {
            // Each process's lanes work on a schedule of their own.
            let open: shared::Open<Simulator> = Arc::new(move |rank| {
                let seed = Schedule::Random(rank as u64);
                simulated(dtype).scheduled(if rank == 0 { Schedule::Late } else { seed })
            });
            trials.push(Trial::new(format!("simulated::{dtype_name}::shared::{name}"), compiler, move || {
                run(&open, &[2, 4])
            }));
        }
        for (seed, (name, run)) in (2..).zip(ops::tests::<Simulator>()) {
            trials.push(Trial::new(format!("simulated::{dtype_name}::{name}"), compiler, move || {
                let bits = [0, 1, 2].map(|order| bits_of(run, simulated(dtype).ordered(order).summing(seed)));
                assert_eq!(bits, [bits[0]; 3], "results depend on the order in which blocks and warps run");
            }));
        }
    }
    // Where cuBLASLt adds no bias, or has no algorithm at all, other kernels stand in for it.
    let refusals: [(&str, Multiplies); 2] =
        [("without_biases", |product, _| product.bias.is_none()), ("without_products", |_, _| false)];
    for ((dtype_name, dtype), (refusal, multiplies)) in DTYPES.into_iter().flat_map(|d| refusals.map(|r| (d, r))) {
        let multiply = ["linear::products", "linear::padded_rows", "linear::parameter_gradients", "optimizer::update"];
        for (name, run) in ops::tests::<Simulator>().into_iter().filter(|(name, _)| multiply.contains(name)) {
            let name = format!("simulated::{dtype_name}::{refusal}::{name}");
            trials.push(Trial::new(name, compiler, move || run(&queue(simulated(dtype).multiplying(multiplies)))));
        }
    }
    for (dtype_name, dtype) in DTYPES {
        for (seed, (name, run)) in (2..).zip(step::tests::<Simulator>()) {
            let name = format!("simulated::{dtype_name}::step::{name}");
            let as_late_as_can_be = move || simulated(dtype);
            let by_seed =
                move || simulated(dtype).scheduled(Schedule::Random(seed.into())).ordered(seed).summing(seed.into());
            trials.push(Trial::new(name, compiler, move || match dtype {
                Dtype::Bf16 => run(&by_seed),
                _ => run(&as_late_as_can_be),
            }));
        }
        for (name, run) in fused::tests::<Cuda<Simulator>>() {
            let name = format!("simulated::{dtype_name}::fused::{name}");
            trials.push(Trial::new(name, compiler, move || run(&mut backend(simulated(dtype)))));
        }
    }
    // Steps that wait for uploads and make them in turns, with either lane as far ahead of the other as it can be.
    for schedule in [Schedule::UploadsFirst, Schedule::KernelsFirst] {
        let takes_turns = ["steps_of_one_shape_are_replayed", "accumulation_and_resuming"];
        for (name, run) in step::tests::<Simulator>().into_iter().filter(|(name, _)| takes_turns.contains(name)) {
            let name = format!("simulated::f32::{schedule:?}::step::{name}");
            trials.push(Trial::new(name, compiler, move || run(&|| simulated(Dtype::F32).scheduled(schedule))));
        }
    }
    for (dtype_name, dtype) in DTYPES {
        let name = format!("simulated::{dtype_name}::an_engine_takes_the_memory_that_was_counted");
        trials.push(Trial::new(name, compiler, move || {
            step::memory_is_counted(&|bytes| simulated(dtype).with_memory(bytes))
        }));
    }
    let without_nvrtc = (!nvrtc::present()).then_some("no NVRTC; deno task nvrtc fetches it");
    trials.push(Trial::new("nvrtc::resources_are_told".into(), without_nvrtc, nvrtc::resources_are_told));
    for (dtype_name, dtype) in DTYPES {
        for architecture in nvrtc::ARCHITECTURES {
            let name = format!("nvrtc::{dtype_name}::{architecture}");
            trials.push(Trial::new(name, without_nvrtc, move || nvrtc::compile(architecture, dtype)));
        }
    }
    let gpus = libraries::find(&nvrtc::folders()).gpus.len();
    let without_gpus = (gpus < 2).then_some("fewer than two CUDA devices");
    let without_gpu = libraries::find(&nvrtc::folders()).problem.is_some().then_some("no CUDA device");
    for (dtype_name, dtype) in DTYPES {
        let open_at = move |ordinal| {
            Gpu::open(dtype, units(dtype, None), &nvrtc::folders(), Some(&nvrtc::cache()), ordinal)
                .expect("the GPU opens")
        };
        let open = move || open_at(0);
        let of_ranks: shared::Open<Gpu> = Arc::new(open_at);
        let sizes = if gpus < 4 { vec![2] } else { vec![2, 4] };
        for (name, run) in shared::tests::<Gpu>() {
            let (open, sizes) = (Arc::clone(&of_ranks), sizes.clone());
            let name = format!("gpu::{dtype_name}::shared::{name}");
            trials.push(Trial::new(name, without_gpus, move || run(&open, &sizes)));
        }
        for (name, run) in ops::tests::<Gpu>() {
            trials.push(Trial::new(format!("gpu::{dtype_name}::{name}"), without_gpu, move || run(&queue(open()))));
        }
        for (name, run) in step::tests::<Gpu>() {
            trials.push(Trial::new(format!("gpu::{dtype_name}::step::{name}"), without_gpu, move || run(&open)));
        }
        for (name, run) in fused::tests::<Cuda<Gpu>>() {
            let name = format!("gpu::{dtype_name}::fused::{name}");
            trials.push(Trial::new(name, without_gpu, move || run(&mut backend(open()))));
        }
    }
    harness::run(trials)
}
