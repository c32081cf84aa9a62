//! The simulator itself: each mistake that it is there to find is one that it finds.

use std::sync::{Arc, OnceLock};

use cloze_core::driver::queue::{Modes, Queue};
use cloze_core::driver::{Argument, Buffer, Dtype, Launch, PRELUDE, bytes_of_mut};

use crate::program::Program;
use crate::queue;
use crate::simulator::Simulator;

const KERNELS: &str = r#"
KERNEL(add)(int n, Pointer<const float> x, Pointer<float> y) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += x[i];
}
EXPORT(add)
KERNEL(misaligned)(int at, Pointer<float> y) { float v[4] = {}; store<4, float>(y + at, v); }
EXPORT(misaligned)
KERNEL(shared_bounds)(int at, Pointer<float> y) { SHARED(float, s, 8); s[at] = 1.0f; y[0] = s[at]; }
EXPORT(shared_bounds)
KERNEL(dynamic_bounds)(int at, Pointer<float> y) { DYNAMIC_SHARED(float, s); s[at] = 1.0f; y[0] = s[at]; }
EXPORT(dynamic_bounds)
KERNEL(divergent_barrier)(int missing, Pointer<float> y) {
    if ((int)threadIdx.x == missing) return;
    __syncthreads();
    y[0] = 1.0f;
}
EXPORT(divergent_barrier)
KERNEL(two_barriers)(int limit, Pointer<float> y) {
    if ((int)threadIdx.x < limit) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[0] = 1.0f;
}
EXPORT(two_barriers)
KERNEL(divergent_shuffle)(int limit, Pointer<float> y) {
    float x = 1.0f;
    if ((int)threadIdx.x < limit) x = warp_sum(x);
    y[threadIdx.x] = x;
}
EXPORT(divergent_shuffle)
KERNEL(neighbour)(int barrier, Pointer<float> y) {
    DYNAMIC_SHARED(float, s);
    s[threadIdx.x] = (float)threadIdx.x;
    if (barrier) __syncthreads();
    y[threadIdx.x] = s[(threadIdx.x + 1) % blockDim.x];
}
EXPORT(neighbour)
"#;

/// All tests of this file, by name.
pub const TESTS: &[(&str, fn())] = &[
    ("a_right_kernel_runs", a_right_kernel_runs),
    ("out_of_bounds_faults", out_of_bounds_faults),
    ("misaligned_access_faults", misaligned_access_faults),
    ("a_barrier_that_not_all_threads_reach_faults", barriers_fault),
    ("a_shuffle_that_not_all_lanes_reach_faults", shuffles_fault),
    ("a_missing_barrier_shows", a_missing_barrier_shows),
    ("synchronous_work_names_what_failed", synchronous_work_names_what_failed),
    ("a_failure_stops_what_follows", a_failure_stops_what_follows),
    ("a_wrong_launch_faults", a_wrong_launch_faults),
];

fn simulator() -> Queue<Simulator> {
    queue(simulated())
}

fn simulated() -> Simulator {
    static PROGRAM_OF_FAULTS: OnceLock<Arc<Program>> = OnceLock::new();
    let program = PROGRAM_OF_FAULTS.get_or_init(|| Program::compile(&format!("{}\n{KERNELS}", PRELUDE.1), &[]));
    Simulator::new(Arc::clone(program), Dtype::F32)
}

/// Runs a kernel of one block with a number and 64 floats; returns them, or the fault.
fn run(device: &Queue<Simulator>, kernel: &'static str, threads: usize, number: i32) -> Result<Vec<f32>, String> {
    let y = Buffer::zeroed(device.device(), 64, Dtype::F32).map_err(|error| error.message)?;
    let launch = Launch { shared: 64 * 4, ..Launch::row(kernel, 1, threads) };
    device.launch(&launch, &[number.into(), y.tensor().into()]);
    let mut values = vec![0.0; 64];
    device.read(y.tensor(), bytes_of_mut(&mut values));
    device.check().map(|()| values).map_err(|error| error.message)
}

#[track_caller]
fn expect_fault(kernel: &'static str, number: i32, words: &str) {
    let fault = run(&simulator(), kernel, 64, number).expect_err("a fault");
    assert!(fault.starts_with(kernel) && fault.contains(words), "{fault}");
}

