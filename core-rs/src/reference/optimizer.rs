//! The optimizers as their papers write them, one parameter at a time and in f64: what those of [`crate::optim`] are
//! compared with.

use crate::blueprint::Parameter;
use crate::optim::slots::{Slot, named};
use crate::optim::{Optimizer, Update, adamw};

/// One parameter of an update.
pub(super) struct Change<'a> {
    /// Its number in the model.
    pub index: usize,
    pub parameter: &'a Parameter,
    pub weights: &'a mut [f32],
    /// Of the clipped mean loss.
    pub gradient: &'a [f64],
    pub slots: &'a mut [Slot<Vec<f32>>],
    pub update: Update,
}

impl Change<'_> {
    /// Updates weights and state.
    pub fn apply(self, optimizer: &Optimizer) {
        match optimizer {
            Optimizer::AdamW(options) => self.adamw(options),
        }
    }

    /// Loshchilov and Hutter (2019), algorithm 2.
    fn adamw(self, options: &adamw::Options) {
        let adamw::Options { beta1, beta2, epsilon, weight_decay, .. } = *options;
        let power = i32::try_from(self.update.step + 1).unwrap_or(i32::MAX);
        let (correction1, correction2) = (1.0 - beta1.powi(power), 1.0 - beta2.powi(power));
        let (rate, kept) = (self.update.learning_rate, self.kept(weight_decay));
        let [means, squares] = of_parameter(self.slots, adamw::SLOTS, self.index, self.parameter);
        for (((w, g), mean), square) in self.weights.iter_mut().zip(self.gradient).zip(means).zip(squares) {
            let m = beta1 * f64::from(*mean) + (1.0 - beta1) * g;
            let v = beta2 * f64::from(*square) + (1.0 - beta2) * g * g;
            (*mean, *square) = (m as f32, v as f32);
            let change = rate * (m / correction1) / ((v / correction2).sqrt() + epsilon);
            *w = (f64::from(*w) * kept - change) as f32;
        }
    }

    /// What decay, which is decoupled from the gradient, leaves of a weight.
    fn kept(&self, weight_decay: f64) -> f64 {
        if self.parameter.decays() { 1.0 - self.update.learning_rate * weight_decay } else { 1.0 }
    }
}

/// The state of one parameter.
fn of_parameter<'a, const N: usize>(
    slots: &'a mut [Slot<Vec<f32>>],
    names: [&str; N],
    index: usize,
    parameter: &Parameter,
) -> [&'a mut [f32]; N] {
    let offset = slots
        .iter()
        .find(|slot| slot.layout.name == names[0])
        .and_then(|slot| slot.layout.offset(index))
        .expect("a trained parameter has the state that its optimizer declares");
    named(slots, names).map(|values| &mut values[offset..offset + parameter.len])
}
