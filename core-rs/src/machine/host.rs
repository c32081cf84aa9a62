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

/// What the processor calls itself, such as `Intel(R) Xeon(R) Processor`; nothing where it does not.
#[cfg(target_arch = "x86_64")]
pub fn processor() -> String {
    use std::arch::x86_64::__cpuid;
    const NAME: std::ops::RangeInclusive<u32> = 0x8000_0002..=0x8000_0004;
    if __cpuid(0x8000_0000).eax < *NAME.end() {
        return String::new();
    }
    let words = NAME.map(__cpuid).flat_map(|part| [part.eax, part.ebx, part.ecx, part.edx]);
    let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The same of Apple's.
#[cfg(all(target_os = "macos", not(target_arch = "x86_64")))]
pub fn processor() -> String {
    let mut room = [0u8; 256];
    let mut len = room.len() - 1;
    // SAFETY: at most `len` bytes are written, and a zero byte stays behind them.
    let status = unsafe {
        libc::sysctlbyname(
            c"machdep.cpu.brand_string".as_ptr(),
            room.as_mut_ptr().cast(),
            &raw mut len,
            std::ptr::null_mut(),
            0,
        )
    };
    let end = room.iter().position(|&byte| byte == 0).unwrap_or(0);
    if status == 0 { String::from_utf8_lossy(&room[..end]).into() } else { String::new() }
}

/// Not told.
#[cfg(not(any(target_arch = "x86_64", target_os = "macos")))]
pub fn processor() -> String {
    String::new()
}

/// Bytes of memory that this machine has; 0 where the system does not tell.
#[cfg(unix)]
pub fn memory_bytes() -> u64 {
    // SAFETY: both only ask.
    let (pages, size) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    u64::try_from(pages).unwrap_or(0) * u64::try_from(size).unwrap_or(0)
}

/// Not told.
#[cfg(not(unix))]
pub fn memory_bytes() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_and_memory_are_there_where_the_machine_tells() {
        assert!(!cfg!(target_arch = "x86_64") || !processor().is_empty());
        assert!(!cfg!(unix) || memory_bytes() > 1 << 28);
    }

    #[test]
    fn name_and_cpus_are_there_where_the_system_tells() {
        if cfg!(target_os = "linux") {
            assert!(!name().is_empty());
            assert!(cpus().bytes().any(|byte| byte != b'0') && cpus().len() == 256);
        }
    }
}
