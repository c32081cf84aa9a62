//! The queue over the simulator: which calls it makes and in which order, that host memory is used again no sooner than
//! the device has read it, and what it does where the driver refuses.

use std::path::Path;
use std::sync::{Arc, Mutex};

use cloze_core::driver::queue::{Modes, Queue};
use cloze_core::driver::{Buffer, Dtype, Launch, Matrix, Product, bytes_of, bytes_of_mut};

use crate::simulator::{FASTEST, Simulator};
use crate::{queue, simulated};

/// All tests of this file, by name.
pub const TESTS: &[(&str, fn())] = &[
    ("submit_captures_work_once_and_replays_it", submit_captures_once),
    ("submit_runs_work_that_cannot_be_captured", submit_without_graphs),
    ("submit_keeps_a_bounded_number_of_graphs", bounded_graphs),
    ("input_is_read_before_its_memory_is_used_again", inputs_take_turns),
    ("write_of_much_arrives_whole", write_of_much),
    ("products_are_measured_once_and_remembered", products_are_measured),
    ("products_of_other_alignments_have_other_algorithms", products_of_other_alignments),
    ("synchronous_work_is_waited_for_one_by_one", synchronous),
    ("profile_counts_kernels_and_kinds_of_products", profile_counts),
];

const PROFILED: Modes = Modes { profile: true, synchronous: false, graphs: true };

/// Puts `x *= factor` on the queue and submits it as work that repeats.
fn scale(queue: &Queue<Simulator>, x: &Buffer<Simulator>, factor: f32) {
    let factor = queue.input(&[factor], 1);
    let count = (x.tensor().len as u64).into();
    queue.launch(&Launch::threads("scale_elements", x.tensor().len), &[count, factor.into(), x.tensor().into()]);
    queue.submit(true);
}

fn ones(queue: &Queue<Simulator>) -> Buffer<Simulator> {
    let x = Buffer::zeroed(queue.device(), 8, Dtype::F32).unwrap();
    queue.write(x.tensor(), bytes_of(&[1f32; 8]));
    x
}

fn values(queue: &Queue<Simulator>, x: &Buffer<Simulator>) -> Vec<f32> {
    let mut values = vec![0.0; x.tensor().len];
    queue.read(x.tensor(), bytes_of_mut(&mut values));
    queue.check().unwrap();
    values
}

fn taken(calls: &Mutex<Vec<String>>) -> Vec<String> {
    std::mem::take(&mut calls.lock().unwrap())
}

/// The upload goes beside the work in progress; the work waits for it. Nobody waits for the device before the fourth
/// upload, which uses the memory of the second again, and then for that upload only.
fn submit_captures_once() {
    let device = simulated(Dtype::F32);
    let calls = device.calls();
    let queue = queue(device);
    let x = ones(&queue);
    queue.submit(false);
    taken(&calls);
    let upload = ["finish", "wait", "copy_in", "record", "wait", "copy", "record"];
    scale(&queue, &x, 2.0);
    assert_eq!(taken(&calls), [&upload[..], &["launch scale_elements"]].concat(), "as it is, the first time");
    scale(&queue, &x, 3.0);
    let capture = ["begin_capture", "launch scale_elements", "end_capture", "replay"];
    assert_eq!(taken(&calls), [&upload[..], &capture].concat());
    for factor in [5.0, 7.0] {
        scale(&queue, &x, factor);
        assert_eq!(taken(&calls), [&upload[..], &["replay"]].concat());
    }
    assert_eq!(values(&queue, &x), [210.0; 8]);
    assert_eq!(taken(&calls), ["copy_out"], "one call that waits, for the reading");
    assert_eq!(queue.graphs(), 1);
}

fn submit_without_graphs() {
    let device = simulated(Dtype::F32).without_graphs();
    let calls = device.calls();
    let queue = queue(device);
    let x = ones(&queue);
    for factor in [2.0, 3.0, 5.0] {
        scale(&queue, &x, factor);
    }
    assert_eq!(values(&queue, &x), [30.0; 8]);
    let tried = taken(&calls).iter().filter(|call| *call == "begin_capture").count();
    assert_eq!((tried, queue.graphs()), (1, 0), "it is asked once");
}

fn bounded_graphs() {
    let queue = queue(simulated(Dtype::F32));
    let x: Vec<_> = (0..40).map(|_| ones(&queue)).collect();
    for x in &x {
        for _ in 0..3 {
            scale(&queue, x, 2.0);
        }
    }
    assert_eq!(queue.graphs(), 32);
    for x in &x {
        scale(&queue, x, 2.0); // those that went are made again
    }
    assert!(x.iter().all(|x| values(&queue, x) == [16.0; 8]));
}

/// The simulator reads host memory when somebody waits, so what was overwritten too soon would be multiplied by twice.
fn inputs_take_turns() {
    let queue = queue(simulated(Dtype::F32));
    let x = ones(&queue);
    for factor in [2.0, 3.0, 5.0, 7.0, 11.0, 13.0] {
        scale(&queue, &x, factor);
    }
    assert_eq!(values(&queue, &x), [30030.0; 8]);
}

