//! A packed batch: B sequences laid end to end, no padding. Borrowed slices, as the boundary hands them over, or owned
//! arrays.

use crate::error::{Code, Error, Result};
use crate::ops::target_loss::TargetLoss;

/// One packed batch. Sequence `b` owns tokens `cu_seqlens[b]..cu_seqlens[b + 1]`; attention never leaves a sequence.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// `[N]` token ids, masks already applied.
    pub input_ids: &'a [i32],
    /// `[N]` segment ids (0 or 1 in BERT).
    pub token_type_ids: &'a [i32],
    /// `[N]` positions, restarting at 0 in each sequence.
    pub position_ids: &'a [i32],
    /// `[B + 1]` offsets of the sequences, from 0 to N, strictly increasing.
    pub cu_seqlens: &'a [i32],
    /// `[M]` indices into the N tokens of the rows that the head runs on, strictly increasing.
    pub masked_positions: &'a [i32],
    /// `[M]` the ids to be predicted at `masked_positions`, or the classes there; empty where none are known (prediction).
    pub labels: &'a [i32],
    /// `[B]` the class of each sequence (next sentence: 0 is the next, 1 a random one); empty where none are known or
    /// there is no head on sequences that tells one class.
    pub sequence_labels: &'a [i32],
    /// `[B, K]` what each output of a sequence should be: 1 for a label that holds and 0 for others, or values. Empty where
    /// they are not known, and for a head that tells one class.
    pub sequence_targets: &'a [f32],
    /// What the loss of a sequence counts, next to 1 for that of a token. M / B of a whole update makes the loss the
    /// mean over tokens plus the mean over sequences, however the update is cut into batches.
    pub sequence_weight: f64,
}

/// The largest batch that an engine has planned its buffers for, and the id ranges it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most packed tokens N.
    pub max_tokens: usize,
    /// Most sequences B.
    pub max_sequences: usize,
    /// Most masked tokens M.
    pub max_masked: usize,
    /// Longest sequence T; at most what the model has positions for.
    pub max_sequence_length: usize,
    /// V
    pub vocab_size: usize,
    /// Rows of the token type embedding.
    pub type_vocab_size: usize,
    /// K, or 0 without a head on sequences.
    pub sequence_outputs: usize,
    /// What that head is trained on, if it is `sequence_targets`.
    pub target_loss: Option<TargetLoss>,
    /// V, or the classes of a head that tells those of tokens, or 0 without a head on tokens.
    pub token_outputs: usize,
}

/// The arrays of a [`Batch`] as memory that is used again.
#[derive(Clone, Debug, Default)]
pub struct OwnedBatch {
    /// `[N]`
    pub input_ids: Vec<i32>,
    /// `[N]`
    pub token_type_ids: Vec<i32>,
    /// `[N]`
    pub position_ids: Vec<i32>,
    /// `[B + 1]`
    pub cu_seqlens: Vec<i32>,
    /// `[M]`
    pub masked_positions: Vec<i32>,
    /// `[M]`, or empty
    pub labels: Vec<i32>,
    /// `[B]`, or empty
    pub sequence_labels: Vec<i32>,
    /// `[B, K]`, or empty
    pub sequence_targets: Vec<f32>,
    /// Next to 1 for a token.
    pub sequence_weight: f64,
}

impl OwnedBatch {
    /// The arrays as a batch.
    pub fn batch(&self) -> Batch<'_> {
        Batch {
            input_ids: &self.input_ids,
            token_type_ids: &self.token_type_ids,
            position_ids: &self.position_ids,
            cu_seqlens: &self.cu_seqlens,
            masked_positions: &self.masked_positions,
            labels: &self.labels,
            sequence_labels: &self.sequence_labels,
            sequence_targets: &self.sequence_targets,
            sequence_weight: self.sequence_weight,
        }
    }
}

impl<'a> Batch<'a> {
    /// The batch with positions that begin behind that of a padding token, if a model has them so. As transformers'
    /// `create_position_ids_from_input_ids`: a padding token within a text, which is one in name only, has the position of
    /// padding and moves no other token.
    ///
    /// `to` is used again.
    pub fn behind_padding(self, padding: Option<usize>, to: &'a mut Vec<i32>) -> Self {
        let Some(padding) = padding else { return self };
        let padding = padding as i32;
        to.clear();
        for bounds in self.cu_seqlens.windows(2) {
            let mut skipped = 0;
            for i in bounds[0] as usize..bounds[1] as usize {
                let is_padding = self.input_ids[i] == padding;
                skipped += i32::from(is_padding);
                to.push(if is_padding { padding } else { self.position_ids[i] + padding + 1 - skipped });
            }
        }
        Self { position_ids: to, ..self }
    }
}

