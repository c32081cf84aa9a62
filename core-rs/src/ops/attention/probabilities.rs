//! The probabilities of attention themselves, which the forward pass never writes down: for looking at, not for speed.

use super::Shape;
use crate::machine::simd::dot;

/// What row i of the one sequence gives to key j in each head, before dropout: `out[H, T, T]` from `qkv[T, 3C]`, whose
/// queries and keys have been turned where positions are rotary. A row sums to 1; what it does not see gets 0.
///
/// # Panics
/// If a length is not that of the shape.
pub fn probabilities(shape: Shape, qkv: &[f32], out: &mut [f32]) {
    let Shape { heads, hidden, causal, window, .. } = shape;
    let (t, d) = (qkv.len() / (3 * hidden), hidden / heads);
    assert_eq!((qkv.len(), out.len()), (t * 3 * hidden, heads * t * t), "lengths of the shape");
    let scale = 1.0 / (d as f32).sqrt();
    for (index, row) in out.chunks_exact_mut(t).enumerate() {
        let (head, i) = (index / t, index % t);
        let part = |row: usize, which: usize| &qkv[row * 3 * hidden + which * hidden + head * d..][..d];
        let seen = window.map_or(0, |reach| i.saturating_sub(reach))
            ..window.map_or(t, |reach| (i + reach + 1).min(t)).min(if causal { i + 1 } else { t });
        row.fill(0.0);
        let row = &mut row[seen.clone()];
        for (value, j) in row.iter_mut().zip(seen) {
            *value = scale * dot(part(i, 0), part(j, 1));
        }
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|value| *value = (*value - top).exp());
        let total: f32 = row.iter().sum();
        row.iter_mut().for_each(|value| *value /= total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two heads of two, three tokens; queries and keys of which the scores are known.
    fn example(causal: bool, window: Option<usize>) -> Vec<f32> {
        let shape = Shape { heads: 2, hidden: 4, cu_seqlens: &[0, 3], max_sequence_length: 3, causal, window };
        let root = 2f32.sqrt();
        let mut qkv = vec![0.0; 3 * 12];
        for (row, token) in qkv.chunks_exact_mut(12).enumerate() {
            token[0] = root; // the first head asks for the first number of a key
            token[4] = row as f32; // which is the key's row
            token[8..].fill(9.0); // values say nothing
        }
        let mut out = vec![f32::NAN; 2 * 9];
        probabilities(shape, &qkv, &mut out);
        out
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?} {expected:?}");
    }

    #[test]
    fn probabilities_are_the_softmax_of_scaled_scores_in_each_head() {
        let out = example(false, None);
        let total: f32 = (0..3).map(|j| (j as f32).exp()).sum();
        let row: Vec<f32> = (0..3).map(|j| (j as f32).exp() / total).collect();
        close(&out[..9], &[&row[..], &row, &row].concat());
        close(&out[9..], &[1.0 / 3.0; 9]);
    }

    #[test]
    fn probabilities_of_what_a_row_does_not_see_are_zero() {
        let half = 1.0 / (1.0 + 1f32.exp());
        close(&example(true, None)[..6], &[1.0, 0.0, 0.0, half, 1.0 - half, 0.0]);
        close(&example(false, Some(1))[..3], &[half, 1.0 - half, 0.0]);
        close(&example(true, Some(0))[9..], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
