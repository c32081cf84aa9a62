//! [`super`] on a CUDA device.

use crate::driver::queue::Queue;
use crate::driver::{Device, Dtype, Launch, Tensor};
use crate::ops::layer_norm::cuda::{Parameters, ROWS};

const FORWARD: [&str; 5] =
    ["embed_forward_256", "embed_forward_512", "embed_forward_768", "embed_forward_1024", "embed_forward_2048"];

/// Most tokens that one block sums.
const PIECE: usize = 128;

/// `sum` = the embeddings of each token; `out = dropout(LayerNorm(sum))`. `rows[tables, N]` count from the start of
/// `tables`; see [`table_rows`].
pub fn forward<D: Device>(
    queue: &Queue<D>,
    n: usize,
    norm: Parameters,
    rows: Tensor,
    tables: Tensor,
    dropout: Option<Tensor>,
    sum: Tensor,
    out: Tensor,
    statistics: Tensor,
) {
    let (c, act) = (norm.width, queue.activations());
    queue.launch(
        &Launch::row(norm.version(FORWARD), n.div_ceil(ROWS), 32 * ROWS),
        &[
            (n as i32).into(),
            (rows.len as i32 / n.max(1) as i32).into(),
            (c as i32).into(),
            norm.eps.into(),
            rows.expect(rows.len, Dtype::I32).into(),
            tables.into(),
            norm.weight.expect(c, Dtype::F32).into(),
            norm.bias.map(|bias| bias.expect(c, Dtype::F32)).into(),
            dropout.into(),
            sum.expect(n * c, act).into(),
            out.expect(n * c, act).into(),
            statistics.expect(2 * n, Dtype::F32).into(),
        ],
    );
}

/// `out` = the embeddings of each token, and nothing more; `rows` and `tables` as of [`forward`].
pub fn sum<D: Device>(queue: &Queue<D>, n: usize, c: usize, rows: Tensor, tables: Tensor, out: Tensor) {
    queue.launch(
        &Launch::threads("embed_sum", n * c),
        &[
            (n as i32).into(),
            (rows.len as i32 / n.max(1) as i32).into(),
            (c as i32).into(),
            rows.expect(rows.len, Dtype::I32).into(),
            tables.into(),
            out.expect(n * c, queue.activations()).into(),
        ],
    );
}

/// The ids of the tables that there are, one table behind the other, as rows of the one that they make together.
pub fn table_rows(ids: [&[i32]; 3], rows: [usize; 3], to: &mut Vec<i32>) {
    to.clear();
    let mut first = 0;
    for (ids, rows) in ids.into_iter().zip(rows).filter(|(_, rows)| *rows > 0) {
        to.extend(ids.iter().map(|id| first + id));
        first += rows as i32;
    }
}

/// Which tokens collide in which rows of the tables: sorted by row, cut into pieces of a bounded length. The vectors
/// are reused from batch to batch.
#[derive(Default)]
pub struct Collisions {
    /// Tokens by row of the table, and by token where equal.
    pub order: Vec<i32>,
    /// Row, range in `order`, slot of the sum or −1; four a piece.
    pub pieces: Vec<i32>,
    /// Row and range of slots of the rows that have several pieces; three a row.
    pub rows: Vec<i32>,
    /// Slots used.
    pub slots: usize,
    starts: Vec<i32>,
}

impl Collisions {
    /// Rows that a batch of `n` tokens sums in several pieces at most.
    pub fn most_rows(n: usize) -> usize {
        3 * n / PIECE + 1
    }

    /// Slots that a batch of `n` tokens needs at most.
    pub fn most_slots(n: usize) -> usize {
        6 * n / PIECE + 3
    }

    /// Plans the gradient of `rows[tables, n]`, of a table of `table` rows.
    pub fn plan(&mut self, rows: &[i32], n: usize, table: usize) {
        self.starts.clear();
        self.starts.resize(table + 1, 0);
        for &row in rows {
            self.starts[row as usize + 1] += 1;
        }
        for row in 0..table {
            self.starts[row + 1] += self.starts[row];
        }
        self.order.clear();
        self.order.resize(rows.len(), 0);
        for (i, &row) in rows.iter().enumerate() {
            let at = &mut self.starts[row as usize];
            self.order[*at as usize] = (i % n) as i32;
            *at += 1;
        }
        // Each start has moved to the end of its row.
        self.pieces.clear();
        self.rows.clear();
        self.slots = 0;
        let mut from = 0;
        for (row, &to) in self.starts[..table].iter().enumerate() {
            let count = (to - from) as usize;
            let several = count > PIECE;
            if several {
                self.rows.extend([row, self.slots, self.slots + count.div_ceil(PIECE)].map(|x| x as i32));
            }
            for start in (from..to).step_by(PIECE) {
                let slot = if several { self.slots as i32 } else { -1 };
                self.pieces.extend([row as i32, start, to.min(start + PIECE as i32), slot]);
                self.slots += usize::from(several);
            }
            from = to;
        }
    }
}

