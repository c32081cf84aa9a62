//! What tells machines, and shares of one, apart.

/// The name of this machine, or nothing.
#[cfg(unix)]
pub fn name() -> String {
    let mut room = [0u8; 256];
    // SAFETY: as many bytes may be written, and a zero byte stays behind them.
    let status = unsafe { libc::gethostname(room.as_mut_ptr().cast(), room.len() - 1) };
    let end = room.iter().position(|&byte| byte == 0).unwrap_or(0);
    if status == 0 { String::from_utf8_lossy(&room[..end]).into() } else { String::new() }
}

/// Not asked for.
#[cfg(not(unix))]
pub fn name() -> String {
    String::new()
}

/// The processors that this thread may run on, as a bit each in hexadecimal; nothing where the system does not tell.
#[cfg(target_os = "linux")]
pub fn cpus() -> String {
    let mut set = [0u64; 16];
    // SAFETY: as many bytes may be written.
    let status = unsafe { libc::sched_getaffinity(0, size_of_val(&set), set.as_mut_ptr().cast()) };
    if status == 0 { set.iter().rev().map(|bits| format!("{bits:016x}")).collect() } else { String::new() }
}

/// Not told.
#[cfg(not(target_os = "linux"))]
pub fn cpus() -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_cpus_are_there_where_the_system_tells() {
        if cfg!(target_os = "linux") {
            assert!(!name().is_empty());
            assert!(cpus().bytes().any(|byte| byte != b'0') && cpus().len() == 256);
        }
    }
}
