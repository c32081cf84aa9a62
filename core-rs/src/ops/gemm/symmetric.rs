//! Products that are symmetric matrices, as in a Newton–Schulz iteration: half of such a product is computed and copied to
//! the other side of the diagonal.

use super::Size;
use super::epilogue::Epilogue;
use super::output::Tile;
use crate::machine::dtype::Element;
use crate::machine::threads::{Shards, Threads};

/// Rows that one block of a team copies to.
const BLOCK: usize = 32;

/// Leaves out the register tiles above the diagonal. What is there afterwards is not defined: [`mirror`] fills it.
pub struct Lower<E>(pub E);

impl<E: Epilogue> Epilogue for Lower<E> {
    fn check(&self, size: Size) {
        assert_eq!(size.m, size.n, "gemm: a symmetric matrix has as many rows as columns");
        self.0.check(size);
    }

    fn needs(&self, row: usize, column: usize, height: usize) -> bool {
        column < row + height
    }

    fn prefetch(&self, row: usize, column: usize, height: usize, width: usize) {
        self.0.prefetch(row, column, height, width);
    }

    fn prefetch_output(&self, row: usize, column: usize, height: usize, width: usize) {
        self.0.prefetch_output(row, column, height, width);
    }

    fn finish(&self, tile: &mut Tile) {
        self.0.finish(tile);
    }
}

/// Copies what lies below the diagonal of `c[side, side]` to above it.
///
/// # Panics
/// If the slice is shorter.
pub fn mirror<T: Element>(threads: &Threads, c: &mut [T], side: usize) {
    let c = Shards::new(&mut c[..side * side]);
    threads.run(side.div_ceil(BLOCK), &|_, block| {
        let to = block * BLOCK..((block + 1) * BLOCK).min(side);
        for row in to.start + 1..side {
            // SAFETY: all blocks only read below the diagonal, and each writes rows of its own above it.
            let below = unsafe { c.part(row * side + to.start..row * side + to.end.min(row)) };
            for (i, &mut value) in to.clone().zip(below) {
                // SAFETY: as above.
                unsafe { c.part(i * side + row..i * side + row + 1)[0] = value };
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::dtype::Bf16;
    use crate::ops::gemm::epilogue::Store;
    use crate::ops::gemm::{Gemm, MatRef};
    use crate::ops::tests::random;

    /// X Xᵀ, whole or its lower half mirrored.
    fn gram<T: Element>(x: &[f32], side: usize, k: usize, threads: usize, halved: bool) -> Vec<f32> {
        let x: Vec<T> = x.iter().map(|&x| T::from_f32(x)).collect();
        let (team, gemm) = (Threads::new(threads), Gemm::<T>::new(threads).unwrap());
        let mut c = vec![T::from_f32(f32::NAN); side * side];
        let (x, size) = (MatRef::rows(&x, k), Size { m: side, n: side, k });
        let store = Store::new(&mut c, side);
        if halved {
            gemm.run_of_columns(&team, size, x, x.t(), &Lower(store), &|_, _| {}).unwrap();
            mirror(&team, &mut c, side);
        } else {
            gemm.run_of_columns(&team, size, x, x.t(), &store, &|_, _| {}).unwrap();
        }
        c.iter().map(|c| c.to_f32()).collect()
    }

    #[test]
    fn lower_and_mirror_are_the_product_below_the_diagonal_and_symmetric_to_the_bit_for_any_team() {
        for (side, k) in [(1, 3), (5, 64), (33, 40), (128, 512), (130, 70), (500, 96)] {
            let x = random(side * k, side as u64);
            for compute in [gram::<f32>, gram::<Bf16>] {
                let (whole, half) = (compute(&x, side, k, 1, false), compute(&x, side, k, 1, true));
                for (i, j) in (0..side).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                    assert_eq!(half[i * side + j].to_bits(), whole[i * side + j].to_bits(), "{side} {i} {j}");
                    assert_eq!(half[j * side + i].to_bits(), half[i * side + j].to_bits(), "{side} {i} {j}");
                }
                assert_eq!(half, compute(&x, side, k, 3, true), "{side}: three threads");
            }
        }
    }
}
