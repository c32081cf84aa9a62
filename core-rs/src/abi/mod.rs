//! The boundary: the only module that knows C. See docs/abi.md for the contract of each call.
//!
//! [`exports!`] below is the single source: it makes the exported functions, the table that `ffi/symbols.gen.ts` is
//! generated from, and the hash that both sides compare when the library is loaded. Nothing unwinds across the boundary,
//! no pointer outlives a call, and handles are numbers that are never reused.

mod call;
mod lane;
mod open;
mod registry;
mod symbols;
mod world;

use std::path::PathBuf;

use crate::checkpoint::{Extension, extend_weights, file_sha256};
use call::{Arguments, Bytes, guard, parse, step_number};
pub use open::{Opener, provide_candle};
pub use symbols::{ABI_HASH, symbols_typescript};

use crate::blueprint::parameters_per_token;
use crate::engine::{MOST_THREADS, Report, RowResults, expect_len};
use crate::error::Result;
use crate::machine::dtype::Bf16;
use crate::ops::gemm::rate::gemm_gflops;

/// One exported call, as the generated symbols need it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Exported name.
    pub name: &'static str,
    /// Names and kinds (`buffer`, `u32`, `f64`) of the parameters, in order, without the error buffer at the end.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Whether it may take long, so that Deno runs it on another thread.
    pub nonblocking: bool,
}

macro_rules! kind {
    (buffer) => { *mut u8 };
    (u32) => { u32 };
    (f64) => { f64 };
}

macro_rules! nonblocking {
    (quick) => {
        false
    };
    (long) => {
        true
    };
}

/// Each call gets `error: buffer, error_len: u32` appended and returns a status: 0, or a [`crate::error::Code`].
macro_rules! exports {
    ($( $(#[$doc:meta])* $speed:ident fn $name:ident($($parameter:ident: $kind:ident),*) => $body:expr; )*) => {
        /// Every exported call that returns a status.
        pub const CALLS: &[Call] = &[$(
            Call {
                name: stringify!($name),
                parameters: &[$((stringify!($parameter), stringify!($kind))),*],
                nonblocking: nonblocking!($speed),
            }
        ),*];
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// Every buffer is null or valid for its length during the call, and aligned for its element type.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($parameter: kind!($kind),)* error: *mut u8, error_len: u32) -> i32 {
                let body: fn($(kind!($kind)),*) -> Result<()> = $body;
                guard(Bytes::new(error, error_len), || body($($parameter),*))
            }
        )*
    };
}

