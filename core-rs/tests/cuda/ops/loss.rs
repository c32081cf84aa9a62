//! Losses, and rows that fill a batch up.

use cloze_core::driver::queue::Queue;
use cloze_core::driver::{Buffer, Device, Dtype, bytes_of, bytes_of_mut};
use cloze_core::machine::threads::Threads;
use cloze_core::ops::cross_entropy::{LogitRows, RowLoss};
use cloze_core::ops::target_loss::{self, TargetLoss};
use cloze_core::ops::{cross_entropy, embeddings};

use super::{activations, close, close_within, integers, random, rounded, singles, values};

pub fn cross_entropy_<D: Device>(device: &Queue<D>) {
    for (n, v, stride) in [(1, 2, 2), (3, 23, 23), (3, 23, 64), (5, 1000, 1000), (2, 30522, 30522), (2, 30522, 30528)] {
        let (layout, between) = (LogitRows { classes: v, stride }, vec![f32::NAN; stride - v]);
        let rows_of = |x: &[f32]| -> Vec<f32> { x.chunks(v).flat_map(|row| [row, &between[..]].concat()).collect() };
        let logits: Vec<f32> = random(n * v, 1).iter().map(|x| x * 20.0).collect();
        let labels: Vec<i32> = (0..n).map(|i| (i * 7919 % v) as i32).collect();
        let (mut gradient, mut rows) = (vec![0.0f32; n * v], vec![RowLoss::default(); n]);
        let (threads, mut lost) = (Threads::new(1), logits.clone());
        cross_entropy::forward_backward(&threads, &mut lost, &labels, &mut rows, Some(&mut gradient));
        let (x, ids) = (singles(device, &rows_of(&logits)), integers(device, &labels));
        let (loss, rank) = (singles(device, &vec![0.0; n]), integers(device, &vec![-1; n]));
        let g = activations(device, &vec![9.0; n * stride]);
        let arguments = (x.tensor(), ids.tensor(), loss.tensor(), rank.tensor());
        let (x, ids, to_loss, to_rank) = arguments;
        cross_entropy::cuda::forward_backward(device, layout, x, ids, to_loss, to_rank, Some(g.tensor()));
        let expected: Vec<f32> = rows.iter().map(|r| r.loss).collect();
        close_within(&values(device, &loss), &expected, "loss", 2e-6);
        let mut ranks = vec![0; n];
        device.read(to_rank, bytes_of_mut(&mut ranks));
        assert_eq!(ranks, rows.iter().map(|r| r.rank).collect::<Vec<_>>());
        // What lies between rows stays as it was.
        let found = values(device, &g);
        assert!(found.chunks(stride).all(|row| row[v..].iter().all(|&x| x == 9.0)), "written between rows");
        let rows_alone = |x: &[f32]| -> Vec<f32> { x.chunks(stride).flat_map(|row| row[..v].to_vec()).collect() };
        let rounding = if device.activations() == Dtype::Bf16 { 1.0 / 128.0 } else { 2e-6 };
        close_within(&rows_alone(&found), &gradient, "gradient", rounding);
        let x = singles(device, &rows_of(&logits));
        cross_entropy::cuda::forward_backward(device, layout, x.tensor(), ids, to_loss, to_rank, None);
        close_within(&values(device, &loss), &expected, "loss without gradient", 2e-6);
    }
    let (x, ids) = (singles(device, &[0.0, f32::NAN, 1.0]), integers(device, &[2]));
    let (loss, rank) = (singles(device, &[0.0]), integers(device, &[0]));
    cross_entropy::cuda::forward_backward(
        device,
        LogitRows::dense(3),
        x.tensor(),
        ids.tensor(),
        loss.tensor(),
        rank.tensor(),
        None,
    );
    assert!(values(device, &loss)[0].is_nan());
}