impl Batch<'_> {
    /// B
    pub fn sequences(&self) -> usize {
        self.cu_seqlens.len() - 1
    }

    /// Sequences whose class, or what else they should give, is known.
    pub fn labeled_sequences(&self) -> usize {
        if self.sequence_targets.is_empty() { self.sequence_labels.len() } else { self.sequences() }
    }

    /// Whether nothing is asked of it.
    pub fn asks_nothing(&self) -> bool {
        self.masked_positions.is_empty() && self.labeled_sequences() == 0
    }

    /// Checks every length and id range. `with_labels` says whether the labels of every head must be present.
    ///
    /// # Errors
    /// `InvalidArgument` naming the first array and index that is out of range.
    pub fn validate(&self, limits: &Limits, with_labels: bool) -> Result<()> {
        let n = self.input_ids.len();
        let m = self.masked_positions.len();
        let b = self.cu_seqlens.len().saturating_sub(1);
        let invalid = |message: String| Err(Error::new(Code::InvalidArgument, message));
        if n == 0 || b == 0 {
            return invalid("the batch is empty: it needs at least one sequence of one token".into());
        }
        for (name, found, most) in [
            ("input_ids", n, limits.max_tokens),
            ("cu_seqlens - 1", b, limits.max_sequences),
            ("masked_positions", m, limits.max_masked),
        ] {
            if found > most {
                return invalid(format!("{name} has {found} entries; this engine was opened for at most {most}"));
            }
        }
        for (name, found) in [("token_type_ids", self.token_type_ids.len()), ("position_ids", self.position_ids.len())]
        {
            if found != n {
                return invalid(format!("{name} has {found} entries, input_ids has {n}"));
            }
        }
        if (with_labels || !self.labels.is_empty()) && self.labels.len() != m {
            return invalid(format!("labels has {} entries, masked_positions has {m}", self.labels.len()));
        }
        let k = limits.sequence_outputs;
        let (classes, targets) = if limits.target_loss.is_some() { (0, b * k) } else { (b.min(b * k), 0) };
        for (name, found, needed) in [
            ("sequence_labels", self.sequence_labels.len(), classes),
            ("sequence_targets", self.sequence_targets.len(), targets),
        ] {
            if k == 0 && found > 0 {
                return invalid(format!("{name} are given, but this engine has no head on sequences"));
            }
            if (with_labels || found > 0) && found != needed {
                return invalid(format!(
                    "{name} has {found} entries, but needs {needed} for {b} sequences: problem_type says which are given"
                ));
            }
        }
        let is_target = |target: f32| match limits.target_loss {
            Some(TargetLoss::BinaryCrossEntropy) => (0.0..=1.0).contains(&target),
            _ => target.is_finite(),
        };
        if let Some(i) = self.sequence_targets.iter().position(|&target| !is_target(target)) {
            let most =
                if limits.target_loss == Some(TargetLoss::SquaredError) { "a finite number" } else { "from 0 to 1" };
            return invalid(format!("sequence_targets[{i}] is {}, but has to be {most}", self.sequence_targets[i]));
        }
        if limits.token_outputs == 0 && m > 0 {
            return invalid("masked_positions are given, but this engine has no head on tokens".into());
        }
        if !(self.sequence_weight.is_finite() && self.sequence_weight >= 0.0) {
            return invalid(format!("sequence_weight is {}, but has to be a number from 0", self.sequence_weight));
        }
        check_range("sequence_labels", self.sequence_labels, limits.sequence_outputs)?;
        check_range("input_ids", self.input_ids, limits.vocab_size)?;
        check_range("token_type_ids", self.token_type_ids, limits.type_vocab_size)?;
        check_range("position_ids", self.position_ids, limits.max_sequence_length)?;
        check_range("labels", self.labels, limits.token_outputs)?;
        check_range("masked_positions", self.masked_positions, n)?;
        if let Some(i) = self.masked_positions.windows(2).position(|w| w[0] >= w[1]) {
            return invalid(format!("masked_positions must increase, but entry {} is not above entry {i}", i + 1));
        }
        if self.cu_seqlens[0] != 0 || self.cu_seqlens[b] as usize != n {
            return invalid(format!(
                "cu_seqlens must run from 0 to {n}, but runs from {} to {}",
                self.cu_seqlens[0], self.cu_seqlens[b]
            ));
        }
        for (i, w) in self.cu_seqlens.windows(2).enumerate() {
            let length = i64::from(w[1]) - i64::from(w[0]);
            if length < 1 || length > limits.max_sequence_length as i64 {
                return invalid(format!(
                    "sequence {i} has length {length}, outside 1..={}",
                    limits.max_sequence_length
                ));
            }
        }
        Ok(())
    }
}

fn check_range(name: &str, values: &[i32], end: usize) -> Result<()> {
    match values.iter().position(|&v| v < 0 || v as usize >= end) {
        None => Ok(()),
        Some(i) => Err(Error::new(Code::InvalidArgument, format!("{name}[{i}] is {}, outside 0..{end}", values[i]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_padding_counts_from_there_and_passes_padding_tokens_over() {
        let batch = Batch {
            input_ids: &[0, 5, 1, 1, 2, 0, 7, 2],
            token_type_ids: &[0; 8],
            position_ids: &[0, 1, 2, 3, 4, 0, 1, 2],
            cu_seqlens: &[0, 5, 8],
            masked_positions: &[],
            labels: &[],
            sequence_labels: &[],
            sequence_targets: &[],
            sequence_weight: 1.0,
        };
        assert_eq!(batch.behind_padding(Some(1), &mut Vec::new()).position_ids, [2, 3, 1, 1, 4, 2, 3, 4]);
        assert_eq!(batch.behind_padding(None, &mut Vec::new()).position_ids, batch.position_ids);
    }
}
