//! AdamW (Loshchilov and Hutter, 2019, algorithm 2) with bias correction, in one pass over all buffers.

pub mod cuda;

use serde::Deserialize;

use super::pieces::Pieces;
use super::slots::{SlotLayout, named};
use super::{OnCpu, State, Team, Update, check_ranges};
use crate::blueprint::{Linear, Parameter, ParameterLayout};
use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::machine::simd::vectorize;
use crate::machine::threads::Shards;

/// Names of both moments, which are PyTorch's.
pub const SLOTS: [&str; 2] = ["exp_avg", "exp_avg_sq"];

/// Hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of weights, decoupled from the gradient; not applied to biases and norms.
    pub weight_decay: f64,
    /// Largest global gradient norm; gradients are scaled down to it.
    pub max_grad_norm: f64,
}

impl Options {
    /// Checks that an update with these makes numbers of numbers.
    ///
    /// # Errors
    /// `InvalidArgument` naming the one that is wrong.
    pub fn validate(&self) -> Result<()> {
        check_ranges(&[
            ("beta1", self.beta1, 0.0..1.0),
            ("beta2", self.beta2, 0.0..1.0),
            ("epsilon", self.epsilon, 0.0..f64::INFINITY),
            ("weight_decay", self.weight_decay, 0.0..f64::INFINITY),
        ])
    }

    /// The factors of an update.
    pub fn factors(&self, update: Update) -> Factors {
        let power = i32::try_from(update.step + 1).unwrap_or(i32::MAX);
        let (correction1, correction2) = (1.0 - self.beta1.powi(power), 1.0 - self.beta2.powi(power));
        Factors {
            beta1: self.beta1 as f32,
            beta2: self.beta2 as f32,
            one_minus_beta1: (1.0 - self.beta1) as f32,
            one_minus_beta2: (1.0 - self.beta2) as f32,
            rate: (update.learning_rate / correction1) as f32,
            root: (1.0 / correction2.sqrt()) as f32,
            epsilon: self.epsilon as f32,
            kept: update.kept(self.weight_decay) as f32,
        }
    }
}

/// What an update multiplies by, rounded once; the order is that of the kernel's struct.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Factors {
    /// Of the first moment.
    pub beta1: f32,
    /// Of the second moment.
    pub beta2: f32,
    /// Of the gradient.
    pub one_minus_beta1: f32,
    /// Of its square.
    pub one_minus_beta2: f32,
    /// Learning rate, with the first moment's correction.
    pub rate: f32,
    /// The second moment's correction, of its root.
    pub root: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// Of weights that decay.
    pub kept: f32,
}

/// The update on the CPU.
pub struct Cpu {
    options: Options,
    pieces: Pieces,
    /// By parameter.
    decays: Vec<bool>,
}

impl Cpu {
    /// For the parameters that have the slots, of which the weights of `layers` are dense layers.
    pub fn new(
        options: Options,
        layout: &ParameterLayout,
        slots: &[SlotLayout],
        layers: &[Linear],
        threads: usize,
    ) -> Self {
        let slot = slots.iter().find(|slot| slot.name == SLOTS[0]);
        Self {
            options,
            pieces: slot.map_or_else(Pieces::default, |slot| Pieces::new(layout, slot, layers, threads)),
            decays: layout.parameters().iter().map(Parameter::decays).collect(),
        }
    }
}

impl<T: Element> OnCpu<T> for Cpu {
    fn update(&mut self, team: Team<T>, state: State<Buffer>, scale: f64, update: Update) -> Result<()> {
        let Factors { beta1, beta2, one_minus_beta1, one_minus_beta2, rate, root, epsilon, kept } =
            self.options.factors(update);
        let scale = scale as f32;
        let gradients = Shards::new(state.gradients);
        let moments = named(state.slots, SLOTS).map(|values| Shards::new(values));
        self.pieces.run(team.threads, team.packed, state.weights, update.share, &|piece, w| {
            let kept = if self.decays[piece.parameter] { kept } else { 1.0 };
            // SAFETY: pieces are disjoint.
            let g = unsafe { gradients.part(piece.range.clone()) };
            // SAFETY: as above.
            let [m, v] = moments.map(|moment| unsafe { moment.part(piece.slot.clone()) });
            vectorize(
                #[inline(always)]
                || {
                    for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                        let x = *g * scale;
                        *g = 0.0;
                        *m = m.mul_add(beta1, one_minus_beta1 * x);
                        *v = v.mul_add(beta2, one_minus_beta2 * x * x);
                        *w = w.mul_add(kept, -rate * *m / v.sqrt().mul_add(root, epsilon));
                    }
                },
            );
        });
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::blueprint::Blueprint;
    use crate::config::tests::tiny;
    use crate::heads::Heads;
    use crate::heads::tests::classification;
    use crate::ops::tests::random;
    use crate::optim::Optimizer;
    use crate::optim::tests::{buffer, run};

    pub(crate) const OPTIONS: Options =
        Options { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weight_decay: 0.1, max_grad_norm: 1.0 };

    #[test]
    fn update_equals_the_algorithm_written_in_f64_and_spares_biases_and_layer_norm_from_decay() {
        let layout = Blueprint::of(&tiny(), &Heads::MASKED_LM).unwrap().layout();
        let (optimizer, rate) = (Optimizer::AdamW(OPTIONS), 0.01);
        let mut weights = buffer(&random(layout.len(), 1));
        let mut slots = run::slots(&optimizer, &layout);
        let mut exact: Vec<[f64; 3]> = weights.iter().map(|&w| [f64::from(w), 0.0, 0.0]).collect();
        for step in 0..4 {
            let mut gradients = buffer(&random(layout.len(), 10 + step));
            for p in layout.parameters() {
                for i in p.range() {
                    let [w, m, v] = &mut exact[i];
                    let g = f64::from(gradients[i]) * 0.25;
                    if p.decays() {
                        *w -= rate * OPTIONS.weight_decay * *w;
                    }
                    *m = OPTIONS.beta1 * *m + (1.0 - OPTIONS.beta1) * g;
                    *v = OPTIONS.beta2 * *v + (1.0 - OPTIONS.beta2) * g * g;
                    let t = step as i32 + 1;
                    let (mean, square) = (*m / (1.0 - OPTIONS.beta1.powi(t)), *v / (1.0 - OPTIONS.beta2.powi(t)));
                    *w -= rate * mean / (square.sqrt() + OPTIONS.epsilon);
                }
            }
            run::update(&optimizer, &layout, &mut weights, &mut gradients, &mut slots, 0.25, rate, step, 2);
            assert!(gradients.iter().all(|&g| g == 0.0));
        }
        for (i, [w, ..]) in exact.iter().enumerate() {
            assert!((f64::from(weights[i]) - w).abs() < 2e-6, "{}: {} vs {w}", layout.name_at(i), weights[i]);
        }
    }

    #[test]
    fn update_leaves_a_frozen_encoder_as_it_is() {
        let layout = Blueprint::of(&tiny(), &classification(true)).unwrap().layout();
        let optimizer = Optimizer::AdamW(OPTIONS);
        let before = random(layout.len(), 1);
        let mut weights = buffer(&before);
        let mut gradients = buffer(&random(layout.len(), 2));
        let mut slots = run::slots(&optimizer, &layout);
        run::update(&optimizer, &layout, &mut weights, &mut gradients, &mut slots, 1.0, 0.01, 0, 1);
        for p in layout.parameters() {
            assert_eq!(weights[p.range()] == before[p.range()], !p.trainable, "{}", p.name);
        }
    }
}
