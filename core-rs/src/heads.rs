//! What stands on a model's encoder, what attention may see, and what of it all is trained. The caller says it as data;
//! the core knows no objective.

use serde::Deserialize;

use crate::error::{Code, Error, Result};

/// The heads that an engine is opened with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// Whether there is a head that predicts tokens.
    pub tokens: bool,
    /// The head on sequences, if there is one.
    pub sequence: Option<SequenceHead>,
    /// Whether a token sees only itself and what stands before it (Devlin et al., 2019, appendix C.1).
    pub is_decoder: bool,
    /// Whether the encoder stays as it is and only the heads are trained: a probe. It then runs without dropout.
    pub freeze_encoder: bool,
}

/// A head that tells classes of sequences: pooler (dense and tanh on one token), dropout, dense.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceHead {
    /// Which of Hugging Face's it is.
    pub kind: SequenceKind,
    /// Number of classes, K.
    pub num_labels: usize,
    /// Dropout between pooler and classifier.
    pub classifier_dropout: f32,
    /// Which token of a sequence is pooled.
    pub pools: Pools,
}

/// The heads on sequences that Hugging Face's classes have.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SequenceKind {
    /// Of `BertForPreTraining`.
    NextSentence,
    /// Of `BertForSequenceClassification`.
    Classification,
}

/// What stands for a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pools {
    /// `[CLS]`.
    First,
    /// The last one, because left to right the first one sees only itself. No Hugging Face class has such a head.
    Last,
    /// None of them: the mean of all.
    Mean,
}

impl SequenceHead {
    /// Next-sentence prediction: whether the second segment follows the first.
    pub const NEXT_SENTENCE: Self =
        Self { kind: SequenceKind::NextSentence, num_labels: 2, classifier_dropout: 0.0, pools: Pools::First };

    /// A classifier on the first token, without dropout.
    pub const fn classification(num_labels: usize) -> Self {
        Self { kind: SequenceKind::Classification, num_labels, classifier_dropout: 0.0, pools: Pools::First }
    }
}

impl Heads {
    /// Those of `BertForMaskedLM`.
    pub const MASKED_LM: Self = Self { tokens: true, sequence: None, is_decoder: false, freeze_encoder: false };
    /// Those of `BertForPreTraining`.
    pub const PRE_TRAINING: Self = Self { sequence: Some(SequenceHead::NEXT_SENTENCE), ..Self::MASKED_LM };
    /// Those of `BertLMHeadModel` with `is_decoder`.
    pub const CAUSAL_LM: Self = Self { is_decoder: true, ..Self::MASKED_LM };

    /// Those of `BertForSequenceClassification`.
    pub const fn classification(head: SequenceHead) -> Self {
        Self { tokens: false, sequence: Some(head), is_decoder: false, freeze_encoder: false }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::InvalidArgument, message));
        let Some(head) = &self.sequence else { return Ok(()) };
        let most = 1 << 20;
        if !(1..=most).contains(&head.num_labels) {
            return invalid(format!("num_labels is {}, outside 1..={most}", head.num_labels));
        }
        if head.kind == SequenceKind::NextSentence && head.num_labels != 2 {
            return invalid(format!("num_labels of next_sentence is {}, but has to be 2", head.num_labels));
        }
        if !(0.0..1.0).contains(&head.classifier_dropout) {
            return invalid(format!(
                "classifier_dropout is {}, outside 0 (inclusive) to 1 (exclusive)",
                head.classifier_dropout
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn classification(freeze_encoder: bool) -> Heads {
        Heads { freeze_encoder, ..Heads::classification(SequenceHead::classification(3)) }
    }

    #[test]
    fn heads_are_read_from_what_the_boundary_says_and_nothing_is_left_to_a_default() {
        let read = |json: &str| serde_json::from_str::<Heads>(json);
        let masked = r#"{"tokens":true,"sequence":null,"is_decoder":false,"freeze_encoder":false}"#;
        assert_eq!(read(masked).unwrap(), Heads::MASKED_LM);
        let pairs = r#"{"tokens":true,"sequence":{"kind":"next_sentence","num_labels":2,"classifier_dropout":0,
            "pools":"first"},"is_decoder":false,"freeze_encoder":false}"#;
        assert_eq!(read(pairs).unwrap(), Heads::PRE_TRAINING);
        let last = r#"{"tokens":false,"sequence":{"kind":"classification","num_labels":5,"classifier_dropout":0.1,
            "pools":"last"},"is_decoder":true,"freeze_encoder":true}"#;
        let head = SequenceHead { classifier_dropout: 0.1, pools: Pools::Last, ..SequenceHead::classification(5) };
        let expected = Heads { is_decoder: true, freeze_encoder: true, ..Heads::classification(head) };
        assert_eq!(read(last).unwrap(), expected);
        assert!(read(r#"{"tokens":true,"is_decoder":false}"#).is_err());
        assert!(read(&masked.replace("tokens", "words")).is_err());
    }

    #[test]
    fn validate_names_what_cannot_be() {
        for heads in [Heads::MASKED_LM, Heads::PRE_TRAINING, Heads::CAUSAL_LM, classification(true)] {
            heads.validate().unwrap();
        }
        let message = |head: SequenceHead| Heads::classification(head).validate().unwrap_err().message;
        assert!(message(SequenceHead::classification(0)).contains("num_labels is 0"));
        let three = SequenceHead { num_labels: 3, ..SequenceHead::NEXT_SENTENCE };
        assert!(message(three).contains("num_labels of next_sentence is 3"));
        let dropped = SequenceHead { classifier_dropout: 1.0, ..SequenceHead::classification(2) };
        assert!(message(dropped).contains("classifier_dropout is 1"));
    }
}
