//! SHA-256 of a file, by which a folder's SHA256SUMS names it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::tensors::unreadable;
use crate::error::Result;

/// Read, and not mapped: a file that is cut short meanwhile is then an error and not the end of the process.
const AT_ONCE: usize = 1 << 18;

/// The hash of what a file has in it.
///
/// # Errors
/// `Io` if it cannot be read.
pub fn file_sha256(path: &Path) -> Result<[u8; 32]> {
    let mut file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let mut buffer = vec![0; AT_ONCE];
    let mut hash = Sha256::new();
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(read) => hash.update(&buffer[..read]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(path, &e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn file_sha256_is_that_of_the_standard_also_of_a_file_longer_than_its_buffer() {
        let path = std::env::temp_dir().join(format!("cloze-sha256-{}", std::process::id()));
        let hash_of = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            file_sha256(&path).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        // FIPS 180-4's examples: "abc", and a million times "a".
        assert_eq!(hash_of(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let million = vec![b'a'; 1_000_000];
        assert_eq!(hash_of(&million), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        std::fs::remove_file(&path).unwrap();
        let error = file_sha256(&path).unwrap_err();
        assert_eq!(error.code, Code::Io);
        assert!(error.message.contains("cloze-sha256"), "{error}");
    }
}
