//! Which instructions this machine may run, found out once. [`crate::machine::simd`] and the kernels of [`crate::ops::gemm`] choose
//! by it; nothing else asks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// The best one that may be chosen.
static LIMIT: AtomicU8 = AtomicU8::new(Isa::Amx as u8);

/// What [`Isa::for_f32`] has found, which is asked for in every small loop.
static FOR_F32: AtomicU8 = AtomicU8::new(UNKNOWN);
/// What [`Isa::narrows`] has found.
static NARROWS: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = u8::MAX;

/// Instruction sets that something is written for, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What the target always has: NEON on ARM, SSE2 on x86.
    Base,
    /// 8 f32 lanes, fused multiply-add.
    Avx2,
    /// 16 f32 lanes.
    Avx512,
    /// AVX-512 with products of bf16 pairs.
    Avx512Bf16,
    /// Tiles of bf16, multiplied as matrices.
    Amx,
}

impl Isa {
    /// All of them, best first.
    pub const ALL: [Self; 5] = [Self::Amx, Self::Avx512Bf16, Self::Avx512, Self::Avx2, Self::Base];

    /// The name that reports show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base if cfg!(target_arch = "aarch64") => "neon",
            Self::Base => "scalar",
            Self::Avx2 => "avx2+fma",
            Self::Avx512 => "avx512f",
            Self::Avx512Bf16 => "avx512_bf16",
            Self::Amx => "amx_bf16",
        }
    }

    /// Makes this process choose as if the machine had nothing better, for tests and measurements of the worse ones.
    pub fn limit(self) {
        LIMIT.store(self as u8, Ordering::Relaxed);
        FOR_F32.store(UNKNOWN, Ordering::Relaxed);
        NARROWS.store(UNKNOWN, Ordering::Relaxed);
    }

    fn is_limit(self) -> bool {
        self as u8 == LIMIT.load(Ordering::Relaxed)
    }

    fn may_be_chosen(self) -> bool {
        self as u8 <= LIMIT.load(Ordering::Relaxed) && self.is_available()
    }

    /// Whether this process can run it. The first question about AMX asks the kernel for permission.
    pub fn is_available(self) -> bool {
        static AVAILABLE: [OnceLock<bool>; 5] = [const { OnceLock::new() }; 5];
        *AVAILABLE[self as usize].get_or_init(|| self.detect())
    }

    #[cfg(target_arch = "x86_64")]
    fn detect(self) -> bool {
        match self {
            Self::Base => true,
            Self::Avx2 => pulp::x86::V3::is_available(),
            Self::Avx512 => pulp::x86::V4::is_available(),
            Self::Avx512Bf16 => Self::Avx512.is_available() && is_x86_feature_detected!("avx512bf16"),
            Self::Amx => Self::Avx512.is_available() && has_amx_bf16() && may_use_tiles(),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect(self) -> bool {
        self == Self::Base
    }

    /// The one to multiply f32 with, and to run everything else with.
    #[inline]
    pub fn for_f32() -> Self {
        match FOR_F32.load(Ordering::Relaxed) {
            0 => Self::Base,
            1 => Self::Avx2,
            2 => Self::Avx512,
            _ => Self::find_for_f32(),
        }
    }

    #[cold]
    fn find_for_f32() -> Self {
        let best = [Self::Avx512, Self::Avx2].into_iter().find(|isa| isa.may_be_chosen()).unwrap_or(Self::Base);
        FOR_F32.store(best as u8, Ordering::Relaxed);
        best
    }

    /// Whether there are instructions that round f32 to bf16.
    #[inline]
    pub fn narrows() -> bool {
        match NARROWS.load(Ordering::Relaxed) {
            UNKNOWN => Self::find_whether_narrows(),
            known => known == 1,
        }
    }

    #[cold]
    fn find_whether_narrows() -> bool {
        let found = Self::Avx512Bf16.may_be_chosen();
        NARROWS.store(u8::from(found), Ordering::Relaxed);
        found
    }

    /// The one to multiply bf16 with. Intel's cores without AMX retire one bf16 product in the time of four f32 ones
    /// (110 against 214 GFLOP/s a core, Sapphire Rapids), so there bf16 is widened instead.
    pub fn for_bf16() -> Self {
        match Self::Amx.may_be_chosen() {
            true => Self::Amx,
            false if Self::Avx512Bf16.may_be_chosen() && (!is_intel() || Self::Avx512Bf16.is_limit()) => {
                Self::Avx512Bf16
            }
            false => Self::for_f32(),
        }
    }

    /// Whether to fetch the places of a product's results while they are computed. Of a step that is 2 to 4% less on AMD
    /// (Zen 4), and 5 to 10% more on Intel (Sapphire Rapids).
    pub fn fetches_output() -> bool {
        !is_intel()
    }
}

/// Runs `f`, compiled for the best instruction set of this machine. `f` has to be a closure that inlines.
#[inline]
pub fn vectorize<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    return match Isa::for_f32() {
        Isa::Base => f(),
        // SAFETY: `Isa::for_f32` names only what this machine can run.
        Isa::Avx2 => unsafe { pulp::x86::V3::new_unchecked() }.vectorize(f),
        // SAFETY: as above.
        _ => unsafe { pulp::x86::V4::new_unchecked() }.vectorize(f),
    };
    #[cfg(not(target_arch = "x86_64"))]
    return f();
}

#[cfg(target_arch = "x86_64")]
fn is_intel() -> bool {
    std::arch::x86_64::__cpuid(0).ecx.to_le_bytes() == *b"ntel"
}

#[cfg(not(target_arch = "x86_64"))]
fn is_intel() -> bool {
    false
}

/// AMX-TILE and AMX-BF16 (Intel SDM, volume 2, CPUID leaf 7).
#[cfg(target_arch = "x86_64")]
fn has_amx_bf16() -> bool {
    let leaf = std::arch::x86_64::__cpuid_count(7, 0);
    std::arch::x86_64::__cpuid(0).eax >= 7 && leaf.edx >> 24 & 1 == 1 && leaf.edx >> 22 & 1 == 1
}

/// Linux enlarges a process's register state only on request (Documentation/arch/x86/xstate.rst).
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn may_use_tiles() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: two numbers; the call changes nothing but what this process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn may_use_tiles() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_available_and_better_sets_include_worse_ones() {
        assert!(Isa::Base.is_available() && Isa::for_f32().is_available() && Isa::for_bf16().is_available());
        for pair in [[Isa::Amx, Isa::Avx512], [Isa::Avx512Bf16, Isa::Avx512], [Isa::Avx512, Isa::Avx2]] {
            assert!(!pair[0].is_available() || pair[1].is_available(), "{pair:?}");
        }
    }
}
