//! Writes ffi/symbols.gen.ts. usage: cargo run --release --example generate_symbols

fn main() -> std::io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ffi/symbols.gen.ts");
    std::fs::write(path, cloze_core::abi::symbols_typescript())
}
