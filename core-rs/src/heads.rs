//! What stands on a model's encoder, what attention may see, and what of it all is trained. The caller says it as data;
//! the core knows no objective.

use serde::Deserialize;

use crate::error::{Code, Error, Result};
use crate::ops::target_loss::TargetLoss;

/// The heads that an engine is opened with.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    /// The head on tokens, if there is one.
    pub tokens: Option<TokenHead>,
    /// The head on sequences, if there is one.
    pub sequence: Option<SequenceHead>,
    /// Whether a token sees only itself and what stands before it (Devlin et al., 2019, appendix C.1).
    pub is_decoder: bool,
    /// Whether the encoder stays as it is and only the heads are trained: a probe. It then runs without dropout.
    pub freeze_encoder: bool,
}

/// A head on tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenHead {
    /// Predicts them: of `BertForMaskedLM`.
    MaskedLm,
    /// Tells their classes: dropout and a dense layer, of `BertForTokenClassification`.
    Classification {
        /// Number of classes, K.
        num_labels: usize,
        /// Dropout in front of the classifier.
        classifier_dropout: f32,
    },
}

impl TokenHead {
    /// Entries of a row of logits, with a vocabulary of that size.
    pub const fn outputs(&self, vocab_size: usize) -> usize {
        match *self {
            Self::MaskedLm => vocab_size,
            Self::Classification { num_labels, .. } => num_labels,
        }
    }
}

/// A head that tells classes of sequences: pooler (dense and tanh on one token), dropout, dense.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceHead {
    /// Which of Hugging Face's it is.
    pub kind: SequenceKind,
    /// Number of outputs, K: classes, labels or values.
    pub num_labels: usize,
    /// What the outputs mean, and so which loss they have.
    pub problem_type: ProblemType,
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

/// What the outputs of a head on sequences mean; Hugging Face's names.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// One of K classes; cross-entropy.
    SingleLabelClassification,
    /// Any number of K labels; binary cross-entropy.
    MultiLabelClassification,
    /// K values; squared error.
    Regression,
}

impl ProblemType {
    /// The loss against `sequence_targets`, where the outputs are not compared with one class.
    pub const fn target_loss(self) -> Option<TargetLoss> {
        match self {
            Self::SingleLabelClassification => None,
            Self::MultiLabelClassification => Some(TargetLoss::BinaryCrossEntropy),
            Self::Regression => Some(TargetLoss::SquaredError),
        }
    }
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
    pub const NEXT_SENTENCE: Self = Self { kind: SequenceKind::NextSentence, ..Self::classification(2) };

    /// A classifier on the first token, without dropout.
    pub const fn classification(num_labels: usize) -> Self {
        Self {
            kind: SequenceKind::Classification,
            num_labels,
            problem_type: ProblemType::SingleLabelClassification,
            classifier_dropout: 0.0,
            pools: Pools::First,
        }
    }
}

impl Heads {
    /// Those of `BertForMaskedLM`.
    pub const MASKED_LM: Self =
        Self { tokens: Some(TokenHead::MaskedLm), sequence: None, is_decoder: false, freeze_encoder: false };
    /// Those of `BertForPreTraining`.
    pub const PRE_TRAINING: Self = Self { sequence: Some(SequenceHead::NEXT_SENTENCE), ..Self::MASKED_LM };
    /// Those of `BertLMHeadModel` with `is_decoder`.
    pub const CAUSAL_LM: Self = Self { is_decoder: true, ..Self::MASKED_LM };

    /// Those of `BertForSequenceClassification`.
    pub const fn classification(head: SequenceHead) -> Self {
        Self { tokens: None, sequence: Some(head), is_decoder: false, freeze_encoder: false }
    }

