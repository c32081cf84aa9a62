//! Batches and states that an engine refuses, by name.

use super::*;

/// A changed batch is refused with a message that has that word in it.
fn refused(trainer: &mut Trainer, good: &Packed, change: &dyn Fn(&mut Packed), word: &str) {
    let mut bad = good.clone();
    change(&mut bad);
    let error = trainer.forward_backward(&bad.batch(), 0, 0).unwrap_err();
    assert!(error.code == Code::InvalidArgument && error.message.contains(word), "{error}");
}

#[test]
fn bad_batches_and_wrong_states_are_refused() {
    let mut t = trainer(tiny(), 1);
    let good = Packed::new(&[7, 4], 0);
    let mut refuse = |change: &dyn Fn(&mut Packed), word: &str| refused(&mut t, &good, change, word);
    refuse(&|p| p.input_ids[3] = 23, "input_ids[3]");
    refuse(&|p| p.input_ids[3] = -1, "input_ids[3]");
    refuse(&|p| p.labels[0] = 99, "labels[0]");
    refuse(&|p| p.masked_positions[1] = p.masked_positions[0], "masked_positions");
    refuse(&|p| p.token_type_ids.truncate(3), "token_type_ids");
    refuse(&|p| p.sequence_labels = vec![0, 1], "no head on sequences");
    refuse(&|p| p.sequence_weight = f64::NAN, "sequence_weight");
    let empty = Packed { masked_positions: vec![], labels: vec![], ..good.clone() };
    assert_eq!(t.losses(&empty.batch(), 0, 0).unwrap(), LossSum::default());
    let mut inference = Trainer::<Cpu>::new(EngineOptions { optimizer: None, ..options(tiny(), 1) }, None).unwrap();
    assert_eq!(inference.forward_backward(&good.batch(), 0, 0).unwrap_err().code, Code::InvalidState);
    assert_eq!(inference.update(RATE, 0).unwrap_err().code, Code::InvalidState);
    assert_eq!(inference.sequence_logits(&good.batch(), &mut []).unwrap_err().code, Code::InvalidState);
    let heads = classification(false);
    let mut classifier = trainer_for(heads.clone(), tiny(), 1);
    let labeled = good.clone().for_heads(&heads);
    let mut refuse = |change: &dyn Fn(&mut Packed), word: &str| refused(&mut classifier, &labeled, change, word);
    refuse(&|p| p.sequence_labels[1] = 3, "sequence_labels[1] is 3, outside 0..3");
    refuse(&|p| p.sequence_labels.truncate(1), "sequence_labels has 1 entries");
    refuse(&|p| p.sequence_targets = vec![1.0; 6], "sequence_targets has 6 entries, but needs 0 for 2 sequences");
    refuse(&|p| (p.masked_positions, p.labels) = (vec![1], vec![1]), "no head on tokens");
    let heads = targeted(ProblemType::MultiLabelClassification, 3);
    let (mut targets, several) = (trainer_for(heads.clone(), tiny(), 1), good.clone().for_heads(&heads));
    let mut refuse = |change: &dyn Fn(&mut Packed), word: &str| refused(&mut targets, &several, change, word);
    refuse(&|p| p.sequence_targets[4] = 1.5, "sequence_targets[4] is 1.5, but has to be from 0 to 1");
    refuse(&|p| p.sequence_targets[0] = f32::NAN, "sequence_targets[0] is NaN");
    refuse(&|p| p.sequence_targets.truncate(3), "sequence_targets has 3 entries, but needs 6");
    refuse(&|p| p.sequence_labels = vec![0, 1], "sequence_labels has 2 entries, but needs 0");
    let error = classifier.top_k(&labeled.batch(), 1, &mut [], &mut []).unwrap_err();
    assert!(error.message.contains("head on tokens"), "{error}");
    let long = EngineOptions { max_sequence_length: 11, ..options(tiny(), 1) };
    assert!(Trainer::<Cpu>::new(long, None).err().unwrap().message.contains("max_position_embeddings"));
}
