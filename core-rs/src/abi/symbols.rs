//! `ffi/symbols.gen.ts` and the hash, both from [`super::CALLS`].

use std::fmt::Write;

use super::CALLS;
use crate::rng::splitmix64;

/// A hash of every call's name, parameters and mode, and of the version.
pub fn abi_hash() -> u32 {
    let text = format!("{} {CALLS:?}", env!("CARGO_PKG_VERSION"));
    let hash = text.bytes().fold(0u64, |hash, byte| splitmix64(hash ^ u64::from(byte)));
    (hash >> 32) as u32
}

/// The text of `ffi/symbols.gen.ts`.
pub fn symbols_typescript() -> String {
    let mut out = String::from(
        "// Generated from core-rs/src/abi by `cargo run --release --example generate_symbols`; do not edit.\n\n\
         /** What this version of cloze expects `cloze_abi_hash` to return. */\n",
    );
    let _ = writeln!(out, "export const ABI_HASH = {};\n", abi_hash());
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
