//! Copies pieces of matrices into panels, in the order in which a kernel reads them.

use super::MatRef;
use crate::machine::dtype::Element;
use crate::machine::simd::{prefetch, vectorize};

/// Elements between what is read and what is fetched of a step. A panel reads a line or less of each of many steps, in
/// which no machine sees a pattern: without this packing takes half as long again.
const AHEAD: usize = 64;

/// Writes rows `first..first + count` of `matrix`, columns `from..from + depth`, as `to[padded / group][width][group]`,
/// where `padded` is `to.len() / width`; what lies beyond `count` or `depth` becomes zero. (Columns of B are rows of its
/// transpose.)
pub(super) fn pack<T: Element, P: Element>(
    matrix: MatRef<T>,
    first: usize,
    count: usize,
    from: usize,
    depth: usize,
    width: usize,
    group: usize,
    to: &mut [P],
) {
    if count < width || !depth.is_multiple_of(group) || to.len() > depth * width {
        to.fill(P::default());
    }
    #[cfg(target_arch = "x86_64")]
    if words::pack(matrix, first, count, from, depth, width, group, to) {
        return;
    }
    if group == 1 && count == width {
        match width {
            6 => return whole::<T, P, 6>(matrix, first, from, depth, to),
            12 => return whole::<T, P, 12>(matrix, first, from, depth, to),
            14 => return whole::<T, P, 14>(matrix, first, from, depth, to),
            8 => return whole::<T, P, 8>(matrix, first, from, depth, to),
            16 => return whole::<T, P, 16>(matrix, first, from, depth, to),
            32 => return whole::<T, P, 32>(matrix, first, from, depth, to),
            _ => {}
        }
    }
    let MatRef { data, row_stride, column_stride } = matrix;
    vectorize(
        #[inline(always)]
        || match row_stride {
            // Rows lie side by side: runs of them for each step of k.
            1 => {
                for p in 0..depth {
                    let run = &data[first + (from + p) * column_stride..][..count];
                    let to = &mut to[p / group * width * group + p % group..];
                    match group {
                        1 => convert(run, to),
                        _ => convert(run, to.iter_mut().step_by(group)),
                    }
                }
            }
            // Rows are contiguous. Eight steps of k at a time: each gives a whole run of a cache line.
            _ => {
                for start in (0..depth).step_by(8) {
                    for r in 0..count {
                        let run = &data[(first + r) * row_stride + from + start..][..8.min(depth - start)];
                        match group {
                            // Spares the divisions, which would take longer than everything else.
                            1 => convert(run, to[start * width + r..].iter_mut().step_by(width)),
                            _ => (start..).zip(run).for_each(|(p, x)| {
                                to[p / group * width * group + r * group + p % group] = P::from_f32(x.to_f32());
                            }),
                        }
                    }
                }
            }
        },
    );
}

/// [`pack`] of `WIDTH` rows, one element of each after the other: a length that the compiler knows becomes vectors.
fn whole<T: Element, P: Element, const WIDTH: usize>(
    matrix: MatRef<T>,
    first: usize,
    from: usize,
    depth: usize,
    to: &mut [P],
) {
    /// Steps of k that are transposed at a time.
    const STEPS: usize = 8;
    let MatRef { data, row_stride, column_stride } = matrix;
    let (to, _) = to.as_chunks_mut::<WIDTH>();
    let to = &mut to[..depth];
    vectorize(
        #[inline(always)]
        || match row_stride {
            1 => {
                for (p, to) in to.iter_mut().enumerate() {
                    let run = &data[first + (from + p) * column_stride..];
                    prefetch(run.as_ptr().wrapping_add(AHEAD), 1);
                    let run: &[T; WIDTH] = run.first_chunk().expect("a panel is inside its matrix");
                    *to = std::array::from_fn(|i| P::from_f32(run[i].to_f32()));
                }
            }
            _ => {
                let row = |r: usize, p: usize| &data[(first + r) * row_stride + from + p..];
                let (blocks, rest) = to.as_chunks_mut::<STEPS>();
                for (block, to) in blocks.iter_mut().enumerate() {
                    let rows: [&[T; STEPS]; WIDTH] = std::array::from_fn(|r| {
                        row(r, block * STEPS).first_chunk().expect("a panel is inside its matrix")
                    });
                    for p in 0..STEPS {
                        for r in 0..WIDTH {
                            to[p][r] = P::from_f32(rows[r][p].to_f32());
                        }
                    }
                }
                let done = depth - rest.len();
                for (p, to) in rest.iter_mut().enumerate() {
                    *to = std::array::from_fn(|r| P::from_f32(row(r, done + p)[0].to_f32()));
                }
            }
        },
    );
}

