//! [`super`] on a CUDA device; a thread a row, because there are a sequence's few of them.

use super::TargetLoss;
use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};

/// Loss and rank of each row of f32 `logits[n, K]` against `targets[n, K]`; `gradient[n, K]`, if given. A row whose first
/// target is no number has none of them: 0, −1 and zeros.
pub fn forward_backward<D: Device>(
    queue: &Queue<D>,
    kind: TargetLoss,
    logits: Tensor,
    targets: Tensor,
    loss: Tensor,
    rank: Tensor,
    gradient: Option<Tensor>,
) {
    let n = loss.len;
    if n == 0 {
        return;
    }
    let k = targets.len / n;
    queue.launch(
        &Launch::threads("target_loss", n),
        &[
            (n as i32).into(),
            (k as i32).into(),
            i32::from(kind == TargetLoss::SquaredError).into(),
            logits.expect(n * k, Dtype::F32).into(),
            targets.expect(n * k, Dtype::F32).into(),
            loss.expect(n, Dtype::F32).into(),
            rank.expect(n, Dtype::I32).into(),
            gradient.map(|g| g.expect(n * k, queue.activations())).into(),
        ],
    );
}
