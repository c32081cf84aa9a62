//! Attention against the softmax written out, finite differences, and itself by other ways.

use super::*;
use crate::machine::dtype::Bf16;
use crate::machine::isa::Isa;
use crate::ops::gemm::tests::each_kernel;
use crate::ops::tests::{check_gradient, random};
use crate::rng::DropoutKey;

const SHAPE: Shape =
    Shape { heads: 2, hidden: 10, cu_seqlens: &[0, 4, 5, 11], max_sequence_length: 8, causal: false, window: None };
const CAUSAL: Shape = Shape { causal: true, ..SHAPE };
const WINDOW: Shape = Shape { window: Some(2), ..SHAPE };

fn run(shape: Shape, qkv: &[f32], dropout: Dropout) -> (Vec<f32>, Vec<f32>) {
    let (mut out, mut lse) = (vec![0.0; 110], vec![0.0; 22]);
    let team = TeamScratch::new(&Gemm::new(2).unwrap(), 2, 8, 5, true).unwrap();
    forward(&Gemm::new(2).unwrap(), &Threads::new(2), &team, shape, qkv, dropout, &mut out, &mut lse);
    (out, lse)
}

#[test]
fn forward_equals_softmax_written_out() {
    let qkv = random(330, 1);
    let both = Shape { causal: true, ..WINDOW };
    for (shape, b) in [SHAPE, CAUSAL, WINDOW, both].into_iter().flat_map(|s| (0..3).map(move |b| (s, b))) {
        let (out, _) = run(shape, &qkv, Dropout::none());
        let (from, to) = (SHAPE.cu_seqlens[b] as usize, SHAPE.cu_seqlens[b + 1] as usize);
        for (head, i) in (0..2).flat_map(|h| (from..to).map(move |i| (h, i))) {
            let at = |token: usize, which: usize, x: usize| f64::from(qkv[token * 30 + which * 10 + head * 5 + x]);
            let window = shape.window.unwrap_or(to);
            let last = if shape.causal { i + 1 } else { to.min(i + window + 1) };
            let from = from.max(i.saturating_sub(window));
            let weights: Vec<f64> = (from..last)
                .map(|j| ((0..5).map(|x| at(i, 0, x) * at(j, 1, x)).sum::<f64>() / 5f64.sqrt()).exp())
                .collect();
            for x in 0..5 {
                let value: f64 = (from..last).map(|j| weights[j - from] * at(j, 2, x)).sum();
                let expected = value / weights.iter().sum::<f64>();
                assert!((f64::from(out[i * 10 + head * 5 + x]) - expected).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn backward_equals_finite_differences_with_and_without_dropout() {
    let (qkv, d_out) = (random(330, 2), random(110, 3));
    let some = Dropout::new(DropoutKey::new(4, 3, 2, 1), 0.25);
    let shapes = [SHAPE, CAUSAL, WINDOW, Shape { causal: true, ..WINDOW }];
    for (shape, dropout) in shapes.into_iter().flat_map(|shape| [(shape, Dropout::none()), (shape, some)]) {
        let (out, lse) = run(shape, &qkv, dropout);
        let mut d_qkv = vec![0.0; 330];
        let team = TeamScratch::new(&Gemm::new(2).unwrap(), 2, 8, 5, true).unwrap();
        backward(&Gemm::new(2).unwrap(), &Threads::new(2), &team, shape, &qkv, dropout, &out, &lse, &d_out, &mut d_qkv);
        check_gradient(&qkv, &d_qkv, 1e-2, |v| {
            run(shape, v, dropout).0.iter().zip(&d_out).map(|(o, d)| f64::from(*o) * f64::from(*d)).sum()
        });
    }
}

#[test]
fn causal_spans_give_what_the_whole_square_gives() {
    const LONG: Shape = Shape {
        heads: 1,
        hidden: 4,
        cu_seqlens: &[0, 2 * CAUSAL_SPAN as i32 + 7],
        max_sequence_length: 256,
        causal: true,
        window: None,
    };
    let n = LONG.cu_seqlens[1] as usize;
    let (qkv, d_out) = (random(12 * n, 4), random(4 * n, 5));
    let part = |i: usize, which: usize| qkv[12 * i + 4 * which..][..4].iter().map(|&x| f64::from(x));
    let product = |a: &mut dyn Iterator<Item = f64>, b: &mut dyn Iterator<Item = f64>| -> f64 {
        a.zip(b).map(|(x, y)| x * y).sum()
    };
    let (mut expected_out, mut expected) = (vec![0.0; 4 * n], vec![0.0; 12 * n]);
    for i in 0..n {
        let d = || d_out[4 * i..][..4].iter().map(|&x| f64::from(x));
        let powers: Vec<f64> = (0..=i).map(|j| (product(&mut part(i, 0), &mut part(j, 1)) / 2.0).exp()).collect();
        let total: f64 = powers.iter().sum();
        let p = |j: usize| powers[j] / total;
        let d_p: Vec<f64> = (0..=i).map(|j| product(&mut d(), &mut part(j, 2))).collect();
        let delta: f64 = (0..=i).map(|j| p(j) * d_p[j]).sum();
        for j in 0..=i {
            let d_score = p(j) * (d_p[j] - delta) / 2.0;
            for (x, ((value, d), (key, query))) in part(j, 2).zip(d()).zip(part(j, 1).zip(part(i, 0))).enumerate() {
                expected_out[4 * i + x] += p(j) * value;
                expected[12 * i + x] += d_score * key;
                expected[12 * j + 4 + x] += d_score * query;
                expected[12 * j + 8 + x] += p(j) * d;
            }
        }
    }
    let (gemm, threads) = (Gemm::new(1).unwrap(), Threads::new(1));
    let team = TeamScratch::new(&gemm, 1, n, 4, true).unwrap();
    let (mut out, mut lse, mut d_qkv) = (vec![0.0; 4 * n], vec![0.0; n], vec![0.0; 12 * n]);
    forward(&gemm, &threads, &team, LONG, &qkv, Dropout::none(), &mut out, &mut lse);
    backward(&gemm, &threads, &team, LONG, &qkv, Dropout::none(), &out, &lse, &d_out, &mut d_qkv);
    for (found, expected) in out.iter().zip(&expected_out).chain(d_qkv.iter().zip(&expected)) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} instead of {expected}");
    }
}

fn both_ways<T: Element>(gemm: &Gemm<T>, shape: Shape) -> Vec<f32> {
    let n = shape.cu_seqlens[shape.cu_seqlens.len() - 1] as usize;
    let stored = |len, seed| random(len, seed).into_iter().map(T::from_f32).collect::<Vec<_>>();
    let (qkv, d_out) = (stored(3 * shape.hidden * n, 6), stored(shape.hidden * n, 7));
    let dropout = Dropout::new(DropoutKey::new(4, 3, 2, 1), 0.25);
    let (threads, mut lse) = (Threads::new(2), vec![0.0; shape.heads * n]);
    let team = TeamScratch::new(gemm, 2, shape.max_sequence_length, shape.hidden / shape.heads, true).unwrap();
    let (mut out, mut d_qkv) = (vec![T::default(); shape.hidden * n], vec![T::default(); 3 * shape.hidden * n]);
    forward(gemm, &threads, &team, shape, &qkv, dropout, &mut out, &mut lse);
    backward(gemm, &threads, &team, shape, &qkv, dropout, &out, &lse, &d_out, &mut d_qkv);
    out.iter().chain(&d_qkv).map(|x| x.to_f32()).collect()
}

#[test]
fn forward_and_backward_are_the_same_by_every_kernel() {
    const LONG: Shape = Shape {
        heads: 2,
        hidden: 64,
        cu_seqlens: &[0, 201, 218],
        max_sequence_length: 201,
        causal: false,
        window: None,
    };
    for (causal, window) in [(false, None), (true, None), (false, Some(20)), (true, Some(70))] {
        let shape = Shape { causal, window, ..LONG };
        let expected = both_ways(&Gemm::<f32>::on(Isa::Base, 2).unwrap(), shape);
        let close = |found: Vec<f32>, tolerance: f32, name: &str| {
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!((found - expected).abs() < tolerance, "{name}, {i}: {found} instead of {expected}");
            }
        };
        each_kernel::<f32>(|gemm| close(both_ways(&gemm, shape), 1e-5, gemm.name()));
        each_kernel::<Bf16>(|gemm| close(both_ways(&gemm, shape), 2e-2, gemm.name()));
    }
}

#[test]
fn a_window_and_a_long_sequence_give_what_the_square_gives() {
    const LONG: Shape = Shape {
        heads: 2,
        hidden: 16,
        cu_seqlens: &[0, 403, 410],
        max_sequence_length: 403,
        causal: false,
        window: None,
    };
    let gemm = Gemm::<f32>::new(2).unwrap();
    for causal in [false, true] {
        let square = Shape { causal, ..LONG };
        let expected = both_ways(&gemm, square);
        // Everything but the first key of the last row.
        let nearly = both_ways(&gemm, Shape { window: Some(401), ..square });
        let worst = expected.iter().zip(&nearly).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-2, "{worst}");
    }
    // A sequence that is longer than the largest square, and its first part by itself: causal rows see no difference.
    let longer = Shape { cu_seqlens: &[0, 700], max_sequence_length: 700, causal: true, ..LONG };
    let shorter = Shape { cu_seqlens: &[0, 500], ..longer };
    let gradient = |shape: Shape, n: usize| {
        let (qkv, mut d_out) = (random(48 * 700, 6), random(16 * 700, 7));
        d_out[16 * 500..].fill(0.0);
        let (threads, mut lse) = (Threads::new(2), vec![0.0; 2 * n]);
        let team = TeamScratch::new(&gemm, 2, 700, 8, true).unwrap();
        let (mut out, mut d_qkv) = (vec![0.0; 16 * n], vec![0.0; 48 * n]);
        forward(&gemm, &threads, &team, shape, &qkv[..48 * n], Dropout::none(), &mut out, &mut lse);
        let d_out = &d_out[..16 * n];
        backward(&gemm, &threads, &team, shape, &qkv[..48 * n], Dropout::none(), &out, &lse, d_out, &mut d_qkv);
        d_qkv.truncate(48 * 500);
        d_qkv
    };
    for (a, b) in gradient(longer, 700).iter().zip(gradient(shorter, 500)) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn forward_of_one_sequence_does_not_see_the_others() {
    let mut qkv = random(330, 1);
    let before = run(SHAPE, &qkv, Dropout::none()).0;
    qkv[4 * 30..5 * 30].fill(3.0);
    let after = run(SHAPE, &qkv, Dropout::none()).0;
    assert_eq!(before[..40], after[..40]);
    assert_eq!(before[50..], after[50..]);
    assert_ne!(before[40..50], after[40..50]);
}

#[test]
fn forward_of_a_token_does_not_see_what_follows_where_attention_is_causal() {
    let mut qkv = random(330, 1);
    let before = run(CAUSAL, &qkv, Dropout::none()).0;
    qkv[8 * 30..11 * 30].fill(3.0); // the end of the last sequence
    let after = run(CAUSAL, &qkv, Dropout::none()).0;
    assert_eq!(before[..80], after[..80]);
    assert_ne!(before[80..], after[80..]);
}
