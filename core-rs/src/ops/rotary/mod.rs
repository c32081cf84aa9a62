//! Rotary positions (Su et al., 2021): queries and keys are turned by angles that grow with their token's position, so that
//! their product depends on how far apart they are. A head's first half and its second one are the two coordinates of
//! D/2 planes; plane j of position p is turned by `p · base^(−2j / D)`.

pub mod cuda;

use crate::machine::dtype::Element;
use crate::machine::simd::vectorize;
use crate::machine::threads::{Shards, Threads};
use crate::ops::ROW_BLOCK;

/// Which way queries and keys are turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As their positions say.
    Forward,
    /// Back: what becomes of a gradient.
    Backward,
}

/// Rows of the table of heads of size `d`, from position `first` on: D/2 cosines, then D/2 sines. Angles are f32, as
/// transformers has them; their functions are exact.
pub fn fill_table(base: f32, d: usize, first: usize, to: &mut [f32]) {
    let half = d / 2;
    for j in 0..half {
        let frequency = (1.0 / f64::from(base).powf((2 * j) as f64 / d as f64)) as f32;
        for (i, row) in to.chunks_exact_mut(d).enumerate() {
            let angle = f64::from((first + i) as f32 * frequency);
            (row[j], row[half + j]) = (angle.cos() as f32, angle.sin() as f32);
        }
    }
}

/// Turns the queries and keys in `qkv[N, 3C]`, in place: heads of size `d`, by the table's rows of their `positions`.
pub fn rotate<T: Element>(
    threads: &Threads,
    table: &[f32],
    d: usize,
    positions: &[i32],
    direction: Direction,
    qkv: &mut [T],
) {
    let (n, half) = (positions.len(), d / 2);
    let width = qkv.len() / n.max(1);
    let turned = width / 3 * 2; // queries and keys; values stand as they are
    let sign = if direction == Direction::Forward { 1.0 } else { -1.0 };
    let qkv = Shards::new(qkv);
    threads.run(n.div_ceil(ROW_BLOCK), &|_, block| {
        let rows = block * ROW_BLOCK..((block + 1) * ROW_BLOCK).min(n);
        // SAFETY: blocks of rows are disjoint.
        let part = unsafe { qkv.part(rows.start * width..rows.end * width) };
        vectorize(
            #[inline(always)]
            || {
                for (row, &position) in part.chunks_exact_mut(width).zip(&positions[rows.clone()]) {
                    let (cosines, sines) = table[position as usize * d..][..d].split_at(half);
                    for head in row[..turned].chunks_exact_mut(d) {
                        let (first, second) = head.split_at_mut(half);
                        for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                            let (x, y, sine) = (a.to_f32(), b.to_f32(), sign * sine);
                            *a = T::from_f32(x * cosine - y * sine);
                            *b = T::from_f32(y * cosine + x * sine);
                        }
                    }
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};

    const D: usize = 6;
    const C: usize = 12;

    fn table(positions: usize) -> Vec<f32> {
        let mut table = vec![0.0; positions * D];
        fill_table(10_000.0, D, 0, &mut table);
        table
    }

    #[test]
    fn rotate_makes_products_that_depend_on_the_distance_alone_and_leaves_values() {
        let (threads, token) = (Threads::new(2), random(3 * C, 1));
        let mut qkv: Vec<f32> = std::iter::repeat_n(&token, 200).flatten().copied().collect();
        rotate(&threads, &table(200), D, &(0..200).collect::<Vec<_>>(), Direction::Forward, &mut qkv);
        let product = |i: usize, j: usize| -> f32 {
            let (q, k) = (&qkv[3 * C * i..][..D], &qkv[3 * C * j + C..][..D]);
            q.iter().zip(k).map(|(q, k)| q * k).sum()
        };
        for (i, j) in [(0, 3), (5, 1), (60, 70)] {
            assert!((product(i, j) - product(i + 100, j + 100)).abs() < 1e-5);
        }
        assert!((product(0, 3) - product(0, 90)).abs() > 1e-2);
        assert!(qkv.chunks_exact(3 * C).all(|row| row[2 * C..] == token[2 * C..]));
        assert_eq!(qkv[..3 * C], token, "position 0 is not turned");
    }

    #[test]
    fn rotate_backward_equals_finite_differences_and_undoes_forward() {
        let (threads, positions) = (Threads::new(2), [0, 1, 2, 0, 9]);
        let (table, qkv, dy) = (table(10), random(15 * C, 2), random(15 * C, 3));
        let run = |v: &[f32], direction| {
            let mut v = v.to_vec();
            rotate(&threads, &table, D, &positions, direction, &mut v);
            v
        };
        check_gradient(&qkv, &run(&dy, Direction::Backward), 1e-2, |v| {
            run(v, Direction::Forward).iter().zip(&dy).map(|(y, d)| f64::from(*y) * f64::from(*d)).sum()
        });
        let back = run(&run(&qkv, Direction::Forward), Direction::Backward);
        assert!(back.iter().zip(&qkv).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
