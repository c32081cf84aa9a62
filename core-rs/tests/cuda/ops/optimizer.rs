//! Updates, and the norm that gradients are clipped by.

use cloze_core::blueprint::{Blueprint, ParameterLayout};
use cloze_core::config::ModelConfig;
use cloze_core::driver::queue::Queue;
use cloze_core::driver::{Buffer, Device, Dtype, bytes_of_mut};
use cloze_core::heads::Heads;
use cloze_core::machine::memory;
use cloze_core::machine::threads::Threads;
use cloze_core::ops::gemm::Gemm;
use cloze_core::optim::cuda::{Clip, Tensors};
use cloze_core::optim::slots::{Slot, SlotLayout};
use cloze_core::optim::{Optimizer, State, Team, Update, adamw, clip, muon};

use super::{close_within, random, rounded, singles, values};

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

pub fn optimizer_update<D: Device>(device: &Queue<D>) {
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

pub fn optimizer_not_finite<D: Device>(device: &Queue<D>) {
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

pub fn clip_norm<D: Device>(device: &Queue<D>) {
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
