//! What activations are stored in: f32, or bf16 (the upper half of an f32) with every sum and statistic still in f32.

use serde::{Deserialize, Serialize};

/// The name of an element type, as options and reports have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE 754 single precision.
    F32,
    /// The upper 16 bits of an f32: its range, with 8 bits of precision.
    Bf16,
}

impl Dtype {
    /// `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// An element that operations read and write as f32.
pub trait Element: Copy + Default + Send + Sync + 'static {
    /// Its name.
    const DTYPE: Dtype;

    /// The nearest element, ties to even. NaN stays NaN.
    fn from_f32(x: f32) -> Self;

    /// `to[i]` = the element nearest to `from[i]`.
    fn round(from: &[f32], to: &mut [Self]);

    /// The exact value.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;

    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }

    #[inline(always)]
    fn round(from: &[f32], to: &mut [Self]) {
        to.copy_from_slice(from);
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

/// bfloat16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Element for Bf16 {
    const DTYPE: Dtype = Dtype::Bf16;

    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
        let kept = if x.is_nan() { bits | 0x0040_0000 } else { rounded };
        Self((kept >> 16) as u16)
    }

    fn round(from: &[f32], to: &mut [Self]) {
        narrow(from, to);
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// `to[i]` = the bf16 next to `from[i]`.
pub fn narrow(from: &[f32], to: &mut [Bf16]) {
    assert_eq!(from.len(), to.len());
    #[cfg(target_arch = "x86_64")]
    if crate::machine::isa::Isa::narrows() {
        let (rows, rest) = (from.len() / 32, from.len() % 32);
        let last = from.len() - rest;
        // SAFETY: the instructions are there, and both slices have that many elements.
        return unsafe {
            narrow_rows(from.as_ptr(), 32, rows, 32, to.as_mut_ptr(), 32);
            narrow_rows(from[last..].as_ptr(), rest, 1, rest, to[last..].as_mut_ptr(), rest);
        };
    }
    crate::machine::isa::vectorize(
        #[inline(always)]
        || to.iter_mut().zip(from).for_each(|(to, from)| *to = Bf16::from_f32(*from)),
    );
}

/// Rounds rows of f32 to bf16 by the instruction for it, which takes a fifth of the time that arithmetic on bits does.
///
/// # Safety
/// AVX512-BF16 has to be there; `height` rows of `width` elements are readable at `from` and writable at `to`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(crate) unsafe fn narrow_rows(
    from: *const f32,
    stride: usize,
    height: usize,
    width: usize,
    to: *mut Bf16,
    to_stride: usize,
) {
    use std::arch::x86_64::*;
    for r in 0..height {
        // SAFETY: the caller's promise; masked lanes are neither read nor written.
        unsafe {
            let (from, to) = (from.add(r * stride), to.add(r * to_stride));
            if width == 32 {
                let both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from.add(16)), _mm512_loadu_ps(from));
                _mm512_storeu_si512(to.cast(), std::mem::transmute::<__m512bh, __m512i>(both));
                continue;
            }
            for at in (0..width).step_by(16) {
                let lanes = if width - at >= 16 { u16::MAX } else { (1 << (width - at)) - 1 };
                let half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(lanes, from.add(at)));
                _mm256_mask_storeu_epi16(to.add(at).cast(), lanes, std::mem::transmute::<__m256bh, __m256i>(half));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_rounds_to_the_nearest_even_and_keeps_what_is_not_finite() {
        let round = |x: f32| Bf16::from_f32(x).to_f32();
        let ulp = 2f32.powi(-7);
        assert_eq!([round(1.0), round(1.0 + ulp), round(-3.5)], [1.0, 1.0 + ulp, -3.5]);
        assert_eq!(round(1.0 + 0.5 * ulp), 1.0, "a tie goes to the even neighbour below");
        assert_eq!(round(1.0 + 1.5 * ulp), 1.0 + 2.0 * ulp, "and to the one above");
        assert_eq!(round(1.0 + 0.51 * ulp), 1.0 + ulp);
        assert_eq!([round(f32::INFINITY), round(f32::NEG_INFINITY)], [f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!(round(f32::MAX), f32::INFINITY);
        for bits in [0x7f80_0001u32, 0xff80_0001, 0x7fff_ffff, 0xffff_ffff] {
            assert!(round(f32::from_bits(bits)).is_nan());
        }
        for i in -2000..2000 {
            let x = i as f32 * 0.0137;
            assert!((round(x) - x).abs() <= x.abs() / 256.0);
        }
    }

    #[test]
    fn narrow_rounds_as_from_f32_does_at_every_length() {
        for len in 0..100 {
            let x: Vec<f32> = (0..len).map(|i| (i as f32 - 40.0) * 1.337).chain([f32::NAN, f32::INFINITY]).collect();
            let mut found = vec![Bf16(7); x.len()];
            narrow(&x, &mut found);
            assert_eq!(found, x.iter().map(|&x| Bf16::from_f32(x)).collect::<Vec<_>>());
        }
    }
}
