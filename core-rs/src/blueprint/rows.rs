//! Training the rows of new tokens alone: where everything else lies in the flat buffers. Its gradients are cleared before
//! they are clipped; as its state is zero when a run begins, it then keeps weights and state to the bit.

use std::ops::Range;

use super::{Blueprint, Parameter, ParameterLayout, Part, Tensor};
use crate::config::ModelConfig;
use crate::error::{Code, Error, Result};
use crate::heads::Heads;

/// The parameters that have a row, or an element, a token, of a model that predicts tokens: its word embeddings first, then
/// its decoder's, tied or not.
///
/// # Errors
/// `Unsupported` if there is no such family.
pub fn parameters_per_token(config: &ModelConfig) -> Result<Vec<Parameter>> {
    let mut all = Vec::new();
    for tie_word_embeddings in [true, false] {
        let config = ModelConfig { tie_word_embeddings, ..config.clone() };
        let blueprint = Blueprint::of(&config, &Heads::MASKED_LM)?;
        let (names, layout) = (blueprint.per_token(), blueprint.layout());
        all.extend(layout.parameters().iter().filter(|p| names.contains(&p.name.as_str())).cloned());
    }
    Ok(all)
}

impl Blueprint {
    /// Names of the tensors that have a row, or an element, a token: embeddings and decoder.
    fn per_token(&self) -> Vec<&str> {
        let decoder = self.tokens.iter().map(|head| &head.decoder).filter(|d| d.bias.part != Part::Classifier);
        let tensors = decoder.flat_map(|decoder| decoder.weight.iter().chain([&decoder.bias]));
        [&self.embeddings.words].into_iter().chain(tensors).map(|Tensor { name, .. }| name.as_str()).collect()
    }

    /// Everything but the rows of these tokens, in order.
    ///
    /// # Errors
    /// `InvalidArgument` if the vocabulary does not have them.
    pub fn outside_rows(&self, layout: &ParameterLayout, rows: &Range<usize>) -> Result<Vec<Range<usize>>> {
        let vocab_size = self.embeddings.words.shape[0];
        if rows.is_empty() || rows.end > vocab_size {
            let Range { start, end } = rows;
            let message = format!("rows {start}..{end} are to be trained alone, but the vocabulary has {vocab_size}");
            return Err(Error::new(Code::InvalidArgument, message));
        }
        let names = self.per_token();
        let (mut outside, mut at) = (Vec::new(), 0);
        for parameter in layout.parameters().iter().filter(|p| names.contains(&p.name.as_str())) {
            let width = parameter.len / vocab_size;
            outside.push(at..parameter.offset + rows.start * width);
            at = parameter.offset + rows.end * width;
        }
        outside.push(at..layout.len());
        outside.retain(|range| !range.is_empty());
        Ok(outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::tiny;

    #[test]
    fn outside_rows_leaves_out_the_rows_of_embeddings_and_decoder_and_nothing_else() {
        for tied in [true, false] {
            let config = ModelConfig { tie_word_embeddings: tied, ..tiny() };
            let (v, c) = (config.vocab_size, config.hidden_size);
            let blueprint = Blueprint::of(&config, &Heads::MASKED_LM).unwrap();
            let layout = blueprint.layout();
            let mut alone = vec![true; layout.len()];
            for range in blueprint.outside_rows(&layout, &(v - 3..v)).unwrap() {
                alone[range].fill(false);
            }
            let words = layout.find("bert.embeddings.word_embeddings.weight").unwrap().range();
            assert!(alone[words][(v - 3) * c..].iter().all(|&x| x));
            let decoder = if tied { 3 } else { 3 + 3 * c };
            assert_eq!(alone.iter().filter(|&&x| x).count(), 3 * c + decoder);
            for wrong in [v - 3..v + 1, 1..1] {
                assert_eq!(blueprint.outside_rows(&layout, &wrong).unwrap_err().code, Code::InvalidArgument);
            }
        }
    }
}
