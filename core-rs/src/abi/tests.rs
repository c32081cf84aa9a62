//! The exports called the way C would, with everything that a caller can get wrong.

use super::*;
use crate::blueprint::{Blueprint, ParameterLayout};
use crate::config::tests::tiny;
use crate::engine::batch::Batch;
use crate::engine::{Engine, EngineOptions, Loaded, Report, RowResults};
use crate::error::Code;
use crate::heads::Heads;
use crate::machine::dtype::Dtype;
use std::path::Path;
use std::ptr::null_mut;

type Status = (i32, String);

fn call(run: impl FnOnce(*mut u8, u32) -> i32) -> Status {
    let mut error = vec![0u8; 2048];
    let status = run(error.as_mut_ptr(), error.len() as u32);
    let end = error.iter().position(|&b| b == 0).unwrap();
    (status, String::from_utf8(error[..end].to_vec()).unwrap())
}

fn request(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut request = serde_json::json!({
        "config": tiny(), "heads": {"tokens": {"kind": "masked_lm"}, "sequence": null, "is_decoder": false, "freeze_encoder": false},
        "engine": "fused", "device": "cpu", "dtype": "f32", "threads": 2, "seed": 1, "max_tokens": 16,
        "max_sequences": 4, "max_masked": 8, "max_sequence_length": 10,
        "optimizer": {
            "name": "adamw", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-6, "weight_decay": 0.01, "max_grad_norm": 1.0,
        },
    });
    change(&mut request);
    request.to_string().into_bytes()
}

fn open(mut request: Vec<u8>) -> (Status, u32) {
    let mut handle = [0u32];
    // SAFETY: both buffers are alive and as long as said.
    let status = call(|e, l| unsafe {
        cloze_open(request.as_mut_ptr(), request.len() as u32, handle.as_mut_ptr().cast(), e, l)
    });
    (status, handle[0])
}

fn step(handle: u32, ids: &mut [i32], masked: &mut [i32], labels: &mut [i32]) -> Status {
    let (mut types, mut positions) = (vec![0i32; ids.len()], (0..ids.len() as i32).collect::<Vec<_>>());
    let mut cu = [0, ids.len() as i32];
    // SAFETY: every buffer is alive and as long as said.
    call(|e, l| unsafe {
        cloze_forward_backward(
            handle,
            ids.as_mut_ptr().cast(),
            types.as_mut_ptr().cast(),
            positions.as_mut_ptr().cast(),
            ids.len() as u32,
            cu.as_mut_ptr().cast(),
            2,
            masked.as_mut_ptr().cast(),
            masked.len() as u32,
            labels.as_mut_ptr().cast(),
            labels.len() as u32,
            null_mut(),
            0,
            null_mut(),
            0,
            1.0,
            0.0,
            0,
            e,
            l,
        )
    })
}

#[test]
fn open_step_update_close_work_and_the_handle_is_gone_after() {
    let ((status, message), handle) = open(request(|_| {}));
    assert_eq!((status, message.as_str()), (0, ""));
    assert_eq!(step(handle, &mut [1, 2, 3, 4], &mut [1], &mut [5]).0, 0);
    let mut out = [0.0f64; 8];
    // SAFETY: no buffer but the error's.
    let update = || call(|e, l| unsafe { cloze_update(handle, 1e-3, 0.0, e, l) }).0;
    assert_eq!(update(), 0);
    assert_eq!(update(), 2, "nothing accumulated");
    // SAFETY: a buffer as long as the call says.
    let report = |out: &mut [f64; 8]| call(|e, l| unsafe { cloze_report(handle, out.as_mut_ptr().cast(), e, l) }).0;
    assert_eq!(report(&mut out), 0);
    assert!(out[0] > 0.0 && out[1] == 1.0 && out[6] > 0.0 && out[7] == 1.0, "{out:?}");
    assert_eq!(report(&mut out), 0);
    assert_eq!(out[..6], [0.0; 6], "since the last report");
    // SAFETY: no buffer but the error's.
    let close = || call(|e, l| unsafe { cloze_close(handle, e, l) });
    assert_eq!(close().0, 0);
    let (status, message) = close();
    assert!(status == 2 && message.contains("not open"), "{message}");
    assert_eq!(step(handle, &mut [1, 2], &mut [1], &mut [5]).0, 2);
    assert!(open(request(|_| {})).1 > handle, "handles are not reused");
}

