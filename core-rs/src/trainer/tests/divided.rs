//! Updates that are cut into micro-batches and shared: the same bits for any number of processes.

use super::*;
use crate::collective::tests::Local;
use crate::collective::{Collective, Single};

/// Weights and reports after some updates of `cut` micro-batches, which `size` threads share as if they were processes.
fn divided(heads: &Heads, dtype: Dtype, optimizer: Optimizer, size: usize, cut: usize) -> (Vec<f32>, Vec<Report>) {
    let workers = Local::all(size).into_iter().map(|collective| {
        let heads = heads.clone();
        std::thread::spawn(move || {
            let config = ModelConfig { hidden_dropout_prob: 0.1, ..tiny() };
            let options = EngineOptions {
                heads: heads.clone(),
                dtype,
                optimizer: Some(optimizer),
                ..options(config, 1 + size % 2)
            };
            let rank = collective.rank();
            let division = Division { micro_batches: cut, collective: Box::new(collective) };
            let mut engine = open_divided(options, None, Some(division)).unwrap();
            let reports: Vec<_> = (0..3)
                .map(|step| {
                    for leaf in (rank * cut / size)..((rank + 1) * cut / size) {
                        // The last micro-batch of all has nothing to predict.
                        let lengths: &[usize] = if leaf == 5 { &[1] } else { &[6, 4, 9] };
                        let batch = Packed::new(lengths, 100 * step + 10 * leaf as u64).for_heads(&heads);
                        engine.forward_backward(&batch.batch(), step, leaf as u32).unwrap();
                    }
                    engine.update_now(RATE, step).unwrap()
                })
                .collect();
            let names: Vec<String> = engine.layout().parameters().iter().map(|p| p.name.clone()).collect();
            let weights: Vec<f32> = names.iter().flat_map(|name| engine.parameter(name).unwrap()).collect();
            (weights, reports)
        })
    });
    let mut all: Vec<_> = workers.collect::<Vec<_>>().into_iter().map(|worker| worker.join().unwrap()).collect();
    let first = all.swap_remove(0);
    assert!(all.iter().all(|other| other == &first), "every process has the same weights and reports");
    first
}

#[test]
fn a_divided_update_has_the_same_bits_for_any_number_of_processes() {
    for heads in [Heads::MASKED_LM, Heads::PRE_TRAINING] {
        for (dtype, optimizer) in [(Dtype::F32, OPTIMIZER), (Dtype::Bf16, OPTIMIZER), (Dtype::F32, MUON)] {
            let one = divided(&heads, dtype, optimizer, 1, 8);
            assert!(one.0.iter().all(|w| w.is_finite()) && one.1[0].grad_norm > 0.0);
            for size in [2, 4, 8] {
                assert!(one == divided(&heads, dtype, optimizer, size, 8), "{dtype:?} {size}");
            }
        }
    }
}

#[test]
fn a_divided_update_is_that_of_one_batch_within_rounding() {
    let sum = |cut| divided(&Heads::MASKED_LM, Dtype::F32, OPTIMIZER, 1, cut).1;
    let (two, other) = (sum(2), sum(4));
    assert_ne!(two[0].units, other[0].units);
    let mut whole = trainer(ModelConfig { hidden_dropout_prob: 0.1, ..tiny() }, 1);
    for leaf in 0..2 {
        whole.forward_backward(&Packed::new(&[6, 4, 9], 10 * leaf).batch(), 0, leaf as u32).unwrap();
    }
    let report = whole.update_now(RATE, 0).unwrap();
    assert_eq!((report.units, report.sums.masked), (two[0].units, two[0].sums.masked));
    assert!((report.grad_norm / two[0].grad_norm - 1.0).abs() < 1e-6, "{report:?} {:?}", two[0]);
    assert!((report.sums.loss_sum / two[0].sums.loss_sum - 1.0).abs() < 1e-12);
}

#[test]
fn a_divided_update_wants_each_micro_batch_once_and_in_order_and_forgets_them_after_an_error() {
    let division = |collective| Some(Division { micro_batches: 4, collective });
    let mut engine = open_divided(options(tiny(), 1), None, division(Box::new(Single))).unwrap();
    let batch = Packed::new(&[6, 4], 1);
    assert!(engine.forward_backward(&batch.batch(), 0, 1).unwrap_err().message.contains("where 0 is next"));
    engine.forward_backward(&batch.batch(), 0, 0).unwrap();
    let error = engine.update(RATE, 0).unwrap_err();
    assert!(error.message.contains("1 of this process's 4"), "{error}");
    for leaf in 1..4 {
        engine.forward_backward(&batch.batch(), 0, leaf).unwrap();
    }
    assert!(engine.forward_backward(&batch.batch(), 0, 4).unwrap_err().message.contains("this process has 0 to 3"));
    engine.update_now(RATE, 0).unwrap();
    engine.forward_backward(&batch.batch(), 1, 0).unwrap();
    let wrong = options(tiny(), 1);
    let error =
        open_divided(wrong, None, Some(Division { micro_batches: 3, collective: Box::new(Single) })).err().unwrap();
    assert!(error.message.contains("3 micro-batches"), "{error}");
}
