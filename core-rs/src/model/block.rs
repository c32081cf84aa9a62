//! A block: two branches beside a residual stream, each with a norm before it or behind the sum.

use super::attention::{self, Attention};
use super::mlp::{self, Mlp};
use super::pass::Pass;
use super::places::Places;
use super::scratch::Scratch;
use crate::backend::{Backend, DataGradient, Norm};
use crate::blueprint::{self, NormPlace, Site};
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::Result;

/// Where a block's parameters are.
pub(super) struct Block {
    /// Modules of both branches, for messages.
    names: [String; 2],
    pub attention: Attention,
    pub mlp: Mlp,
    norms: [Branch; 2],
}

/// The norm of a branch.
#[derive(Clone, Copy)]
struct Branch {
    norm: Norm,
    place: NormPlace,
}

/// What a block's forward pass leaves for its backward pass.
pub(super) struct Kept<B: Backend> {
    attention: attention::Kept<B>,
    mlp: mlp::Kept<B>,
    around: [Around<B>; 2],
}

/// What a branch reads and what it is added to.
struct Around<B: Backend> {
    /// `[N, C]`: residual and branch.
    sum: B::Activations,
    /// `[N, C]`: what the norm made, of the branch's input or of `sum`.
    normed: B::Activations,
    statistics: B::Buffer,
}

impl Block {
    pub fn new(spec: &blueprint::Block, places: &Places, options: &EngineOptions, causal: bool) -> Result<Self> {
        let branch = |norm| Ok(Branch { norm: places.norm(norm)?, place: spec.place });
        Ok(Self {
            names: [spec.attention.name.clone(), spec.mlp.name.clone()],
            attention: Attention::new(&spec.attention, places, options, causal)?,
            mlp: Mlp::new(&spec.mlp, places)?,
            norms: [branch(&spec.attention.norm)?, branch(&spec.mlp.norm)?],
        })
    }

    pub fn keep<B: Backend>(&self, backend: &B, n: usize) -> Result<Kept<B>> {
        let around = |Branch { norm, .. }: Branch| {
            let matrix = || backend.activations(n * norm.width);
            Ok(Around { sum: matrix()?, normed: matrix()?, statistics: backend.zeroed(2 * n)? })
        };
        let [first, second] = self.norms;
        Ok(Kept {
            attention: self.attention.keep(backend, n)?,
            mlp: self.mlp.keep(backend, n)?,
            around: [around(first)?, around(second)?],
        })
    }

    /// From its input `x` to what [`Block::output`] lends.
    pub fn forward<B: Backend>(
        &self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        pass: &Pass,
        x: &B::Activations,
        kept: &mut Kept<B>,
    ) {
        let (n, Kept { attention, mlp, around: [first, second] }) = (batch.input_ids.len(), kept);
        self.norms[0].forward(backend, weights, n, x, first, |backend, operand, sum| {
            self.attention.forward(backend, weights, batch, pass, attention, operand, x, sum);
        });
        let x = first.output(self.norms[0].place);
        self.norms[1].forward(backend, weights, n, x, second, |backend, operand, sum| {
            self.mlp.forward(backend, weights, n, pass, mlp, operand, x, sum);
        });
    }

