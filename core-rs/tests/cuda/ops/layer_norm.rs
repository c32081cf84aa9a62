//! LayerNorm.

use cloze_core::driver::queue::Queue;
use cloze_core::driver::{Buffer, Device};
use cloze_core::machine::threads::Threads;
use cloze_core::ops::layer_norm;

use super::{activations, close, close_within, dropout, random, rounded, singles, site, values};

/// Rows and columns: one row, less than a block, odd columns, the ends of every version, wider than the fast ones.
const NORM_SHAPES: [(usize, usize); 10] =
    [(1, 8), (9, 64), (13, 37), (70, 128), (3, 256), (3, 260), (2, 512), (20, 768), (2, 1024), (3, 1030)];

pub struct Norm<D: Device> {
    pub parameters: Vec<f32>,
    pub buffer: Buffer<D>,
    c: usize,
    has_bias: bool,
}

impl<D: Device> Norm<D> {
    pub fn new(device: &Queue<D>, c: usize) -> Self {
        let parameters = random(2 * c, 11);
        Self { buffer: singles(device, &parameters), parameters, c, has_bias: true }
    }

    pub fn weight_and_bias(&self) -> (&[f32], Option<&[f32]>) {
        let (weight, bias) = self.parameters.split_at(self.c);
        (weight, self.has_bias.then_some(bias))
    }

    pub fn on_device(&self) -> layer_norm::cuda::Parameters {
        let part = |i: usize| self.buffer.tensor().part(i * self.c, self.c);
        let bias = self.has_bias.then(|| part(1));
        layer_norm::cuda::Parameters { width: self.c, eps: 1e-6, weight: part(0), bias }
    }
}

pub fn norm_forward<D: Device>(device: &Queue<D>) {
    for ((n, c), has_bias) in NORM_SHAPES.into_iter().flat_map(|shape| [(shape, true), (shape, false)]) {
        let norm = Norm { has_bias, ..Norm::new(device, c) };
        let x = rounded(device, random(n * c, 1));
        let (mut out, mut statistics) = (vec![0.0; n * c], vec![0.0; 2 * n]);
        let (weight, bias) = norm.weight_and_bias();
        layer_norm::forward(&Threads::new(1), &x, weight, bias, 1e-6, &mut out, &mut statistics);
        let (x, y) = (activations(device, &x), activations(device, &vec![0.0; n * c]));
        let kept = singles(device, &vec![0.0; 2 * n]);
        layer_norm::cuda::forward(device, n, norm.on_device(), x.tensor(), y.tensor(), kept.tensor());
        close(device, "out", &y, &out, 4.0);
        close_within(&values(device, &kept), &statistics, "statistics", 4e-6);
    }
}

/// Of sums as they are kept.
pub fn residual_norm<D: Device>(device: &Queue<D>) {
    for (n, c) in NORM_SHAPES {
        let norm = Norm::new(device, c);
        let (x, residual) = (rounded(device, random(n * c, 1)), rounded(device, random(n * c, 2)));
        let key = dropout(2);
        let dropped = x.iter().enumerate().map(|(i, x)| x * key.factor(i as u32));
        let sums = rounded(device, dropped.zip(&residual).map(|(x, residual)| x + residual).collect());
        let (mut out, mut statistics) = (vec![0.0; n * c], vec![0.0; 2 * n]);
        let (weight, bias) = norm.weight_and_bias();
        layer_norm::forward(&Threads::new(1), &sums, weight, bias, 1e-6, &mut out, &mut statistics);
        let (sum, residual) = (activations(device, &x), activations(device, &residual));
        let (y, kept) = (activations(device, &vec![0.0; n * c]), singles(device, &vec![0.0; 2 * n]));
        let (parameters, to) = (norm.on_device(), (y.tensor(), kept.tensor()));
        let (residual, key) = (residual.tensor(), site(device, key));
        layer_norm::cuda::residual(device, n, parameters, residual, key, sum.tensor(), to.0, to.1);
        close(device, "sum", &sum, &sums, 1.0);
        close(device, "out", &y, &out, 4.0);
        // A sum between two bfloat16 values may be kept as either.
        close_within(&values(device, &kept), &statistics, "statistics", 1e-4);
    }
}

pub fn norm_backward<D: Device>(device: &Queue<D>) {
    for ((n, c), has_bias) in NORM_SHAPES.into_iter().flat_map(|shape| [(shape, true), (shape, false)]) {
        let norm = Norm { has_bias, ..Norm::new(device, c) };
        let (x, dy) = (rounded(device, random(n * c, 1)), random(n * c, 2));
        let (weight, bias) = norm.weight_and_bias();
        let (mut out, mut statistics) = (vec![0.0; n * c], vec![0.0; 2 * n]);
        layer_norm::forward(&Threads::new(1), &x, weight, bias, 1e-6, &mut out, &mut statistics);
        for (with_dropped, with_bias) in [(true, true), (true, false), (false, false)] {
            let (mut dx, mut dropped) = (dy.clone(), vec![0.0; n * c]);
            let mut gradients = random(if has_bias { 2 * c } else { c }, 5);
            let on_device = singles(device, &gradients);
            let mut d_bias_of_layer = random(c, 6);
            let of_layer = singles(device, &d_bias_of_layer);
            let (d_weight, d_bias) = gradients.split_at_mut(c);
            let d_bias = has_bias.then_some(d_bias);
            let before = with_dropped.then_some((dropout(1), &mut dropped[..]));
            let threads = Threads::new(1);
            layer_norm::backward(&threads, &x, &statistics, weight, &mut dx, before, d_weight, d_bias, &mut Vec::new())
                .unwrap();
            let (x, g) = (activations(device, &x), singles(device, &dy));
            let (to, kept) = (activations(device, &vec![0.0; n * c]), singles(device, &statistics));
            let scratch = singles(device, &vec![0.0; layer_norm::cuda::backward_scratch(n, c)]);
            layer_norm::cuda::backward(
                device,
                n,
                norm.on_device(),
                x.tensor(),
                kept.tensor(),
                g.tensor(),
                None,
                with_dropped.then_some((site(device, dropout(1)), to.tensor())),
                on_device.tensor(),
                with_bias.then(|| of_layer.tensor()),
                scratch.tensor(),
            );
            close_within(&values(device, &g), &dx, "dx", 1e-5);
            close(device, "dropped", &to, &dropped, 4.0);
            close_within(&values(device, &on_device), &gradients, "parameters", 1e-5);
            if with_bias {
                let rows = dropped.chunks(c);
                rows.for_each(|row| d_bias_of_layer.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
            }
            close_within(&values(device, &of_layer), &d_bias_of_layer, "bias of the layer", 1e-5);
        }
    }
}
