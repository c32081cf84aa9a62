//! The simulator itself: each mistake that it is there to find is one that it finds.

use std::sync::{Arc, OnceLock};

use cloze_core::driver::matmul::{Matmul, WORKSPACE};
use cloze_core::driver::queue::{Modes, Queue};
use cloze_core::driver::{
    Argument, Buffer, Device, Dtype, Lane, Launch, Matrix, PRELUDE, Product, Tensor, bytes_of, bytes_of_mut,
};

use crate::blas;
use crate::lanes::Schedule;
use crate::ops::random;
use crate::program::Program;
use crate::queue;
use crate::simulator::{Memory, Pinned, Simulator, algorithm, read};

const KERNELS: &str = r#"
KERNEL(add)(int n, Pointer<const float> x, Pointer<float> y) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] += x[i];
}
EXPORT(add)
KERNEL(misaligned)(int at, Pointer<float> y) {
    float v[4] = {};
    if (threadIdx.x == 0) store<4, float>(y + at, v);
}
EXPORT(misaligned)
KERNEL(shared_bounds)(int at, Pointer<float> y) { SHARED(float, s, 8); s[at] = 1.0f; y[0] = s[at]; }
EXPORT(shared_bounds)
KERNEL(dynamic_bounds)(int at, Pointer<float> y) { DYNAMIC_SHARED(float, s); s[at] = 1.0f; y[0] = s[at]; }
EXPORT(dynamic_bounds)
KERNEL(divergent_barrier)(int missing, Pointer<float> y) {
    if ((int)threadIdx.x == missing) return;
    __syncthreads();
    y[threadIdx.x] = 1.0f;
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
KERNEL(lanes)(int how, Pointer<float> y) {
    SHARED(float, s, 64);
    s[threadIdx.x] = (float)threadIdx.x;
    if (how == 1) __syncwarp();
    if (how == 2) warp_sum(1.0f);
    y[threadIdx.x] = s[threadIdx.x ^ 1];
}
EXPORT(lanes)
KERNEL(again)(int barrier, Pointer<float> y) {
    SHARED(float, s, 1);
    for (int i = 0; i < 2; i++) {
        if (threadIdx.x == 0) s[0] = (float)i;
        __syncthreads();
        y[threadIdx.x] = s[0];
        if (barrier) __syncthreads();
    }
}
EXPORT(again)
KERNEL(global)(int barrier, Pointer<float> y) {
    if (threadIdx.x < 32) y[threadIdx.x] = 1.0f;
    if (barrier) __syncthreads();
    if (threadIdx.x >= 32) y[threadIdx.x] = y[threadIdx.x - 32];
}
EXPORT(global)
KERNEL(blocks)(int apart, Pointer<float> y) {
    if (threadIdx.x == 0) y[apart * blockIdx.x] += 1.0f;
}
EXPORT(blocks)
KERNEL(partial_mask)(int mask, Pointer<float> y) { y[threadIdx.x] = __shfl_xor_sync((u32)mask, 1.0f, 1); }
EXPORT(partial_mask)
KERNEL(declares)(int at, Pointer<float> y) {
    SHARED(float, s, 12 << 10);
    s[threadIdx.x] = 1.0f;
    if (at == 0) return;
    SHARED(float, t, 1);
    y[threadIdx.x] = t[0];
}
EXPORT(declares)
"#;

/// All tests of this file, by name.
pub const TESTS: &[(&str, fn())] = &[
    ("a_right_kernel_runs", a_right_kernel_runs),
    ("out_of_bounds_faults", out_of_bounds_faults),
    ("misaligned_access_faults", misaligned_access_faults),
    ("a_barrier_that_not_all_threads_reach_faults", barriers_fault),
    ("a_shuffle_that_not_all_lanes_reach_faults", shuffles_fault),
    ("a_missing_barrier_is_a_race", barriers_order),
    ("a_missing_syncwarp_is_a_race", syncwarps_order),
    ("blocks_that_share_memory_are_a_race", nothing_orders_blocks),
    ("a_shuffle_of_some_lanes_faults", partial_masks_fault),
    ("too_much_declared_shared_memory_faults", declared_memory_is_limited),
    ("freed_memory_is_known", freed_memory_is_known),
    ("new_memory_is_nan_until_it_is_zeroed", new_memory_is_nan),
    ("lanes_without_an_event_between_them_are_a_race", lanes_without_an_event),
    ("what_cublaslt_refuses_is_refused", products_are_refused),
    ("products_sum_in_the_order_of_a_seed", sums_have_an_order),
    ("host_memory_that_is_still_to_be_read_is_not_changed", host_memory_is_kept),
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
    expect_fault("shared_bounds", 8, "access out of bounds: byte 32 of 32");
    expect_fault("shared_bounds", -1, "access out of bounds: byte -4 of 32");
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

/// In whichever order threads run.
#[track_caller]
fn expect_race(kernel: &'static str, number: i32, words: &str) {
    for order in [0, 1, 2, 3] {
        let fault = run(&queue(simulated().ordered(order)), kernel, 64, number).expect_err("a fault");
        assert!(fault.starts_with(kernel) && fault.contains("race: ") && fault.contains(words), "{order}: {fault}");
    }
}

fn barriers_order() {
    expect_race("neighbour", 0, "of shared memory, and another");
    expect_race("again", 0, "of shared memory, and another");
    expect_race("global", 0, "of an allocation, and another warp");
    for order in [0, 1, 2] {
        for kernel in ["neighbour", "again", "global"] {
            run(&queue(simulated().ordered(order)), kernel, 64, 1).unwrap();
        }
    }
}

/// A shuffle brings lanes together, but orders no memory.
fn syncwarps_order() {
    expect_race("lanes", 0, "since the last __syncwarp");
    expect_race("lanes", 2, "since the last __syncwarp");
    assert_eq!(run(&simulator(), "lanes", 64, 1).unwrap()[..3], [1.0, 0.0, 3.0]);
}

fn nothing_orders_blocks() {
    let run = |apart: i32, order| {
        let device = queue(simulated().ordered(order));
        let y = Buffer::zeroed(device.device(), 64, Dtype::F32).unwrap();
        device.launch(&Launch::row("blocks", 4, 32), &[apart.into(), y.tensor().into()]);
        device.read(y.tensor(), &mut []);
        device.check().map_err(|error| error.message)
    };
    for order in [0, 1, 2] {
        run(1, order).unwrap();
        let fault = run(0, order).unwrap_err();
        assert!(
            fault.starts_with("blocks: race: a thread reads byte 0 of an allocation, and another block"),
            "{fault}"
        );
    }
}

fn partial_masks_fault() {
    assert!(run(&simulator(), "partial_mask", 64, -1).is_ok());
    expect_fault("partial_mask", 0xffff, "names the lanes 0000ffff and not all of them");
}

fn declared_memory_is_limited() {
    assert!(run(&simulator(), "declares", 32, 0).is_ok());
    expect_fault("declares", 1, "49168 bytes of declared shared memory");
}

type Use = fn(&Queue<Simulator>, Tensor);

/// Whatever is noted while the memory is there and runs once it has been freed.
fn freed_memory_is_known() {
    let uses: [(&str, Use); 4] = [
        ("neighbour", |device, y| {
            let launch = Launch { shared: 64 * 4, ..Launch::row("neighbour", 1, 64) };
            device.launch(&launch, &[1.into(), y.into()]);
        }),
        ("clear", |device, y| device.clear(y)),
        ("copy_in", |device, y| device.write(y, &[0; 256])),
        ("copy_out", |device, y| device.read(y, &mut [0; 256])),
    ];
    for (name, note) in uses {
        let device = simulator();
        let [y, other] = [0; 2].map(|_| Buffer::zeroed(device.device(), 64, Dtype::F32).unwrap());
        let tensor = y.tensor();
        if !name.starts_with("copy") {
            note(&device, tensor);
            drop(y);
        } else {
            drop(y);
            note(&device, tensor);
        }
        device.read(other.tensor(), &mut []);
        let fault = device.check().unwrap_err().message;
        assert!(fault.starts_with(&format!("{name}: access to freed memory: byte 0 of 256")), "{fault}");
    }
}

const SCHEDULES: [Schedule; 6] = [
    Schedule::Late,
    Schedule::UploadsFirst,
    Schedule::KernelsFirst,
    Schedule::Random(1),
    Schedule::Random(2),
    Schedule::Random(3),
];

/// A kernel gets zeros; an upload on the other lane has to wait for them.
fn new_memory_is_nan() {
    for schedule in SCHEDULES {
        let device = simulated().scheduled(schedule);
        let [waiting, hasty] = [0; 2].map(|_| device.allocate(256).unwrap());
        let [waiting, hasty] = [&waiting, &hasty].map(tensor);
        assert!(read(hasty).iter().all(|x| x.is_nan()) || !matches!(schedule, Schedule::Late));
        let (ones, zeroed, uploaded) = (pinned(&device, 1.0), device.event().unwrap(), device.event().unwrap());
        device.record(&zeroed, Lane::Compute).unwrap();
        device.copy_in(hasty, &ones, 256, Lane::Copy).unwrap_or_default();
        let _ = (device.record(&uploaded, Lane::Copy), device.wait(&zeroed, Lane::Copy));
        let fault = device.finish(&uploaded).and_then(|()| device.copy_out(waiting, &mut [0; 256])).unwrap_err();
        let names = ["copy_in and zeroing use the same memory", "zeroing and copy_in use the same memory"];
        assert!(names.iter().any(|name| fault.message.starts_with(name)), "{schedule:?}: {}", fault.message);
        let device = simulated().scheduled(schedule);
        let memory = device.allocate(256).unwrap();
        let mut zeros = [1; 256];
        device.copy_out(tensor(&memory), &mut zeros).unwrap();
        assert_eq!(zeros, [0; 256]);
    }
}

fn tensor(memory: &Memory) -> Tensor {
    Tensor { address: Simulator::address(memory), len: 64, dtype: Dtype::F32 }
}

fn pinned(device: &Simulator, value: f32) -> Pinned {
    let mut pinned = device.pinned(256).unwrap();
    pinned.as_mut().copy_from_slice(&value.to_le_bytes().repeat(64));
    pinned
}

/// An upload on one lane and a copy of it on the other, with and without an event between them.
fn lanes_without_an_event() {
    for (schedule, waits) in SCHEDULES.into_iter().flat_map(|schedule| [(schedule, true), (schedule, false)]) {
        let device = simulated().scheduled(schedule);
        let [landing, arena] = [0; 2].map(|_| device.allocate(256).unwrap());
        let [landing, arena] = [&landing, &arena].map(tensor);
        let (ones, zeroed, uploaded) = (pinned(&device, 1.0), device.event().unwrap(), device.event().unwrap());
        device.record(&zeroed, Lane::Compute).unwrap();
        device.wait(&zeroed, Lane::Copy).unwrap();
        device.copy_in(landing, &ones, 256, Lane::Copy).unwrap();
        device.record(&uploaded, Lane::Copy).unwrap();
        if waits {
            device.wait(&uploaded, Lane::Compute).unwrap();
        }
        let mut values = [0; 256];
        let copied = device.copy(arena, landing).and_then(|()| device.copy_out(arena, &mut values));
        let result = copied.and_then(|()| device.finish(&uploaded)).map_err(|error| error.message);
        match waits {
            true => assert_eq!((result, &values[..4]), (Ok(()), &1f32.to_le_bytes()[..]), "{schedule:?}"),
            false => assert!(result.unwrap_err().contains("use the same memory on two lanes"), "{schedule:?}"),
        }
    }
}

/// A description that is right, and one that is wrong in each way.
fn products_are_refused() {
    let at = |address, len, dtype| Tensor { address, len, dtype };
    let [a, b] = [4096, 8192].map(|address| Matrix { elements: at(address, 64, Dtype::Bf16), transposed: false });
    let bias = Some(at(256, 5, Dtype::F32));
    let c = at(512, 15, Dtype::F32);
    let product = Product { bias, ..Product::dense([3, 5, 4], a, b, c) };
    let right = Matmul::of(&product);
    assert_eq!(blas::refusal(&right), None);
    let refused = |words: &str, change: fn(&mut Matmul)| {
        let mut wrong = right;
        change(&mut wrong);
        assert!(blas::refusal(&wrong).is_some_and(|why| why.contains(words)), "{words}: {wrong:?}");
    };
    refused("without elements", |x| (x.a.columns, x.b.rows) = (0, 0));
    refused("sizes", |x| x.a.transposed = true);
    refused("sizes", |x| std::mem::swap(&mut x.a, &mut x.b));
    refused("leading dimension below", |x| x.d.leading -= 1);
    refused("types", |x| x.b.dtype = Dtype::F32);
    refused("types", |x| (x.a.dtype, x.b.dtype, x.d.dtype) = (Dtype::F32, Dtype::F32, Dtype::Bf16));
    refused("aligned to its elements", |x| x.b.address += 1);
    refused("bias of another type", |x| x.bias = x.bias.map(|bias| Tensor { dtype: Dtype::Bf16, ..bias }));
    refused("bias shorter", |x| x.bias = x.bias.map(|bias| Tensor { len: 3, ..bias }));
    refused("aligned to 16 bytes", |x| x.bias = x.bias.map(|bias| Tensor { address: 264, ..bias }));
    let device = simulated();
    let misaligned = Product { bias: Some(at(264, 5, Dtype::F32)), ..product };
    assert!(device.algorithms(&misaligned).unwrap().is_empty());
    let first = algorithm(1, &right);
    let refuses = |product: &Product, algorithm, why: &str| {
        assert!(!device.runs(product, algorithm) || why.starts_with("a bias"), "{why}");
        let fault = device.multiply(product, algorithm).unwrap_err().message;
        assert!(fault.starts_with(&format!("cuBLASLt refuses {why}")), "{fault}");
    };
    refuses(&misaligned, &first, "a bias that is not aligned to 16 bytes");
    // A is what cuBLASLt calls B, and so on: less aligned by one element, each is too little for the algorithm.
    let one_further = |x: Tensor| Tensor { address: x.address + x.dtype.size() as u64, ..x };
    let [of_a, of_b] = [a, b].map(|matrix| Matrix { elements: one_further(matrix.elements), ..matrix });
    for less in
        [Product { a: of_a, ..product }, Product { b: of_b, ..product }, Product { c: one_further(c), ..product }]
    {
        assert!(device.runs(&less, &algorithm(1, &Matmul::of(&less))));
        refuses(&less, &first, "an operand that is less aligned than the algorithm was asked for with");
    }
    refuses(&product, &algorithm(3, &right), "an algorithm that needs more workspace than there is");
    assert_eq!(blas::refusal_of(&algorithm(3, &right), &right, WORKSPACE + 1), None);
}

/// The same product by two seeds: other bits, and nothing worse than rounding.
fn sums_have_an_order() {
    let sums = |seed| {
        let device = queue(simulated().summing(seed));
        let [a, b, c] = [0; 3].map(|_| Buffer::zeroed(device.device(), 32 * 32, Dtype::F32).unwrap());
        for (x, seed) in [(&a, 1), (&b, 2)] {
            device.write(x.tensor(), bytes_of(&random(32 * 32, seed)));
        }
        let [a, b] = [&a, &b].map(|x| Matrix { elements: x.tensor(), transposed: false });
        assert!(device.multiply(&Product::dense([32; 3], a, b, c.tensor())));
        let mut values = vec![0f32; 32 * 32];
        device.read(c.tensor(), bytes_of_mut(&mut values));
        device.check().unwrap();
        values
    };
    let [first, again, other] = [1, 1, 2].map(sums);
    assert!(first == again && first != other);
    assert!(first.iter().zip(&other).all(|(x, y)| (x - y).abs() < 1e-5));
}

/// Whether or not the upload has read it by now: nothing says that it has.
fn host_memory_is_kept() {
    for schedule in SCHEDULES {
        for (what, change) in [("changed", true), ("freed", false)] {
            let device = simulated().scheduled(schedule);
            let memory = device.allocate(256).unwrap();
            let (mut ones, uploaded) = (pinned(&device, 1.0), device.event().unwrap());
            device.copy_in(tensor(&memory), &ones, 256, Lane::Compute).unwrap();
            device.record(&uploaded, Lane::Compute).unwrap();
            if change {
                ones.as_mut()[0] = 1;
            }
            drop(ones);
            let fault = device.finish(&uploaded).unwrap_err().message;
            assert_eq!(fault, format!("page-locked memory is {what} before its upload has been waited for"));
        }
    }
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