fn a_right_kernel_runs() {
    let device = simulator();
    let [x, y] = [1, 2].map(|_| Buffer::zeroed(device.device(), 70, Dtype::F32).unwrap());
    device.write(x.tensor(), &1.5f32.to_le_bytes().repeat(70));
    for _ in 0..2 {
        let arguments: [Argument; 3] = [70.into(), x.tensor().into(), y.tensor().into()];
        device.launch(&Launch::row("add", 3, 32), &arguments);
    }
    let mut values = vec![0f32; 70];
    device.read(y.tensor(), bytes_of_mut(&mut values));
    device.check().unwrap();
    assert_eq!(values, vec![3.0; 70]);
    assert_eq!(run(&device, "neighbour", 64, 1).unwrap()[..3], [1.0, 2.0, 3.0]);
}

fn out_of_bounds_faults() {
    let device = simulator();
    let [x, y] = [70, 64].map(|len| Buffer::zeroed(device.device(), len, Dtype::F32).unwrap());
    device.launch(&Launch::row("add", 3, 32), &[70.into(), x.tensor().into(), y.tensor().into()]);
    device.read(y.tensor(), &mut []);
    let message = device.check().unwrap_err().message;
    assert_eq!(message, "add: access out of bounds: byte 256 of 256 (block 2,0,0, thread 0,0,0)");
    expect_fault("shared_bounds", 8, "element 8 of 8 in shared memory");
    expect_fault("shared_bounds", -1, "element -1 of 8 in shared memory");
    expect_fault("dynamic_bounds", 64, "access out of bounds: byte 256 of 256");
}

fn misaligned_access_faults() {
    assert!(run(&simulator(), "misaligned", 32, 4).is_ok());
    expect_fault("misaligned", 2, "misaligned access: byte 8, which should be a multiple of 16");
}

fn barriers_fault() {
    assert!(run(&simulator(), "divergent_barrier", 64, 64).is_ok());
    expect_fault("divergent_barrier", 0, "not all threads reach __syncthreads");
    expect_fault("divergent_barrier", 63, "not all threads reach __syncthreads");
    expect_fault("two_barriers", 10, "threads meet at different places");
}

fn shuffles_fault() {
    assert!(run(&simulator(), "divergent_shuffle", 64, 32).is_ok());
    expect_fault("divergent_shuffle", 31, "not all threads reach __shfl_xor_sync");
}

/// Shared memory starts as NaN, and threads run in both orders: one of them reads what has not been written.
fn a_missing_barrier_shows() {
    assert!(run(&simulator(), "neighbour", 64, 0).unwrap()[0].is_nan());
    assert!(run(&queue(simulated().reversed(true)), "neighbour", 64, 0).unwrap()[63].is_nan());
}

/// Two kernels, the first of which fails: only a queue that waits for each can tell.
fn synchronous_work_names_what_failed() {
    let modes = Modes { synchronous: true, ..Modes::default() };
    let device = Queue::new(simulated().without_names(), 64, None, modes).unwrap();
    let y = Buffer::zeroed(device.device(), 64, Dtype::F32).unwrap();
    for (kernel, number) in [("neighbour", 1), ("shared_bounds", 9), ("neighbour", 1)] {
        let launch = Launch { shared: 64 * 4, ..Launch::row(kernel, 1, 32) };
        device.launch(&launch, &[number.into(), y.tensor().into()]);
    }
    device.submit(false);
    assert_eq!(device.check().unwrap_err().message, "shared_bounds: a kernel or an upload failed");
}

fn a_failure_stops_what_follows() {
    let device = simulator();
    let first = run(&device, "shared_bounds", 32, 9).unwrap_err();
    assert_eq!(run(&device, "neighbour", 32, 1).unwrap_err(), first);
    for _ in 0..10_000 {
        device.input(&[1f32; 16], 16); // more than there is room for, if it were kept
    }
    assert_eq!(device.check().unwrap_err().message, first);
}

fn a_wrong_launch_faults() {
    assert!(run(&simulator(), "neighbour", 33, 1).unwrap_err().contains("whole warps"));
    let device = simulator();
    device.launch(&Launch::row("add", 1, 32), &[1.into()]);
    let y = Buffer::zeroed(device.device(), 1, Dtype::F32).unwrap();
    device.read(y.tensor(), &mut []);
    assert!(device.check().unwrap_err().message.contains("another number of arguments"));
    for grid in [[0, 1], [1, 0], [1, 1 << 16]] {
        let device = simulator();
        device.launch(&Launch { grid, ..Launch::row("add", 1, 32) }, &[]);
        device.submit(false);
        assert!(device.check().unwrap_err().message.contains("a grid of"), "{grid:?}");
    }
}
