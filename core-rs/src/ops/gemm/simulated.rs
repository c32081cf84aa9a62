//! A kernel in plain code with the shape of another one, so that what a machine cannot run is packed, cut and read as it
//! would be there: all of a product but the instruction. It insists on what instructions need. On x86-64 only: elsewhere
//! there is one kernel, and it runs.

use std::cell::Cell;

use super::kernel::{Kernel, Left, Shape};
use crate::machine::dtype::{Bf16, Dtype, Element};

thread_local! {
    /// Whether this thread is between `enter` and `leave`.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The kernels of other machines, in plain code, and the f32 kernel with as many rows as it has with AVX-512.
pub(super) static KERNELS: [(&str, &(dyn Kernel + Sync)); 4] = [
    ("amx", &Simulated(&super::amx::Amx)),
    ("avx512_bf16", &Simulated(&super::dot_bf16::DotBf16)),
    ("avx512f", &Simulated(&super::fma::Avx512)),
    ("fourteen rows", &super::fma::Fourteen),
];

/// Computes what the other kernel would.
struct Simulated<K: 'static>(&'static K);

impl<K: Kernel> Kernel for Simulated<K> {
    fn shape(&self) -> Shape {
        self.0.shape()
    }

    fn enter(&self) {
        assert!(!INSIDE.replace(true), "entered twice");
    }

    fn leave(&self) {
        assert!(INSIDE.replace(false), "left without having entered");
    }

    unsafe fn multiply(&self, height: usize, left: Left, right: *const u8, depth: usize, tile: *mut f32, add: bool) {
        let shape = self.shape();
        assert!(INSIDE.get(), "not entered");
        assert!((1..=shape.rows).contains(&height) && depth > 0 && depth.is_multiple_of(shape.depth));
        // Tile loads of operands that are not on such a boundary take twice as long.
        assert!(
            right.addr().is_multiple_of(64) || !(shape.columns * shape.right_group * shape.bytes()).is_multiple_of(64)
        );
        assert!(tile.addr().is_multiple_of(64));
        let read = |at: *const u8| match shape.dtype {
            // SAFETY: the caller's promise; elements are aligned.
            Dtype::F32 => unsafe { *at.cast::<f32>() },
            // SAFETY: as above.
            Dtype::Bf16 => unsafe { *at.cast::<Bf16>() }.to_f32(),
        };
        let Shape { rows, columns, left_group, right_group, .. } = shape;
        let b: Vec<f32> = (0..depth * columns)
            .map(|i| {
                let (p, c) = (i / columns, i % columns);
                let at = (p / right_group * columns + c) * right_group + p % right_group;
                read(right.wrapping_add(at * shape.bytes()))
            })
            .collect();
        // SAFETY: the tile is `rows` × `columns`.
        let tile = unsafe { std::slice::from_raw_parts_mut(tile, rows * columns) };
        for (r, to) in tile.chunks_exact_mut(columns).enumerate() {
            let mut sums = vec![0.0f32; columns];
            for (p, b) in b.chunks_exact(columns).enumerate() {
                let at = r * left.row + p / left_group * left.group + p % left_group * shape.bytes();
                let a = read(left.data.wrapping_add(at));
                sums.iter_mut().zip(b).for_each(|(sum, b)| *sum += a * b);
            }
            for (to, sum) in to.iter_mut().zip(sums) {
                // What stands in rows beyond `height` is nobody's business.
                *to = if r >= height {
                    f32::NAN
                } else if add {
                    *to + sum
                } else {
                    sum
                };
            }
        }
    }
}
