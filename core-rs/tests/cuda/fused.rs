//! Each operation that has a default made of others: the device's own against that default, on every device. In f32 the
//! CPU's give the same bits. In bf16, what is fused rounds once where the default rounds every step, and a GPU's kernels
//! sum in another order: tolerances are relative to the largest value.

use cloze_core::backend::cpu::Cpu;
use cloze_core::backend::cuda::Cuda;
use cloze_core::backend::{Backend, Embeddings, Heads, Linear, Norm, attention, embeddings, linear, norm};
use cloze_core::driver::{self, Device, Dtype};
use cloze_core::engine::batch::Batch;
use cloze_core::machine::dtype::{Bf16, Element};
use cloze_core::machine::memory;
use cloze_core::ops::activation::Activation;
use cloze_core::ops::dropout::Dropout;

use crate::ops::{close_within, dropout, random, values};

/// A device whose activations a test can read.
pub trait Readable: Backend {
    /// What the two ways may differ by.
    fn tolerance(&self) -> f32;
    fn activations_of(&self, x: &Self::Activations) -> Vec<f32>;
}

impl Readable for Cpu<f32> {
    fn tolerance(&self) -> f32 {
        0.0
    }

    fn activations_of(&self, x: &memory::Buffer) -> Vec<f32> {
        x.to_vec()
    }
}

impl Readable for Cpu<Bf16> {
    fn tolerance(&self) -> f32 {
        1.0 / 128.0
    }

    fn activations_of(&self, x: &memory::Buffer<Bf16>) -> Vec<f32> {
        x.iter().map(|x| x.to_f32()).collect()
    }
}

impl<D: Device> Readable for Cuda<D> {
    fn tolerance(&self) -> f32 {
        if self.queue().activations() == Dtype::Bf16 { 1.0 / 128.0 } else { 4e-6 }
    }

    fn activations_of(&self, x: &driver::Buffer<D>) -> Vec<f32> {
        values(self.queue(), x)
    }
}

