//! From ids to hidden states: the sum of the tables, the norm of families that have one there, dropout.

use super::pass::Pass;
use super::places::Places;
use crate::backend::{Backend, DataGradient, Embeddings, Linear, Norm};
use crate::blueprint;
use crate::engine::batch::Batch;
use crate::error::Result;
use crate::machine::memory::zeros;
use crate::ops::dropout::Dropout;

pub(super) struct EmbeddingLayer<B: Backend> {
    spec: blueprint::Embeddings,
    tables: Embeddings,
    /// Of tokens, where they are not a batch's `position_ids`.
    positions: Vec<i32>,
    norm: Option<Normed<B>>,
    /// `[N, E]`
    out: B::Activations,
    projection: Option<Projection<B>>,
}

/// A norm and what its backward pass needs.
struct Normed<B: Backend> {
    norm: Norm,
    /// `[N, E]`: what is normalized.
    sum: B::Activations,
    statistics: B::Buffer,
}

/// The layer from the embeddings' width to that of the blocks.
struct Projection<B: Backend> {
    layer: Linear,
    /// `[N, C]`
    out: B::Activations,
    /// Gradients of `out`, as the operand of a product, and of what is projected, `[N, E]`, where there is a backward pass.
    gradients: Option<(B::Activations, B::Buffer)>,
}

impl<B: Backend> EmbeddingLayer<B> {
    /// `trains`: whether there is a backward pass.
    pub fn new(backend: &B, spec: &blueprint::Embeddings, places: &Places, n: usize, trains: bool) -> Result<Self> {
        let tables = places.tables(spec);
        let matrix = || backend.activations(n * tables.width);
        let norm = match &spec.norm {
            Some(norm) => Some(Normed { norm: places.norm(norm)?, sum: matrix()?, statistics: backend.zeroed(2 * n)? }),
            None => None,
        };
        let positions = zeros(if spec.padding_position.is_some() { n } else { 0 })?;
        let projection = spec.projection.as_ref().map(|dense| {
            let layer = places.dense(dense)?;
            let project = || backend.activations(n * layer.outputs);
            let gradients = || Ok((project()?, backend.zeroed(n * layer.inputs)?));
            Ok(Projection { layer, out: project()?, gradients: trains.then(gradients).transpose()? })
        });
        let projection = projection.transpose()?;
        Ok(Self { spec: spec.clone(), tables, positions, norm, out: matrix()?, projection })
    }

    /// What the blocks read, `[N, C]`.
    pub fn output(&self) -> &B::Activations {
        self.projection.as_ref().map_or(&self.out, |projection| &projection.out)
    }

    /// Its dense layer, if it has one.
    pub fn layers(&self) -> Option<Linear> {
        self.projection.as_ref().map(|projection| projection.layer)
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
        if let Some(Projection { layer, out: projected, .. }) = &mut self.projection {
            backend.linear(batch.input_ids.len(), *layer, weights, out, projected);
        }
    }

    /// `hidden`: gradient of the output; lost.
    ///
    /// # Panics
    /// If it was not planned for a backward pass.
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
        let mut hidden = hidden;
        if let Some(Projection { layer, gradients: own, .. }) = &mut self.projection {
            let (operand, before) = own.as_mut().expect("planned for training");
            backend.dropout_to_operand(n, layer.outputs, hidden, Dropout::none(), operand);
            backend.linear_parameters_backward(n, *layer, &self.out, operand, gradients);
            backend.linear_backward(n, *layer, weights, operand, DataGradient::Store(before));
            hidden = before;
        }
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
