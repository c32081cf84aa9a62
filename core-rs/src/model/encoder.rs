//! The stack of blocks, and the norm behind them of families that have one.

use super::block::{Block, Kept};
use super::pass::Pass;
use super::places::Places;
use super::rotary::RotaryTable;
use super::scratch::Scratch;
use crate::backend::{Backend, Linear, Norm};
use crate::blueprint::{Blueprint, NormPlace};
use crate::engine::EngineOptions;
use crate::engine::batch::Batch;
use crate::error::Result;

pub(super) struct Encoder<B: Backend> {
    blocks: Vec<Block>,
    /// One for each block where there is a backward pass; two that take turns otherwise.
    kept: Vec<Kept<B>>,
    last: Option<LastNorm<B>>,
    tables: Vec<RotaryTable<B>>,
}

/// The norm behind the last block.
struct LastNorm<B: Backend> {
    norm: Norm,
    /// `[N, C]`
    out: B::Activations,
    statistics: B::Buffer,
}

/// Gradients of activations.
pub(super) struct Gradients<B: Backend> {
    /// `[N, C]`: of the hidden states between blocks.
    pub hidden: B::Buffer,
    /// `[N, C]`: of what a norm before a branch made.
    inner: Option<B::Buffer>,
    scratch: Option<Scratch<B>>,
}

impl<B: Backend> Gradients<B> {
    pub fn new(backend: &B, blueprint: &Blueprint, n: usize) -> Result<Self> {
        let hidden = || backend.zeroed(n * blueprint.width());
        let norms_before = blueprint.blocks.iter().any(|block| block.place == NormPlace::Before);
        Ok(Self {
            hidden: hidden()?,
            inner: norms_before.then(hidden).transpose()?,
            scratch: blueprint.blocks.first().map(|block| Scratch::new(backend, block, n)).transpose()?,
        })
    }
}

impl<B: Backend> Encoder<B> {
    pub fn new(backend: &B, options: &EngineOptions, blueprint: &Blueprint, places: &Places) -> Result<Self> {
        let n = options.max_tokens;
        let tables = RotaryTable::all(backend, options, blueprint)?;
        let bases: Vec<f32> = tables.iter().map(|table| table.base).collect();
        let block = |spec| Block::new(spec, places, options, blueprint.causal, &bases);
        let blocks = blueprint.blocks.iter().map(block).collect::<Result<Vec<_>>>()?;
        let has_backward = options.training() && !blueprint.freezes_encoder;
        let slots = if has_backward { blocks.len() } else { blocks.len().min(2) };
        // Of the blocks that take turns in a slot, the last one: the first block may lack a norm.
        let turns = (0..slots).filter_map(|slot| blocks[slot..].iter().step_by(slots).next_back());
        let kept = turns.map(|block| block.keep(backend, n)).collect::<Result<Vec<_>>>()?;
        let last = blueprint.norm.as_ref().map(|norm| {
            let norm = places.norm(norm)?;
            let (out, statistics) = (backend.activations(n * norm.width)?, backend.zeroed(2 * n)?);
            Ok(LastNorm { norm, out, statistics })
        });
        Ok(Self { blocks, kept, last: last.transpose()?, tables })
    }

    /// Writes the tables of a device that replays work; others get theirs as far as texts are long, which is sooner.
    pub fn fill(&mut self, backend: &mut B) {
        if B::DEFERS {
            self.tables.iter_mut().for_each(|table| table.fill(backend, None));
        }
    }

    /// The dense layers.
    pub fn layers(&self) -> Vec<Linear> {
        self.blocks.iter().flat_map(|block| [block.attention.layers().into(), block.mlp.layers()].concat()).collect()
    }

    /// What the last block makes of `input`, which it is where there is none.
    fn blocks_output<'a>(&'a self, input: &'a B::Activations) -> &'a B::Activations {
        match self.blocks.last() {
            None => input,
            Some(block) => block.output(&self.kept[(self.blocks.len() - 1) % self.kept.len()]),
        }
    }

    /// Runs all blocks on `input` (`[N, C]`).
    pub fn forward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        input: &B::Activations,
        pass: &Pass,
    ) {
        self.run(backend, weights, batch, input, pass, self.blocks.len());
        if let Some(mut last) = self.last.take() {
            let (n, x) = (batch.input_ids.len(), self.blocks_output(input));
            backend.norm(n, last.norm, weights, x, &mut last.out, &mut last.statistics);
            self.last = Some(last);
        }
    }

    /// Runs the blocks up to this one, and gives the probabilities `[H, T, T]` of its attention in the first sequence.
    pub fn probabilities(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        input: &B::Activations,
        layer: usize,
        out: &mut [f32],
    ) {
        self.run(backend, weights, batch, input, &Pass::evaluation(), layer + 1);
        self.blocks[layer].probabilities(backend, &self.kept[layer % self.kept.len()], out);
    }

    /// Runs the first `count` blocks.
    fn run(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        input: &B::Activations,
        pass: &Pass,
        count: usize,
    ) {
        if !self.tables.is_empty() {
            let longest = batch.position_ids.iter().max().map_or(0, |last| *last as usize + 1);
            self.tables.iter_mut().for_each(|table| table.fill(backend, Some(longest)));
        }
        let slots = self.kept.len();
        for (i, block) in self.blocks[..count].iter().enumerate() {
            let (before, rest) = self.kept.split_at_mut(i % slots);
            let (kept, after) = rest.split_first_mut().expect("the slot of this block");
            let x = match i {
                0 => input,
                _ => before.last().or(after.last()).map_or(input, |previous| self.blocks[i - 1].output(previous)),
            };
            block.forward(backend, weights, batch, pass, &self.tables, x, kept);
        }
    }

    /// What the last `forward` made of `input`.
    pub fn output<'a>(&'a self, input: &'a B::Activations) -> &'a B::Activations {
        self.last.as_ref().map_or_else(|| self.blocks_output(input), |last| &last.out)
    }

    /// `scratch.hidden`: gradient of the output → gradient of `input`. Adds to all parameters' gradients.
    pub fn backward(
        &self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        input: &B::Activations,
        pass: &Pass,
        scratch: &mut Gradients<B>,
        gradients: &mut B::Buffer,
    ) {
        let Gradients { hidden, inner, scratch } = scratch;
        if let Some(LastNorm { norm, statistics, .. }) = &self.last {
            let (n, x) = (batch.input_ids.len(), self.blocks_output(input));
            backend.norm_backward(n, *norm, weights, x, statistics, hidden, gradients);
        }
        let Some(scratch) = scratch else { return };
        for (i, block) in self.blocks.iter().enumerate().rev() {
            let x = if i == 0 { input } else { self.blocks[i - 1].output(&self.kept[i - 1]) };
            let inner = inner.as_mut();
            block.backward(
                backend,
                weights,
                batch,
                pass,
                &self.tables,
                x,
                &self.kept[i],
                hidden,
                inner,
                scratch,
                gradients,
            );
        }
    }

    pub fn first_non_finite(&self, backend: &mut B, tokens: usize) -> Option<String> {
        // With two slots only the last blocks are still there; what is named then is the first of those.
        let there = self.blocks.len().saturating_sub(self.kept.len())..self.blocks.len();
        there
            .into_iter()
            .find_map(|i| self.blocks[i].first_non_finite(backend, &self.kept[i % self.kept.len()], tokens))
    }
}
