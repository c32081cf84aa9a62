//! Each operation of the CUDA engine against the CPU's, on whatever [`Device`] there is: the simulator, or a GPU.
//! Long because there is a test for each operation.
//!
//! Tolerances are relative to the largest value that is expected. With bfloat16 the CPU is given the rounded inputs, so
//! what remains is the rounding of results and of what is rounded in between (the attention probabilities).

use cloze_core::blueprint::{Blueprint, ParameterLayout};
use cloze_core::config::ModelConfig;
use cloze_core::driver::queue::Queue;
use cloze_core::driver::{Buffer, Device, Dtype, Tensor, bytes_of, bytes_of_mut};
use cloze_core::heads::Heads;
use cloze_core::machine::memory;
use cloze_core::machine::threads::Threads;
use cloze_core::ops::activation::{self, Activation};
use cloze_core::ops::cross_entropy::RowLoss;
use cloze_core::ops::dropout::{self as dropout_op, Dropout};
use cloze_core::ops::gemm::Gemm;
use cloze_core::ops::gemm::epilogue::{Add, Bias, Epilogue, Store};
use cloze_core::ops::linear::Weight;
use cloze_core::ops::rotary::Direction;
use cloze_core::ops::{attention, cross_entropy, embeddings, layer_norm, linear, pooling, rotary, tanh};
use cloze_core::optim::cuda::{Clip, Tensors};
use cloze_core::optim::slots::{Slot, SlotLayout};
use cloze_core::optim::{Optimizer, State, Team, Update, adamw, clip, muon};
use cloze_core::rng::{DropoutKey, splitmix64};

