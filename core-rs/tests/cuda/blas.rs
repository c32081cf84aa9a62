//! cuBLASLt as the simulated GPU has it: column-major, and no more willing than the original.

use cloze_core::driver::matmul::{Matmul, Operand};
use cloze_core::driver::{Algorithm, Dtype, Tensor};
use cloze_core::rng::splitmix64;

use crate::simulator::{read, write};

/// Why cuBLASLt would not compute this (its documentation of cublasLtMatmul), or nothing.
pub fn refusal(matmul: &Matmul) -> Option<&'static str> {
    let Matmul { a, b, d, bias, .. } = matmul;
    let [[m, k], [l, n]] = [a, b].map(taken);
    let aligned = |operand: &Operand| operand.address.is_multiple_of(operand.dtype.size() as u64);
    let known = matches!((a.dtype, d.dtype), (Dtype::F32, Dtype::F32) | (Dtype::Bf16, Dtype::F32 | Dtype::Bf16));
    let reasons = [
        (m * n * k == 0, "a matrix without elements"),
        (k != l || [m, n] != [d.rows, d.columns] || d.transposed, "sizes that do not go together"),
        ([a, b, d].iter().any(|operand| operand.leading < operand.rows), "a leading dimension below the rows"),
        ([a, b, d].iter().any(|operand| operand.leading > i32::MAX as usize), "a leading dimension beyond 32 bits"),
        (a.dtype != b.dtype || !known, "types that do not go together"),
        (![a, b, d].into_iter().all(aligned), "an operand that is not aligned to its elements"),
        (bias.is_some_and(|bias| bias.dtype != d.dtype), "a bias of another type than the result"),
        (bias.is_some_and(|bias| bias.len < d.rows), "a bias shorter than a column of the result"),
        (bias.is_some_and(|bias| !bias.address.is_multiple_of(16)), "a bias that is not aligned to 16 bytes"),
    ];
    reasons.iter().find(|(refused, _)| *refused).map(|(_, why)| *why)
}

/// Why an algorithm ([`crate::simulator::algorithm`]) does not compute this with so many bytes of scratch, or nothing: it
/// moves as many bytes at a time as the alignments allow that it was asked for with.
pub fn refusal_of(algorithm: &Algorithm, matmul: &Matmul, workspace: usize) -> Option<&'static str> {
    let [_, asked @ .., scratch, _, _] = *algorithm;
    let reasons: [(bool, &'static str); 2] = [
        (scratch > workspace as u64, "an algorithm that needs more workspace than there is"),
        (
            matmul.alignments().iter().zip(asked).any(|(&found, asked)| u64::from(found) < asked),
            "an operand that is less aligned than the algorithm was asked for with",
        ),
    ];
    reasons.iter().find(|(refused, _)| *refused).map(|(_, why)| *why)
}

/// Rows and columns as the product takes the operand.
fn taken(operand: &Operand) -> [usize; 2] {
    if operand.transposed { [operand.columns, operand.rows] } else { [operand.rows, operand.columns] }
}

/// All elements from the first to the last column's last.
fn elements(operand: &Operand) -> Tensor {
    let len = (operand.columns - 1) * operand.leading + operand.rows;
    Tensor { address: operand.address, len, dtype: operand.dtype }
}

/// The memory of the three operands and of the bias, and whether it is written.
pub fn uses(matmul: &Matmul) -> impl Iterator<Item = (Tensor, bool)> {
    let bias = matmul.bias.map(|bias| (Tensor { len: matmul.d.rows, ..bias }, false));
    [(elements(&matmul.a), false), (elements(&matmul.b), false), (elements(&matmul.d), true)].into_iter().chain(bias)
}

/// Sums in an order of the seed's, as cuBLASLt does in one of its own: what only holds for one order is no tolerance.
pub fn multiply(matmul: &Matmul, seed: u64) {
    const PARTS: usize = 8;
    let &Matmul { a, b, d, beta, bias } = matmul;
    let (a_values, b_values, mut out) = (read(elements(&a)), read(elements(&b)), read(elements(&d)));
    let bias = bias.map(read);
    let strides = |operand: &Operand| if operand.transposed { (operand.leading, 1) } else { (1, operand.leading) };
    let ((a_row, a_column), (b_row, b_column)) = (strides(&a), strides(&b));
    let mut order: Vec<usize> = (0..taken(&a)[1]).collect();
    order.sort_by_key(|&l| splitmix64(seed ^ splitmix64(l as u64)));
    for column in 0..d.columns {
        for row in 0..d.rows {
            let mut parts = [0f32; PARTS];
            for (i, &l) in order.iter().enumerate() {
                parts[i % PARTS] += a_values[row * a_row + l * a_column] * b_values[l * b_row + column * b_column];
            }
            let sum = (0..PARTS / 2).map(|part| parts[part] + parts[part + PARTS / 2]).sum::<f32>();
            let out = &mut out[column * d.leading + row];
            // What beta = 0 multiplies is not read: it may be NaN.
            *out = sum + if beta == 0.0 { 0.0 } else { beta * *out } + bias.as_ref().map_or(0.0, |bias| bias[row]);
        }
    }
    write(elements(&d), &out);
}