/// The third row is padding.
pub fn target_loss_<D: Device>(device: &Queue<D>) {
    for (loss, k) in [(TargetLoss::BinaryCrossEntropy, 5), (TargetLoss::SquaredError, 1), (TargetLoss::SquaredError, 3)]
    {
        let logits: Vec<f32> = random(3 * k, 4).iter().map(|x| x * 30.0).collect();
        let targets: Vec<f32> = (0..3 * k).map(|i| if i < 2 * k { (i % 2) as f32 } else { f32::NAN }).collect();
        let (mut gradient, mut rows) = (vec![0.0f32; 3 * k], vec![RowLoss::default(); 2]);
        let (x, t) = (&logits[..2 * k], &targets[..2 * k]);
        target_loss::forward_backward(&Threads::new(1), loss, x, t, &mut rows, Some(&mut gradient[..2 * k]));
        let (x, t) = (singles(device, &logits), singles(device, &targets));
        let (to_loss, rank) = (singles(device, &[9.0; 3]), integers(device, &[9; 3]));
        let g = activations(device, &vec![9.0; 3 * k]);
        for gradient in [None, Some(g.tensor())] {
            let (x, t, to_loss) = (x.tensor(), t.tensor(), to_loss.tensor());
            target_loss::cuda::forward_backward(device, loss, x, t, to_loss, rank.tensor(), gradient);
        }
        close_within(&values(device, &to_loss), &[rows[0].loss, rows[1].loss, 0.0], "loss", 2e-6);
        let mut ranks = vec![0; 3];
        device.read(rank.tensor(), bytes_of_mut(&mut ranks));
        assert_eq!(ranks, [rows[0].rank, rows[1].rank, -1]);
        close(device, "gradient", &g, &gradient, 2.0);
    }
}

/// Rows of padding: nothing is gathered from them or goes to them, and they cost nothing.
pub fn padding<D: Device>(device: &Queue<D>) {
    let c = 5;
    let x = rounded(device, random(3 * c, 1));
    let (from, few) = (activations(device, &x), activations(device, &vec![9.0; 2 * c]));
    let rows = integers(device, &[2, -1]);
    embeddings::cuda::gather(device, c, rows.tensor(), from.tensor(), few.tensor());
    assert_eq!(values(device, &few), [&x[2 * c..], &[0.0; 5]].concat());
    let (few, all) = (singles(device, &x[..2 * c]), singles(device, &vec![5.0; 3 * c]));
    embeddings::cuda::scatter_add(device, c, rows.tensor(), few.tensor(), all.tensor());
    let added: Vec<f32> = x[..c].iter().map(|x| 5.0 + x).collect();
    assert_eq!(values(device, &all), [&[5.0; 10], &added[..]].concat());

    let (logits, labels) = (singles(device, &[1.0, 1.0, f32::NAN, 2.0]), integers(device, &[0, -1]));
    let (loss, rank) = (singles(device, &[7.0; 2]), integers(device, &[7; 2]));
    let g = activations(device, &[9.0; 4]);
    let gradient = Some(g.tensor());
    let (l, r) = (loss.tensor(), rank.tensor());
    cross_entropy::cuda::forward_backward(
        device,
        LogitRows::dense(2),
        logits.tensor(),
        labels.tensor(),
        l,
        r,
        gradient,
    );
    assert_eq!(values(device, &g), [-0.5, 0.5, 0.0, 0.0]);
    let totals = Buffer::zeroed(device.device(), 3, Dtype::Wide).unwrap();
    let (sums, failed) = (totals.tensor().part(0, 2), totals.tensor().part(2, 1));
    let read = |expected: [f64; 3]| {
        let mut found = [0f64; 3];
        device.read(totals.tensor(), bytes_of_mut(&mut found));
        device.check().unwrap();
        assert!(found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6 || f.is_nan() && e.is_nan()), "{found:?}");
    };
    let log2 = std::f64::consts::LN_2;
    for times in 1..3 {
        let number = device.input(&[3f64], 1);
        cross_entropy::cuda::add_losses(device, 2, [l, r], number, sums, failed);
        read([f64::from(times) * log2, f64::from(times), 0.0]);
    }
    device.write(l.part(0, 1), bytes_of(&[f32::NAN]));
    for number in [4f64, 5.0] {
        let number = device.input(&[number], 1);
        cross_entropy::cuda::add_losses(device, 2, [l, r], number, sums, failed);
    }
    read([f64::NAN, 4.0, 4.0]);
}
