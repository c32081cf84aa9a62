//! [`super`] on a CUDA device: one matrix after the other, its products by cuBLASLt.

use super::{COEFFICIENTS, Matrix, NORM_EPSILON, Options, SLOT, STEPS};
use crate::blueprint::ParameterLayout;
use crate::driver::Matrix as Operand;
use crate::driver::queue::Queue;
use crate::driver::{Buffer, Device, Dtype, Launch, Product, Tensor, bytes_of};
use crate::error::Result;
use crate::ops::linear;
use crate::optim::clip::BLOCK;
use crate::optim::cuda::{OnCuda, Places, Tensors, squared_norm_partials};
use crate::optim::slots::SlotLayout;
use crate::optim::{Update, adamw};

/// The update on the device.
pub struct Cuda<D: Device> {
    options: Options,
    rest: adamw::cuda::Cuda<D>,
    places: Places<D>,
    /// f32, by matrix.
    adjustments: Buffer<D>,
    matrices: Vec<Matrix>,
    work: Work<D>,
}

/// What the iteration works in, as large as the largest matrix needs; of the activations' type but for `square`.
struct Work<D: Device> {
    /// X and its successor.
    x: [Buffer<D>; 2],
    /// A, of the shorter side.
    gram: Buffer<D>,
    /// f32: A²
    square: Buffer<D>,
    /// a I + b A + c A²
    polynomial: Buffer<D>,
    partials: Buffer<D>,
}

impl<D: Device> Cuda<D> {
    /// For the parameters that have the slots.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(queue: &Queue<D>, options: Options, layout: &ParameterLayout, slots: &[SlotLayout]) -> Result<Self> {
        let matrices = Matrix::all(layout, slots);
        let adjustments: Vec<f32> = matrices.iter().map(|matrix| matrix.adjustment() as f32).collect();
        let cuda = Self {
            options,
            rest: adamw::cuda::Cuda::new(queue, options.rest(), layout, slots)?,
            places: Places::new(queue, layout, slots, SLOT[0])?,
            adjustments: Buffer::zeroed(queue.device(), matrices.len(), Dtype::F32)?,
            work: Work::new(queue, &matrices)?,
            matrices,
        };
        queue.write(cuda.adjustments.tensor(), bytes_of(&adjustments));
        Ok(cuda)
    }
}

impl<D: Device> OnCuda<D> for Cuda<D> {
    fn update(&self, queue: &Queue<D>, state: &Tensors, scale: Tensor, update: Update) {
        self.rest.update(queue, state, scale, update);
        let kept = update.kept(self.options.weight_decay);
        let factors = queue.input(&[update.learning_rate as f32, kept as f32], 2);
        let count = self.places.len();
        if count == 0 {
            return;
        }
        let places = [self.places.starts().into(), self.places.shifts().into()];
        let [momentum, taken] = [self.options.momentum, 1.0 - self.options.momentum].map(|x| x as f32);
        let slot = state.slot(SLOT[0], count);
        let [count_of_elements, parameters] = [(count as u64).into(), self.places.parameters().into()];
        queue.launch(
            &Launch::threads("muon_look_ahead", count),
            &[
                count_of_elements,
                parameters,
                places[0],
                places[1],
                momentum.into(),
                taken.into(),
                scale.into(),
                state.gradients.into(),
                slot.into(),
            ],
        );
        for matrix in &self.matrices {
            self.work.orthogonalize(queue, matrix, state.gradients.part(matrix.offset, matrix.len()));
        }
        queue.launch(
            &Launch::threads("muon_apply", count),
            &[
                count_of_elements,
                parameters,
                places[0],
                places[1],
                self.places.decays().into(),
                self.adjustments.tensor().into(),
                factors.into(),
                scale.into(),
                state.weights.into(),
                state.gradients.into(),
                state.copy.into(),
            ],
        );
    }
}

impl<D: Device> Work<D> {
    fn new(queue: &Queue<D>, matrices: &[Matrix]) -> Result<Self> {
        let most = |size: fn(&Matrix) -> usize| matrices.iter().map(size).max().unwrap_or(0);
        let (len, side) = (most(Matrix::len), most(Matrix::side));
        let act = queue.activations();
        let zeroed = |len, dtype| Buffer::zeroed(queue.device(), len, dtype);
        Ok(Self {
            x: [zeroed(len, act)?, zeroed(len, act)?],
            gram: zeroed(side * side, act)?,
            square: zeroed(side * side, Dtype::F32)?,
            polynomial: zeroed(side * side, act)?,
            partials: zeroed(len.div_ceil(BLOCK), Dtype::Wide)?,
        })
    }

    /// f32 `u` ← the matrix of the same singular vectors whose singular values are about 1.
    fn orthogonalize(&self, queue: &Queue<D>, matrix: &Matrix, u: Tensor) {
        let Matrix { rows, columns, .. } = *matrix;
        let (side, long) = (matrix.side(), rows.max(columns));
        let (blocks, partials) = squared_norm_partials(queue, u, self.partials.tensor());
        let [mut x, mut next] = [&self.x[0], &self.x[1]].map(|x| x.tensor().part(0, u.len));
        queue.launch(
            &Launch::threads("muon_normalize", u.len),
            &[(u.len as u64).into(), blocks.into(), partials.into(), NORM_EPSILON.into(), u.into(), x.into()],
        );
        let [gram, square, polynomial] =
            [&self.gram, &self.square, &self.polynomial].map(|buffer| buffer.tensor().part(0, side * side));
        let [a, b, c] = COEFFICIENTS;
        for step in 0..STEPS {
            let (left, right) = if matrix.is_wide() { (plain(x), transposed(x)) } else { (transposed(x), plain(x)) };
            multiply(queue, [side, side, long], left, right, gram);
            multiply(queue, [side; 3], plain(gram), plain(gram), square);
            queue.launch(
                &Launch::threads("muon_polynomial", side * side),
                &[(side as u32).into(), a.into(), b.into(), c.into(), gram.into(), square.into(), polynomial.into()],
            );
            let (left, right) = if matrix.is_wide() { (polynomial, x) } else { (x, polynomial) };
            let to = if step + 1 == STEPS { u } else { next };
            multiply(queue, [rows, columns, side], plain(left), plain(right), to);
            (x, next) = (next, x);
        }
    }
}

fn plain(elements: Tensor) -> Operand {
    Operand { elements, transposed: false }
}

fn transposed(elements: Tensor) -> Operand {
    Operand { elements, transposed: true }
}

/// `c = a b`
fn multiply<D: Device>(queue: &Queue<D>, sizes: [usize; 3], a: Operand, b: Operand, c: Tensor) {
    linear::cuda::multiply(queue, &Product::dense(sizes, a, b, c));
}
