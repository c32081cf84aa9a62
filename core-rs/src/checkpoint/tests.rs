//! Reading and writing safetensors: what is taken, what is refused, and by what name.

use super::*;
use crate::blueprint::{Blueprint, Part};
use crate::config::ModelConfig;
use crate::config::tests::tiny;
use crate::heads::Heads;
use crate::heads::tests::classification;
use crate::ops::tests::random;
use crate::optim::slots::SlotLayout;
use crate::optim::{Optimizer, adamw};
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use std::path::PathBuf;

/// A path in a fresh folder that goes away with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("cloze-checkpoint-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("model.safetensors")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn layout() -> ParameterLayout {
    Blueprint::of(&tiny(), &Heads::MASKED_LM).unwrap().layout()
}

/// Name, dtype, shape and bytes of a tensor.
type Raw = (String, Dtype, Vec<usize>, Vec<u8>);

/// Writes tensors under other names and dtypes than ours.
fn write(path: &Path, tensors: &[Raw]) {
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()))
        .collect();
    safetensors::serialize_to_file(views, None, path).unwrap();
}

fn tensors(flat: &[f32]) -> Vec<Raw> {
    let bytes = |p: &Parameter| flat[p.range()].iter().flat_map(|x| x.to_le_bytes()).collect();
    layout().parameters().iter().map(|p| (p.name.clone(), Dtype::F32, p.shape.clone(), bytes(p))).collect()
}

fn load(path: &Path) -> Result<Vec<f32>> {
    let mut flat = vec![0.0; layout().len()];
    let file = Weights { path: path.to_owned(), may_be_missing: vec![] };
    load_weights(&file, &layout(), &mut flat).map(|_| flat)
}

/// Both moments of AdamW.
fn slots(values: [Vec<f32>; 2]) -> Vec<Slot<Vec<f32>>> {
    let options = adamw::Options { beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weight_decay: 0.1, max_grad_norm: 1.0 };
    let layouts = SlotLayout::all(&Optimizer::AdamW(options), &layout());
    layouts.into_iter().zip(values).map(|(layout, values)| Slot { layout, values }).collect()
}

#[test]
fn a_bias_that_releases_of_transformers_call_differently_is_written_under_both_names_and_mapped_all_the_same() {
    let bert = ["bert", "megatron-bert"].map(|model_type| (model_type, "cls.predictions"));
    let roberta = ["roberta", "xlm-roberta", "camembert"].map(|model_type| (model_type, "lm_head"));
    let untied = bert.into_iter().chain(roberta).map(|family| (family, false));
    for ((model_type, head), tie_word_embeddings) in untied.chain(roberta.map(|family| (family, true))) {
        let config = ModelConfig { model_type: model_type.into(), tie_word_embeddings, ..tiny() };
        let layout = Blueprint::of(&config, &Heads::MASKED_LM).unwrap().layout();
        let (place, flat) = (Place::new("twice"), random(layout.len(), 5));
        save_weights(&place.file(), &layout, &flat).unwrap();
        let bytes = std::fs::read(place.file()).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let [own, second] = ["decoder.bias", "bias"].map(|name| file.tensor(&format!("{head}.{name}")).unwrap());
        assert_eq!((own.shape(), own.data()), (second.shape(), second.data()), "{model_type}");
        let (mapped, loaded) = map_weights(&place.file(), &layout).unwrap().expect("in its own order");
        assert_eq!((&mapped[..], loaded.passed_over, loaded.unknown.len()), (&flat[..], 1, 0));
    }
}

#[test]
fn weights_and_training_state_come_back_bit_for_bit() {
    let place = Place::new("roundtrip");
    let (a, b) = (random(layout().len(), 1), random(layout().len(), 2));
    save_weights(&place.file(), &layout(), &a).unwrap();
    assert_eq!(load(&place.file()).unwrap(), a);
    let state = place.0.join("training_state.safetensors");
    save_slots(&state, &layout(), &slots([a.clone(), b.clone()])).unwrap();
    let bytes = std::fs::read(&state).unwrap();
    let names = SafeTensors::deserialize(&bytes).unwrap();
    assert!(names.tensor("exp_avg_sq.bert.embeddings.LayerNorm.weight").is_ok());
    let mut loaded = slots([vec![0.0; a.len()], vec![0.0; a.len()]]);
    load_slots(&state, &layout(), &mut loaded).unwrap();
    assert!(loaded[0].values == a && loaded[1].values == b);
    let error = load_slots(&place.file(), &layout(), &mut loaded).unwrap_err();
    assert!(error.code == Code::Mismatch && error.message.contains("exp_avg.bert."), "{error}");
    assert!(error.hint.contains("another optimizer"));
    assert_eq!(save_weights(&place.file(), &layout(), &a).unwrap_err().code, Code::Io, "never overwrites");
    let diverged = [&a[1..], &[f32::NAN]].concat();
    let other = place.0.join("other.safetensors");
    assert_eq!(save_weights(&other, &layout(), &diverged).unwrap_err().code, Code::NonFinite);
    assert!(!other.exists());
}

