//! [`super`] on a CUDA device.

use super::LogitRows;
use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};

/// Loss and rank of each row of f32 `logits[n, V]`; `gradient[n, V]`, if given, receives softmax − onehot. A row whose
/// label is −1 has none of them: 0, −1 and zeros.
pub fn forward_backward<D: Device>(
    queue: &Queue<D>,
    LogitRows { classes, stride }: LogitRows,
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
    queue.launch(
        &Launch::row("cross_entropy", n, 256),
        &[
            (classes as i32).into(),
            (stride as i32).into(),
            logits.expect(n * stride, Dtype::F32).into(),
            labels.expect(n, Dtype::I32).into(),
            loss.expect(n, Dtype::F32).into(),
            rank.expect(n, Dtype::I32).into(),
            gradient.map(|g| g.expect(n * stride, queue.activations())).into(),
        ],
    );
}

/// f64`[2]` `totals` += the losses of `n` rows and how many of their ranks are 0. A loss that is not finite writes
/// `number`, f64, to `failed`, f64, if nothing stands there yet.
pub fn add_losses<D: Device>(
    queue: &Queue<D>,
    n: usize,
    [loss, rank]: [Tensor; 2],
    number: Tensor,
    totals: Tensor,
    failed: Tensor,
) {
    queue.launch(
        &Launch::row("add_losses", 1, 256),
        &[
            (n as i32).into(),
            loss.expect(n, Dtype::F32).into(),
            rank.expect(n, Dtype::I32).into(),
            number.into(),
            totals.expect(2, Dtype::Wide).into(),
            failed.expect(1, Dtype::Wide).into(),
        ],
    );
}