/// A name and what is run on a device.
type Test<B> = (&'static str, fn(&mut B));

/// All tests of this file.
pub fn tests<B: Readable>() -> Vec<Test<B>> {
    vec![
        ("linear_residual", linear_residual),
        ("linear_residual_norm", linear_residual_norm),
        ("linear_activation_and_its_backward", linear_activation),
        ("linear_gate_and_its_backward", linear_gate),
        ("norm_backward_to_sum", norm_backward_to_sum),
        ("norm_backward_to_operand", norm_backward_to_operand),
        ("norm_backward_to_layer", norm_backward_to_layer),
        ("attention_backward_to_layer", attention_backward_to_layer),
        ("embed_norm", embed_norm),
    ]
}

/// Rows of a batch.
const ROWS: [usize; 3] = [1, 7, 70];
/// C
const C: usize = 24;
const DENSE: Linear = Linear { weight: 0, bias: Some(40 * C), inputs: C, outputs: 40 };

fn singles<B: Readable>(backend: &mut B, values: &[f32]) -> B::Buffer {
    let mut host = memory::Buffer::zeroed(values.len()).unwrap();
    host.copy_from_slice(values);
    backend.upload(host).unwrap()
}

fn weights<B: Readable>(backend: &mut B, len: usize) -> B::Buffer {
    let weights = singles(backend, &random(len, 1));
    backend.weights_changed(&weights);
    weights
}

fn operand<B: Readable>(backend: &mut B, values: &[f32]) -> B::Activations {
    let (from, mut to) = (singles(backend, values), backend.activations(values.len()).unwrap());
    backend.dropout_to_operand(1, values.len(), &from, Dropout::none(), &mut to);
    backend.read(&from, 0, &mut [0.0]); // waits for the work that needs it
    to
}

#[track_caller]
fn same<B: Readable>(backend: &B, what: &str, [fused, made]: [&B::Activations; 2]) {
    let [fused, made] = [fused, made].map(|x| backend.activations_of(x));
    assert!(made.iter().any(|x| *x != 0.0), "{what}: nothing was computed");
    close_within(&fused, &made, what, backend.tolerance());
}

#[track_caller]
fn same_singles<B: Readable>(backend: &mut B, what: &str, [fused, made]: [&B::Buffer; 2], len: usize) {
    let [mut a, mut b] = [vec![0.0; len], vec![0.0; len]];
    backend.read(fused, 0, &mut a);
    backend.read(made, 0, &mut b);
    backend.check().unwrap();
    assert!(b.iter().any(|x| *x != 0.0), "{what}: nothing was computed");
    close_within(&a, &b, what, if backend.tolerance() > 0.0 { 4e-6 } else { 0.0 });
}

/// Gradients of parameters, of which one way may sum what the other one has rounded.
#[track_caller]
fn same_sums<B: Readable>(backend: &mut B, [fused, made]: [&B::Buffer; 2], len: usize) {
    let [mut a, mut b] = [vec![0.0; len], vec![0.0; len]];
    backend.read(fused, 0, &mut a);
    backend.read(made, 0, &mut b);
    backend.check().unwrap();
    close_within(&a, &b, "gradients", backend.tolerance());
}

fn linear_residual<B: Readable>(backend: &mut B) {
    for (n, dropout) in ROWS.into_iter().flat_map(|n| [(n, Dropout::none()), (n, dropout(1))]) {
        let weights = weights(backend, 41 * C + 40);
        let (x, residual) = (operand(backend, &random(n * C, 2)), operand(backend, &random(n * 40, 3)));
        let [mut fused, mut made] = [0; 2].map(|_| backend.activations(n * 40).unwrap());
        backend.linear_residual(n, DENSE, &weights, &x, dropout, &residual, &mut fused);
        linear::linear_residual(backend, n, DENSE, &weights, &x, dropout, &residual, &mut made);
        same(backend, "y", [&fused, &made]);
    }
}

fn linear_residual_norm<B: Readable>(backend: &mut B) {
    let cases = [(Dropout::none(), true), (dropout(1), true), (dropout(1), false)];
    for (n, (dropout, has_bias)) in ROWS.into_iter().flat_map(|n| cases.map(|case| (n, case))) {
        let weights = weights(backend, 43 * C + 80);
        let norm = Norm { weight: 41 * C + 40, width: 40, eps: 1e-6, has_bias };
        let (x, residual) = (operand(backend, &random(n * C, 2)), operand(backend, &random(n * 40, 3)));
        let [mut sum, mut out, mut sum_made, mut out_made] = [0; 4].map(|_| backend.activations(n * 40).unwrap());
        let [mut kept, mut kept_made] = [0; 2].map(|_| backend.zeroed(2 * n).unwrap());
        backend.linear_residual_norm(n, DENSE, &weights, &x, dropout, &residual, &mut sum, norm, &mut out, &mut kept);
        let (to, statistics) = (&mut out_made, &mut kept_made);
        norm::linear_residual_norm(
            backend,
            n,
            DENSE,
            &weights,
            &x,
            dropout,
            &residual,
            &mut sum_made,
            norm,
            to,
            statistics,
        );
        same(backend, "sum", [&sum, &sum_made]);
        same(backend, "out", [&out, &out_made]);
        same_singles(backend, "statistics", [&kept, &kept_made], 2 * n);
    }
}

fn linear_activation<B: Readable>(backend: &mut B) {
    for (n, f) in ROWS.into_iter().flat_map(|n| Activation::ALL.map(|f| (n, f))) {
        let weights = weights(backend, 41 * C + 40);
        let (x, dy) = (operand(backend, &random(n * C, 2)), operand(backend, &random(n * C, 3)));
        let [mut fused, mut made] = [0; 2].map(|_| backend.activations(n * 40).unwrap());
        let [mut kept, mut kept_made] = [0; 2].map(|_| backend.activations(n * 40).unwrap());
        backend.linear_activation(n, DENSE, f, &weights, &x, &mut kept, &mut fused);
        linear::linear_activation(backend, n, DENSE, f, &weights, &x, &mut kept_made, &mut made);
        same(backend, "y", [&fused, &made]);
        same(backend, "what is kept", [&kept, &kept_made]);

        let down = Linear { inputs: 40, outputs: C, ..DENSE };
        let [mut fused, mut made] = [0; 2].map(|_| backend.activations(n * 40).unwrap());
        backend.linear_backward_through_activation(n, down, f, &weights, &dy, &kept, &mut fused);
        linear::linear_backward_through_activation(backend, n, down, f, &weights, &dy, &kept, &mut made);
        same(backend, "dx", [&fused, &made]);

        let [mut g, mut g_made] = [0; 2].map(|_| singles(backend, &random(41 * C + 40, 4)));
        backend.linear_backward_through_activation_to_layer(
            n, down, f, &weights, &dy, &kept, &mut fused, DENSE, &x, &mut g,
        );
        let (to, d) = (&mut made, &mut g_made);
        linear::linear_backward_through_activation_to_layer(
            backend, n, down, f, &weights, &dy, &kept, to, DENSE, &x, d,
        );
        same(backend, "dx, with gradients", [&fused, &made]);
        same_sums(backend, [&g, &g_made], 41 * C + 40);
    }
}

fn linear_gate<B: Readable>(backend: &mut B) {
    let f = Activation::Gelu;
    for (n, dropout) in ROWS.into_iter().flat_map(|n| [(n, Dropout::none()), (n, dropout(1))]) {
        let weights = weights(backend, 41 * C + 40);
        let (x, dy) = (operand(backend, &random(n * C, 2)), operand(backend, &random(n * C, 3)));
        let [mut fused, mut made] = [0; 2].map(|_| backend.activations(n * 40).unwrap());
        let [mut kept, mut kept_made] = [0; 2].map(|_| backend.activations(n * 40).unwrap());
        let [mut activated, mut activated_made] = [0; 2].map(|_| backend.activations(n * 40).unwrap());
        backend.linear_activation(n, DENSE, f, &weights, &x, &mut kept, &mut activated);
        backend.linear_activation(n, DENSE, f, &weights, &x, &mut kept_made, &mut activated_made);
        backend.linear_gate(n, DENSE, dropout, &weights, &x, &mut kept, &mut activated, &mut fused);
        let left = (&mut kept_made, &mut activated_made);
        linear::linear_gate(backend, n, DENSE, dropout, &weights, &x, left.0, left.1, &mut made);
        same(backend, "y", [&fused, &made]);

        let down = Linear { inputs: 40, outputs: C, ..DENSE };
        let [mut up, mut gate, mut up_made, mut gate_made] = [0; 4].map(|_| backend.activations(n * 40).unwrap());
        let left = (&kept, &activated);
        backend.linear_backward_through_gate(n, down, f, dropout, &weights, &dy, left.0, left.1, &mut up, &mut gate);
        let to = (&mut up_made, &mut gate_made);
        linear::linear_backward_through_gate(backend, n, down, f, dropout, &weights, &dy, left.0, left.1, to.0, to.1);
        same(backend, "of the activation", [&up, &up_made]);
        same(backend, "of the gate", [&gate, &gate_made]);
    }
}

fn norm_backward_to_sum<B: Readable>(backend: &mut B) {
    for (n, has_bias) in ROWS.into_iter().flat_map(|n| [(n, true), (n, false)]) {
        let norm = Norm { weight: 3 * C, width: C, eps: 1e-6, has_bias };
        let weights = weights(backend, 5 * C);
        let (x, dy) = (operand(backend, &random(n * C, 2)), random(n * C, 3));
        let (mut out, mut statistics) = (backend.activations(n * C).unwrap(), backend.zeroed(2 * n).unwrap());
        backend.norm(n, norm, &weights, &x, &mut out, &mut statistics);
        let [mut dx, mut dx_made] = [0; 2].map(|_| singles(backend, &dy));
        let [mut sum, mut sum_made] = [0; 2].map(|_| singles(backend, &random(n * C, 5)));
        let [mut g, mut g_made] = [0; 2].map(|_| singles(backend, &random(5 * C, 4)));
        backend.norm_backward_to_sum(n, norm, &weights, &x, &statistics, &mut dx, &mut sum, &mut g);
        let (to, d) = (&mut sum_made, &mut g_made);
        norm::norm_backward_to_sum(backend, n, norm, &weights, &x, &statistics, &mut dx_made, to, d);
        same_singles(backend, "sum", [&sum, &sum_made], n * C);
        same_singles(backend, "gradients", [&g, &g_made], 5 * C);
    }
}

fn norm_backward_to_operand<B: Readable>(backend: &mut B) {
    let norm = Norm { weight: 3 * C, width: C, eps: 1e-6, has_bias: true };
    for (n, dropout) in ROWS.into_iter().flat_map(|n| [(n, Dropout::none()), (n, dropout(1))]) {
        let weights = weights(backend, 5 * C);
        let (x, dy) = (operand(backend, &random(n * C, 2)), random(n * C, 3));
        let (mut out, mut statistics) = (backend.activations(n * C).unwrap(), backend.zeroed(2 * n).unwrap());
        backend.norm(n, norm, &weights, &x, &mut out, &mut statistics);
        let [mut fused, mut made] = [0; 2].map(|_| singles(backend, &dy));
        let [mut to, mut to_made] = [0; 2].map(|_| backend.activations(n * C).unwrap());
        let [mut g, mut g_made] = [0; 2].map(|_| singles(backend, &random(5 * C, 4)));
        backend.norm_backward_to_operand(n, norm, &weights, &x, &statistics, &mut fused, dropout, &mut to, &mut g);
        norm::norm_backward_to_operand(
            backend,
            n,
            norm,
            &weights,
            &x,
            &statistics,
            &mut made,
            dropout,
            &mut to_made,
            &mut g_made,
        );
        same_singles(backend, "dx", [&fused, &made], n * C);
        same(backend, "operand", [&to, &to_made]);
        same_singles(backend, "gradients", [&g, &g_made], 5 * C);
    }
}

fn norm_backward_to_layer<B: Readable>(backend: &mut B) {
    // Behind the layer's weight and bias, the norm's.
    let (layer, len) = (Linear { weight: 0, bias: Some(C * C), inputs: C, outputs: C }, C * C + 3 * C);
    let cases =
        [(Dropout::none(), true, true), (dropout(1), true, true), (dropout(1), false, true), (dropout(1), true, false)];
    for (n, (dropout, has_bias, layer_has_bias)) in ROWS.into_iter().flat_map(|n| cases.map(|case| (n, case))) {
        let norm = Norm { weight: C * C + C, width: C, eps: 1e-6, has_bias };
        let layer = Linear { bias: layer.bias.filter(|_| layer_has_bias), ..layer };
        let weights = weights(backend, len);
        let (x, input, dy) =
            (operand(backend, &random(n * C, 2)), operand(backend, &random(n * C, 5)), random(n * C, 3));
        let (mut out, mut statistics) = (backend.activations(n * C).unwrap(), backend.zeroed(2 * n).unwrap());
        backend.norm(n, norm, &weights, &x, &mut out, &mut statistics);
        let [mut fused, mut made] = [0; 2].map(|_| singles(backend, &dy));
        let [mut to, mut to_made] = [0; 2].map(|_| backend.activations(n * C).unwrap());
        let [mut g, mut g_made] = [0; 2].map(|_| singles(backend, &random(len, 4)));
        backend.norm_backward_to_layer(
            n,
            norm,
            &weights,
            &x,
            &statistics,
            &mut fused,
            dropout,
            &mut to,
            layer,
            &input,
            &mut g,
        );
        let (dx, into, d) = (&mut made, &mut to_made, &mut g_made);
        norm::norm_backward_to_layer(backend, n, norm, &weights, &x, &statistics, dx, dropout, into, layer, &input, d);
        same_singles(backend, "dx", [&fused, &made], n * C);
        same(backend, "operand", [&to, &to_made]);
        same_sums(backend, [&g, &g_made], len);
    }
}

/// Of sequences of 3 tokens and of all others.
fn with_batch(n: usize, run: impl FnOnce(&Batch)) {
    let ids: Vec<i32> = (0..n as i32).map(|i| i * i % 9).collect();
    let types: Vec<i32> = (0..n as i32).map(|i| i % 2).collect();
    let positions: Vec<i32> = (0..n as i32).collect();
    let cu_seqlens: Vec<i32> = [0, 3, n as i32].into_iter().filter(|&end| end != 3 || n > 3).collect();
    run(&Batch {
        input_ids: &ids,
        token_type_ids: &types,
        position_ids: &positions,
        cu_seqlens: &cu_seqlens,
        masked_positions: &[],
        labels: &[],
        sequence_labels: &[],
        sequence_targets: &[],
        sequence_weight: 1.0,
    });
}

fn attention_backward_to_layer<B: Readable>(backend: &mut B) {
    let heads = Heads { count: 2, hidden: C, max_sequence_length: 80, causal: false, window: None };
    let layer = Linear { weight: 0, bias: Some(3 * C * C), inputs: C, outputs: 3 * C };
    for (n, bias) in ROWS.into_iter().flat_map(|n| [(n, layer.bias), (n, None)]) {
        let (layer, len, dropout) = (Linear { bias, ..layer }, 3 * C * (C + 1), dropout(1));
        let tables = Embeddings { rows: [9, 80, 2], width: C };
        let weights = weights(backend, 91 * C);
        with_batch(n, |batch| {
            let [mut out, mut to, mut to_made] = [C, 3 * C, 3 * C].map(|width| backend.activations(n * width).unwrap());
            // A device that works behind the caller's back is sent the batch with the embeddings.
            backend.begin(n, 0);
            backend.embed(batch, tables, &weights, &mut out);
            let (qkv, x) = (operand(backend, &random(n * 3 * C, 2)), operand(backend, &random(n * C, 3)));
            let (dy, mut lse) = (operand(backend, &random(n * C, 5)), backend.zeroed(2 * n).unwrap());
            backend.embed(batch, tables, &weights, &mut out);
            backend.attention(batch, heads, &qkv, dropout, &mut out, &mut lse);
            let [mut g, mut g_made] = [0; 2].map(|_| singles(backend, &random(len, 4)));
            backend.embed(batch, tables, &weights, &mut to_made);
            backend
                .attention_backward_to_layer(batch, heads, &qkv, dropout, &out, &lse, &dy, &mut to, layer, &x, &mut g);
            attention::attention_backward_to_layer(
                backend,
                batch,
                heads,
                &qkv,
                dropout,
                &out,
                &lse,
                &dy,
                &mut to_made,
                layer,
                &x,
                &mut g_made,
            );
            same(backend, "d_qkv", [&to, &to_made]);
            same_sums(backend, [&g, &g_made], len);
        });
    }
}

fn embed_norm<B: Readable>(backend: &mut B) {
    let tables = Embeddings { rows: [9, 80, 2], width: C };
    let norm = Norm { weight: 91 * C, width: C, eps: 1e-6, has_bias: true };
    for (n, dropout) in ROWS.into_iter().flat_map(|n| [(n, Dropout::none()), (n, dropout(0))]) {
        let weights = weights(backend, 93 * C);
        let [mut sum, mut out, mut sum_made, mut out_made] = [0; 4].map(|_| backend.activations(n * C).unwrap());
        let [mut statistics, mut statistics_made] = [0; 2].map(|_| backend.zeroed(2 * n).unwrap());
        with_batch(n, |batch| {
            backend.embed_norm(batch, tables, norm, &weights, dropout, &mut sum, &mut out, &mut statistics);
            let (to, kept) = (&mut out_made, &mut statistics_made);
            embeddings::embed_norm(backend, batch, tables, norm, &weights, dropout, &mut sum_made, to, kept);
        });
        same(backend, "sum", [&sum, &sum_made]);
        same(backend, "out", [&out, &out_made]);
        same_singles(backend, "statistics", [&statistics, &statistics_made], 2 * n);
    }
}