/// Most blocks that share out the pieces.
const MOST_BLOCKS: usize = 1 << 13;

/// A [`Collisions`] on the device. The tensors are as large as for any batch of as many tokens.
#[derive(Clone, Copy)]
pub struct Planned {
    /// i32`[2]`: P and R.
    pub counts: Tensor,
    /// i32
    pub order: Tensor,
    /// i32, the first P of `[·, 4]`
    pub pieces: Tensor,
    /// i32, the first R of `[·, 3]`
    pub rows: Tensor,
    /// f32, the first slots of `[·, C]`
    pub partials: Tensor,
}

/// `tables[row] += gradient[token]` for every token and each of its rows.
pub fn backward<D: Device>(queue: &Queue<D>, c: usize, plan: Planned, gradient: Tensor, tables: Tensor) {
    let (pieces, rows) = (plan.pieces.len / 4, plan.rows.len / 3);
    queue.launch(
        &Launch::row("embed_backward_pieces", pieces.min(MOST_BLOCKS), 128),
        &[
            (c as i32).into(),
            plan.counts.into(),
            plan.pieces.into(),
            plan.order.into(),
            gradient.expect(gradient.len, Dtype::F32).into(),
            tables.into(),
            plan.partials.into(),
        ],
    );
    queue.launch(
        &Launch::row("embed_backward_rows", rows, 128),
        &[(c as i32).into(), plan.counts.into(), plan.rows.into(), plan.partials.into(), tables.into()],
    );
}

fn move_rows<D: Device>(queue: &Queue<D>, kernel: &'static str, c: usize, rows: Tensor, [x, out]: [Tensor; 2]) {
    if rows.len > 0 {
        queue.launch(&Launch::row(kernel, rows.len, 128), &[(c as i32).into(), rows.into(), x.into(), out.into()]);
    }
}

/// `out[m] = x[rows[m]]`, or zeros where the row is −1.
pub fn gather<D: Device>(queue: &Queue<D>, c: usize, rows: Tensor, x: Tensor, out: Tensor) {
    let act = queue.activations();
    move_rows(queue, "gather_rows", c, rows, [x.expect(x.len, act), out.expect(out.len, act)]);
}

/// `out[rows[m]] += x[m]`, f32; rows are distinct, or −1 for none.
pub fn scatter_add<D: Device>(queue: &Queue<D>, c: usize, rows: Tensor, x: Tensor, out: Tensor) {
    move_rows(queue, "scatter_add_rows", c, rows, [x, out].map(|x| x.expect(x.len, Dtype::F32)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_covers_every_token_once_in_order_and_cuts_long_rows() {
        let (n, tables) = (700, [5, 700, 2]);
        let ids: [Vec<i32>; 3] =
            [(0..n).map(|i| i * i % 5).collect(), (0..n).collect(), (0..n).map(|i| i32::from(i > 3)).collect()];
        let mut rows = Vec::new();
        table_rows([&ids[0], &ids[1], &ids[2]], tables, &mut rows);
        let mut plan = Collisions::default();
        for _ in 0..2 {
            plan.plan(&rows, n as usize, tables.iter().sum());
        }
        let mut seen = vec![Vec::new(); 707];
        for p in plan.pieces.chunks_exact(4) {
            assert!(p[1] < p[2] && (p[2] - p[1]) as usize <= PIECE);
            seen[p[0] as usize].extend_from_slice(&plan.order[p[1] as usize..p[2] as usize]);
        }
        for (row, tokens) in seen.iter().enumerate() {
            let expected: Vec<i32> = (0..3 * n).filter(|&i| rows[i as usize] as usize == row).map(|i| i % n).collect();
            assert_eq!(*tokens, expected, "row {row}");
        }
        assert!(plan.slots > 0 && plan.slots <= Collisions::most_slots(n as usize));
        assert!(plan.rows.len() <= 3 * Collisions::most_rows(n as usize));
        assert_eq!(plan.rows.chunks_exact(3).map(|r| r[2] - r[1]).sum::<i32>() as usize, plan.slots);
    }
}
