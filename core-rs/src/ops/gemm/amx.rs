//! The kernel on AMX tiles: a register tile of 2×2 hardware tiles of 16×16 f32, fed by two tiles of A and two of B, each
//! 16 rows of 32 bf16. The intrinsics are not stable in Rust, the instructions are.
//!
//! Tiles of B are loaded with the hint that they stream (`t1`): they then leave the panel of A, which fills two thirds
//! of the first cache, where it is. That is 3.3 instead of 2.4 TFLOP/s a core at a depth of 512, of 3.8 on registers
//! alone.

use std::arch::asm;

use super::kernel::{Kernel, Left, Shape};
use crate::machine::dtype::Dtype;

/// See the module.
pub(super) struct Amx;

/// The layout of `ldtilecfg`'s operand (Intel SDM, volume 1, 18.3).
#[repr(C, align(64))]
struct TileConfiguration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: TileConfiguration = TileConfiguration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes_per_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

impl Kernel for Amx {
    fn shape(&self) -> Shape {
        Shape {
            rows: 32,
            columns: 32,
            left_group: 32,
            right_group: 2,
            depth: 32,
            most_depth: 512,
            tile_rows: 256,
            tile_columns: 768,
            dtype: Dtype::Bf16,
        }
    }

    fn enter(&self) {
        // SAFETY: the configuration is valid for palette 1; this kernel is only chosen where AMX may be used.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION, options(nostack, readonly)) };
    }

    fn leave(&self) {
        // SAFETY: as in `enter`; empty tiles spare the operating system saving them.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }

    unsafe fn multiply(&self, _: usize, left: Left, right: *const u8, depth: usize, tile: *mut f32, add: bool) {
        const WIDTH: usize = 32 * size_of::<f32>();
        // SAFETY: each tile row is 64 bytes inside `tile` (32 rows of 32 floats) or inside a panel, by the caller's promise;
        // tile registers are clobbered and memory is written at `tile` only.
        unsafe {
            asm!(
                "test {add}, {add}",
                "jz 2f",
                "tileloadd tmm0, [{c} + {width} * 1]",
                "tileloadd tmm1, [{c} + {width} * 1 + 64]",
                "tileloadd tmm2, [{d} + {width} * 1]",
                "tileloadd tmm3, [{d} + {width} * 1 + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                "tileloaddt1 tmm6, [{b} + {width} * 1]",
                "tileloadd tmm4, [{a} + {row} * 1]",
                "tileloaddt1 tmm7, [{b} + {width} * 1 + 64]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{lower} + {row} * 1]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "add {a}, {group}",
                "add {lower}, {group}",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "add {b}, 2048",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "dec {steps}",
                "jnz 3b",
                "tilestored [{c} + {width} * 1], tmm0",
                "tilestored [{c} + {width} * 1 + 64], tmm1",
                "tilestored [{d} + {width} * 1], tmm2",
                "tilestored [{d} + {width} * 1 + 64], tmm3",
                add = in(reg) usize::from(add),
                c = in(reg) tile,
                d = in(reg) tile.byte_add(16 * WIDTH),
                width = in(reg) WIDTH,
                a = inout(reg) left.data => _,
                lower = inout(reg) left.data.add(16 * left.row) => _,
                b = inout(reg) right => _,
                steps = inout(reg) depth / 32 => _,
                row = in(reg) left.row,
                group = in(reg) left.group,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}
