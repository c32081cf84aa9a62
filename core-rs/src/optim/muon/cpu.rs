//! Muon on the CPU: one matrix after the other, each by the whole team.

use super::{COEFFICIENTS, Matrix, NORM_EPSILON, Options, SLOT, STEPS};
use crate::blueprint::{Linear, ParameterLayout};
use crate::error::Result;
use crate::machine::dtype::Element;
use crate::machine::memory::Buffer;
use crate::machine::simd::vectorize;
use crate::machine::threads::{Shards, Threads};
use crate::ops::gemm::epilogue::{Epilogue, Store};
use crate::ops::gemm::polynomial::Polynomial;
use crate::ops::gemm::symmetric::{Lower, mirror};
use crate::ops::gemm::{Gemm, MatRef, Size};
use crate::optim::clip::{self, BLOCK};
use crate::optim::pieces::Pieces;
use crate::optim::slots::{SlotLayout, named};
use crate::optim::{OnCpu, State, Team, Update, adamw};

/// The update on the CPU.
pub struct Cpu<T: Element> {
    options: Options,
    rest: adamw::Cpu,
    matrices: Vec<Matrix>,
    /// By parameter: what the orthogonal matrix is multiplied by, beside the learning rate.
    adjustments: Vec<f64>,
    pieces: Pieces,
    work: Work<T>,
}

/// What the iteration works in, as large as the largest matrix needs. `T` is what products multiply.
struct Work<T: Element> {
    /// X and its successor.
    x: [Buffer<T>; 2],
    /// A, of the shorter side.
    gram: Buffer<T>,
    /// a I + b A + c A²
    polynomial: Buffer<T>,
    squares: Vec<f64>,
}

impl<T: Element> Cpu<T> {
    /// For the parameters that have the slots, of which the weights of `layers` are dense layers.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn new(
        options: Options,
        layout: &ParameterLayout,
        slots: &[SlotLayout],
        layers: &[Linear],
        threads: usize,
    ) -> Result<Self> {
        let slot = slots.iter().find(|slot| slot.name == SLOT[0]);
        let matrices = Matrix::all(layout, slots);
        let mut adjustments = vec![0.0; layout.parameters().len()];
        matrices.iter().for_each(|matrix| adjustments[matrix.parameter] = matrix.adjustment());
        Ok(Self {
            options,
            rest: adamw::Cpu::new(options.rest(), layout, slots, layers, threads),
            pieces: slot.map_or_else(Pieces::default, |slot| Pieces::new(layout, slot, layers, threads)),
            work: Work::new(&matrices)?,
            matrices,
            adjustments,
        })
    }
}

impl<T: Element> OnCpu<T> for Cpu<T> {
    fn update(&mut self, team: Team<T>, state: State<Buffer>, scale: f64, update: Update) -> Result<()> {
        if self.matrices.is_empty() {
            return self.rest.update(team, state, scale, update); // a frozen encoder: there is no such slot
        }
        let State { weights, gradients, slots } = state;
        let [momenta] = named(&mut *slots, SLOT);
        for matrix in &self.matrices {
            let u = &mut gradients[matrix.offset..][..matrix.len()];
            let momentum = &mut momenta[matrix.slot..][..matrix.len()];
            look_ahead(team.threads, self.options.momentum, scale as f32, u, momentum);
            self.work.orthogonalize(team, matrix, u)?;
        }
        let kept = update.kept(self.options.weight_decay) as f32;
        let updates = Shards::new(&mut *gradients);
        self.pieces.run(team.threads, team.packed, &mut *weights, None, &|piece, w| {
            // SAFETY: pieces are disjoint.
            let u = unsafe { updates.part(piece.range.clone()) };
            let rate = (update.learning_rate * self.adjustments[piece.parameter]) as f32;
            vectorize(
                #[inline(always)]
                || {
                    for (w, u) in w.iter_mut().zip(u) {
                        *w = w.mul_add(kept, -rate * *u);
                        *u = 0.0;
                    }
                },
            );
        });
        self.rest.update(team, State { weights, gradients, slots }, scale, update)
    }
}