/// A name and what is run on a device.
type Test<D> = (&'static str, fn(&Queue<D>));

/// All tests of this file.
pub fn tests<D: Device>() -> Vec<Test<D>> {
    vec![
        ("layer_norm::forward", norm_forward),
        ("layer_norm::backward", norm_backward),
        ("embeddings::forward_and_backward", embeddings_),
        ("embeddings::gather_and_scatter", gather_and_scatter),
        ("elementwise", elementwise),
        ("activation", activations_),
        ("activation::gate", gate),
        ("rotary", rotary_),
        ("pooling", pooling_),
        ("linear::products", products),
        ("linear::parameter_gradients", parameter_gradients),
        ("attention::short_and_odd", |d| attention_(d, 2, 5, false, &[1, 4, 33, 7])),
        ("attention::tiles", |d| attention_(d, 2, 64, false, &[64, 1, 65, 32])),
        ("attention::long", |d| attention_(d, 1, 32, false, &[300])),
        ("attention::several_sums", |d| attention_within(d, 1, 8, true, Some(700), &[2, 1100])),
        ("attention::causal", |d| attention_(d, 2, 16, true, &[1, 130, 9])),
        ("attention::window", |d| windowed_attention(d, 20, false)),
        ("attention::narrow_causal_window", |d| windowed_attention(d, 3, true)),
        ("attention::wide_heads", |d| attention_(d, 1, 80, false, &[70, 3])),
        ("attention::widest_heads", |d| attention_(d, 2, 128, false, &[40])),
        ("cross_entropy", cross_entropy_),
        ("padding", padding),
        ("optimizer::update", optimizer_update),
        ("optimizer::not_finite", optimizer_not_finite),
        ("clip::norm", clip_norm),
    ]
}

/// Numbers between −1 and 1.
pub fn random(len: usize, seed: u64) -> Vec<f32> {
    (0..len as u64).map(|i| (splitmix64((seed * 1_000_003) ^ i) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// What the device holds of these numbers as activations.
fn rounded<D: Device>(device: &Queue<D>, x: Vec<f32>) -> Vec<f32> {
    match device.activations() {
        Dtype::Bf16 => x.into_iter().map(|v| half::bf16::from_f32(v).to_f32()).collect(),
        _ => x,
    }
}

fn activations<D: Device>(device: &Queue<D>, values: &[f32]) -> Buffer<D> {
    let buffer = Buffer::zeroed(device.device(), values.len(), device.activations()).unwrap();
    match device.activations() {
        Dtype::Bf16 => {
            let bits: Vec<u16> = values.iter().map(|&v| half::bf16::from_f32(v).to_bits()).collect();
            device.write(buffer.tensor(), bytes_of(&bits));
        }
        _ => device.write(buffer.tensor(), bytes_of(values)),
    }
    buffer
}

fn singles<D: Device>(device: &Queue<D>, values: &[f32]) -> Buffer<D> {
    let buffer = Buffer::zeroed(device.device(), values.len(), Dtype::F32).unwrap();
    device.write(buffer.tensor(), bytes_of(values));
    buffer
}

fn integers<D: Device>(device: &Queue<D>, values: &[i32]) -> Buffer<D> {
    let buffer = Buffer::zeroed(device.device(), values.len(), Dtype::I32).unwrap();
    device.write(buffer.tensor(), bytes_of(values));
    buffer
}

pub fn values<D: Device>(device: &Queue<D>, buffer: &Buffer<D>) -> Vec<f32> {
    let tensor = buffer.tensor();
    let result = if tensor.dtype == Dtype::Bf16 {
        let mut bits = vec![0u16; tensor.len];
        device.read(tensor, bytes_of_mut(&mut bits));
        bits.into_iter().map(|b| half::bf16::from_bits(b).to_f32()).collect()
    } else {
        let mut values = vec![0f32; tensor.len];
        device.read(tensor, bytes_of_mut(&mut values));
        values
    };
    device.check().unwrap();
    result
}

/// Compares with the CPU's result; `factor` multiplies the tolerance of one rounding.
#[track_caller]
fn close<D: Device>(device: &Queue<D>, what: &str, buffer: &Buffer<D>, expected: &[f32], factor: f32) {
    let rounding = if device.activations() == Dtype::Bf16 { 1.0 / 256.0 } else { 1e-6 };
    close_within(&values(device, buffer), expected, what, factor * rounding);
}

#[track_caller]
pub fn close_within(found: &[f32], expected: &[f32], what: &str, tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let error = (f - e).abs() / largest;
        assert!(
            error <= tolerance,
            "{what}[{i}] is {f}, the CPU has {e}: {error:.1e} of {largest}, allowed {tolerance:.1e}"
        );
    }
}

pub fn dropout(site: u32) -> Dropout {
    Dropout::new(DropoutKey::new(7, 3, 1, site), 0.25)
}

/// The dropout's key where kernels look for it.
fn site<D: Device>(device: &Queue<D>, dropout: Dropout) -> Option<Tensor> {
    (!dropout.is_none()).then(|| device.input(&dropout.words(), 4))
}

/// Rows and columns: one row, less than a block, odd columns, the ends of every version, wider than the fast ones.
const NORM_SHAPES: [(usize, usize); 10] =
    [(1, 8), (9, 64), (13, 37), (70, 128), (3, 256), (3, 260), (2, 512), (20, 768), (2, 1024), (3, 1030)];

struct Norm<D: Device> {
    parameters: Vec<f32>,
    buffer: Buffer<D>,
    c: usize,
    has_bias: bool,
}

impl<D: Device> Norm<D> {
    fn new(device: &Queue<D>, c: usize) -> Self {
        let parameters = random(2 * c, 11);
        Self { buffer: singles(device, &parameters), parameters, c, has_bias: true }
    }

    fn weight_and_bias(&self) -> (&[f32], Option<&[f32]>) {
        let (weight, bias) = self.parameters.split_at(self.c);
        (weight, self.has_bias.then_some(bias))
    }

    fn on_device(&self) -> layer_norm::cuda::Parameters {
        let part = |i: usize| self.buffer.tensor().part(i * self.c, self.c);
        let bias = self.has_bias.then(|| part(1));
        layer_norm::cuda::Parameters { width: self.c, eps: 1e-6, weight: part(0), bias }
    }
}

fn norm_forward<D: Device>(device: &Queue<D>) {
    for ((n, c), has_bias) in NORM_SHAPES.into_iter().flat_map(|shape| [(shape, true), (shape, false)]) {
        let norm = Norm { has_bias, ..Norm::new(device, c) };
        let x = rounded(device, random(n * c, 1));
        let (mut out, mut statistics) = (vec![0.0; n * c], vec![0.0; 2 * n]);
        let (weight, bias) = norm.weight_and_bias();
        layer_norm::forward(&Threads::new(1), &x, weight, bias, 1e-6, &mut out, &mut statistics);
        let (x, y) = (activations(device, &x), activations(device, &vec![0.0; n * c]));
        let kept = singles(device, &vec![0.0; 2 * n]);
        layer_norm::cuda::forward(device, n, norm.on_device(), x.tensor(), y.tensor(), kept.tensor());
        close(device, "out", &y, &out, 4.0);
        close_within(&values(device, &kept), &statistics, "statistics", 4e-6);
    }
}

fn norm_backward<D: Device>(device: &Queue<D>) {
    for ((n, c), has_bias) in NORM_SHAPES.into_iter().flat_map(|shape| [(shape, true), (shape, false)]) {
        let norm = Norm { has_bias, ..Norm::new(device, c) };
        let (x, dy) = (rounded(device, random(n * c, 1)), random(n * c, 2));
        let (weight, bias) = norm.weight_and_bias();
        let (mut out, mut statistics) = (vec![0.0; n * c], vec![0.0; 2 * n]);
        layer_norm::forward(&Threads::new(1), &x, weight, bias, 1e-6, &mut out, &mut statistics);
        for with_dropped in [true, false] {
            let (mut dx, mut dropped) = (dy.clone(), vec![0.0; n * c]);
            let mut gradients = random(if has_bias { 2 * c } else { c }, 5);
            let on_device = singles(device, &gradients);
            let (d_weight, d_bias) = gradients.split_at_mut(c);
            let d_bias = has_bias.then_some(d_bias);
            let before = with_dropped.then_some((dropout(1), &mut dropped[..]));
            let threads = Threads::new(1);
            layer_norm::backward(&threads, &x, &statistics, weight, &mut dx, before, d_weight, d_bias, &mut Vec::new())
                .unwrap();
            let (x, g) = (activations(device, &x), singles(device, &dy));
            let (to, kept) = (activations(device, &vec![0.0; n * c]), singles(device, &statistics));
            let scratch = singles(device, &vec![0.0; layer_norm::cuda::backward_scratch(n, c)]);
            layer_norm::cuda::backward(
                device,
                n,
                norm.on_device(),
                x.tensor(),
                kept.tensor(),
                g.tensor(),
                with_dropped.then_some((site(device, dropout(1)), to.tensor())),
                on_device.tensor(),
                scratch.tensor(),
            );
            close_within(&values(device, &g), &dx, "dx", 1e-5);
            close(device, "dropped", &to, &dropped, 4.0);
            close_within(&values(device, &on_device), &gradients, "parameters", 1e-5);
        }
    }
}

fn embeddings_<D: Device>(device: &Queue<D>) {
    for (n, c, tables) in [(1, 8, [5, 10, 2]), (400, 12, [40, 400, 2]), (5, 37, [3, 10, 2]), (3, 512, [3, 3, 1])] {
        let norm = Norm::new(device, c);
        let table = random(tables.iter().sum::<usize>() * c, 4);
        let words: Vec<i32> = (0..n).map(|i| (i * i * 7 % tables[0]) as i32).collect();
        let (positions, types): (Vec<i32>, Vec<i32>) = (0..n as i32).map(|i| (i, i32::from(i > 9))).unzip();
        let ids: [&[i32]; 3] = [&words, &positions, &types];
        let mut rows = Vec::new();
        embeddings::cuda::table_rows(ids, tables, &mut rows);

        let mut from = 0;
        let lookups = [0, 1, 2].map(|i| {
            let at = from;
            from += tables[i] * c;
            embeddings::Lookup { table: &table[at..from], ids: ids[i] }
        });
        let (mut sum, mut out, mut statistics) = (vec![0.0; n * c], vec![0.0; n * c], vec![0.0; 2 * n]);
        let threads = Threads::new(1);
        embeddings::forward(&threads, lookups, c, &mut sum);
        let (weight, bias) = norm.weight_and_bias();
        let normalized = rounded(device, sum.clone());
        layer_norm::forward(&threads, &normalized, weight, bias, 1e-6, &mut out, &mut statistics);
        for (i, v) in out.iter_mut().enumerate() {
            *v *= dropout(0).factor(i as u32);
        }
        let on_device = integers(device, &rows);
        let (x, y) = (activations(device, &vec![0.0; n * c]), activations(device, &vec![0.0; n * c]));
        let (kept, weights) = (singles(device, &vec![0.0; 2 * n]), singles(device, &table));
        embeddings::cuda::forward(
            device,
            n,
            norm.on_device(),
            on_device.tensor(),
            weights.tensor(),
            site(device, dropout(0)),
            x.tensor(),
            y.tensor(),
            kept.tensor(),
        );
        close(device, "sum", &x, &sum, 1.0);
        close(device, "out", &y, &out, 4.0);
        embeddings::cuda::sum(device, n, c, on_device.tensor(), weights.tensor(), y.tensor());
        close(device, "sum alone", &y, &sum, 1.0);

        let gradient = random(n * c, 9);
        let mut expected = random(table.len(), 10);
        let to = singles(device, &expected);
        for (i, row) in rows.iter().enumerate() {
            for j in 0..c {
                expected[*row as usize * c + j] += gradient[i % n * c + j];
            }
        }
        let mut plan = embeddings::cuda::Collisions::default();
        plan.plan(&rows, n, tables.iter().sum());
        let partials = singles(device, &vec![0.0; plan.slots * c]);
        let counts = [plan.pieces.len() / 4, plan.rows.len() / 3].map(|count| count as i32);
        let g = singles(device, &gradient);
        let planned = embeddings::cuda::Planned {
            counts: device.input(&counts, 2),
            order: device.input(&plan.order, rows.len()),
            rows: device.input(&plan.rows, 3 * embeddings::cuda::Collisions::most_rows(n)),
            pieces: device.input(&plan.pieces, 4 * rows.len()),
            partials: partials.tensor(),
        };
        embeddings::cuda::backward(device, c, planned, g.tensor(), to.tensor());
        close_within(&values(device, &to), &expected, "tables", 1e-6);
    }
}

fn gather_and_scatter<D: Device>(device: &Queue<D>) {
    let (n, c, rows) = (9, 130, [0, 3, 8]);
    let x = rounded(device, random(n * c, 1));
    let (mut picked, mut back) = (vec![0.0; rows.len() * c], random(n * c, 2));
    embeddings::gather(&x, &rows, c, &mut picked);
    let (from, indices) = (activations(device, &x), integers(device, &rows));
    let few = activations(device, &vec![0.0; picked.len()]);
    embeddings::cuda::gather(device, c, indices.tensor(), from.tensor(), few.tensor());
    assert_eq!(values(device, &few), picked);

    let (few, all) = (singles(device, &picked), singles(device, &back));
    embeddings::scatter_add(&picked, &rows, c, &mut back);
    embeddings::cuda::scatter_add(device, c, indices.tensor(), few.tensor(), all.tensor());
    assert_eq!(values(device, &all), back);
}

fn elementwise<D: Device>(device: &Queue<D>) {
    let (count, key) = (777, dropout(3));
    let (x, dy) = (rounded(device, random(count, 1)), rounded(device, random(count, 2)));
    let on_device = activations(device, &x);
    dropout_op::cuda::apply(device, count, on_device.tensor(), site(device, key));
    let mut expected = x.clone();
    dropout_op::apply(&Threads::new(1), &mut expected, key);
    close(device, "dropout", &on_device, &expected, 1.0);

    let on_device = singles(device, &x);
    dropout_op::cuda::apply_to_gradient(device, count, on_device.tensor(), site(device, key));
    assert_eq!(values(device, &on_device), expected);
    let (gradient, operand) = (singles(device, &x), activations(device, &vec![0.0; count]));
    dropout_op::cuda::apply_to(device, count, gradient.tensor(), site(device, key), operand.tensor());
    close(device, "operand", &operand, &expected, 1.0);
    dropout_op::cuda::apply_to(device, count, gradient.tensor(), None, operand.tensor());
    close(device, "operand without dropout", &operand, &x, 1.0);
    dropout_op::cuda::add(device, count, gradient.tensor(), on_device.tensor());
    assert_eq!(values(device, &on_device), expected.iter().zip(&x).map(|(a, b)| a + b).collect::<Vec<_>>());
    let (on_device, residual) = (activations(device, &x), activations(device, &dy));
    dropout_op::cuda::add_residual(device, count, on_device.tensor(), site(device, key), residual.tensor());
    let sums: Vec<f32> = expected.iter().zip(&dy).map(|(x, r)| x + r).collect();
    close(device, "residual", &on_device, &sums, 1.0);

    let on_device = activations(device, &x);
    linear::cuda::scale(device, count, device.input(&[-0.5f32], 1), on_device.tensor());
    assert_eq!(values(device, &on_device), x.iter().map(|v| v * -0.5).collect::<Vec<_>>());

    let mut expected = vec![0.0; count];
    tanh::forward(&x, &mut expected);
    let (from, y) = (activations(device, &x), activations(device, &vec![0.0; count]));
    tanh::cuda::forward(device, count, from.tensor(), y.tensor());
    close(device, "tanh", &y, &expected, 1.0);
    let (y, g) = (rounded(device, expected), activations(device, &dy));
    let mut expected = dy;
    tanh::backward(&y, &mut expected);
    let y = activations(device, &y);
    tanh::cuda::backward(device, count, y.tensor(), g.tensor());
    close(device, "tanh'", &g, &expected, 2.0);
}

fn activations_<D: Device>(device: &Queue<D>) {
    for activation in Activation::ALL {
        for count in [1, 4, 7, 1027] {
            let scale = |x: Vec<f32>| x.into_iter().map(|v| v * 6.0).collect::<Vec<_>>();
            let (pre, dy) = (rounded(device, scale(random(count, 1))), rounded(device, random(count, 2)));
            let (expected, slopes): (Vec<f32>, Vec<f32>) = pre.iter().map(|&x| activation.at(x)).unzip();
            let (x, y) = (activations(device, &pre), activations(device, &vec![0.0; count]));
            activation::cuda::forward(device, activation, count, x.tensor(), y.tensor());
            // In GELU's tail 1 + erf cancels: two units of erf are some 2e-6 of the result.
            close(device, &format!("{activation:?}"), &y, &expected, 4.0);
            let g = activations(device, &dy);
            activation::cuda::backward(device, activation, count, x.tensor(), g.tensor());
            let expected: Vec<f32> = dy.iter().zip(&slopes).map(|(g, slope)| g * slope).collect();
            close(device, &format!("{activation:?}'"), &g, &expected, 2.0);
        }
    }
}

/// Forward by the pre-activation and the gate, backward from dy: as the functions say.
fn gate<D: Device>(device: &Queue<D>) {
    let (count, key) = (777, dropout(4));
    for activation in Activation::ALL {
        let [up, gate, dy] = [1, 2, 3].map(|seed| rounded(device, random(count, seed)));
        let (activated, slopes): (Vec<f32>, Vec<f32>) = up.iter().map(|&x| activation.at(x)).unzip();
        let activated = rounded(device, activated);
        let keep: Vec<f32> = (0..count as u32).map(|i| key.factor(i)).collect();
        let each = |f: &dyn Fn(usize) -> f32| (0..count).map(|i| f(i) * keep[i]).collect::<Vec<f32>>();
        let (kept, y) = (activations(device, &activated), activations(device, &gate));
        activation::cuda::gate_forward(device, count, site(device, key), kept.tensor(), y.tensor());
        close(device, "y", &y, &each(&|i| activated[i] * gate[i]), 2.0);
        assert_eq!(values(device, &kept), gate);
        let (before, d_up, d_gate) = (activations(device, &up), activations(device, &dy), activations(device, &dy));
        let (from, to) = ([before.tensor(), kept.tensor()], [d_up.tensor(), d_gate.tensor()]);
        activation::cuda::gate_backward(device, activation, count, site(device, key), from, to);
        close(device, "d_up", &d_up, &each(&|i| dy[i] * gate[i] * slopes[i]), 2.0);
        close(device, "d_gate", &d_gate, &each(&|i| dy[i] * activation.at(up[i]).0), 2.0);
    }
}

fn rotary_<D: Device>(device: &Queue<D>) {
    let (heads, d, positions) = (3, 10, [0, 1, 2, 0, 7, 40]);
    let (n, c) = (positions.len(), heads * d);
    let mut table = vec![0.0; 41 * d];
    rotary::fill_table(160_000.0, d, 0, &mut table);
    let (tables, places) = (singles(device, &table), integers(device, &positions));
    for direction in [Direction::Forward, Direction::Backward] {
        let mut expected = rounded(device, random(3 * n * c, 1));
        let qkv = activations(device, &expected);
        rotary::rotate(&Threads::new(1), &table, d, &positions, direction, &mut expected);
        rotary::cuda::rotate(device, [n, c, d], tables.tensor(), places.tensor(), direction, qkv.tensor());
        close(device, "rotated", &qkv, &expected, 1.0);
    }
}

fn pooling_<D: Device>(device: &Queue<D>) {
    let (cu_seqlens, c) = ([0, 3, 4, 4, 90], 37);
    let (x, dy) = (rounded(device, random(90 * c, 1)), random(4 * c, 2));
    let (mut means, mut expected) = (vec![0.0; 4 * c], random(90 * c, 3));
    let (from, bounds) = (activations(device, &x), integers(device, &cu_seqlens));
    let (out, gradient, dx) = (activations(device, &means), singles(device, &dy), singles(device, &expected));
    pooling::mean(&cu_seqlens, c, &x, &mut means);
    pooling::cuda::mean(device, c, bounds.tensor(), from.tensor(), out.tensor());
    close(device, "mean", &out, &means, 2.0);
    pooling::backward(&cu_seqlens, c, &dy, &mut expected);
    pooling::cuda::backward(device, c, bounds.tensor(), gradient.tensor(), dx.tensor());
    close_within(&values(device, &dx), &expected, "dx", 1e-6);
}

/// A layer's weight and bias off the device and on it.
fn layer<D: Device>(device: &Queue<D>, inputs: usize, outputs: usize) -> (Vec<f32>, Vec<f32>, Buffer<D>, Buffer<D>) {
    let (weight, bias) = (rounded(device, random(inputs * outputs, 3)), rounded(device, random(outputs, 4)));
    let (w, b) = (activations(device, &weight), activations(device, &bias));
    (weight, bias, w, b)
}

/// The products' orientation and strides; on a GPU, cuBLASLt itself.
fn products<D: Device>(device: &Queue<D>) {
    for (n, inputs, outputs) in [(1, 8, 16), (40, 24, 8), (129, 64, 200)] {
        let (weight, bias, w, b) = layer(device, inputs, outputs);
        let on_device = linear::cuda::Layer { inputs, outputs, weight: w.tensor(), bias: Some(b.tensor()) };
        let (x, dy) = (rounded(device, random(n * inputs, 1)), rounded(device, random(n * outputs, 2)));
        let (gemm, threads) = (Gemm::new(1).unwrap(), Threads::new(1));
        let mut expected = vec![0.0; n * outputs];
        linear::forward(
            &gemm,
            &threads,
            &x,
            Weight::new(&weight, inputs),
            &Bias::new(Some(&bias), &mut expected, outputs),
        )
        .unwrap();
        let (from, y) = (activations(device, &x), activations(device, &vec![0.0; n * outputs]));
        linear::cuda::forward(device, n, on_device, from.tensor(), y.tensor());
        close(device, "y", &y, &expected, 4.0);
        let (full, b) = (singles(device, &vec![0.0; n * outputs]), singles(device, &bias));
        let layer = linear::cuda::Layer { bias: Some(b.tensor()), ..on_device };
        linear::cuda::forward(device, n, layer, from.tensor(), full.tensor());
        close_within(&values(device, &full), &expected, "f32 y", 1e-5);
        let (b, full_b) =
            (activations(device, &[&[0.0], &bias[..]].concat()), singles(device, &[&[0.0], &bias[..]].concat()));
        let odd = |b: &Buffer<D>| b.tensor().part(1, outputs);
        let layer = linear::cuda::Layer { bias: Some(odd(&b)), ..on_device };
        linear::cuda::forward(device, n, layer, from.tensor(), y.tensor());
        close(device, "y with an odd bias", &y, &expected, 4.0);
        let layer = linear::cuda::Layer { bias: Some(odd(&full_b)), ..on_device };
        linear::cuda::forward(device, n, layer, from.tensor(), full.tensor());
        close_within(&values(device, &full), &expected, "f32 y with an odd bias", 1e-5);
        let layer = linear::cuda::Layer { bias: None, ..on_device };
        linear::cuda::forward(device, n, layer, from.tensor(), full.tensor());
        let without: Vec<f32> =
            expected.chunks(outputs).flat_map(|row| row.iter().zip(&bias).map(|(y, b)| y - b)).collect();
        close_within(&values(device, &full), &without, "f32 y without a bias", 1e-5);
        for accumulate in [false, true] {
            let mut expected = rounded(device, random(n * inputs, 6));
            let (g, dx) = (activations(device, &dy), activations(device, &expected));
            let epilogue: Box<dyn Epilogue> = match accumulate {
                true => Box::new(Add::new(&mut expected, inputs)),
                false => Box::new(Store::new(&mut expected, inputs)),
            };
            linear::backward_data(&gemm, &threads, &dy, Weight::new(&weight, inputs), &*epilogue).unwrap();
            drop(epilogue);
            linear::cuda::backward_data(device, n, on_device, g.tensor(), dx.tensor(), accumulate);
            close(device, "dx", &dx, &expected, 4.0);
        }
    }
}

fn parameter_gradients<D: Device>(device: &Queue<D>) {
    for (n, inputs, outputs) in [(1, 8, 16), (130, 24, 37), (65, 16, 300)] {
        let (x, dy) = (rounded(device, random(n * inputs, 1)), rounded(device, random(n * outputs, 2)));
        let (mut dw, mut db) = (random(inputs * outputs, 7), random(outputs, 8));
        let (to_w, to_b) = (singles(device, &dw), singles(device, &db));
        let (gemm, threads) = (Gemm::new(1).unwrap(), Threads::new(1));
        linear::backward_parameters(&gemm, &threads, &x, &dy, outputs, &mut dw, Some(&mut db), &mut Vec::new())
            .unwrap();
        let (x, g) = (activations(device, &x), activations(device, &dy));
        let scratch = singles(device, &vec![0.0; linear::cuda::sum_scratch(n, outputs)]);
        linear::cuda::backward_parameters(
            device,
            n,
            [inputs, outputs],
            x.tensor(),
            g.tensor(),
            to_w.tensor(),
            Some(to_b.tensor()),
            scratch.tensor(),
        );
        close_within(&values(device, &to_w), &dw, "dW", 1e-5);
        close_within(&values(device, &to_b), &db, "db", 1e-5);
    }
}

fn attention_<D: Device>(device: &Queue<D>, heads: usize, d: usize, causal: bool, lengths: &[i32]) {
    attention_within(device, heads, d, causal, None, lengths);
}

/// Rows whose first and last tiles they do not see.
fn windowed_attention<D: Device>(device: &Queue<D>, window: usize, causal: bool) {
    attention_within(device, 2, 16, causal, Some(window), &[1, 230, 9, window as i32 + 1]);
}

fn attention_within<D: Device>(
    device: &Queue<D>,
    heads: usize,
    d: usize,
    causal: bool,
    window: Option<usize>,
    lengths: &[i32],
) {
    let mut cu_seqlens = vec![0];
    for length in lengths {
        cu_seqlens.push(cu_seqlens.last().unwrap() + length);
    }
    let (n, c) = (*cu_seqlens.last().unwrap() as usize, heads * d);
    let longest = lengths.iter().fold(512, |most, &length| most.max(length as usize));
    let max_sequence_length = longest;
    let shape = attention::Shape { heads, hidden: c, cu_seqlens: &cu_seqlens, max_sequence_length, causal, window };
    let scale = |x: Vec<f32>| x.into_iter().map(|v| v * 2.0).collect::<Vec<_>>();
    let qkv = rounded(device, scale(random(3 * n * c, 1)));
    let d_out = rounded(device, random(n * c, 2));
    let mut places = Vec::new();
    attention::cuda::tiles(device.activations(), &cu_seqlens, &mut places);
    assert!(places.len() <= attention::cuda::most_tiles(n, lengths.len()));
    let (cu, tiles) = (integers(device, &cu_seqlens), integers(device, &places));
    let batch = attention::cuda::Packed {
        tokens: n,
        heads,
        hidden: c,
        max_sequence_length,
        causal,
        window,
        cu_seqlens: cu.tensor(),
        tiles: tiles.tensor(),
    };
    for dropout in [Dropout::none(), dropout(1)] {
        let (gemm, threads) = (Gemm::new(1).unwrap(), Threads::new(1));
        let team = attention::TeamScratch::new(&gemm, 1, longest, d, true).unwrap();
        let (mut out, mut lse, mut d_qkv) = (vec![0.0; n * c], vec![0.0; n * heads], vec![0.0; 3 * n * c]);
        attention::forward(&gemm, &threads, &team, shape, &qkv, dropout, &mut out, &mut lse);
        attention::backward(&gemm, &threads, &team, shape, &qkv, dropout, &out, &lse, &d_out, &mut d_qkv);

        let (x, g) = (activations(device, &qkv), activations(device, &d_out));
        let (y, kept) = (activations(device, &vec![0.0; n * c]), singles(device, &vec![0.0; n * heads]));
        let scratch = attention::cuda::backward_scratch(n, heads, c, longest);
        // What no kernel has written is no number.
        let (dx, scratch) =
            (activations(device, &vec![f32::NAN; 3 * n * c]), singles(device, &vec![f32::NAN; scratch]));
        let [low, high, threshold, scale] = dropout.words();
        let site = || (!dropout.is_none()).then(|| device.input(&[low, high, threshold, scale, n as u32], 5));
        attention::cuda::forward(device, &batch, x.tensor(), site(), y.tensor(), kept.tensor());
        close(device, "out", &y, &out, 4.0);
        close_within(&values(device, &kept), &lse, "lse", 1e-5);
        attention::cuda::backward(
            device,
            &batch,
            x.tensor(),
            site(),
            y.tensor(),
            kept.tensor(),
            g.tensor(),
            dx.tensor(),
            scratch.tensor(),
        );
        close(device, "d_qkv", &dx, &d_qkv, 8.0);
    }
}

fn cross_entropy_<D: Device>(device: &Queue<D>) {
    for (n, v) in [(1, 2), (3, 23), (5, 1000), (2, 30522)] {
        let logits: Vec<f32> = random(n * v, 1).iter().map(|x| x * 20.0).collect();
        let labels: Vec<i32> = (0..n).map(|i| (i * 7919 % v) as i32).collect();
        let (mut gradient, mut rows) = (vec![0.0f32; n * v], vec![RowLoss::default(); n]);
        let (threads, mut lost) = (Threads::new(1), logits.clone());
        cross_entropy::forward_backward(&threads, &mut lost, &labels, &mut rows, Some(&mut gradient));
        let (x, ids) = (singles(device, &logits), integers(device, &labels));
        let (loss, rank) = (singles(device, &vec![0.0; n]), integers(device, &vec![-1; n]));
        let g = activations(device, &vec![9.0; n * v]);
        let arguments = (x.tensor(), ids.tensor(), loss.tensor(), rank.tensor());
        let (x, ids, to_loss, to_rank) = arguments;
        cross_entropy::cuda::forward_backward(device, v, x, ids, to_loss, to_rank, Some(g.tensor()));
        let expected: Vec<f32> = rows.iter().map(|r| r.loss).collect();
        close_within(&values(device, &loss), &expected, "loss", 2e-6);
        let mut ranks = vec![0; n];
        device.read(to_rank, bytes_of_mut(&mut ranks));
        assert_eq!(ranks, rows.iter().map(|r| r.rank).collect::<Vec<_>>());
        close(device, "gradient", &g, &gradient, 2.0);
        let x = singles(device, &logits);
        cross_entropy::cuda::forward_backward(device, v, x.tensor(), ids, to_loss, to_rank, None);
        close_within(&values(device, &loss), &expected, "loss without gradient", 2e-6);
    }
    let (x, ids) = (singles(device, &[0.0, f32::NAN, 1.0]), integers(device, &[2]));
    let (loss, rank) = (singles(device, &[0.0]), integers(device, &[0]));
    cross_entropy::cuda::forward_backward(device, 3, x.tensor(), ids.tensor(), loss.tensor(), rank.tensor(), None);
    assert!(values(device, &loss)[0].is_nan());
}

/// Rows of padding: nothing is gathered from them or goes to them, and they cost nothing.
fn padding<D: Device>(device: &Queue<D>) {
    let c = 5;
    let x = rounded(device, random(3 * c, 1));
    let (from, few) = (activations(device, &x), activations(device, &vec![9.0; 2 * c]));
    let rows = integers(device, &[2, -1]);
    embeddings::cuda::gather(device, c, rows.tensor(), from.tensor(), few.tensor());
    assert_eq!(values(device, &few), [&x[2 * c..], &[0.0; 5]].concat());
    let (few, all) = (singles(device, &x[..2 * c]), singles(device, &vec![5.0; 3 * c]));
    embeddings::cuda::scatter_add(device, c, rows.tensor(), few.tensor(), all.tensor());
    let added: Vec<f32> = x[..c].iter().map(|x| 5.0 + x).collect();
    assert_eq!(values(device, &all), [&[5.0; 10], &added[..]].concat());

    let (logits, labels) = (singles(device, &[1.0, 1.0, f32::NAN, 2.0]), integers(device, &[0, -1]));
    let (loss, rank) = (singles(device, &[7.0; 2]), integers(device, &[7; 2]));
    let g = activations(device, &[9.0; 4]);
    let gradient = Some(g.tensor());
    let (l, r) = (loss.tensor(), rank.tensor());
    cross_entropy::cuda::forward_backward(device, 2, logits.tensor(), labels.tensor(), l, r, gradient);
    assert_eq!(values(device, &g), [-0.5, 0.5, 0.0, 0.0]);
    let totals = Buffer::zeroed(device.device(), 3, Dtype::Wide).unwrap();
    let (sums, failed) = (totals.tensor().part(0, 2), totals.tensor().part(2, 1));
    let read = |expected: [f64; 3]| {
        let mut found = [0f64; 3];
        device.read(totals.tensor(), bytes_of_mut(&mut found));
        device.check().unwrap();
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6 || f.is_nan() && e.is_nan()), "{found:?}");
    };
    let log2 = std::f64::consts::LN_2;
    for times in 1..3 {
        let number = device.input(&[3f64], 1);
        cross_entropy::cuda::add_losses(device, 2, [l, r], number, sums, failed);
        read([f64::from(times) * log2, f64::from(times), 0.0]);
    }
    device.write(l.part(0, 1), bytes_of(&[f32::NAN]));
    for number in [4f64, 5.0] {
        let number = device.input(&[number], 1);
        cross_entropy::cuda::add_losses(device, 2, [l, r], number, sums, failed);
    }
    read([f64::NAN, 4.0, 4.0]);
}

fn layout() -> ParameterLayout {
    let config = ModelConfig {
        model_type: "bert".into(),
        vocab_size: 2000,
        hidden_size: 24,
        embedding_size: None,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 30,
        max_position_embeddings: 10,
        type_vocab_size: 2,
        hidden_dropout_prob: 0.0,
        attention_probs_dropout_prob: 0.0,
        layer_norm_eps: 1e-12,
        initializer_range: 0.2,
        hidden_act: "gelu".into(),
        pad_token_id: 0,
        tie_word_embeddings: true,
        modernbert: None,
    };
    Blueprint::of(&config, &Heads::MASKED_LM).unwrap().layout()
}

/// The optimizers.
const OPTIMIZERS: [Optimizer; 2] = [ADAMW, MUON];
const MUON: Optimizer = Optimizer::Muon(muon::Options {
    momentum: 0.95,
    beta1: 0.9,
    beta2: 0.98,
    epsilon: 1e-6,
    weight_decay: 0.1,
    max_grad_norm: 1.0,
});
const ADAMW: Optimizer =
    Optimizer::AdamW(adamw::Options { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weight_decay: 0.1, max_grad_norm: 1.0 });

/// What an update on the device leaves.
struct Updated {
    weights: Vec<f32>,
    gradients: Vec<f32>,
    slots: Vec<Vec<f32>>,
    /// The weights as activations.
    copy: Vec<f32>,
    squared_norm: f64,
}

/// One update on the device.
fn update<D: Device>(
    device: &Queue<D>,
    optimizer: &Optimizer,
    [weights, gradients]: [&[f32]; 2],
    slots: &[Slot<Vec<f32>>],
    update: Update,
) -> Updated {
    let layout = layout();
    let clip = Clip::new(device, layout.len(), optimizer.max_grad_norm()).unwrap();
    let optimizer = optimizer.on_cuda(device, &layout).unwrap();
    let [weights, gradients] = [weights, gradients].map(|values| singles(device, values));
    let state: Vec<_> = slots.iter().map(|slot| singles(device, &slot.values)).collect();
    let copy = Buffer::zeroed(device.device(), layout.len(), device.activations()).unwrap();
    let tensors = Tensors {
        weights: weights.tensor(),
        copy: Some(copy.tensor()),
        gradients: gradients.tensor(),
        slots: slots.iter().zip(&state).map(|(slot, buffer)| (slot.layout.name, buffer.tensor())).collect(),
    };
    let totals = Buffer::zeroed(device.device(), 2, Dtype::Wide).unwrap();
    let (norm, failed) = (totals.tensor().part(0, 1), totals.tensor().part(1, 1));
    let scale = clip.run(device, tensors.gradients, update, norm, failed);
    optimizer.update(device, &tensors, scale, update);
    let mut found = [0f64; 2];
    device.read(totals.tensor(), bytes_of_mut(&mut found));
    assert_eq!(found[1], if found[0].is_finite() { 0.0 } else { (update.step + 1) as f64 });
    Updated {
        weights: values(device, &weights),
        gradients: values(device, &gradients),
        slots: state.iter().map(|buffer| values(device, buffer)).collect(),
        copy: values(device, &copy),
        squared_norm: found[0],
    }
}

/// Slots with random state; what the optimizer keeps of squares is not negative.
fn random_slots(optimizer: &Optimizer, layout: &ParameterLayout) -> Vec<Slot<Vec<f32>>> {
    let slots = SlotLayout::all(optimizer, layout).into_iter().enumerate();
    let values = |seed: usize, slot: &SlotLayout| match slot.name.ends_with("_sq") {
        true => random(slot.len(), seed as u64).iter().map(|x| x.abs()).collect(),
        false => random(slot.len(), seed as u64),
    };
    slots.map(|(i, layout)| Slot { values: values(3 + i, &layout), layout }).collect()
}

/// The same values in the memory of the CPU's backend.
fn on_host(values: &[f32]) -> memory::Buffer {
    let mut buffer = memory::Buffer::zeroed(values.len()).unwrap();
    buffer.copy_from_slice(values);
    buffer
}

fn optimizer_update<D: Device>(device: &Queue<D>) {
    let layout = layout();
    let n = layout.len();
    let (threads, gemm) = (Threads::new(1), Gemm::<f32>::new(1).unwrap());
    let cases = OPTIMIZERS.iter().flat_map(|optimizer| [(optimizer, 0, 1.0), (optimizer, 5, 0.001)]);
    for (optimizer, step, scale) in cases {
        let weights = random(n, 1);
        let gradients: Vec<f32> = random(n, 2).iter().map(|x| x * scale).collect();
        let slots = random_slots(optimizer, &layout);
        let change = Update { learning_rate: 0.01, step, units: 4, decays: true, share: None };
        let found = update(device, optimizer, [&weights, &gradients], &slots, change);
        let exact = clip::squared_norm(&threads, &gradients, &mut Vec::new()).unwrap();
        assert!((found.squared_norm / exact - 1.0).abs() < 1e-12, "{} and {exact}", found.squared_norm);
        let scale = clip::factor(exact.sqrt() / 4.0, 1.0) / 4.0;
        let (mut weights, mut gradients) = (on_host(&weights), on_host(&gradients));
        let mut slots: Vec<_> =
            slots.into_iter().map(|slot| Slot { values: on_host(&slot.values), layout: slot.layout }).collect();
        let expected = State { weights: &mut weights, gradients: &mut gradients, slots: &mut slots };
        let team = Team { threads: &threads, gemm: &gemm, packed: &[] };
        optimizer.on_cpu(&layout, &[], 1).unwrap().update(team, expected, scale, change).unwrap();
        // What products give is rounded as activations are.
        let tolerance = match (optimizer, device.activations()) {
            (Optimizer::Muon(_), Dtype::Bf16) => 1e-3,
            (Optimizer::Muon(_), _) => 1e-5,
            _ => 1e-6,
        };
        close_within(&found.weights, &weights, "weights", tolerance);
        close_within(&found.gradients, &gradients, "gradients", 1e-6);
        for (found, expected) in found.slots.iter().zip(&slots) {
            close_within(found, &expected.values, expected.layout.name, 1e-6);
        }
        assert_eq!(found.copy, rounded(device, found.weights));
    }
}

fn optimizer_not_finite<D: Device>(device: &Queue<D>) {
    let layout = layout();
    let n = layout.len();
    let mut gradients = random(n, 2);
    gradients[n - 1] = f32::INFINITY;
    for optimizer in &OPTIMIZERS {
        let (weights, slots) = (random(n, 1), random_slots(optimizer, &layout));
        let change = Update { learning_rate: 0.01, step: 3, units: 4, decays: true, share: None };
        let found = update(device, optimizer, [&weights, &gradients], &slots, change);
        assert!(found.squared_norm.is_infinite());
        assert_eq!(found.weights, weights);
        assert_eq!(found.slots, slots.into_iter().map(|slot| slot.values).collect::<Vec<_>>());
    }
}

fn clip_norm<D: Device>(device: &Queue<D>) {
    let clip = Clip::new(device, 40_001, 1.0).unwrap();
    for len in [1, 31, 32_768, 40_001] {
        let x = random(len, 5);
        let buffer = singles(device, &x);
        let totals = Buffer::zeroed(device.device(), 2, Dtype::Wide).unwrap();
        let (norm, failed) = (totals.tensor().part(0, 1), totals.tensor().part(1, 1));
        let update = Update { learning_rate: 0.01, step: 0, units: 4, decays: true, share: None };
        let scale = clip.run(device, buffer.tensor(), update, norm, failed);
        let (mut squared, mut factor) = ([0f64], [0f32]);
        device.read(norm, bytes_of_mut(&mut squared));
        device.read(scale, bytes_of_mut(&mut factor));
        let exact: f64 = x.iter().map(|&v| f64::from(v).powi(2)).sum();
        assert!((squared[0] / exact - 1.0).abs() < 1e-12, "{len}: {} and {exact}", squared[0]);
        let expected = clip::factor(exact.sqrt() / 4.0, 1.0) / 4.0;
        assert!((f64::from(factor[0]) / expected - 1.0).abs() < 1e-6, "{len}: {} and {expected}", factor[0]);
    }
}
