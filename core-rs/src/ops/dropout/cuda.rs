//! [`super`] on a CUDA device.

use super::Dropout;
use crate::cuda::{Device, Launch, Tensor};

/// `x[i] *= factor(i)`, `count` elements.
pub fn apply<D: Device>(device: &D, count: usize, x: Tensor, dropout: Dropout) {
    if !dropout.is_none() {
        let x = x.expect(count, device.activations());
        let arguments = [(count as u64).into(), dropout.words().into(), x.into()];
        device.launch(&Launch::threads("dropout_elements", count), &arguments);
    }
}
