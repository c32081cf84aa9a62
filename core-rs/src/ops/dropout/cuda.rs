//! [`super`] on a CUDA device.

use super::Dropout;
use crate::cuda::{Device, Dtype, Launch, Tensor};

/// `x[i] *= factor(i)`, `count` elements.
pub fn apply<D: Device>(device: &D, count: usize, x: Tensor, dropout: Dropout) {
    if !dropout.is_none() {
        let x = x.expect(count, device.activations());
        let arguments = [(count as u64).into(), dropout.words().into(), x.into()];
        device.launch(&Launch::threads("dropout_elements", count), &arguments);
    }
}

/// The same to a gradient in f32.
pub fn apply_to_gradient<D: Device>(device: &D, count: usize, x: Tensor, dropout: Dropout) {
    if !dropout.is_none() {
        let arguments = [(count as u64).into(), dropout.words().into(), x.expect(count, Dtype::F32).into()];
        device.launch(&Launch::threads("dropout_gradient", count), &arguments);
    }
}

/// `x[i] = x[i] factor(i) + residual[i]`, `count` elements.
pub fn add_residual<D: Device>(device: &D, count: usize, x: Tensor, dropout: Dropout, residual: Tensor) {
    let act = device.activations();
    let (x, residual) = (x.expect(count, act), residual.expect(count, act));
    let arguments = [(count as u64).into(), dropout.words().into(), residual.into(), x.into()];
    device.launch(&Launch::threads("dropout_residual", count.div_ceil(4)), &arguments);
}
