//! What is done to each element, rotary positions and means.

use cloze_core::driver::Device;
use cloze_core::driver::queue::Queue;
use cloze_core::machine::threads::Threads;
use cloze_core::ops::activation::{self, Activation};
use cloze_core::ops::rotary::Direction;
use cloze_core::ops::{dropout as dropout_op, linear, pooling, rotary, tanh};

use super::{activations, close, close_within, dropout, integers, random, rounded, singles, site, values};

pub fn elementwise<D: Device>(device: &Queue<D>) {
    let (count, key) = (777, dropout(3));
    let (x, dy) = (rounded(device, random(count, 1)), rounded(device, random(count, 2)));
    let on_device = activations(device, &x);
    dropout_op::cuda::apply(device, count, on_device.tensor(), site(device, key));
    let mut expected = x.clone();
    dropout_op::apply(&Threads::new(1), &mut expected, key);
    close(device, "dropout", &on_device, &expected, 1.0);

    let on_device = singles(device, &x);
    dropout_op::cuda::apply_to_gradient(device, count, on_device.tensor(), site(device, key));
    assert_eq!(values(device, &on_device), expected);
    let (gradient, operand) = (singles(device, &x), activations(device, &vec![0.0; count]));
    dropout_op::cuda::apply_to(device, count, gradient.tensor(), site(device, key), operand.tensor());
    close(device, "operand", &operand, &expected, 1.0);
    dropout_op::cuda::apply_to(device, count, gradient.tensor(), None, operand.tensor());
    close(device, "operand without dropout", &operand, &x, 1.0);
    dropout_op::cuda::add(device, count, gradient.tensor(), on_device.tensor());
    assert_eq!(values(device, &on_device), expected.iter().zip(&x).map(|(a, b)| a + b).collect::<Vec<_>>());
    let (on_device, residual) = (activations(device, &x), activations(device, &dy));
    dropout_op::cuda::add_residual(device, count, on_device.tensor(), site(device, key), residual.tensor());
    let sums: Vec<f32> = expected.iter().zip(&dy).map(|(x, r)| x + r).collect();
    close(device, "residual", &on_device, &sums, 1.0);

    let on_device = activations(device, &x);
    linear::cuda::scale(device, count, device.input(&[-0.5f32], 1), on_device.tensor());
    assert_eq!(values(device, &on_device), x.iter().map(|v| v * -0.5).collect::<Vec<_>>());

    let mut expected = vec![0.0; count];
    tanh::forward(&x, &mut expected);
    let (from, y) = (activations(device, &x), activations(device, &vec![0.0; count]));
    tanh::cuda::forward(device, count, from.tensor(), y.tensor());
    close(device, "tanh", &y, &expected, 1.0);
    let (y, g) = (rounded(device, expected), activations(device, &dy));
    let mut expected = dy;
    tanh::backward(&y, &mut expected);
    let y = activations(device, &y);
    tanh::cuda::backward(device, count, y.tensor(), g.tensor());
    close(device, "tanh'", &g, &expected, 2.0);
}

pub fn activations_<D: Device>(device: &Queue<D>) {
    for activation in Activation::ALL {
        for (n, c) in [(1, 1), (2, 4), (1, 7), (13, 79), (140, 132)] {
            let count = n * c;
            let scale = |x: Vec<f32>| x.into_iter().map(|v| v * 6.0).collect::<Vec<_>>();
            let (pre, dy) = (rounded(device, scale(random(count, 1))), rounded(device, random(count, 2)));
            let (expected, slopes): (Vec<f32>, Vec<f32>) = pre.iter().map(|&x| activation.at(x)).unzip();
            let (x, y) = (activations(device, &pre), activations(device, &vec![0.0; count]));
            activation::cuda::forward(device, activation, count, x.tensor(), y.tensor());
            // In GELU's tail 1 + erf cancels: two units of erf are some 2e-6 of the result.
            close(device, &format!("{activation:?}"), &y, &expected, 4.0);
            let expected: Vec<f32> = dy.iter().zip(&slopes).map(|(g, slope)| g * slope).collect();
            let mut sums = random(c, 3);
            let d_bias = singles(device, &sums);
            let scratch = singles(device, &vec![0.0; linear::cuda::sum_scratch(n, c)]);
            for bias in [None, Some((d_bias.tensor(), scratch.tensor()))] {
                let g = activations(device, &dy);
                activation::cuda::backward(device, activation, [n, c], x.tensor(), g.tensor(), bias);
                close(device, &format!("{activation:?}'"), &g, &expected, 2.0);
            }
            expected.chunks(c).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
            close_within(&values(device, &d_bias), &sums, &format!("sums of {activation:?}'"), 1e-5);
        }
    }
}