fn write_of_much() {
    let queue = queue(simulated(Dtype::F32));
    let expected: Vec<f32> = (0..5 << 20).map(|i| i as f32).collect();
    let x = Buffer::zeroed(queue.device(), expected.len(), Dtype::F32).unwrap();
    scale(&queue, &ones(&queue), 2.0);
    queue.write(x.tensor(), bytes_of(&expected));
    assert!(values(&queue, &x) == expected);
}

fn product(queue: &Queue<Simulator>, size: usize) -> ([Buffer<Simulator>; 3], Product) {
    let matrices = [0; 3].map(|_| Buffer::zeroed(queue.device(), size * size, Dtype::F32).unwrap());
    let [a, b, c] = [0, 1, 2].map(|i| matrices[i].tensor());
    let [a, b] = [a, b].map(|elements| Matrix { elements, transposed: false });
    (matrices, Product { accumulate: true, ..Product::dense([size; 3], a, b, c) })
}

/// Adds up 3 products of ones on `device` and returns how often algorithms were asked for.
fn times_measured(device: Simulator, folder: &Path) -> usize {
    let calls: Arc<Mutex<Vec<String>>> = device.calls();
    let queue = Queue::new(device, 64, Some(folder), Modes::default()).unwrap();
    let (matrices, product) = product(&queue, 4);
    for matrix in &matrices {
        queue.write(matrix.tensor(), bytes_of(&[1f32; 16]));
    }
    taken(&calls);
    for _ in 0..3 {
        assert!(queue.multiply(&product));
        queue.submit(true);
    }
    assert_eq!(values(&queue, &matrices[2]), [13.0; 16], "measuring changes no result");
    taken(&calls).iter().filter(|call| *call == "algorithms").count()
}

/// A product and the same one at other addresses: an algorithm was chosen for what the addresses are multiples of.
fn products_of_other_alignments() {
    let queue = queue(simulated(Dtype::F32));
    let memory = [0; 3].map(|_| Buffer::zeroed(queue.device(), 32, Dtype::F32).unwrap());
    for first in [0, 4, 1, 8, 2] {
        let [a, b, c] = [0, 1, 2].map(|i| memory[i].tensor().part(first, 16));
        for x in [a, b] {
            queue.write(x, bytes_of(&[1f32; 16]));
        }
        let [a, b] = [a, b].map(|elements| Matrix { elements, transposed: false });
        assert!(queue.multiply(&Product::dense([4; 3], a, b, c)));
        let mut found = [0f32; 16];
        queue.read(c, bytes_of_mut(&mut found));
        queue.check().unwrap();
        assert_eq!(found, [4.0; 16]);
    }
}

/// The simulator's second algorithm is the fastest, and its third one does not run.
fn products_are_measured() {
    let folder = std::env::temp_dir().join(format!("cloze-products-{}", std::process::id()));
    assert_eq!(times_measured(simulated(Dtype::F32), &folder), 1);
    let [file] = &std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect::<Vec<_>>()[..] else {
        panic!("one file")
    };
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.lines().count() == 1 && text.contains(&format!("= {FASTEST:016x}")), "{text}");
    assert_eq!(times_measured(simulated(Dtype::F32), &folder), 0);
    std::fs::write(file, text.replace("0002", "0003")).unwrap();
    assert_eq!(times_measured(simulated(Dtype::F32), &folder), 1, "a damaged line is no line");
    std::fs::write(file, &text).unwrap();
    let another_driver = || simulated(Dtype::F32).multiplying(|_, algorithm| algorithm[0] != FASTEST);
    assert_eq!(times_measured(another_driver(), &folder), 1, "what was kept does not run here");
    assert_eq!(times_measured(another_driver(), &folder), 0, "and was replaced");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    let queue = Queue::new(simulated(Dtype::F32), 64, Some(&folder.join("cache")), PROFILED).unwrap();
    let (_matrices, product) = product(&queue, 4);
    queue.multiply(&product);
    queue.submit(false);
    assert_eq!(queue.profile()[0].time.as_millis(), 2, "the first choice, where none can be kept");
    std::fs::remove_file(&folder).unwrap();
}

fn profile_counts() {
    let queue = Queue::new(simulated(Dtype::F32), 64, None, PROFILED).unwrap();
    let x = ones(&queue);
    let (_matrices, product) = product(&queue, 4);
    queue.multiply(&product);
    for _ in 0..2 {
        scale(&queue, &x, 2.0);
    }
    let found: Vec<_> = queue.profile().iter().map(|e| (e.operation, e.calls, e.time.as_millis())).collect();
    assert_eq!(found, [("product: data gradient", 1, 2), ("scale_elements", 2, 2)]);
}

/// In a queue that makes no graphs, either.
fn synchronous() {
    let device = simulated(Dtype::F32);
    let calls = device.calls();
    let modes = Modes { profile: false, synchronous: true, graphs: false };
    let queue = Queue::new(device, 64, None, modes).unwrap();
    let (x, y) = (ones(&queue), ones(&queue));
    queue.submit(false);
    for _ in 0..3 {
        taken(&calls);
        queue.clear(y.tensor());
        scale(&queue, &x, 2.0);
    }
    let each = ["clear", "record", "finish", "launch scale_elements", "record", "finish"];
    assert!(taken(&calls).ends_with(&each.map(String::from)));
    assert_eq!((values(&queue, &x), queue.graphs()), (vec![8.0; 8], 0));
}