    pub fn output<'a, B: Backend>(&self, kept: &'a Kept<B>) -> &'a B::Activations {
        kept.around[1].output(self.norms[1].place)
    }

    /// `hidden`: gradient of the output → gradient of its input `x`. `inner` is scratch of the same size, where a norm
    /// stands before its branch.
    pub fn backward<B: Backend>(
        &self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        pass: &Pass,
        x: &B::Activations,
        kept: &Kept<B>,
        hidden: &mut B::Buffer,
        inner: Option<&mut B::Buffer>,
        scratch: &mut Scratch<B>,
        gradients: &mut B::Buffer,
    ) {
        let (n, Kept { attention, mlp, around: [first, second] }) = (batch.input_ids.len(), kept);
        let mut flow = Flow { hidden, inner, scratch, gradients };
        let (x_of_mlp, dropout) = (first.output(self.norms[0].place), self.mlp.dropout);
        let branch = self.norms[1];
        branch.backward(backend, weights, n, pass, x_of_mlp, second, dropout, &mut flow, |b, x, to, s, g| {
            self.mlp.backward(b, weights, n, mlp, x, s, to, g);
        });
        let (branch, dropout) = (self.norms[0], self.attention.dropout);
        branch.backward(backend, weights, n, pass, x, first, dropout, &mut flow, |b, x, to, s, g| {
            self.attention.backward(b, weights, batch, pass, attention, x, s, to, g);
        });
    }

    pub fn first_non_finite<B: Backend>(&self, backend: &mut B, kept: &Kept<B>, tokens: usize) -> Option<String> {
        self.names.iter().zip(self.norms).zip(&kept.around).find_map(|((name, Branch { norm, place }), around)| {
            let found = backend.first_non_finite_activation(around.output(place), tokens * norm.width)?;
            Some(format!("the output of {name} (token {})", found / norm.width))
        })
    }
}

impl<B: Backend> Around<B> {
    fn output(&self, place: NormPlace) -> &B::Activations {
        match place {
            NormPlace::Before => &self.sum,
            NormPlace::After => &self.normed,
        }
    }
}

/// Gradients on their way back through a block.
struct Flow<'a, B: Backend> {
    hidden: &'a mut B::Buffer,
    inner: Option<&'a mut B::Buffer>,
    scratch: &'a mut Scratch<B>,
    gradients: &'a mut B::Buffer,
}

impl Branch {
    /// Runs `branch(backend, what it reads, where residual and branch go)` on x.
    fn forward<B: Backend>(
        self,
        backend: &mut B,
        weights: &B::Buffer,
        n: usize,
        x: &B::Activations,
        around: &mut Around<B>,
        branch: impl FnOnce(&mut B, &B::Activations, &mut B::Activations),
    ) {
        let Around { sum, normed, statistics } = around;
        match self.place {
            NormPlace::Before => {
                backend.norm(n, self.norm, weights, x, normed, statistics);
                branch(backend, normed, sum);
            }
            NormPlace::After => {
                branch(backend, x, sum);
                backend.norm(n, self.norm, weights, sum, normed, statistics);
            }
        }
    }

    /// `flow.hidden`: gradient of the branch's output → of its input x. Runs `branch(backend, what it read, where its
    /// gradient goes, scratch, gradients)` with the gradient of what was dropped out in the scratch.
    fn backward<B: Backend>(
        self,
        backend: &mut B,
        weights: &B::Buffer,
        n: usize,
        pass: &Pass,
        x: &B::Activations,
        around: &Around<B>,
        dropout: Site,
        flow: &mut Flow<B>,
        branch: impl FnOnce(&mut B, &B::Activations, DataGradient<B>, &mut Scratch<B>, &mut B::Buffer),
    ) {
        let Flow { hidden, inner, scratch, gradients } = flow;
        let (dropout, dropped) = (pass.at(dropout), &mut scratch.dropped);
        match self.place {
            NormPlace::Before => {
                let inner = inner.as_deref_mut().expect("planned for norms before branches");
                backend.dropout_to_operand(n, self.norm.width, hidden, dropout, dropped);
                branch(backend, &around.normed, DataGradient::Store(inner), scratch, gradients);
                backend.norm_backward(n, self.norm, weights, x, &around.statistics, inner, gradients);
                backend.add(n, self.norm.width, inner, hidden);
            }
            NormPlace::After => {
                let (norm, Around { sum, statistics, .. }) = (self.norm, around);
                backend
                    .norm_backward_to_operand(n, norm, weights, sum, statistics, hidden, dropout, dropped, gradients);
                branch(backend, x, DataGradient::Add(&mut **hidden), scratch, gradients);
            }
        }
    }
}
