//! [`super`] on a CUDA device.

use super::Direction;
use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};

/// Turns the queries and keys in `qkv[N, 3C]`; `table` is f32`[·, D]` from [`super::fill_table`], `positions` i32`[N]`.
pub fn rotate<D: Device>(
    queue: &Queue<D>,
    [n, c, d]: [usize; 3],
    table: Tensor,
    positions: Tensor,
    direction: Direction,
    qkv: Tensor,
) {
    let pairs = n * c; // 2C / 2 a token
    queue.launch(
        &Launch::threads("rotate_queries_and_keys", pairs),
        &[
            (pairs as u64).into(),
            (c as i32).into(),
            (d as i32).into(),
            (if direction == Direction::Forward { 1f32 } else { -1.0 }).into(),
            table.expect(table.len, Dtype::F32).into(),
            positions.expect(n, Dtype::I32).into(),
            qkv.expect(3 * n * c, queue.activations()).into(),
        ],
    );
}
