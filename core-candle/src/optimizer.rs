//! The optimizers as their papers write them, one parameter at a time and in f64: what those of [`cloze_core::optim`] are
//! compared with.

use cloze_core::blueprint::Parameter;
use cloze_core::optim::slots::{Slot, named};
use cloze_core::optim::{Optimizer, Update, adamw, muon};

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
            Optimizer::Muon(options) if self.has_slot(muon::SLOT[0]) => self.muon(options),
            Optimizer::Muon(options) => self.adamw(&options.rest()),
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

    /// Jordan et al. (2024), with the size that Liu et al. (2025) give an update.
    fn muon(self, options: &muon::Options) {
        let (rate, kept, momentum) = (self.update.learning_rate, self.kept(options.weight_decay), options.momentum);
        let (rows, columns) = (self.parameter.shape[0], self.parameter.shape[1]);
        let [buffer] = of_parameter(self.slots, muon::SLOT, self.index, self.parameter);
        let mut u = Vec::with_capacity(self.gradient.len());
        for (buffer, g) in buffer.iter_mut().zip(self.gradient) {
            let m = momentum * f64::from(*buffer) + (1.0 - momentum) * g;
            *buffer = m as f32;
            u.push(momentum * m + (1.0 - momentum) * g);
        }
        let change = orthogonal(&u, rows, columns);
        for (w, change) in self.weights.iter_mut().zip(change) {
            *w = (f64::from(*w) * kept - rate * muon::adjustment(rows, columns) * change) as f32;
        }
    }

    fn has_slot(&self, name: &str) -> bool {
        self.slots.iter().any(|slot| slot.layout.name == name && slot.layout.offset(self.index).is_some())
    }

    /// What decay, which is decoupled from the gradient, leaves of a weight.
    fn kept(&self, weight_decay: f64) -> f64 {
        if self.parameter.decays() { self.update.kept(weight_decay) } else { 1.0 }
    }
}

/// Five Newton–Schulz steps: `X ← a X + (b A + c A²) X`, with `A = X Xᵀ`; of a tall matrix, of its transpose.
fn orthogonal(u: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    if rows > columns {
        return transposed(&orthogonal(&transposed(u, rows, columns), columns, rows), columns, rows);
    }
    let [a, b, c] = muon::COEFFICIENTS.map(f64::from);
    let norm = u.iter().map(|x| x * x).sum::<f64>().sqrt() + muon::NORM_EPSILON;
    let mut x: Vec<f64> = u.iter().map(|u| u / norm).collect();
    for _ in 0..muon::STEPS {
        let gram = product(&x, &transposed(&x, rows, columns), rows, columns, rows);
        let square = product(&gram, &gram, rows, rows, rows);
        let polynomial: Vec<f64> = gram.iter().zip(square).map(|(gram, square)| b * gram + c * square).collect();
        let change = product(&polynomial, &x, rows, rows, columns);
        x.iter_mut().zip(change).for_each(|(x, change)| *x = a * *x + change);
    }
    x
}

/// `A[m, k] B[k, n]`
fn product(a: &[f64], b: &[f64], m: usize, k: usize, n: usize) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for (c, a) in c.chunks_exact_mut(n).zip(a.chunks_exact(k)) {
        for (a, b) in a.iter().zip(b.chunks_exact(n)) {
            c.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
        }
    }
    c
}

fn transposed(x: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..rows * columns).map(|at| x[at % rows * columns + at / rows]).collect()
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
