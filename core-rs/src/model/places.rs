//! Where the parts of a blueprint lie in the flat buffers.

use crate::backend::{Embeddings, Linear, Norm};
use crate::blueprint::{self, Decoder, Dense, ParameterLayout, Tensor};
use crate::error::Result;

/// Finds them.
pub struct Places<'a> {
    /// The layout of the same blueprint.
    pub layout: &'a ParameterLayout,
}

impl Places<'_> {
    fn offset(&self, tensor: &Tensor) -> Result<usize> {
        Ok(self.layout.find(&tensor.name)?.offset)
    }

    pub fn dense(&self, dense: &Dense) -> Result<Linear> {
        self.side_by_side(std::slice::from_ref(dense))
    }

    /// Layers of the same inputs as the one that they make together: their weights lie side by side, and their biases.
    pub fn side_by_side(&self, parts: &[Dense]) -> Result<Linear> {
        let [first, ..] = parts else { unreachable!("at least one layer") };
        let outputs = parts.iter().map(|dense| dense.shape()[0]).sum();
        let bias = first.bias.as_ref().map(|bias| self.offset(bias)).transpose()?;
        Ok(Linear { weight: self.offset(&first.weight)?, bias, inputs: first.shape()[1], outputs })
    }

    /// The two layers that the halves of one layer's outputs are.
    pub fn halves(&self, dense: &Dense) -> Result<[Linear; 2]> {
        let whole = self.dense(dense)?;
        let outputs = whole.outputs / 2;
        let first = Linear { outputs, ..whole };
        let bias = whole.bias.map(|bias| bias + outputs);
        Ok([first, Linear { weight: whole.weight + outputs * whole.inputs, bias, ..first }])
    }

    pub fn norm(&self, norm: &blueprint::Norm) -> Result<Norm> {
        let (weight, width) = (self.offset(&norm.weight)?, norm.weight.shape[0]);
        Ok(Norm { weight, width, eps: norm.eps, has_bias: norm.bias.is_some() })
    }

    /// A decoder of its own, or the word embeddings as one.
    pub fn decoder(&self, decoder: &Decoder, words: &Tensor) -> Result<Linear> {
        let weight = decoder.weight.as_ref().unwrap_or(words);
        let (inputs, outputs) = (weight.shape[1], weight.shape[0]);
        Ok(Linear { weight: self.offset(weight)?, bias: Some(self.offset(&decoder.bias)?), inputs, outputs })
    }

    pub fn tables(&self, embeddings: &blueprint::Embeddings) -> Embeddings {
        let blueprint::Embeddings { words, positions, token_types, .. } = embeddings;
        let rows = [Some(words), positions.as_ref(), token_types.as_ref()];
        Embeddings { rows: rows.map(|table| table.map_or(0, |table| table.shape[0])), width: words.shape[1] }
    }
}
