//! Counter-based randomness: every value is a pure function of its key and index, so backward recomputes what
//! forward drew, and nothing depends on threads, batch splits or resume points.

/// Key of one dropout site in one micro-step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropoutKey(pub u64);

impl DropoutKey {
    /// `site` is the number that the model's blueprint has given to a dropout.
    pub fn new(seed: u64, step: u64, micro_step: u32, site: u32) -> Self {
        let mut key = splitmix64(seed);
        for word in [step, u64::from(micro_step), u64::from(site)] {
            key = splitmix64(key ^ word);
        }
        Self(key)
    }

    /// The 32 uniform bits of element `index`; the element is dropped where they are below `rate * 2^32`.
    #[inline(always)]
    pub fn bits(self, index: u32) -> u32 {
        // Two rounds of multiply and shift between two key words: a vector multiplication of 32-bit integers is the
        // dearest instruction of a dropout, and each round costs one.
        let mut x = (index ^ self.0 as u32).wrapping_mul(0x7feb_352d);
        x = (x ^ (x >> 15)).wrapping_add((self.0 >> 32) as u32).wrapping_mul(0x846c_a68b);
        x ^ (x >> 16)
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014) as a hash of `x`.
pub const fn splitmix64(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