/// `to[i] = from[i]`
#[inline(always)]
pub(super) fn convert<'a, T: Element, P: Element>(from: &[T], to: impl IntoIterator<Item = &'a mut P>) {
    for (to, from) in to.into_iter().zip(from) {
        *to = P::from_f32(from.to_f32());
    }
}

/// The ways of packing that matter, on 32-bit words of AVX-512: a word is an f32 or a pair of bf16 along k. What is
/// contiguous along k is transposed in registers, 16×16 words at a time; what is not is copied, or zipped in pairs.
#[cfg(target_arch = "x86_64")]
mod words {
    use std::arch::x86_64::*;

    use super::{AHEAD, MatRef};
    use crate::machine::dtype::{Dtype, Element};
    use crate::machine::isa::Isa;

    /// Packs if there is a fast way; `to` is zero where nothing is written.
    pub(super) fn pack<T: Element, P: Element>(
        matrix: MatRef<T>,
        first: usize,
        count: usize,
        from: usize,
        depth: usize,
        width: usize,
        group: usize,
        to: &mut [P],
    ) -> bool {
        let per_word = 4 / size_of::<T>();
        if T::DTYPE != P::DTYPE || !depth.is_multiple_of(per_word) || Isa::for_f32() != Isa::Avx512 {
            return false;
        }
        let MatRef { data, row_stride, column_stride } = matrix;
        let (rows_of_to, words) = (to.len() / width, depth / per_word);
        assert!(count <= width && depth <= rows_of_to && rows_of_to.is_multiple_of(group.max(per_word)));
        let to: *mut i32 = to.as_mut_ptr().cast();
        if column_stride == 1 {
            let last = (first + count).saturating_sub(1) * row_stride + from + depth;
            assert!(count == 0 || last <= data.len());
            // SAFETY: rows `first..first + count` are `depth` elements long from `from` on, and `to` is `width` rows wide
            // and `depth` deep, both by the assertions; AVX-512 is there.
            unsafe {
                let row = |r: usize| data.as_ptr().wrapping_add((first + r) * row_stride + from).cast::<i32>();
                match group / per_word {
                    1 => transpose(row, count, words, to, width),
                    many => copy(row, count, words, to, width, many),
                }
            }
            return true;
        }
        let last = first + (from + depth).saturating_sub(1) * column_stride + count;
        assert!(depth == 0 || last <= data.len());
        // SAFETY: step `p` is `count` elements long from `first` on, by the assertion; `to` as above.
        unsafe {
            let step = |p: usize| data.as_ptr().add(first + (from + p) * column_stride);
            match (T::DTYPE, group / per_word) {
                (Dtype::F32, 1) => copy_steps(|p| step(p).cast(), count, depth, to, width),
                (Dtype::Bf16, 1) => zip_steps(|p| step(p).cast(), count, words, to, width),
                (Dtype::Bf16, many) => zip_and_transpose(|p| step(p).cast(), count, words, to, width, many),
                (Dtype::F32, _) => return false,
            }
        }
        true
    }

    /// The lowest `count` of 16 lanes.
    fn mask(count: usize) -> u16 {
        if count >= 16 { u16::MAX } else { (1 << count) - 1 }
    }