#[test]
fn bad_arguments_get_a_status_and_json_never_a_crash() {
    let (_, handle) = open(request(|_| {}));
    for (ids, masked, labels) in [
        (vec![1, 99], vec![1], vec![5]),
        (vec![1, i32::MIN], vec![1], vec![5]),
        (vec![1, 2], vec![2], vec![5]),
        (vec![1, 2], vec![1], vec![]),
        (vec![], vec![], vec![]),
        (vec![1; 17], vec![1], vec![5]),
    ] {
        let (mut ids, mut masked, mut labels) = (ids, masked, labels);
        let (status, message) = step(handle, &mut ids, &mut masked, &mut labels);
        let json: serde_json::Value = serde_json::from_str(&message).unwrap();
        assert!(status == 1 && json["code"] == "InvalidArgument", "{message}");
    }
    assert_eq!(step(handle, &mut [1, 2, 3], &mut [0], &mut [5]).0, 0, "the engine goes on");
    // SAFETY: null and zero lengths are what is tested.
    let nulls = call(|e, l| unsafe {
        cloze_forward_backward(
            handle,
            null_mut(),
            null_mut(),
            null_mut(),
            4,
            null_mut(),
            2,
            null_mut(),
            1,
            null_mut(),
            1,
            null_mut(),
            0,
            null_mut(),
            0,
            1.0,
            0.0,
            0,
            e,
            l,
        )
    });
    assert!(nulls.0 == 1 && nulls.1.contains("null"), "{nulls:?}");
    // SAFETY: without an error buffer the status has to do.
    assert_eq!(unsafe { cloze_close(u32::MAX, null_mut(), 0) }, 2);
    let mut short = [7u8; 40];
    // SAFETY: a short error buffer, as long as said.
    unsafe { cloze_close(u32::MAX, short.as_mut_ptr(), 40) };
    assert!(short[39] == 0 || short.contains(&0), "ends with a zero byte");
}

#[test]
fn open_refuses_what_it_does_not_know() {
    for (bytes, code, word) in [
        (b"{".to_vec(), 1, "request"),
        (vec![0xff, 0xfe], 1, "request"),
        (vec![], 1, "request"),
        (request(|r| r["engine"] = "magic".into()), 1, "magic"),
        (request(|r| r["device"] = "tpu".into()), 1, "tpu"),
        (request(|r| (r["device"], r["engine"]) = ("cuda".into(), "candle".into())), 9, "CPU only"),
        (request(|r| r["engine"] = "candle".into()), 9, "cloze_candle"),
        (request(|r| r["dtype"] = "f16".into()), 1, "f16"),
        (request(|r| r["threads"] = 0.into()), 1, "threads"),
        (request(|r| r["heads"] = "guess".into()), 1, "guess"),
        (request(|r| r["heads"]["sequence"] = 2.into()), 1, "request"),
        (request(|r| r["heads"]["tokens"] = serde_json::Value::Null), 1, "heads has none"),
        (request(|r| r["colour"] = 1.into()), 1, "colour"),
        (request(|r| r["config"]["num_attention_heads"] = 3.into()), 1, "num_attention_heads"),
        (request(|r| r["weights"] = "/nowhere/model.safetensors".into()), 3, "/nowhere"),
        (request(|r| r["max_tokens"] = (1u64 << 45).into()), 1, "max_tokens"),
        (request(|r| r["max_tokens"] = i32::MAX.into()), 7, "memory"),
        (request(|r| r["max_sequences"] = (1u64 << 53).into()), 1, "max_sequences"),
        (request(|r| r["max_sequences"] = 1e300.into()), 1, "request"),
        (request(|r| r["threads"] = (1u64 << 31).into()), 1, "threads"),
        (request(|r| r["seed"] = (-1).into()), 1, "request"),
        (request(|r| r["weights"] = "/dev/zero".into()), 3, "regular file"),
        (request(|r| r["config"]["layer_norm_eps"] = (-1).into()), 1, "layer_norm_eps"),
        (request(|r| r["config"]["num_hidden_layers"] = 9999.into()), 1, "num_hidden_layers"),
        (
            request(|r| {
                r["config"]["hidden_size"] = 131_072.into();
                r["config"]["num_hidden_layers"] = 1024.into();
            }),
            7,
            "memory",
        ),
    ] {
        let ((status, message), _) = open(bytes);
        assert!(status == code && message.contains(word), "{status} {message}");
    }
}

#[test]
fn update_and_step_refuse_numbers_that_would_spoil_the_weights() {
    let (_, handle) = open(request(|_| {}));
    assert_eq!(step(handle, &mut [1, 2, 3, 4], &mut [1], &mut [5]).0, 0);
    // SAFETY: no buffer but the error's.
    let update = |rate, step| call(|e, l| unsafe { cloze_update(handle, rate, step, e, l) });
    for bad in [f64::NAN, -1.0, f64::INFINITY] {
        let (status, message) = update(bad, 0.0);
        assert!(status == 1 && message.contains("learning_rate"), "{status} {message}");
    }
    for bad in [f64::NAN, -1.0, 0.5, 1e300, f64::INFINITY] {
        let (status, message) = update(1e-3, bad);
        assert!(status == 1 && message.contains("step"), "{status} {message}");
    }
    assert_eq!(update(1e-3, 9e15).0, 0, "the last step that there may be");
    assert_eq!(
        call(|e, l| {
            let mut request = request(|_| {});
            // SAFETY: the request is as long as said; there is no room for a handle.
            unsafe { cloze_open(request.as_mut_ptr(), request.len() as u32, null_mut(), e, l) }
        })
        .0,
        1
    );
}

