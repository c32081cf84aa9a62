//! The sum of word, position and token type embeddings (Devlin et al., 2019, figure 2), and picking rows by index.

pub mod cuda;

use crate::machine::dtype::Element;
use crate::machine::simd::vectorize;
use crate::machine::threads::{Shards, Threads};

/// Rows of a block of the forward pass.
const BLOCK: usize = 64;
/// Columns that one block of the backward pass owns in all tables: rows collide, columns do not, so adding is
/// deterministic without sorting ids.
const COLUMNS: usize = 32;

/// One table and the row that each token takes from it.
#[derive(Clone, Copy)]
pub struct Lookup<'a, T> {
    /// `[rows, C]`, or its gradient.
    pub table: T,
    /// `[N]`
    pub ids: &'a [i32],
}

/// `out[n] = Σ table[ids[n]]` over the tables. Ids have been checked against the tables' rows.
pub fn forward<T: Element, const TABLES: usize>(
    threads: &Threads,
    lookups: [Lookup<&[f32]>; TABLES],
    c: usize,
    out: &mut [T],
) {
    let n = out.len() / c;
    let out = Shards::new(out);
    threads.run(n.div_ceil(BLOCK), &|_, block| {
        let (from, to) = (block * BLOCK, ((block + 1) * BLOCK).min(n));
        // SAFETY: blocks of rows are disjoint.
        let out = unsafe { out.part(from * c..to * c) };
        vectorize(
            #[inline(always)]
            || {
                for (i, out) in out.chunks_exact_mut(c).enumerate() {
                    let rows = lookups.map(|l| {
                        let row = l.ids[from + i] as usize;
                        &l.table[row * c..(row + 1) * c]
                    });
                    for j in 0..c {
                        out[j] = T::from_f32(rows[1..].iter().fold(rows[0][j], |sum, row| sum + row[j]));
                    }
                }
            },
        );
    });
}

/// `table[ids[n]] += gradient[n]` for each table.
pub fn backward<const TABLES: usize>(
    threads: &Threads,
    gradient: &[f32],
    c: usize,
    lookups: [Lookup<&mut [f32]>; TABLES],
) {
    let tables = lookups.map(|l| (Shards::new(l.table), l.ids));
    threads.run(c.div_ceil(COLUMNS), &|_, block| {
        let columns = block * COLUMNS..((block + 1) * COLUMNS).min(c);
        vectorize(
            #[inline(always)]
            || {
                for (n, row) in gradient.chunks_exact(c).enumerate() {
                    for (table, ids) in &tables {
                        let at = ids[n] as usize * c;
                        // SAFETY: this block alone touches these columns of any row.
                        let to = unsafe { table.part(at + columns.start..at + columns.end) };
                        crate::machine::simd::add(to, &row[columns.clone()]);
                    }
                }
            },
        );
    });
}

/// `out[m] = x[rows[m]]`
pub fn gather<T: Element>(x: &[T], rows: &[i32], c: usize, out: &mut [T]) {
    for (out, &row) in out.chunks_exact_mut(c).zip(rows) {
        out.copy_from_slice(&x[row as usize * c..][..c]);
    }
}

/// `out[rows[m]] += x[m]`
pub fn scatter_add(x: &[f32], rows: &[i32], c: usize, out: &mut [f32]) {
    for (x, &row) in x.chunks_exact(c).zip(rows) {
        crate::machine::simd::add(&mut out[row as usize * c..][..c], x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{check_gradient, random};

    #[test]
    fn backward_equals_finite_differences_with_repeated_ids() {
        let threads = Threads::new(2);
        let (c, rows) = (37, 4);
        let ids: [&[i32]; 3] = [&[1, 3, 1, 0, 2], &[0, 1, 2, 3, 0], &[0, 0, 1, 1, 1]];
        let dy = random(5 * c, 2);
        let tables = random(3 * rows * c, 5);
        let mut analytic = vec![0.0; tables.len()];
        let mut parts = analytic.chunks_exact_mut(rows * c);
        let lookups = ids.map(|ids| Lookup { table: parts.next().unwrap(), ids });
        backward(&threads, &dy, c, lookups);
        check_gradient(&tables, &analytic, 1e-2, |v| {
            let mut out = vec![0.0f32; 5 * c];
            let mut parts = v.chunks_exact(rows * c);
            forward(&threads, ids.map(|ids| Lookup { table: parts.next().unwrap(), ids }), c, &mut out);
            out.iter().zip(&dy).map(|(o, d)| f64::from(*o) * f64::from(*d)).sum()
        });
    }

    #[test]
    fn scatter_add_is_the_transpose_of_gather() {
        let (x, rows) = (random(12, 1), [0, 2]);
        let mut picked = vec![0.0; 6];
        gather(&x, &rows, 3, &mut picked);
        let mut back = vec![0.0; 12];
        scatter_add(&picked, &rows, 3, &mut back);
        assert_eq!(back[..3], x[..3]);
        assert_eq!(back[3..6], [0.0; 3]);
        assert_eq!(back[6..9], x[6..9]);
        scatter_add(&picked, &rows, 3, &mut back);
        assert_eq!(back[3..6], [0.0; 3]);
        assert_eq!(back[6..9], [x[6] + x[6], x[7] + x[7], x[8] + x[8]]);
    }
}