    /// `to[word][width]` from rows of words.
    #[target_feature(enable = "avx512f")]
    unsafe fn transpose(row: impl Fn(usize) -> *const i32, count: usize, words: usize, to: *mut i32, width: usize) {
        for r in (0..count).step_by(16) {
            let store = mask(width - r);
            for w in (0..words).step_by(16) {
                let load = mask(words - w);
                // The blocks come along 16 rows, then along the next 16.
                let ahead = w + AHEAD;
                let (below, ahead) = if ahead < words { (r, ahead) } else { (r + 16, ahead - words) };
                // SAFETY: only rows below `count` and words below `words` are read, only lanes below `width` written.
                unsafe {
                    let mut block = [_mm512_setzero_si512(); 16];
                    for i in 0..16.min(count - r) {
                        _mm_prefetch::<_MM_HINT_T0>(row(below + i).wrapping_add(ahead).cast());
                        block[i] = _mm512_maskz_loadu_epi32(load, row(r + i).add(w));
                    }
                    transpose_16x16(&mut block);
                    for i in 0..16.min(words - w) {
                        _mm512_mask_storeu_epi32(to.add((w + i) * width + r), store, block[i]);
                    }
                }
            }
        }
    }

    /// `to[words / many][width][many]` from rows of words: runs of `many`.
    #[target_feature(enable = "avx512f")]
    unsafe fn copy(
        row: impl Fn(usize) -> *const i32,
        count: usize,
        words: usize,
        to: *mut i32,
        width: usize,
        many: usize,
    ) {
        for w in (0..words).step_by(many) {
            for r in 0..count {
                for part in (0..many.min(words - w)).step_by(16) {
                    let lanes = mask(many.min(words - w) - part);
                    // SAFETY: inside row `r` and inside its group.
                    unsafe {
                        let run = _mm512_maskz_loadu_epi32(lanes, row(r).add(w + part));
                        _mm512_mask_storeu_epi32(to.add(w * width + r * many + part), lanes, run);
                    }
                }
            }
        }
    }

    /// `to[step][width]` from steps of words.
    #[target_feature(enable = "avx512f")]
    unsafe fn copy_steps(step: impl Fn(usize) -> *const i32, count: usize, depth: usize, to: *mut i32, width: usize) {
        for p in 0..depth {
            for r in (0..count).step_by(16) {
                let lanes = mask(count - r);
                // SAFETY: below `count` in both.
                unsafe {
                    _mm_prefetch::<_MM_HINT_T0>(step(p).wrapping_add(r + AHEAD).cast());
                    let run = _mm512_maskz_loadu_epi32(lanes, step(p).add(r));
                    _mm512_mask_storeu_epi32(to.add(p * width + r), lanes, run);
                }
            }
        }
    }