exports! {
    /// Opens an engine from a JSON request and writes its handle (u32).
    long fn cloze_open(request: buffer, request_len: u32, handle: buffer) => |request, len, handle| {
        let handle: &mut [u32] = Bytes::one(handle).write_through("handle")?;
        let (engine, lane) = open::open(Bytes::new(request, len).read("request")?)?;
        handle[0] = registry::register(engine, lane)?;
        Ok(())
    };
    /// Writes how many tokens of a batch (u32) fit into what is free on the GPU that the engine of such a request would run
    /// on: `max_tokens`, or that halved until it fits; 0 where it would run on the CPU.
    long fn cloze_tokens_that_fit(request: buffer, request_len: u32, tokens: buffer) => |request, len, tokens| {
        let tokens: &mut [u32] = Bytes::one(tokens).write_through("tokens")?;
        tokens[0] = open::tokens_that_fit(Bytes::new(request, len).read("request")?)?;
        Ok(())
    };
    /// Frees an engine. The handle is never used again.
    quick fn cloze_close(handle: u32) => registry::close;
    /// Writes a JSON description of the engine and its length in bytes (u32); with too small a buffer, only the length.
    quick fn cloze_describe(handle: u32, out: buffer, out_len: u32, written: buffer) => |handle, out, len, written| {
        let text = registry::with_engine(handle, |engine| Ok(open::describe(engine)))?;
        write_text(&text, Bytes::new(out, len), Bytes::one(written))
    };
    /// Writes a JSON report on this machine (GPU, its libraries) as `cloze_describe` does; the request is JSON too.
    long fn cloze_doctor(request: buffer, request_len: u32, out: buffer, out_len: u32, written: buffer) =>
    |request, request_len, out, len, written| {
        let text = open::doctor(Bytes::new(request, request_len).read("request")?)?;
        write_text(&text, Bytes::new(out, len), Bytes::one(written))
    };
    /// Joins the processes that an MPI launcher has started, as a JSON request says, and writes JSON as `cloze_describe` does.
    long fn cloze_join(request: buffer, request_len: u32, out: buffer, out_len: u32, written: buffer) =>
    |request, request_len, out, len, written| {
        let text = world::join(Bytes::new(request, request_len).read("request")?)?;
        write_text(&text, Bytes::new(out, len), Bytes::one(written))
    };
    /// Gives `own` to every process and writes what each has given to `all`, in their order. Waits for them
    /// as long as it takes if `patient` is not 0.
    long fn cloze_gather(own: buffer, own_len: u32, all: buffer, all_len: u32, patient: u32) =>
    |own, own_len, all, all_len, patient| {
        let (own, all) = (Bytes::new(own, own_len).read("own")?, Bytes::new(all, all_len).write_through("all")?);
        world::gather(own, all, patient != 0)
    };
    /// Leaves the other processes, who have to leave, too; with a code other than 0 it ends all of them, this one included.
    long fn cloze_leave(code: u32) => world::leave;
    /// Brings the optimizer's state together for the next `cloze_save` of process 0, where it is shared; all call this at once.
    long fn cloze_collect(handle: u32) => |handle| {
        registry::with_engine(handle, |engine| engine.collect_training_state())
    };
    /// Writes weights and, if asked for, the training state, as a JSON request says.
    long fn cloze_save(handle: u32, request: buffer, request_len: u32) => |handle, request, len| {
        let request = Bytes::new(request, len).read("request")?;
        registry::with_engine(handle, |engine| open::save(engine, request))
    };
    /// Copies weights with rows for more tokens, as a JSON request says.
    long fn cloze_extend_weights(request: buffer, request_len: u32) => |request, len| {
        let extension: Extension = parse(Bytes::new(request, len).read("request")?)?;
        extend_weights(&extension)
    };
    /// Writes the SHA-256 (u8[32]) of the file whose path is a JSON string.
    long fn cloze_file_sha256(path: buffer, path_len: u32, hash: buffer, hash_len: u32) => |path, len, hash, hash_len| {
        let hash: &mut [u8] = Bytes::new(hash, hash_len).write_through("hash")?;
        expect_len("hash", hash.len(), 32)?;
        let path: PathBuf = parse(Bytes::new(path, len).read("path")?)?;
        hash.copy_from_slice(&file_sha256(&path)?);
        Ok(())
    };
    /// Adds one batch's gradient. On a GPU it returns before that is done; the arrays may change then.
    long fn cloze_forward_backward(
        handle: u32, input_ids: buffer, token_type_ids: buffer, position_ids: buffer, tokens: u32, cu_seqlens: buffer,
        cu_seqlens_len: u32, masked_positions: buffer, masked: u32, labels: buffer, labels_len: u32,
        sequence_labels: buffer, sequence_labels_len: u32, sequence_targets: buffer, sequence_targets_len: u32,
        sequence_weight: f64, step: f64, micro_step: u32
    ) => |handle, ids, types, positions, n, cu, cu_len, masked, m, labels, labels_len, sequence_labels,
        sequence_labels_len, sequence_targets, sequence_targets_len, sequence_weight, step, micro_step| {
        let arguments = Arguments {
            ids, types, positions, n, cu, cu_len, masked, m, labels, labels_len, sequence_labels, sequence_labels_len,
            sequence_targets, sequence_targets_len, sequence_weight,
        };
        let (batch, step) = (arguments.batch()?, step_number(step)?);
        registry::with_engine(handle, |engine| engine.forward_backward(&batch, step, micro_step))
    };
    /// Updates the weights. On a GPU it returns before that is done.
    long fn cloze_update(handle: u32, learning_rate: f64, step: f64) => |handle, learning_rate, step| {
        let step = step_number(step)?;
        registry::with_engine(handle, |engine| engine.update(learning_rate, step))
    };
    /// From the next update on, trains only `count` rows from `first` on of what has a row a token; everything for 0.
    quick fn cloze_train_rows(handle: u32, first: u32, count: u32) => |handle, first, count| {
        let first = first as usize;
        let rows = (count > 0).then(|| first..first + count as usize);
        registry::with_engine(handle, |engine| engine.train_rows(rows))
    };
    /// Waits for all training and writes what came of it since the last report; `out` is f64[8]: loss sum, masked tokens,
    /// right ones, then the same of the sequences, the last update's gradient norm, and what that was divided by.
    long fn cloze_report(handle: u32, out: buffer) => |handle, out| {
        let out: &mut [f64] = Bytes::new(out, 8).write_through("out")?;
        let Report { sums, grad_norm, units } = registry::with_engine(handle, |engine| engine.report())?;
        let tokens = [sums.loss_sum, sums.masked as f64, sums.correct as f64];
        let sequences = [sums.sequence_loss_sum, sums.sequences as f64, sums.sequences_correct as f64];
        out.copy_from_slice(&[&tokens[..], &sequences, &[grad_norm, units as f64]].concat());
        Ok(())
    };
    /// Loss (f32, nats) and rank of the label (i32) of each of M masked rows and B sequences, without dropout.
    long fn cloze_evaluate(
        handle: u32, input_ids: buffer, token_type_ids: buffer, position_ids: buffer, tokens: u32, cu_seqlens: buffer,
        cu_seqlens_len: u32, masked_positions: buffer, masked: u32, labels: buffer, labels_len: u32,
        sequence_labels: buffer, sequence_labels_len: u32, row_loss: buffer, row_rank: buffer, sequence_loss: buffer,
        sequence_rank: buffer
    ) => |handle, ids, types, positions, n, cu, cu_len, masked, m, labels, labels_len, sequence_labels,
        sequence_labels_len, row_loss, row_rank, sequence_loss, sequence_rank| {
        let arguments = Arguments {
            labels, labels_len, sequence_labels, sequence_labels_len,
            ..Arguments::unlabeled(ids, types, positions, n, cu, cu_len, masked, m)
        };
        let batch = arguments.batch()?;
        let results = RowResults {
            loss: Bytes::new(row_loss, m).write_through("row_loss")?,
            rank: Bytes::new(row_rank, m).write_through("row_rank")?,
            sequence_loss: Bytes::new(sequence_loss, sequence_labels_len).write_through("sequence_loss")?,
            sequence_rank: Bytes::new(sequence_rank, sequence_labels_len).write_through("sequence_rank")?,
        };
        registry::with_engine(handle, |engine| engine.evaluate(&batch, results))
    };
    /// The `k` most probable ids (i32[M, k]) of each masked row and their probabilities (f32[M, k]).
    long fn cloze_top_k(
        handle: u32, input_ids: buffer, token_type_ids: buffer, position_ids: buffer, tokens: u32, cu_seqlens: buffer,
        cu_seqlens_len: u32, masked_positions: buffer, masked: u32, k: u32, ids: buffer, probabilities: buffer,
        out_len: u32
    ) => |handle, input, types, positions, n, cu, cu_len, masked, m, k, ids, probabilities, out_len| {
        let arguments = Arguments::unlabeled(input, types, positions, n, cu, cu_len, masked, m);
        let batch = arguments.batch()?;
        let ids = Bytes::new(ids, out_len).write_through("ids")?;
        let probabilities = Bytes::new(probabilities, out_len).write_through("probabilities")?;
        registry::with_engine(handle, |engine| engine.top_k(&batch, k as usize, ids, probabilities))
    };
    /// The logits (f32[M, V]) of the masked rows.
    long fn cloze_logits(
        handle: u32, input_ids: buffer, token_type_ids: buffer, position_ids: buffer, tokens: u32, cu_seqlens: buffer,
        cu_seqlens_len: u32, masked_positions: buffer, masked: u32, out: buffer, out_len: u32
    ) => |handle, ids, types, positions, n, cu, cu_len, masked, m, out, out_len| {
        let arguments = Arguments::unlabeled(ids, types, positions, n, cu, cu_len, masked, m);
        let batch = arguments.batch()?;
        let out = Bytes::new(out, out_len).write_through("out")?;
        registry::with_engine(handle, |engine| engine.logits(&batch, out))
    };
    /// The logits (f32[B, K]) of the sequences.
    long fn cloze_sequence_logits(
        handle: u32, input_ids: buffer, token_type_ids: buffer, position_ids: buffer, tokens: u32, cu_seqlens: buffer,
        cu_seqlens_len: u32, out: buffer, out_len: u32
    ) => |handle, ids, types, positions, n, cu, cu_len, out, out_len| {
        let arguments = Arguments::unlabeled(ids, types, positions, n, cu, cu_len, std::ptr::null_mut(), 0);
        let batch = arguments.batch()?;
        let out = Bytes::new(out, out_len).write_through("out")?;
        registry::with_engine(handle, |engine| engine.sequence_logits(&batch, out))
    };
    /// The encoder's output (f32[N, C]) for every token.
    long fn cloze_hidden_states(
        handle: u32, input_ids: buffer, token_type_ids: buffer, position_ids: buffer, tokens: u32, cu_seqlens: buffer,
        cu_seqlens_len: u32, out: buffer, out_len: u32
    ) => |handle, ids, types, positions, n, cu, cu_len, out, out_len| {
        let arguments = Arguments::unlabeled(ids, types, positions, n, cu, cu_len, std::ptr::null_mut(), 0);
        let batch = arguments.batch()?;
        let out = Bytes::new(out, out_len).write_through("out")?;
        registry::with_engine(handle, |engine| engine.hidden_states(&batch, out))
    };
    /// The probabilities (f32[H, T, T]) of the attention of one layer, from 0, in the only sequence.
    long fn cloze_attention(
        handle: u32, input_ids: buffer, token_type_ids: buffer, position_ids: buffer, tokens: u32, cu_seqlens: buffer,
        cu_seqlens_len: u32, layer: u32, out: buffer, out_len: u32
    ) => |handle, ids, types, positions, n, cu, cu_len, layer, out, out_len| {
        let arguments = Arguments::unlabeled(ids, types, positions, n, cu, cu_len, std::ptr::null_mut(), 0);
        let batch = arguments.batch()?;
        let out = Bytes::new(out, out_len).write_through("out")?;
        registry::with_engine(handle, |engine| engine.attention(&batch, layer as usize, out))
    };
    /// The word embeddings (f32[V, E]).
    long fn cloze_word_embeddings(handle: u32, out: buffer, out_len: u32) => |handle, out, out_len| {
        let out = Bytes::new(out, out_len).write_through("out")?;
        registry::with_engine(handle, |engine| {
            let name = parameters_per_token(&engine.options().config)?.swap_remove(0).name;
            let rows = engine.parameter(&name)?;
            expect_len("out", out.len(), rows.len())?;
            out.copy_from_slice(&rows);
            Ok(())
        })
    };
    /// GFLOP/s (f64) of the engine's matrix product with `threads` threads, in bf16 or, for 0, f32.
    long fn cloze_gemm_rate(bf16: u32, threads: u32, out: buffer) => |bf16, threads, out| {
        let threads = threads.clamp(1, MOST_THREADS as u32) as usize;
        let rate = if bf16 == 0 { gemm_gflops::<f32>(threads)? } else { gemm_gflops::<Bf16>(threads)? };
        Bytes::one(out).write("out", &[rate])
    };
}

/// Writes a text that fits, and its length in any case.
fn write_text(text: &str, out: Bytes, written: Bytes) -> Result<()> {
    let room = out.write_through::<u8>("out")?;
    if let Some(room) = room.get_mut(..text.len()) {
        room.copy_from_slice(text.as_bytes());
    }
    written.write("written", &[text.len() as u32])
}

/// A number that changes with any call's name or parameters; the TypeScript side compares it before any other call.
#[unsafe(no_mangle)]
pub extern "C" fn cloze_abi_hash() -> u32 {
    ABI_HASH
}

#[cfg(test)]
mod tests;
