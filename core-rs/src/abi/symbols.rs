//! `ffi/symbols.gen.ts` and the hash, both from [`super::CALLS`].

use std::fmt::Write;

use super::CALLS;
use crate::rng::splitmix64;

/// A hash of the version and of every call's name, parameters and mode; a constant of the library.
pub const ABI_HASH: u32 = {
    let mut hash = hash_text(0, env!("CARGO_PKG_VERSION"));
    let mut i = 0;
    while i < CALLS.len() {
        hash = hash_text(hash, CALLS[i].name);
        let mut j = 0;
        while j < CALLS[i].parameters.len() {
            hash = hash_text(hash_text(hash, CALLS[i].parameters[j].0), CALLS[i].parameters[j].1);
            j += 1;
        }
        hash = splitmix64(hash ^ CALLS[i].nonblocking as u64);
        i += 1;
    }
    (hash >> 32) as u32
};

const fn hash_text(mut hash: u64, text: &str) -> u64 {
    let mut i = 0;
    while i < text.len() {
        hash = splitmix64(hash ^ text.as_bytes()[i] as u64);
        i += 1;
    }
    splitmix64(hash ^ text.len() as u64)
}

/// The text of `ffi/symbols.gen.ts`.
pub fn symbols_typescript() -> String {
    let mut out = String::from(
        "// Generated from core-rs/src/abi by `cargo run --release --example generate_symbols`; do not edit.\n\n\
         /** What this version of cloze expects `cloze_abi_hash` to return. */\n",
    );
    let _ = writeln!(out, "export const ABI_HASH = {};\n", ABI_HASH);
    out.push_str("/** The exported calls; each returns a status and ends with an error buffer and its length. */\n");
    out.push_str("export const SYMBOLS = {\n  cloze_abi_hash: { parameters: [], result: \"u32\" },\n");
    for call in CALLS {
        let kinds: Vec<_> = call
            .parameters
            .iter()
            .map(|(_, kind)| *kind)
            .chain(["buffer", "u32"])
            .map(|k| format!("\"{k}\""))
            .collect();
        let names: Vec<_> = call.parameters.iter().map(|(name, _)| *name).chain(["error", "error_len"]).collect();
        let _ = writeln!(out, "  /** {} */", names.join(", "));
        let _ = writeln!(out, "  {}: {{", call.name);
        let line = format!("    parameters: [{}],", kinds.join(", "));
        if line.len() <= 120 {
            let _ = writeln!(out, "{line}");
        } else {
            let _ = writeln!(out, "    parameters: [");
            for kind in kinds {
                let _ = writeln!(out, "      {kind},");
            }
            let _ = writeln!(out, "    ],");
        }
        let _ = writeln!(out, "    result: \"i32\",");
        let _ = writeln!(out, "    nonblocking: {},\n  }},", call.nonblocking);
    }
    out.push_str("} as const;\n");
    out
}