    /// 16 words from two steps of bf16: the first in the low halves, the second in the high ones.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn zip(low: *const i16, high: *const i16, lanes: u16) -> __m512i {
        // SAFETY: only masked lanes are read, which the caller promises.
        unsafe {
            let low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, low));
            let high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, high));
            _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
        }
    }

    /// `to[word][width]` from steps of bf16.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn zip_steps(step: impl Fn(usize) -> *const i16, count: usize, words: usize, to: *mut i32, width: usize) {
        for w in 0..words {
            for r in (0..count).step_by(16) {
                let lanes = mask(count - r);
                // SAFETY: below `count` in both.
                unsafe {
                    _mm_prefetch::<_MM_HINT_T0>(step(2 * w).wrapping_add(r + AHEAD).cast());
                    _mm_prefetch::<_MM_HINT_T0>(step(2 * w + 1).wrapping_add(r + AHEAD).cast());
                    let word = zip(step(2 * w).add(r), step(2 * w + 1).add(r), lanes);
                    _mm512_mask_storeu_epi32(to.add(w * width + r), lanes, word);
                }
            }
        }
    }

    /// `to[words / many][width][many]` from steps of bf16.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn zip_and_transpose(
        step: impl Fn(usize) -> *const i16,
        count: usize,
        words: usize,
        to: *mut i32,
        width: usize,
        many: usize,
    ) {
        for w in (0..words).step_by(16) {
            for r in (0..count).step_by(16) {
                // SAFETY: only steps below `2 * words` and rows below `count` are read; a block of 16 words lies inside
                // one group, because `many` is a multiple of 16.
                unsafe {
                    let mut block = [_mm512_setzero_si512(); 16];
                    for i in 0..16.min(words - w) {
                        block[i] = zip(step(2 * (w + i)).add(r), step(2 * (w + i) + 1).add(r), mask(count - r));
                    }
                    transpose_16x16(&mut block);
                    for i in 0..16.min(count - r) {
                        let at = to.add(w / many * many * width + (r + i) * many + w % many);
                        _mm512_storeu_epi32(at, block[i]);
                    }
                }
            }
        }
    }

    /// Transposes 16×16 words: pairs, then pairs of pairs inside the 128-bit lanes, then the lanes.
    #[target_feature(enable = "avx512f")]
    fn transpose_16x16(rows: &mut [__m512i; 16]) {
        let mut pairs = [_mm512_setzero_si512(); 16];
        for i in (0..16).step_by(2) {
            pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        for i in (0..16).step_by(4) {
            rows[i] = _mm512_unpacklo_epi64(pairs[i], pairs[i + 2]);
            rows[i + 1] = _mm512_unpackhi_epi64(pairs[i], pairs[i + 2]);
            rows[i + 2] = _mm512_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
            rows[i + 3] = _mm512_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
        }
        // `rows[4 i + j]` has, in lane l, words 4 i..4 i + 4 of column 4 l + j.
        for j in 0..4 {
            let (upper, lower) = ([rows[j], rows[4 + j]], [rows[8 + j], rows[12 + j]]);
            let even = [upper, lower].map(|[a, b]| _mm512_shuffle_i32x4::<0x88>(a, b));
            let odd = [upper, lower].map(|[a, b]| _mm512_shuffle_i32x4::<0xdd>(a, b));
            pairs[j] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
            pairs[8 + j] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
            pairs[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
            pairs[12 + j] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
        }
        *rows = pairs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::dtype::Bf16;

    fn check<T: Element, P: Element + PartialEq + std::fmt::Debug>(width: usize, group: usize) {
        let (rows, columns) = (3 * width + 5, 96);
        let data: Vec<T> = (0..rows * columns).map(|i| T::from_f32((i % 251) as f32)).collect();
        for transposed in [false, true] {
            let matrix = match transposed {
                false => MatRef { data: &data, row_stride: columns, column_stride: 1 },
                true => MatRef { data: &data, row_stride: 1, column_stride: rows },
            };
            for (first, count, from, depth) in
                [(0, width, 0, 64), (width, width, 32, 64), (3 * width, 3, 64, 32), (2, width - 1, 0, 27), (7, 1, 3, 2)]
            {
                let padded = usize::next_multiple_of(depth, 32);
                let mut to = vec![P::from_f32(99.0); padded * width];
                pack(matrix, first, count, from, depth, width, group, &mut to);
                for (at, found) in to.iter().enumerate() {
                    let (r, p) = (at / group % width, at / (group * width) * group + at % group);
                    let at = (first + r) * matrix.row_stride + (from + p) * matrix.column_stride;
                    let expected = if r < count && p < depth { data[at].to_f32() } else { 0.0 };
                    assert_eq!(*found, P::from_f32(expected), "row {r} of {count}, step {p} of {depth}, {transposed}");
                }
            }
        }
    }

    #[test]
    fn pack_writes_every_format_and_pads_with_zeros() {
        for width in [4, 6, 12, 14, 16, 32] {
            check::<f32, f32>(width, 1);
            check::<Bf16, f32>(width, 1);
            check::<Bf16, Bf16>(width, 2);
            check::<f32, Bf16>(width, 2);
            check::<Bf16, Bf16>(width, 32);
        }
    }
}
