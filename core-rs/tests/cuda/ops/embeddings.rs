//! Embedding tables, and rows that are gathered and scattered.

use cloze_core::driver::Device;
use cloze_core::driver::queue::Queue;
use cloze_core::machine::threads::Threads;
use cloze_core::ops::{embeddings, layer_norm};

use super::layer_norm::Norm;
use super::{activations, close, close_within, dropout, integers, random, rounded, singles, site, values};

pub fn embeddings_<D: Device>(device: &Queue<D>) {
    for (n, c, tables) in [(1, 8, [5, 10, 2]), (400, 12, [40, 400, 2]), (5, 37, [3, 10, 2]), (3, 512, [3, 3, 1])] {
        let norm = Norm::new(device, c);
        let table = random(tables.iter().sum::<usize>() * c, 4);
        let words: Vec<i32> = (0..n).map(|i| (i * i * 7 % tables[0]) as i32).collect();
        let (positions, types): (Vec<i32>, Vec<i32>) = (0..n as i32).map(|i| (i, i32::from(i > 9))).unzip();
        let ids: [&[i32]; 3] = [&words, &positions, &types];
        let mut rows = Vec::new();
        embeddings::cuda::table_rows(ids, tables, &mut rows);

        let mut from = 0;
        let lookups = [0, 1, 2].map(|i| {
            let at = from;
            from += tables[i] * c;
            embeddings::Lookup { table: &table[at..from], ids: ids[i] }
        });
        let (mut sum, mut out, mut statistics) = (vec![0.0; n * c], vec![0.0; n * c], vec![0.0; 2 * n]);
        let threads = Threads::new(1);
        embeddings::forward(&threads, lookups, c, &mut sum);
        let (weight, bias) = norm.weight_and_bias();
        let normalized = rounded(device, sum.clone());
        layer_norm::forward(&threads, &normalized, weight, bias, 1e-6, &mut out, &mut statistics);
        for (i, v) in out.iter_mut().enumerate() {
            *v *= dropout(0).factor(i as u32);
        }
        let on_device = integers(device, &rows);
        let (x, y) = (activations(device, &vec![0.0; n * c]), activations(device, &vec![0.0; n * c]));
        let (kept, weights) = (singles(device, &vec![0.0; 2 * n]), singles(device, &table));
        embeddings::cuda::forward(
            device,
            n,
            norm.on_device(),
            on_device.tensor(),
            weights.tensor(),
            site(device, dropout(0)),
            x.tensor(),
            y.tensor(),
            kept.tensor(),
        );
        close(device, "sum", &x, &sum, 1.0);
        close(device, "out", &y, &out, 4.0);
        embeddings::cuda::sum(device, n, c, on_device.tensor(), weights.tensor(), y.tensor());
        close(device, "sum alone", &y, &sum, 1.0);

        let gradient = random(n * c, 9);
        let mut expected = random(table.len(), 10);
        let to = singles(device, &expected);
        for (i, row) in rows.iter().enumerate() {
            for j in 0..c {
                expected[*row as usize * c + j] += gradient[i % n * c + j];
            }
        }
        let mut plan = embeddings::cuda::Collisions::default();
        plan.plan(&rows, n, tables.iter().sum());
        let partials = singles(device, &vec![0.0; plan.slots * c]);
        let counts = [plan.pieces.len() / 4, plan.rows.len() / 3].map(|count| count as i32);
        let g = singles(device, &gradient);
        let planned = embeddings::cuda::Planned {
            counts: device.input(&counts, 2),
            order: device.input(&plan.order, rows.len()),
            rows: device.input(&plan.rows, 3 * embeddings::cuda::Collisions::most_rows(n)),
            pieces: device.input(&plan.pieces, 4 * rows.len()),
            partials: partials.tensor(),
        };
        embeddings::cuda::backward(device, c, planned, g.tensor(), to.tensor());
        close_within(&values(device, &to), &expected, "tables", 1e-6);
    }
}

pub fn gather_and_scatter<D: Device>(device: &Queue<D>) {
    let (n, c, rows) = (9, 130, [0, 3, 8]);
    let x = rounded(device, random(n * c, 1));
    let (mut picked, mut back) = (vec![0.0; rows.len() * c], random(n * c, 2));
    embeddings::gather(&x, &rows, c, &mut picked);
    let (from, indices) = (activations(device, &x), integers(device, &rows));
    let few = activations(device, &vec![0.0; picked.len()]);
    embeddings::cuda::gather(device, c, indices.tensor(), from.tensor(), few.tensor());
    assert_eq!(values(device, &few), picked);

    let (few, all) = (singles(device, &picked), singles(device, &back));
    embeddings::scatter_add(&picked, &rows, c, &mut back);
    embeddings::cuda::scatter_add(device, c, indices.tensor(), few.tensor(), all.tensor());
    assert_eq!(values(device, &all), back);
}