#[test]
fn map_weights_takes_its_own_files_in_place_and_leaves_others_to_be_copied() {
    let place = Place::new("map");
    let flat = random(layout().len(), 1);
    save_weights(&place.file(), &layout(), &flat).unwrap();
    assert_eq!(map_weights(&place.file(), &layout()).unwrap().unwrap().0[..], flat);
    let change = |f: &dyn Fn(&mut Vec<Raw>)| {
        let mut all = tensors(&flat);
        f(&mut all);
        write(&place.file(), &all);
        map_weights(&place.file(), &layout()).unwrap().is_none()
    };
    assert!(change(&|_| {}), "sorted by name, as the safetensors library writes them");
    assert!(change(&|t| t.truncate(3)));
    assert!(change(&|t| t[1].2 = vec![t[1].2[0] * t[1].2[1]]));
    std::fs::write(place.file(), b"not a safetensors file").unwrap();
    assert_eq!(map_weights(&place.file(), &layout()).err().unwrap().code, Code::Corrupt);
}

#[test]
fn load_takes_legacy_names_half_precision_and_foreign_tensors() {
    let place = Place::new("legacy");
    let flat: Vec<f32> = random(layout().len(), 3).iter().map(|x| f32::from_bits(x.to_bits() & 0xffff_0000)).collect();
    let mut old = tensors(&flat);
    for (name, dtype, _, data) in &mut old {
        if name.contains("LayerNorm") {
            *name = name.replace(".weight", ".gamma").replace(".bias", ".beta");
        } else if name == "cls.predictions.bias" {
            *name = "cls.predictions.decoder.bias".into();
        } else {
            *dtype = Dtype::BF16;
            *data = data.chunks_exact(4).flat_map(|b| [b[2], b[3]]).collect();
        }
    }
    old.push(("cls.seq_relationship.bias".into(), Dtype::F32, vec![2], vec![0; 8]));
    old.push(("cls.predictions.decoder.weight".into(), Dtype::F32, vec![1], vec![0; 4]));
    write(&place.file(), &old);
    assert_eq!(load(&place.file()).unwrap(), flat);
}

#[test]
fn load_leaves_new_heads_as_they_are_and_takes_a_bare_encoder() {
    let place = Place::new("heads");
    let flat = random(layout().len(), 6);
    let mut bare = tensors(&flat);
    bare.retain(|t| t.0.starts_with("bert."));
    bare.iter_mut().for_each(|t| t.0 = t.0.replacen("bert.", "", 1));
    write(&place.file(), &bare);
    let layout = Blueprint::of(&tiny(), &classification(false)).unwrap().layout();
    let load = |may_be_missing: &[Part]| {
        let may_be_missing = may_be_missing.to_vec();
        let mut found = vec![7.0; layout.len()];
        load_weights(&Weights { path: place.file(), may_be_missing }, &layout, &mut found).map(|new| (found, new))
    };
    let (found, new) = load(&[Part::Pooler, Part::Classifier]).unwrap();
    let pooler = layout.find("bert.pooler.dense.weight").unwrap().offset;
    assert_eq!(found[..pooler], flat[..pooler]);
    assert!(found[pooler..].iter().all(|&x| x == 7.0));
    assert_eq!((new.initialized.len(), new.passed_over, new.unknown.len()), (4, 0, 0), "{new:?}");
    let error = load(&[Part::Classifier]).unwrap_err();
    assert!(error.message.contains("bert.pooler.dense.weight is missing"), "{error}");
    assert!(error.hint.contains("no pooler"), "{error}");
}

#[test]
fn load_names_what_is_missing_misshapen_or_not_finite() {
    let flat = random(layout().len(), 4);
    let change = |what: &str, f: &dyn Fn(&mut Vec<Raw>)| {
        let place = Place::new(what);
        let mut all = tensors(&flat);
        f(&mut all);
        write(&place.file(), &all);
        load(&place.file()).unwrap_err()
    };
    let error = change("missing", &|t| t.retain(|x| x.0 != "bert.encoder.layer.1.output.dense.bias"));
    assert!(error.code == Code::Mismatch && error.message.contains("layer.1.output.dense.bias"), "{error}");
    let error = change("headless", &|t| t.retain(|x| !x.0.starts_with("cls.")));
    assert!(error.hint.contains("no masked-LM head"), "{error}");
    let error = change("shape", &|t| t[1].2 = vec![t[1].2[0] * t[1].2[1]]);
    assert!(error.code == Code::Mismatch && error.message.contains("[10, 8]"), "{error}");
    let error = change("nan", &|t| t[2].3[..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert!(error.code == Code::NonFinite && error.message.contains("token_type_embeddings"), "{error}");
    let error = change("dtype", &|t| (t[3].1, t[3].3) = (Dtype::I64, vec![0; 64]));
    assert!(error.code == Code::Mismatch && error.message.contains("I64"), "{error}");
}

#[test]
fn load_refuses_empty_truncated_and_lying_files() {
    let place = Place::new("attacks");
    let path = place.file();
    assert_eq!(load(&path).unwrap_err().code, Code::Io);
    save_weights(&path, &layout(), &random(layout().len(), 5)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut lying = whole.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let text = String::from_utf8_lossy(&whole).replacen("\"data_offsets\":[0,", "\"data_offsets\":[9,", 1).into_bytes();
    for bytes in [
        &[][..],
        &whole[..5],
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
        &lying,
        b"not a safetensors file",
        &text,
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = load(&path).unwrap_err();
        assert!(error.code == Code::Corrupt && error.message.contains("model.safetensors"), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn save_to_a_full_disk_is_an_io_error() {
    let place = Place::new("full");
    let link = place.file();
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let mut file = File::options().write(true).open(&link).unwrap();
    assert!(file.write_all(&[0; 8]).is_err(), "/dev/full takes nothing");
    assert_eq!(save_weights(&link, &layout(), &random(layout().len(), 6)).unwrap_err().code, Code::Io);
}