#[test]
fn open_refuses_an_optimizer_that_is_not_one_or_would_spoil_the_weights() {
    type Change = fn(&mut serde_json::Value);
    let with = |change: Change| {
        let (status, handle) = open(request(|request| change(&mut request["optimizer"])));
        (status, handle)
    };
    let wrong: [(Change, &str); 6] = [
        (|optimizer| optimizer["name"] = "sgd".into(), "sgd"),
        (|optimizer| optimizer["learning_rate"] = 1.into(), "learning_rate"),
        (|optimizer| optimizer["beta1"] = 1.into(), "beta1 is 1"),
        (|optimizer| optimizer["weight_decay"] = (-1).into(), "weight_decay is -1"),
        (|optimizer| optimizer["max_grad_norm"] = 0.into(), "max_grad_norm is 0"),
        (|optimizer| optimizer["epsilon"] = serde_json::Value::Null, "epsilon"),
    ];
    for (change, expected) in wrong {
        let ((status, message), _) = with(change);
        assert!(status == 1 && (message.contains(expected) || message.contains("invalid type")), "{status} {message}");
    }
    let ((status, _), handle) = with(|optimizer| *optimizer = serde_json::Value::Null);
    assert_eq!(status, 0, "without one it opens, but is not trained");
    assert_eq!(step(handle, &mut [1, 2, 3, 4], &mut [1], &mut [5]).0, 2);
}

#[test]
fn describe_tells_the_length_when_the_buffer_is_short() {
    let (_, handle) = open(request(|_| {}));
    let (mut out, mut written) = (vec![0u8; 1 << 16], [0u32]);
    let mut describe = |len: u32| {
        // SAFETY: `len` is at most the buffer's length.
        let status =
            call(|e, l| unsafe { cloze_describe(handle, out.as_mut_ptr(), len, written.as_mut_ptr().cast(), e, l) });
        (status.0, written[0] as usize, out[0])
    };
    let (status, needed, first) = describe(3);
    assert!(status == 0 && needed > 3 && first == 0);
    let (_, len, _) = describe(1 << 16);
    let json: serde_json::Value = serde_json::from_slice(&out[..len]).unwrap();
    assert_eq!(json["parameters"][0]["name"], "bert.embeddings.word_embeddings.weight");
    assert_eq!(json["engine"], "fused");
}

/// Panics when it is used.
struct Bomb(ParameterLayout, EngineOptions);

impl Engine for Bomb {
    fn forward_backward(&mut self, _: &Batch, _: u64, _: u32) -> crate::error::Result<()> {
        panic!("the bomb")
    }
    fn train_rows(&mut self, _: Option<std::ops::Range<usize>>) -> crate::error::Result<()> {
        Ok(())
    }
    fn update(&mut self, _: f64, _: u64) -> crate::error::Result<()> {
        Ok(())
    }
    fn report(&mut self) -> crate::error::Result<Report> {
        Ok(Report::default())
    }
    fn evaluate(&mut self, _: &Batch, _: RowResults) -> crate::error::Result<()> {
        Ok(())
    }
    fn top_k(&mut self, _: &Batch, _: usize, _: &mut [i32], _: &mut [f32]) -> crate::error::Result<()> {
        Ok(())
    }
    fn logits(&mut self, _: &Batch, _: &mut [f32]) -> crate::error::Result<()> {
        Ok(())
    }
    fn sequence_logits(&mut self, _: &Batch, _: &mut [f32]) -> crate::error::Result<()> {
        Ok(())
    }
    fn hidden_states(&mut self, _: &Batch, _: &mut [f32]) -> crate::error::Result<()> {
        Ok(())
    }
    fn attention(&mut self, _: &Batch, _: usize, _: &mut [f32]) -> crate::error::Result<()> {
        Ok(())
    }
    fn loaded(&self) -> &Loaded {
        unreachable!("not asked for")
    }
    fn save_weights(&mut self, _: &Path) -> crate::error::Result<()> {
        Ok(())
    }
    fn save_training_state(&mut self, _: &Path) -> crate::error::Result<()> {
        Ok(())
    }
    fn load_training_state(&mut self, _: &Path) -> crate::error::Result<()> {
        Ok(())
    }
    fn gradient(&mut self, _: &str) -> crate::error::Result<Vec<f32>> {
        Ok(Vec::new())
    }
    fn parameter(&mut self, _: &str) -> crate::error::Result<Vec<f32>> {
        Ok(Vec::new())
    }
    fn layout(&self) -> &ParameterLayout {
        &self.0
    }
    fn options(&self) -> &EngineOptions {
        &self.1
    }
    fn instruction_set(&self) -> String {
        "none".into()
    }
    fn name(&self) -> &'static str {
        "bomb"
    }
}