/// Forward by the pre-activation and the gate, backward from dy: as the functions say.
pub fn gate<D: Device>(device: &Queue<D>) {
    let (count, key) = (777, dropout(4));
    for activation in Activation::ALL {
        let [up, gate, dy] = [1, 2, 3].map(|seed| rounded(device, random(count, seed)));
        let (activated, slopes): (Vec<f32>, Vec<f32>) = up.iter().map(|&x| activation.at(x)).unzip();
        let activated = rounded(device, activated);
        let keep: Vec<f32> = (0..count as u32).map(|i| key.factor(i)).collect();
        let each = |f: &dyn Fn(usize) -> f32| (0..count).map(|i| f(i) * keep[i]).collect::<Vec<f32>>();
        let (kept, y) = (activations(device, &activated), activations(device, &gate));
        activation::cuda::gate_forward(device, count, site(device, key), kept.tensor(), y.tensor());
        close(device, "y", &y, &each(&|i| activated[i] * gate[i]), 2.0);
        assert_eq!(values(device, &kept), gate);
        let (before, d_up, d_gate) = (activations(device, &up), activations(device, &dy), activations(device, &dy));
        let (from, to) = ([before.tensor(), kept.tensor()], [d_up.tensor(), d_gate.tensor()]);
        activation::cuda::gate_backward(device, activation, count, site(device, key), from, to);
        close(device, "d_up", &d_up, &each(&|i| dy[i] * gate[i] * slopes[i]), 2.0);
        close(device, "d_gate", &d_gate, &each(&|i| dy[i] * activation.at(up[i]).0), 2.0);
    }
}

pub fn rotary_<D: Device>(device: &Queue<D>) {
    let (heads, d, positions) = (3, 10, [0, 1, 2, 0, 7, 40]);
    let (n, c) = (positions.len(), heads * d);
    let mut table = vec![0.0; 41 * d];
    rotary::fill_table(160_000.0, d, 0, &mut table);
    let (tables, places) = (singles(device, &table), integers(device, &positions));
    for direction in [Direction::Forward, Direction::Backward] {
        let mut expected = rounded(device, random(3 * n * c, 1));
        let qkv = activations(device, &expected);
        rotary::rotate(&Threads::new(1), &table, d, &positions, direction, &mut expected);
        rotary::cuda::rotate(device, [n, c, d], tables.tensor(), places.tensor(), direction, qkv.tensor());
        close(device, "rotated", &qkv, &expected, 1.0);
    }
}

pub fn pooling_<D: Device>(device: &Queue<D>) {
    let (cu_seqlens, c) = ([0, 3, 4, 4, 90], 37);
    let (x, dy) = (rounded(device, random(90 * c, 1)), random(4 * c, 2));
    let (mut means, mut expected) = (vec![0.0; 4 * c], random(90 * c, 3));
    let (from, bounds) = (activations(device, &x), integers(device, &cu_seqlens));
    let (out, gradient, dx) = (activations(device, &means), singles(device, &dy), singles(device, &expected));
    pooling::mean(&cu_seqlens, c, &x, &mut means);
    pooling::cuda::mean(device, c, bounds.tensor(), from.tensor(), out.tensor());
    close(device, "mean", &out, &means, 2.0);
    pooling::backward(&cu_seqlens, c, &dy, &mut expected);
    pooling::cuda::backward(device, c, bounds.tensor(), gradient.tensor(), dx.tensor());
    close_within(&values(device, &dx), &expected, "dx", 1e-6);
}
