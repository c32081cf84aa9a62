//! A block: two branches beside a residual stream, each with a norm before it or behind the sum.

use super::attention::{self, Attention};
use super::mlp::{self, Mlp};
use super::pass::Pass;
use super::places::Places;
use super::residual::Behind;
use super::rotary::RotaryTable;
use super::scratch::Scratch;
use crate::backend::{Backend, DataGradient, Linear, Norm};
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

/// The norm of a branch, which one before it may lack.
#[derive(Clone, Copy)]
struct Branch {
    norm: Option<Norm>,
    /// C
    width: usize,
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
    norm: Option<Normed<B>>,
}

/// What a branch's norm leaves.
struct Normed<B: Backend> {
    /// `[N, C]`: what it made, of the branch's input or of `sum`.
    out: B::Activations,
    statistics: B::Buffer,
}

impl Block {
    /// `bases` are those of rotary positions that tables will be lent of.
    pub fn new(
        spec: &blueprint::Block,
        places: &Places,
        options: &EngineOptions,
        causal: bool,
        bases: &[f32],
    ) -> Result<Self> {
        let [width, _] = spec.mlp.down.shape();
        let branch = |norm: Option<&_>| {
            let norm = norm.map(|norm| places.norm(norm)).transpose()?;
            Ok(Branch { norm, width, place: spec.place })
        };
        Ok(Self {
            names: [spec.attention.name.clone(), spec.mlp.name.clone()],
            attention: Attention::new(&spec.attention, places, options, causal, bases)?,
            mlp: Mlp::new(&spec.mlp, places)?,
            norms: [branch(spec.attention.norm.as_ref())?, branch(Some(&spec.mlp.norm))?],
        })
    }

    pub fn keep<B: Backend>(&self, backend: &B, n: usize) -> Result<Kept<B>> {
        let around = |Branch { norm, width, .. }: Branch| {
            let matrix = || backend.activations(n * width);
            let normed = |_| Ok(Normed { out: matrix()?, statistics: backend.zeroed(2 * n)? });
            Ok(Around { sum: matrix()?, norm: norm.map(normed).transpose()? })
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
        tables: &[RotaryTable<B>],
        x: &B::Activations,
        kept: &mut Kept<B>,
    ) {
        let (n, Kept { attention, mlp, around }) = (batch.input_ids.len(), kept);
        let ([first, second], [one, two]) = (around, self.norms);
        match one.place {
            NormPlace::After => {
                let behind = one.behind(&mut first.norm);
                self.attention.forward(backend, weights, batch, pass, tables, attention, x, x, &mut first.sum, behind);
                let (x, behind) = (first.output(one.place), two.behind(&mut second.norm));
                self.mlp.forward(backend, weights, n, pass, mlp, x, x, &mut second.sum, behind);
            }
            NormPlace::Before => {
                let operand = match one.behind(&mut first.norm) {
                    None => x,
                    Some(Behind { norm, out, statistics }) => {
                        backend.norm(n, norm, weights, x, out, statistics);
                        out
                    }
                };
                // What stands behind the first sum is the norm before the second branch.
                let (sum, behind) = (&mut first.sum, two.behind(&mut second.norm));
                self.attention.forward(backend, weights, batch, pass, tables, attention, operand, x, sum, behind);
                let operand = second.norm.as_ref().map_or(&first.sum, |normed| &normed.out);
                self.mlp.forward(backend, weights, n, pass, mlp, operand, &first.sum, &mut second.sum, None);
            }
        }
    }

    /// What tokens give to each other in the attention of the last `forward`.
    pub fn probabilities<B: Backend>(&self, backend: &mut B, kept: &Kept<B>, out: &mut [f32]) {
        self.attention.probabilities(backend, &kept.attention, out);
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
        tables: &[RotaryTable<B>],
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
        let (branch, last) = (self.norms[1], self.mlp.last(mlp));
        branch.backward(backend, weights, n, pass, x_of_mlp, second, dropout, last, &mut flow, |b, x, to, s, g| {
            self.mlp.backward(b, weights, n, pass, mlp, x, s, to, g);
        });
        let (dropout, branch, last) = (self.attention.dropout, self.norms[0], self.attention.last(attention));
        branch.backward(backend, weights, n, pass, x, first, dropout, last, &mut flow, |b, x, to, s, g| {
            self.attention.backward(b, weights, batch, pass, tables, attention, x, s, to, g);
        });
    }

    pub fn first_non_finite<B: Backend>(&self, backend: &mut B, kept: &Kept<B>, tokens: usize) -> Option<String> {
        self.names.iter().zip(self.norms).zip(&kept.around).find_map(|((name, branch), around)| {
            let Branch { width, place, .. } = branch;
            let found = backend.first_non_finite_activation(around.output(place), tokens * width)?;
            Some(format!("the output of {name} (token {})", found / width))
        })
    }
}

impl<B: Backend> Around<B> {
    fn output(&self, place: NormPlace) -> &B::Activations {
        match (place, &self.norm) {
            (NormPlace::After, Some(normed)) => &normed.out,
            _ => &self.sum,
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
    /// The norm and where it goes, if there is one.
    fn behind<B: Backend>(self, normed: &mut Option<Normed<B>>) -> Option<Behind<'_, B>> {
        let (norm, Normed { out, statistics }) = self.norm.zip(normed.as_mut())?;
        Some(Behind { norm, out, statistics })
    }

    /// `flow.hidden`: gradient of the branch's output → of its input x. Runs `branch(backend, what it read, where its
    /// gradient goes, scratch, gradients)` with the gradient of what was dropped out in the scratch. That is what the
    /// branch's last layer made of `input`; its own gradients are added here.
    fn backward<B: Backend>(
        self,
        backend: &mut B,
        weights: &B::Buffer,
        n: usize,
        pass: &Pass,
        x: &B::Activations,
        around: &Around<B>,
        dropout: Site,
        (layer, input): (Linear, &B::Activations),
        flow: &mut Flow<B>,
        branch: impl FnOnce(&mut B, &B::Activations, DataGradient<B>, &mut Scratch<B>, &mut B::Buffer),
    ) {
        let Flow { hidden, inner, scratch, gradients } = flow;
        let (dropout, dropped) = (pass.at(dropout), &mut scratch.dropped);
        let Some(norm) = self.norm else {
            backend.dropout_to_operand(n, self.width, hidden, dropout, dropped);
            backend.linear_parameters_backward(n, layer, input, dropped, gradients);
            return branch(backend, x, DataGradient::Add(&mut **hidden), scratch, gradients);
        };
        let Normed { out, statistics } = around.norm.as_ref().expect("planned for a norm");
        match self.place {
            NormPlace::Before => {
                let inner = inner.as_deref_mut().expect("planned for norms before branches");
                backend.dropout_to_operand(n, self.width, hidden, dropout, dropped);
                backend.linear_parameters_backward(n, layer, input, dropped, gradients);
                branch(backend, out, DataGradient::Store(inner), scratch, gradients);
                backend.norm_backward_to_sum(n, norm, weights, x, statistics, inner, hidden, gradients);
            }
            NormPlace::After => {
                let sum = &around.sum;
                backend.norm_backward_to_layer(
                    n, norm, weights, sum, statistics, hidden, dropout, dropped, layer, input, gradients,
                );
                branch(backend, x, DataGradient::Add(&mut **hidden), scratch, gradients);
            }
        }
    }
}
