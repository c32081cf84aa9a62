//! Dense layers: cuBLASLt's products, and what stands in for them.

use cloze_core::driver::queue::Queue;
use cloze_core::driver::{Buffer, Device};
use cloze_core::machine::threads::Threads;
use cloze_core::ops::gemm::Gemm;
use cloze_core::ops::gemm::epilogue::{Add, Bias, Epilogue, Store};
use cloze_core::ops::linear::{self, Weight};

use super::{activations, close, close_within, random, rounded, singles, values};

/// A layer's weight and bias off the device and on it.
fn layer<D: Device>(device: &Queue<D>, inputs: usize, outputs: usize) -> (Vec<f32>, Vec<f32>, Buffer<D>, Buffer<D>) {
    let (weight, bias) = (rounded(device, random(inputs * outputs, 3)), rounded(device, random(outputs, 4)));
    let (w, b) = (activations(device, &weight), activations(device, &bias));
    (weight, bias, w, b)
}

/// The products' orientation and strides; on a GPU, cuBLASLt itself.
pub fn products<D: Device>(device: &Queue<D>) {
    for (n, inputs, outputs) in [(1, 8, 16), (40, 24, 8), (129, 64, 200)] {
        let (weight, bias, w, b) = layer(device, inputs, outputs);
        let (weight_on_device, bias_on_device) = (w.tensor(), Some(b.tensor()));
        let on_device =
            linear::cuda::Layer { inputs, outputs, stride: outputs, weight: weight_on_device, bias: bias_on_device };
        let (x, dy) = (rounded(device, random(n * inputs, 1)), rounded(device, random(n * outputs, 2)));
        let (gemm, threads) = (Gemm::new(1).unwrap(), Threads::new(1));
        let mut expected = vec![0.0; n * outputs];
        linear::forward(
            &gemm,
            &threads,
            &x,
            Weight::new(&weight, inputs),
            &Bias::new(Some(&bias), &mut expected, outputs),
        )
        .unwrap();
        let (from, y) = (activations(device, &x), activations(device, &vec![0.0; n * outputs]));
        linear::cuda::forward(device, n, on_device, from.tensor(), y.tensor());
        close(device, "y", &y, &expected, 4.0);
        let (full, b) = (singles(device, &vec![0.0; n * outputs]), singles(device, &bias));
        let layer = linear::cuda::Layer { bias: Some(b.tensor()), ..on_device };
        linear::cuda::forward(device, n, layer, from.tensor(), full.tensor());
        close_within(&values(device, &full), &expected, "f32 y", 1e-5);
        let (b, full_b) =
            (activations(device, &[&[0.0], &bias[..]].concat()), singles(device, &[&[0.0], &bias[..]].concat()));
        let odd = |b: &Buffer<D>| b.tensor().part(1, outputs);
        let layer = linear::cuda::Layer { bias: Some(odd(&b)), ..on_device };
        linear::cuda::forward(device, n, layer, from.tensor(), y.tensor());
        close(device, "y with an odd bias", &y, &expected, 4.0);
        let layer = linear::cuda::Layer { bias: Some(odd(&full_b)), ..on_device };
        linear::cuda::forward(device, n, layer, from.tensor(), full.tensor());
        close_within(&values(device, &full), &expected, "f32 y with an odd bias", 1e-5);
        let layer = linear::cuda::Layer { bias: None, ..on_device };
        linear::cuda::forward(device, n, layer, from.tensor(), full.tensor());
        let without: Vec<f32> =
            expected.chunks(outputs).flat_map(|row| row.iter().zip(&bias).map(|(y, b)| y - b)).collect();
        close_within(&values(device, &full), &without, "f32 y without a bias", 1e-5);
        for accumulate in [false, true] {
            let mut expected = rounded(device, random(n * inputs, 6));
            let (g, dx) = (activations(device, &dy), activations(device, &expected));
            let epilogue: Box<dyn Epilogue> = match accumulate {
                true => Box::new(Add::new(&mut expected, inputs)),
                false => Box::new(Store::new(&mut expected, inputs)),
            };
            linear::backward_data(&gemm, &threads, &dy, Weight::new(&weight, inputs), &*epilogue).unwrap();
            drop(epilogue);
            linear::cuda::backward_data(device, n, on_device, g.tensor(), dx.tensor(), accumulate);
            close(device, "dx", &dx, &expected, 4.0);
        }
    }
}

