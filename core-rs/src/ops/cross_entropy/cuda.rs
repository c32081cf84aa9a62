//! [`super`] on a CUDA device.

use crate::cuda::{Device, Dtype, Launch, Tensor};

/// Loss and rank of each row of f32 `logits[n, V]`; `gradient[n, V]`, if given, receives softmax − onehot.
pub fn forward_backward<D: Device>(
    device: &D,
    v: usize,
    logits: Tensor,
    labels: Tensor,
    loss: Tensor,
    rank: Tensor,
    gradient: Option<Tensor>,
) {
    let n = labels.len;
    if n == 0 {
        return;
    }
    device.launch(
        &Launch::row("cross_entropy", n, 256),
        &[
            (v as i32).into(),
            logits.expect(n * v, Dtype::F32).into(),
            labels.expect(n, Dtype::I32).into(),
            loss.expect(n, Dtype::F32).into(),
            rank.expect(n, Dtype::I32).into(),
            gradient.map(|g| g.expect(n * v, device.activations())).into(),
        ],
    );
}
