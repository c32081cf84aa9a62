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

    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
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
}