/// `rows` of `outputs` numbers, `stride` apart, and what lies between them, which no product may look at.
fn padded(rows: &[f32], outputs: usize, stride: usize) -> Vec<f32> {
    let between = vec![f32::NAN; stride - outputs];
    rows.chunks(outputs).flat_map(|row| row.iter().chain(&between).copied()).collect()
}

/// The rows alone.
fn unpadded(rows: &[f32], outputs: usize, stride: usize) -> Vec<f32> {
    rows.chunks(stride).flat_map(|row| row[..outputs].iter().copied()).collect()
}

/// Rows of results and their gradients that are further apart than they are wide: as without, and nothing between them is
/// read or written.
pub fn padded_rows<D: Device>(device: &Queue<D>) {
    for (n, inputs, outputs, stride) in [(1, 8, 37, 64), (70, 24, 301, 320), (9, 16, 30, 31)] {
        let (_, bias, w, _) = layer(device, inputs, outputs);
        let b = singles(device, &bias);
        let (x, dy) = (activations(device, &random(n * inputs, 1)), rounded(device, random(n * outputs, 2)));
        let weight = w.tensor();
        let [dense, apart] = [outputs, stride].map(|stride| linear::cuda::Layer {
            inputs,
            outputs,
            stride,
            weight,
            bias: Some(b.tensor()),
        });
        let logits = |layer: linear::cuda::Layer| {
            let y = singles(device, &vec![9.0; n * layer.stride]);
            linear::cuda::forward(device, n, layer, x.tensor(), y.tensor());
            values(device, &y)
        };
        let (expected, found) = (logits(dense), logits(apart));
        close_within(&unpadded(&found, outputs, stride), &expected, "y", 1e-6);
        assert!(found.chunks(stride).all(|row| row[outputs..].iter().all(|&x| x == 9.0)), "written between rows");
        let gradients = |layer: linear::cuda::Layer, dy: &[f32]| {
            let dy = activations(device, dy);
            let (dx, dw) = (singles(device, &vec![0.0; n * inputs]), singles(device, &vec![0.0; inputs * outputs]));
            let (db, scratch) = (vec![0.0; outputs], vec![0.0; linear::cuda::sum_scratch(n, outputs)]);
            let (db, scratch) = (singles(device, &db), singles(device, &scratch));
            linear::cuda::backward_data(device, n, layer, dy.tensor(), dx.tensor(), false);
            linear::cuda::backward_parameters(
                device,
                n,
                [inputs, outputs, layer.stride],
                x.tensor(),
                dy.tensor(),
                dw.tensor(),
                Some(db.tensor()),
                scratch.tensor(),
            );
            [dx, dw, db].map(|buffer| values(device, &buffer))
        };
        let (expected, found) = (gradients(dense, &dy), gradients(apart, &padded(&dy, outputs, stride)));
        for ((found, expected), what) in found.iter().zip(&expected).zip(["dx", "dW", "db"]) {
            close_within(found, expected, what, 2e-6);
        }
    }
}

pub fn parameter_gradients<D: Device>(device: &Queue<D>) {
    for (n, inputs, outputs) in [(1, 8, 16), (130, 24, 37), (65, 16, 300)] {
        let (x, dy) = (rounded(device, random(n * inputs, 1)), rounded(device, random(n * outputs, 2)));
        let (mut dw, mut db) = (random(inputs * outputs, 7), random(outputs, 8));
        let (to_w, to_b) = (singles(device, &dw), singles(device, &db));
        let (gemm, threads) = (Gemm::new(1).unwrap(), Threads::new(1));
        linear::backward_parameters(&gemm, &threads, &x, &dy, outputs, &mut dw, false, Some(&mut db), &mut Vec::new())
            .unwrap();
        let (x, g) = (activations(device, &x), activations(device, &dy));
        let scratch = singles(device, &vec![0.0; linear::cuda::sum_scratch(n, outputs)]);
        linear::cuda::backward_parameters(
            device,
            n,
            [inputs, outputs, outputs],
            x.tensor(),
            g.tensor(),
            to_w.tensor(),
            Some(to_b.tensor()),
            scratch.tensor(),
        );
        close_within(&values(device, &to_w), &dw, "dW", 1e-5);
        close_within(&values(device, &to_b), &db, "db", 1e-5);
    }
}