    /// Those of `BertForTokenClassification`.
    pub const fn token_classification(num_labels: usize, classifier_dropout: f32) -> Self {
        Self { tokens: Some(TokenHead::Classification { num_labels, classifier_dropout }), ..Self::MASKED_LM }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::new(Code::InvalidArgument, message));
        let of_sequences = self.sequence.map(|head| (head.num_labels, head.classifier_dropout));
        for (num_labels, classifier_dropout) in self.token_classes().into_iter().chain(of_sequences) {
            let most = 1 << 20;
            if !(1..=most).contains(&num_labels) {
                return invalid(format!("num_labels is {num_labels}, outside 1..={most}"));
            }
            if !(0.0..1.0).contains(&classifier_dropout) {
                return invalid(format!(
                    "classifier_dropout is {classifier_dropout}, outside 0 (inclusive) to 1 (exclusive)"
                ));
            }
        }
        match self.sequence {
            Some(SequenceHead { kind: SequenceKind::NextSentence, num_labels, .. }) if num_labels != 2 => {
                invalid(format!("num_labels of next_sentence is {num_labels}, but has to be 2"))
            }
            Some(SequenceHead { kind: SequenceKind::NextSentence, problem_type, .. })
                if problem_type != ProblemType::SingleLabelClassification =>
            {
                invalid("problem_type of next_sentence has to be single_label_classification".into())
            }
            _ => Ok(()),
        }
    }

    /// Number and dropout of the classes of tokens, if that is what the head on them tells.
    pub(crate) fn token_classes(&self) -> Option<(usize, f32)> {
        match self.tokens {
            Some(TokenHead::Classification { num_labels, classifier_dropout }) => {
                Some((num_labels, classifier_dropout))
            }
            _ => None,
        }
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
        let masked = r#"{"tokens":{"kind":"masked_lm"},"sequence":null,"is_decoder":false,"freeze_encoder":false}"#;
        assert_eq!(read(masked).unwrap(), Heads::MASKED_LM);
        let pairs = r#"{"tokens":{"kind":"masked_lm"},"sequence":{"kind":"next_sentence","num_labels":2,
            "problem_type":"single_label_classification","classifier_dropout":0,"pools":"first"},"is_decoder":false,"freeze_encoder":false}"#;
        assert_eq!(read(pairs).unwrap(), Heads::PRE_TRAINING);
        let last = r#"{"tokens":null,"sequence":{"kind":"classification","num_labels":5,
            "problem_type":"regression","classifier_dropout":0.1,"pools":"last"},"is_decoder":true,"freeze_encoder":true}"#;
        let (problem_type, pools) = (ProblemType::Regression, Pools::Last);
        let head = SequenceHead { problem_type, classifier_dropout: 0.1, pools, ..SequenceHead::classification(5) };
        let expected = Heads { is_decoder: true, freeze_encoder: true, ..Heads::classification(head) };
        assert_eq!(read(last).unwrap(), expected);
        let classes = masked.replace("masked_lm\"", "classification\",\"num_labels\":9,\"classifier_dropout\":0.5");
        assert_eq!(read(&classes).unwrap(), Heads::token_classification(9, 0.5));
        assert!(read(&classes.replace("num_labels", "labels")).is_err());
        assert!(read(r#"{"tokens":null,"is_decoder":false}"#).is_err());
        assert!(read(&masked.replace("tokens", "words")).is_err());
    }

    #[test]
    fn validate_names_what_cannot_be() {
        for heads in [Heads::MASKED_LM, Heads::PRE_TRAINING, Heads::CAUSAL_LM, classification(true)] {
            heads.validate().unwrap();
        }
        let message = |head: SequenceHead| Heads::classification(head).validate().unwrap_err().message;
        assert!(message(SequenceHead::classification(0)).contains("num_labels is 0"));
        let of_tokens = |labels, dropout| Heads::token_classification(labels, dropout).validate();
        assert!(of_tokens(1, 0.5).is_ok() && of_tokens(0, 0.0).is_err() && of_tokens(2, 1.0).is_err());
        let three = SequenceHead { num_labels: 3, ..SequenceHead::NEXT_SENTENCE };
        assert!(message(three).contains("num_labels of next_sentence is 3"));
        let valued = SequenceHead { problem_type: ProblemType::Regression, ..SequenceHead::NEXT_SENTENCE };
        assert!(message(valued).contains("problem_type of next_sentence"));
        let dropped = SequenceHead { classifier_dropout: 1.0, ..SequenceHead::classification(2) };
        assert!(message(dropped).contains("classifier_dropout is 1"));
    }
}
