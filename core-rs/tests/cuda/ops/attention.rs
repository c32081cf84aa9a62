//! Attention.

use cloze_core::driver::Device;
use cloze_core::driver::queue::Queue;
use cloze_core::machine::threads::Threads;
use cloze_core::ops::attention;
use cloze_core::ops::dropout::Dropout;
use cloze_core::ops::gemm::Gemm;

use super::{activations, close, close_within, dropout, integers, random, rounded, singles, values};

pub fn attention_<D: Device>(device: &Queue<D>, heads: usize, d: usize, causal: bool, lengths: &[i32]) {
    attention_within(device, heads, d, causal, None, lengths);
}

/// Rows whose first and last tiles they do not see.
pub fn windowed_attention<D: Device>(device: &Queue<D>, window: usize, causal: bool) {
    attention_within(device, 2, 16, causal, Some(window), &[1, 230, 9, window as i32 + 1]);
}

pub fn attention_within<D: Device>(
    device: &Queue<D>,
    heads: usize,
    d: usize,
    causal: bool,
    window: Option<usize>,
    lengths: &[i32],
) {
    let mut cu_seqlens = vec![0];
    for length in lengths {
        cu_seqlens.push(cu_seqlens.last().unwrap() + length);
    }
    let (n, c) = (*cu_seqlens.last().unwrap() as usize, heads * d);
    let longest = lengths.iter().fold(512, |most, &length| most.max(length as usize));
    let max_sequence_length = longest;
    let shape = attention::Shape { heads, hidden: c, cu_seqlens: &cu_seqlens, max_sequence_length, causal, window };
    let scale = |x: Vec<f32>| x.into_iter().map(|v| v * 2.0).collect::<Vec<_>>();
    let qkv = rounded(device, scale(random(3 * n * c, 1)));
    let d_out = rounded(device, random(n * c, 2));
    let mut places = Vec::new();
    attention::cuda::tiles(device.activations(), &cu_seqlens, &mut places);
    assert!(places.len() <= attention::cuda::most_tiles(n, lengths.len()));
    let (cu, tiles) = (integers(device, &cu_seqlens), integers(device, &places));
    let batch = attention::cuda::Packed {
        tokens: n,
        heads,
        hidden: c,
        max_sequence_length,
        causal,
        window,
        cu_seqlens: cu.tensor(),
        tiles: tiles.tensor(),
    };
    for dropout in [Dropout::none(), dropout(1)] {
        let (gemm, threads) = (Gemm::new(1).unwrap(), Threads::new(1));
        let team = attention::TeamScratch::new(&gemm, 1, longest, d, true).unwrap();
        let (mut out, mut lse, mut d_qkv) = (vec![0.0; n * c], vec![0.0; n * heads], vec![0.0; 3 * n * c]);
        attention::forward(&gemm, &threads, &team, shape, &qkv, dropout, &mut out, &mut lse);
        attention::backward(&gemm, &threads, &team, shape, &qkv, dropout, &out, &lse, &d_out, &mut d_qkv);

        let (x, g) = (activations(device, &qkv), activations(device, &d_out));
        let (y, kept) = (activations(device, &vec![0.0; n * c]), singles(device, &vec![0.0; n * heads]));
        let scratch = attention::cuda::backward_scratch(n, lengths.len(), heads, c, longest);
        // What no kernel has written is no number.
        let (dx, scratch) =
            (activations(device, &vec![f32::NAN; 3 * n * c]), singles(device, &vec![f32::NAN; scratch]));
        let [low, high, threshold, scale] = dropout.words();
        let site = || (!dropout.is_none()).then(|| device.input(&[low, high, threshold, scale, n as u32], 5));
        attention::cuda::forward(device, &batch, x.tensor(), site(), y.tensor(), kept.tensor());
        close(device, "out", &y, &out, 4.0);
        close_within(&values(device, &kept), &lse, "lse", 1e-5);
        let mut sums = random(3 * c, 3);
        let d_bias = singles(device, &sums);
        for bias in [None, batch.sums_columns().then(|| d_bias.tensor())] {
            attention::cuda::backward(
                device,
                &batch,
                x.tensor(),
                site(),
                y.tensor(),
                kept.tensor(),
                g.tensor(),
                dx.tensor(),
                bias,
                scratch.tensor(),
            );
            close(device, "d_qkv", &dx, &d_qkv, 8.0);
        }
        if !batch.sums_columns() {
            continue;
        }
        d_qkv.chunks(3 * c).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
        close(device, "sums of d_qkv", &d_bias, &sums, 8.0);
    }
}