/// `m ← μ m + (1 − μ) g`, then `gradient ← μ m + (1 − μ) g`, where g is the gradient times `scale`.
fn look_ahead(threads: &Threads, momentum: f64, scale: f32, gradient: &mut [f32], m: &mut [f32]) {
    let (kept, taken, len) = (momentum as f32, (1.0 - momentum) as f32, m.len());
    let (gradient, m) = (Shards::new(gradient), Shards::new(m));
    threads.run(len.div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(len);
        // SAFETY: blocks are disjoint.
        let (gradient, m) = unsafe { (gradient.part(range.clone()), m.part(range)) };
        vectorize(
            #[inline(always)]
            || {
                for (g, m) in gradient.iter_mut().zip(m) {
                    let taken = taken * (*g * scale);
                    *m = m.mul_add(kept, taken);
                    *g = m.mul_add(kept, taken);
                }
            },
        );
    });
}

impl<T: Element> Work<T> {
    fn new(matrices: &[Matrix]) -> Result<Self> {
        let most = |size: fn(&Matrix) -> usize| matrices.iter().map(size).max().unwrap_or(0);
        let (len, side) = (most(Matrix::len), most(Matrix::side));
        Ok(Self {
            x: [Buffer::zeroed(len)?, Buffer::zeroed(len)?],
            gram: Buffer::zeroed(side * side)?,
            polynomial: Buffer::zeroed(side * side)?,
            squares: Vec::with_capacity(len.div_ceil(BLOCK)),
        })
    }

    /// `u` ← the matrix of the same singular vectors whose singular values are about 1.
    fn orthogonalize(&mut self, team: Team<T>, matrix: &Matrix, u: &mut [f32]) -> Result<()> {
        let Team { threads, gemm, .. } = team;
        let Matrix { rows, columns, .. } = *matrix;
        let (side, is_wide) = (matrix.side(), matrix.is_wide());
        let norm = clip::squared_norm(threads, u, &mut self.squares)?.sqrt();
        let [from, to] = &mut self.x;
        let (mut x, mut next) = (&mut from[..u.len()], &mut to[..u.len()]);
        scaled(threads, (1.0 / (norm + NORM_EPSILON)) as f32, u, x);
        let gram = &mut self.gram[..side * side];
        let polynomial = &mut self.polynomial[..side * side];
        for step in 0..STEPS {
            {
                let x = MatRef::rows(x, columns);
                let (left, right) = if is_wide { (x, x.t()) } else { (x.t(), x) };
                let size = Size { m: side, n: side, k: rows.max(columns) };
                multiply(gemm, threads, size, left, right, &Lower(Store::new(gram, side)))?;
                mirror(threads, gram, side);
            }
            {
                let a = MatRef::rows(gram, side);
                let size = Size { m: side, n: side, k: side };
                let epilogue = Lower(Polynomial::new(COEFFICIENTS, gram, polynomial, side));
                multiply(gemm, threads, size, a, a, &epilogue)?;
                mirror(threads, polynomial, side);
            }
            let (x_matrix, polynomial) = (MatRef::rows(x, columns), MatRef::rows(polynomial, side));
            let (left, right) = if is_wide { (polynomial, x_matrix) } else { (x_matrix, polynomial) };
            let size = Size { m: rows, n: columns, k: side };
            if step + 1 == STEPS {
                multiply(gemm, threads, size, left, right, &Store::new(u, columns))?;
            } else {
                multiply(gemm, threads, size, left, right, &Store::new(next, columns))?;
                (x, next) = (next, x);
            }
        }
        Ok(())
    }
}

/// `C = A B`, finished by `epilogue`; both operands lie as they like.
fn multiply<T: Element>(
    gemm: &Gemm<T>,
    threads: &Threads,
    size: Size,
    a: MatRef<T>,
    b: MatRef<T>,
    epilogue: &dyn Epilogue,
) -> Result<()> {
    gemm.run_of_columns(threads, size, a, b, epilogue, &|_, _| {})
}

/// `to = factor · from`
fn scaled<T: Element>(threads: &Threads, factor: f32, from: &[f32], to: &mut [T]) {
    let (len, to) = (to.len(), Shards::new(to));
    threads.run(len.div_ceil(BLOCK), &|_, block| {
        let range = block * BLOCK..((block + 1) * BLOCK).min(len);
        // SAFETY: blocks are disjoint.
        let to = unsafe { to.part(range.clone()) };
        vectorize(
            #[inline(always)]
            || {
                for (to, from) in to.iter_mut().zip(&from[range]) {
                    *to = T::from_f32(from * factor);
                }
            },
        );
    });
}
