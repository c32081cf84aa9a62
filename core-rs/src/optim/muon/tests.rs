//! Which parameters are matrices, the same bits for any team, and what an update does to singular values and size.

use super::*;
use crate::blueprint::Blueprint;
use crate::config::ModelConfig;
use crate::config::tests::tiny;
use crate::heads::Heads;
use crate::machine::dtype::{Bf16, Element};
use crate::machine::memory::Buffer;
use crate::machine::threads::Threads;
use crate::ops::gemm::Gemm;
use crate::ops::tests::random;
use crate::optim::slots::Slot;
use crate::optim::tests::{buffer, run};
use crate::optim::{Optimizer, State, Team, Update};

pub(crate) const OPTIONS: Options =
    Options { momentum: 0.95, beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weight_decay: 0.1, max_grad_norm: 1.0 };

fn layout() -> ParameterLayout {
    Blueprint::of(&ModelConfig { hidden_size: 24, intermediate_size: 40, ..tiny() }, &Heads::MASKED_LM)
        .unwrap()
        .layout()
}

#[test]
fn slots_are_a_momentum_for_matrices_of_the_blocks_and_moments_for_the_rest() {
    let layout = layout();
    let slots = SlotLayout::all(&Optimizer::Muon(OPTIONS), &layout);
    let has = |name: &str, slot: &str| {
        let index = layout.parameters().iter().position(|p| p.name == name).unwrap();
        slots.iter().find(|s| s.name == slot).unwrap().offset(index).is_some()
    };
    for matrix in ["attention.self.key.weight", "attention.output.dense.weight", "output.dense.weight"] {
        let name = format!("bert.encoder.layer.1.{matrix}");
        assert!(has(&name, "momentum_buffer") && !has(&name, "exp_avg") && !has(&name, "exp_avg_sq"), "{name}");
    }
    for rest in [
        "bert.embeddings.word_embeddings.weight",
        "bert.encoder.layer.0.intermediate.dense.bias",
        "bert.encoder.layer.0.output.LayerNorm.weight",
        "cls.predictions.transform.dense.weight",
    ] {
        assert!(!has(rest, "momentum_buffer") && has(rest, "exp_avg") && has(rest, "exp_avg_sq"), "{rest}");
    }
    assert_eq!(slots.iter().find(|s| s.name == "exp_avg").map(SlotLayout::len), {
        let rest = layout.parameters().iter().filter(|p| p.group != Group::Matrix);
        Some(rest.map(|p| p.len).sum())
    });
}

/// Ten updates on random gradients: weights and slots.
fn ten_updates<T: Element>(threads: usize) -> (Vec<f32>, Vec<Vec<f32>>) {
    let layout = layout();
    let optimizer = Optimizer::Muon(OPTIONS);
    let (team, gemm) = (Threads::new(threads), Gemm::<T>::new(threads).unwrap());
    let mut on_cpu = optimizer.on_cpu::<T>(&layout, &[], threads).unwrap();
    let mut weights = buffer(&random(layout.len(), 1));
    let mut slots = run::slots(&optimizer, &layout);
    for step in 0..10 {
        let mut gradients = buffer(&random(layout.len(), 10 + step));
        let state = State { weights: &mut weights, gradients: &mut gradients, slots: &mut slots };
        let team = Team { threads: &team, gemm: &gemm, packed: &[] };
        on_cpu
            .update(team, state, 0.5, Update { learning_rate: 0.01, step, units: 1, decays: true, share: None })
            .unwrap();
        assert!(gradients.iter().all(|&g| g == 0.0));
    }
    (weights.to_vec(), slots.iter().map(|slot: &Slot<Buffer>| slot.values.to_vec()).collect())
}

#[test]
fn update_has_the_same_bits_for_any_team() {
    assert_eq!(ten_updates::<f32>(1), ten_updates::<f32>(3));
    assert_eq!(ten_updates::<Bf16>(1), ten_updates::<Bf16>(4));
}

/// Σ over rows of A of (row i · row j), in f64.
fn gram(a: &[f32], rows: usize, columns: usize) -> Vec<f64> {
    let dot =
        |i: usize, j: usize| (0..columns).map(|k| f64::from(a[i * columns + k]) * f64::from(a[j * columns + k])).sum();
    (0..rows * rows).map(|at| dot(at / rows, at % rows)).collect()
}

#[test]
fn first_update_moves_a_matrix_by_nearly_orthogonal_rows_of_the_size_that_adamw_would() {
    let layout = Blueprint::of(&ModelConfig { hidden_size: 16, intermediate_size: 64, ..tiny() }, &Heads::MASKED_LM)
        .unwrap()
        .layout();
    let optimizer = Optimizer::Muon(Options { weight_decay: 0.0, ..OPTIONS });
    let before = random(layout.len(), 1);
    let (mut weights, mut gradients) = (buffer(&before), buffer(&random(layout.len(), 2)));
    let mut slots = run::slots(&optimizer, &layout);
    run::update(&optimizer, &layout, &mut weights, &mut gradients, &mut slots, 1.0, 0.01, 0, 2);
    let p = layout.find("bert.encoder.layer.0.output.dense.weight").unwrap();
    let (rows, columns) = (p.shape[0], p.shape[1]);
    let scale = 0.01 * adjustment(rows, columns) as f32;
    let change: Vec<f32> = p.range().map(|i| (before[i] - weights[i]) / scale).collect();
    for (at, value) in gram(&change, rows, columns).into_iter().enumerate() {
        let on_diagonal = at / rows == at % rows;
        assert!(if on_diagonal { (0.4..1.5).contains(&value) } else { value.abs() < 0.4 }, "{at}: {value}");
    }
    let rms = (change.iter().map(|x| f64::from(x * scale).powi(2)).sum::<f64>() / change.len() as f64).sqrt();
    assert!((0.1..0.3).contains(&(rms / 0.01)), "{rms} at a rate of 0.01");
}
