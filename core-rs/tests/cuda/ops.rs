//! Each operation of the CUDA engine against the CPU's, on whatever [`Device`] there is: the simulator, or a GPU.
//!
//! Tolerances are relative to the largest value that is expected. With bfloat16 the CPU is given the rounded inputs, so
//! what remains is the rounding of results and of what is rounded in between (the attention probabilities).

mod attention;
mod elements;
mod embeddings;
mod layer_norm;
mod linear;
mod loss;
mod optimizer;

use cloze_core::driver::queue::Queue;
use cloze_core::driver::{Buffer, Device, Dtype, Tensor, bytes_of, bytes_of_mut};
use cloze_core::ops::dropout::Dropout;
use cloze_core::rng::{DropoutKey, splitmix64};

use attention::{attention_, attention_within, windowed_attention};
use elements::{activations_, elementwise, gate, pooling_, rotary_};
use embeddings::{embeddings_, gather_and_scatter};
use layer_norm::{norm_backward, norm_forward, residual_norm};
use linear::{padded_rows, parameter_gradients, products};
use loss::{cross_entropy_, padding, target_loss_};
use optimizer::{clip_norm, optimizer_not_finite, optimizer_update};

/// A name and what is run on a device.
type Test<D> = (&'static str, fn(&Queue<D>));

/// All tests of operations.
pub fn tests<D: Device>() -> Vec<Test<D>> {
    vec![
        ("layer_norm::forward", norm_forward),
        ("layer_norm::residual", residual_norm),
        ("layer_norm::backward", norm_backward),
        ("embeddings::forward_and_backward", embeddings_),
        ("embeddings::gather_and_scatter", gather_and_scatter),
        ("elementwise", elementwise),
        ("activation", activations_),
        ("activation::gate", gate),
        ("rotary", rotary_),
        ("pooling", pooling_),
        ("linear::products", products),
        ("linear::padded_rows", padded_rows),
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
        ("target_loss", target_loss_),
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
