//! What a model is trained for, and so which heads it has on its encoder. An objective is a choice of two heads, one on
//! tokens and one on sequences, and of what attention may see; nothing else in the core asks which objective it is.

use serde::Deserialize;

use crate::error::{Code, Error, Result};

/// The objectives, each with the Hugging Face class whose parameters and loss it has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub enum Objective {
    /// `BertForMaskedLM` (Devlin et al., 2019, section 3.1, task 1).
    #[serde(rename = "mlm")]
    MaskedLm,
    /// `BertForPreTraining`: mean masked-LM loss plus mean next-sentence loss (the same, tasks 1 and 2).
    #[serde(rename = "mlm+nsp")]
    MaskedLmNextSentence,
    /// `BertLMHeadModel` with `is_decoder`: the same encoder, left to right (the same, appendix C.1).
    #[serde(rename = "clm")]
    CausalLm,
    /// `BertForSequenceClassification`.
    #[serde(rename = "sequence_classification")]
    SequenceClassification(Classification),
}

/// How sequences are classified.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// Number of classes.
    pub num_labels: usize,
    /// Dropout between pooler and classifier.
    pub classifier_dropout: f32,
    /// Whether only pooler and classifier are trained: a probe. The encoder then runs without dropout.
    pub freeze_encoder: bool,
    /// Whether the encoder is a left-to-right one: attention is causal, and the last token is pooled, because the first
    /// one sees only itself. `BertForSequenceClassification` has no such thing.
    pub left_to_right: bool,
}

/// What a head on sequences tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceKind {
    /// Whether the second part of a pair follows the first.
    NextSentence,
    /// The classes of a data set.
    Classifier,
}

/// The head on sequences: pooler (dense and tanh on one token), dropout, dense.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceTask {
    /// What they are classified as.
    pub kind: SequenceKind,
    /// Its outputs, K.
    pub outputs: usize,
    /// Dropout of the pooled output.
    pub dropout: f32,
    /// Whether each sequence's last token is pooled, not its first.
    pub pools_last: bool,
}

impl Objective {
    /// Whether a token sees only itself and what stands before it.
    pub fn is_causal(&self) -> bool {
        match self {
            Self::CausalLm => true,
            Self::SequenceClassification(c) => c.left_to_right,
            Self::MaskedLm | Self::MaskedLmNextSentence => false,
        }
    }

    /// Whether there is a head that predicts tokens.
    pub fn predicts_tokens(&self) -> bool {
        !matches!(self, Self::SequenceClassification(_))
    }

    /// The head on sequences, if there is one.
    pub fn sequence_task(&self) -> Option<SequenceTask> {
        match self {
            Self::MaskedLm | Self::CausalLm => None,
            Self::MaskedLmNextSentence => {
                Some(SequenceTask { kind: SequenceKind::NextSentence, outputs: 2, dropout: 0.0, pools_last: false })
            }
            Self::SequenceClassification(c) => Some(SequenceTask {
                kind: SequenceKind::Classifier,
                outputs: c.num_labels,
                dropout: c.classifier_dropout,
                pools_last: c.left_to_right,
            }),
        }
    }

    /// Whether the encoder stays as it is.
    pub fn freezes_encoder(&self) -> bool {
        matches!(self, Self::SequenceClassification(c) if c.freeze_encoder)
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub fn validate(&self) -> Result<()> {
        let Self::SequenceClassification(c) = self else { return Ok(()) };
        let most = 1 << 20;
        if !(2..=most).contains(&c.num_labels) {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("num_labels is {}, outside 2..={most}", c.num_labels),
            ));
        }
        if !(0.0..1.0).contains(&c.classifier_dropout) {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("classifier_dropout is {}, outside 0 (inclusive) to 1 (exclusive)", c.classifier_dropout),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn classification(freeze_encoder: bool) -> Objective {
        let (num_labels, classifier_dropout, left_to_right) = (3, 0.0, false);
        let how = Classification { num_labels, classifier_dropout, freeze_encoder, left_to_right };
        Objective::SequenceClassification(how)
    }

    #[test]
    fn objectives_are_read_by_name_and_choose_heads() {
        let read = |json: &str| serde_json::from_str::<Objective>(json);
        for (json, causal, tokens, outputs) in [
            (r#""mlm""#, false, true, None),
            (r#""mlm+nsp""#, false, true, Some(2)),
            (r#""clm""#, true, true, None),
            (
                r#"{"sequence_classification":{"num_labels":5,"classifier_dropout":0.1,"freeze_encoder":true,
                "left_to_right":true}}"#,
                true,
                false,
                Some(5),
            ),
        ] {
            let objective = read(json).unwrap();
            assert_eq!(objective.is_causal(), causal);
            assert_eq!(objective.predicts_tokens(), tokens);
            assert_eq!(objective.sequence_task().map(|t| t.outputs), outputs);
            objective.validate().unwrap();
        }
        assert!(read(r#""nsp""#).is_err() && read(r#"{"sequence_classification":{"num_labels":5}}"#).is_err());
        let one =
            Classification { num_labels: 1, classifier_dropout: 0.0, freeze_encoder: false, left_to_right: false };
        let error = Objective::SequenceClassification(one).validate().unwrap_err();
        assert!(error.message.contains("num_labels is 1"), "{error}");
    }
}