#[test]
fn a_panic_becomes_an_error_and_poisons_its_handle_only() {
    let config = tiny();
    let options = EngineOptions {
        config: config.clone(),
        heads: Heads::MASKED_LM,
        seed: 1,
        dtype: Dtype::F32,
        threads: 1,
        max_tokens: 1,
        max_sequences: 1,
        max_masked: 1,
        max_sequence_length: 1,
        optimizer: None,
        decoder_bias: None,
        inner_initializer_range: None,
        neighbour_attention: false,
        profile: false,
    };
    let bomb = Bomb(Blueprint::of(&config, &Heads::MASKED_LM).unwrap().layout(), options);
    let handle = registry::register(Box::new(bomb), Default::default()).unwrap();
    let (status, message) = step(handle, &mut [1], &mut [0], &mut [1]);
    assert!(status == 8 && message.contains("the bomb"), "{message}");
    let (status, message) = step(handle, &mut [1], &mut [0], &mut [1]);
    assert!(status == 2 && message.contains("panicked"), "{message}");
    // SAFETY: no buffer but the error's.
    assert_eq!(call(|e, l| unsafe { cloze_close(handle, e, l) }).0, 0);
    assert_eq!(open(request(|_| {})).0.0, 0, "other handles work");
}

#[test]
fn calls_from_two_threads_are_told_that_the_engine_is_busy() {
    let (_, handle) = open(request(|_| {}));
    registry::with_engine(handle, |_| {
        let error = registry::with_engine(handle, |_| Ok(())).unwrap_err();
        assert!(error.message.contains("busy"), "{error}");
        Ok(())
    })
    .unwrap();
}

#[test]
fn symbols_typescript_is_what_is_committed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ffi/symbols.gen.ts");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == symbols_typescript(), "run: cargo run --release --example generate_symbols");
}

#[test]
fn what_processes_do_together_wants_that_they_have_joined() {
    let (mut own, mut all) = ([1u8; 4], [0u8; 4]);
    // SAFETY: both buffers are alive and as long as said.
    let (status, message) = call(|e, l| unsafe { cloze_gather(own.as_mut_ptr(), 4, all.as_mut_ptr(), 4, 0, e, l) });
    assert_eq!((status, all), (Code::InvalidState as i32, [0; 4]), "{message}");
    for code in [0, 1] {
        // SAFETY: it has no buffer but the error's.
        let (status, message) = call(|e, l| unsafe { cloze_leave(code, e, l) });
        assert!(status == Code::InvalidState as i32 && message.contains("has not joined"), "{message}");
    }
    let mut out = [0u8; 64];
    let mut written = [0u32];
    for (text, code) in [
        (r#"{"search":{"names":["libnothing.so.9"]},"size":2,"patience_ms":1}"#, Code::Unsupported),
        (r#"{"search":{"names":[]},"descriptor":987654,"patience_ms":1}"#, Code::Unsupported),
        (r#"{"search":{"names":[]},"processes":2}"#, Code::InvalidArgument),
    ] {
        let mut request = text.as_bytes().to_vec();
        // SAFETY: as above.
        let (status, message) = call(|e, l| unsafe {
            let (request, out, written) = (&mut request, out.as_mut_ptr(), written.as_mut_ptr().cast());
            cloze_join(request.as_mut_ptr(), request.len() as u32, out, 64, written, e, l)
        });
        assert_eq!(status, code as i32, "{message}");
    }
}

#[test]
fn open_cuts_updates_of_the_fused_engine_on_the_cpu_only() {
    let (_, handle) = open(request(|r| r["micro_batches"] = 2.into()));
    let (mut ids, mut masked, mut labels) = ([1, 2, 3], [1], [2]);
    assert_eq!(step(handle, &mut ids, &mut masked, &mut labels).0, 0);
    let (status, message) = step(handle, &mut ids, &mut masked, &mut labels);
    assert!(status != 0 && message.contains("where 1 is next"), "{message}");
    for (change, code) in [("candle", Code::Unsupported), ("fused", Code::InvalidArgument)] {
        let ((status, message), _) = open(request(|r| {
            r["engine"] = change.into();
            r["micro_batches"] = 3.into();
        }));
        assert_eq!(status, code as i32, "{message}");
    }
}
