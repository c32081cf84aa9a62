//! From ids to hidden states: the sum of the tables, the norm of families that have one there, dropout.

use super::pass::Pass;
use super::places::Places;
use crate::backend::{Backend, Embeddings, Norm};
use crate::blueprint;
use crate::engine::batch::Batch;
use crate::error::Result;
use crate::machine::memory::zeros;

pub(super) struct EmbeddingLayer<B: Backend> {
    spec: blueprint::Embeddings,
    tables: Embeddings,
    /// Of tokens, where they are not a batch's `position_ids`.
    positions: Vec<i32>,
    norm: Option<Normed<B>>,
    /// `[N, C]`
    pub out: B::Activations,
}

/// A norm and what its backward pass needs.
struct Normed<B: Backend> {
    norm: Norm,
    /// `[N, C]`: what is normalized.
    sum: B::Activations,
    statistics: B::Buffer,
}

impl<B: Backend> EmbeddingLayer<B> {
    pub fn new(backend: &B, spec: &blueprint::Embeddings, places: &Places, n: usize) -> Result<Self> {
        let tables = places.tables(spec);
        let matrix = || backend.activations(n * tables.width);
        let norm = match &spec.norm {
            Some(norm) => Some(Normed { norm: places.norm(norm)?, sum: matrix()?, statistics: backend.zeroed(2 * n)? }),
            None => None,
        };
        let positions = zeros(if spec.padding_position.is_some() { n } else { 0 })?;
        Ok(Self { spec: spec.clone(), tables, positions, norm, out: matrix()? })
    }

    pub fn forward(&mut self, backend: &mut B, weights: &B::Buffer, batch: &Batch, pass: &Pass) {
        let batch = &batch.behind_padding(self.spec.padding_position, &mut self.positions);
        let (tables, dropout, out) = (self.tables, pass.at(self.spec.dropout), &mut self.out);
        match &mut self.norm {
            Some(Normed { norm, sum, statistics }) => {
                backend.embed_norm(batch, tables, *norm, weights, dropout, sum, out, statistics);
            }
            None => {
                backend.embed(batch, tables, weights, out);
                backend.dropout(batch.input_ids.len(), tables.width, out, dropout);
            }
        }
    }

    /// `hidden`: gradient of the output; lost.
    pub fn backward(
        &mut self,
        backend: &mut B,
        weights: &B::Buffer,
        batch: &Batch,
        pass: &Pass,
        hidden: &mut B::Buffer,
        gradients: &mut B::Buffer,
    ) {
        let n = batch.input_ids.len();
        backend.dropout_backward(n, self.tables.width, hidden, pass.at(self.spec.dropout));
        if let Some(Normed { norm, sum, statistics }) = &self.norm {
            backend.norm_backward(n, *norm, weights, sum, statistics, hidden, gradients);
        }
        let batch = &batch.behind_padding(self.spec.padding_position, &mut self.positions);
        backend.embed_backward(batch, self.tables, hidden, gradients);
    }

    pub fn first_non_finite(&self, backend: &mut B, tokens: usize) -> Option<String> {
        backend.first_non_finite_activation(&self.out, tokens * self.tables.width)?;
        Some(format!("the output of {}", self.spec.name))
    }
}
