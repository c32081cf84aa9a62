//! Updates that are cut into micro-batches and shared: the same bits for any number of processes.

use super::*;
use crate::collective::tests::Local;
use crate::collective::{Collective, Single};

/// What is trained.
#[derive(Clone)]
struct Setup {
    heads: Heads,
    dtype: Dtype,
    optimizer: Optimizer,
    cut: usize,
}

/// What came of it: weights, reports, and the files of a checkpoint.
#[derive(Debug, PartialEq)]
struct Trained {
    weights: Vec<f32>,
    reports: Vec<Report>,
    files: [Vec<u8>; 2],
}

/// A folder of this process that is empty.
fn folder(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("cloze-divided-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

const FILES: [&str; 2] = ["model.safetensors", "training_state.safetensors"];

/// Some updates that `size` threads share as if they were processes, from a checkpoint on if one is given.
fn divided(setup: &Setup, size: usize, steps: Range<u64>, from: Option<&Path>, to: &Path) -> Trained {
    let workers = Local::all(size).into_iter().map(|collective| {
        let (setup, from, to, steps) = (setup.clone(), from.map(Path::to_owned), to.to_owned(), steps.clone());
        std::thread::spawn(move || {
            let Setup { heads, dtype, optimizer, cut } = setup;
            // Large enough that the first few of eight processes have a share of it, and the others none.
            let config = ModelConfig { hidden_dropout_prob: 0.1, vocab_size: 20_000, ..tiny() };
            let heads = &heads;
            let options = EngineOptions {
                heads: heads.clone(),
                dtype,
                optimizer: Some(optimizer),
                ..options(config, 1 + size % 2)
            };
            let rank = collective.rank();
            let division = Some(Division { micro_batches: cut, collective: Box::new(collective) });
            let weights = from.as_ref().map(|from| Weights { path: from.join(FILES[0]), may_be_missing: vec![] });
            let mut engine = open_divided(options, weights.as_ref(), division).unwrap();
            if let Some(from) = from {
                engine.load_training_state(&from.join(FILES[1])).unwrap();
            }
            let mut update = |step| {
                for leaf in (rank * cut / size)..((rank + 1) * cut / size) {
                    // One of the micro-batches has nothing to predict.
                    let lengths: &[usize] = if leaf == 5 { &[1] } else { &[6, 4, 9] };
                    let batch = Packed::new(lengths, 100 * step + 10 * leaf as u64).for_heads(heads);
                    engine.forward_backward(&batch.batch(), step, leaf as u32).unwrap();
                }
                engine.update_now(RATE, step).unwrap()
            };
            let reports: Vec<_> = steps.map(&mut update).collect();
            engine.collect_training_state().unwrap();
            if rank == 0 {
                engine.save_weights(&to.join(FILES[0])).unwrap();
                engine.save_training_state(&to.join(FILES[1])).unwrap();
            } else if size > 1 && optimizer == OPTIMIZER {
                let error = engine.save_training_state(&to.join("other")).unwrap_err();
                assert_eq!(error.code, Code::InvalidState);
            }
            let names: Vec<String> = engine.layout().parameters().iter().map(|p| p.name.clone()).collect();
            let weights: Vec<f32> = names.iter().flat_map(|name| engine.parameter(name).unwrap()).collect();
            (weights, reports)
        })
    });
    let mut all: Vec<_> = workers.collect::<Vec<_>>().into_iter().map(|worker| worker.join().unwrap()).collect();
    let (weights, reports) = all.swap_remove(0);
    assert!(all.iter().all(|other| other.0 == weights && other.1 == reports), "every process has the same");
    let files = FILES.map(|name| std::fs::read(to.join(name)).unwrap());
    FILES.iter().for_each(|name| std::fs::remove_file(to.join(name)).unwrap());
    Trained { weights, reports, files }
}

#[test]
fn a_divided_update_has_the_same_bits_for_any_number_of_processes() {
    let to = folder("bits");
    for heads in [Heads::MASKED_LM, Heads::PRE_TRAINING] {
        for (dtype, optimizer) in [(Dtype::F32, OPTIMIZER), (Dtype::Bf16, OPTIMIZER), (Dtype::F32, MUON)] {
            let setup = Setup { heads: heads.clone(), dtype, optimizer, cut: 8 };
            let one = divided(&setup, 1, 0..3, None, &to);
            assert!(one.weights.iter().all(|w| w.is_finite()) && one.reports[0].grad_norm > 0.0);
            for size in [2, 4, 8] {
                assert!(one == divided(&setup, size, 0..3, None, &to), "{dtype:?} {size}");
            }
        }
    }
    std::fs::remove_dir_all(to).unwrap();
}

#[test]
fn a_divided_run_goes_on_with_another_number_of_processes_to_the_same_bits() {
    let (to, kept) = (folder("resumed"), folder("kept"));
    let setup = Setup { heads: Heads::MASKED_LM, dtype: Dtype::F32, optimizer: OPTIMIZER, cut: 4 };
    let whole = divided(&setup, 1, 0..4, None, &to);
    let first = divided(&setup, 2, 0..2, None, &to);
    FILES.iter().zip(&first.files).for_each(|(name, bytes)| std::fs::write(kept.join(name), bytes).unwrap());
    for size in [1, 4] {
        let second = divided(&setup, size, 2..4, Some(&kept), &to);
        assert!(second.files == whole.files && second.reports[..] == whole.reports[2..], "{size}");
    }
    [to, kept].iter().for_each(|path| std::fs::remove_dir_all(path).unwrap());
}

#[test]
fn a_divided_update_is_that_of_one_batch_within_rounding() {
    let to = folder("rounding");
    let sum = |cut| {
        let setup = Setup { heads: Heads::MASKED_LM, dtype: Dtype::F32, optimizer: OPTIMIZER, cut };
        divided(&setup, 1, 0..1, None, &to).reports
    };
    let (two, other) = (sum(2), sum(4));
    assert_ne!(two[0].units, other[0].units);
    let mut whole = trainer(ModelConfig { hidden_dropout_prob: 0.1, vocab_size: 20_000, ..tiny() }, 1);
    for leaf in 0..2 {
        whole.forward_backward(&Packed::new(&[6, 4, 9], 10 * leaf).batch(), 0, leaf as u32).unwrap();
    }
    let report = whole.update_now(RATE, 0).unwrap();
    assert_eq!((report.units, report.sums.masked), (two[0].units, two[0].sums.masked));
    assert!((report.grad_norm / two[0].grad_norm - 1.0).abs() < 1e-6, "{report:?} {:?}", two[0]);
    assert!((report.sums.loss_sum / two[0].sums.loss_sum - 1.0).abs() < 1e-12);
    std::fs::remove_dir_all(to).unwrap();
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
