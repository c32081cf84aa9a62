//! Gradients that are begun anew without writing zeros: the first product of a dense layer stores what it would have added.
//! Zeros would go out to memory and come back, which for a small model's micro-batches was 5% of the time.

use std::ops::Range;

use crate::backend::Linear;

/// Which gradients of dense layers' weights have been begun.
#[derive(Default)]
pub(super) struct Sums {
    len: usize,
    /// Of each weight, in order: where it is, and whether what is there counts.
    weights: Vec<(Range<usize>, bool)>,
}

impl Sums {
    /// Of a model with so many parameters; all count.
    pub fn new(len: usize, layers: &[Linear]) -> Self {
        let mut weights: Vec<_> = layers
            .iter()
            .map(|&Linear { weight, inputs, outputs, .. }| (weight..weight + inputs * outputs, true))
            .collect();
        weights.sort_by_key(|(range, _)| range.start);
        weights.dedup(); // layers may share a weight
        assert!(weights.is_sorted_by(|(a, _), (b, _)| a.end <= b.start), "a weight reaches into another one");
        Self { len, weights }
    }

    /// From now on no weight's counts; what is no dense layer's weight becomes zero.
    pub fn restart(&mut self, gradients: &mut [f32]) {
        let mut end = 0;
        for (range, begun) in &mut self.weights {
            gradients[end..range.start].fill(0.0);
            (end, *begun) = (range.end, false);
        }
        gradients[end..self.len].fill(0.0);
    }

    /// Whether a product of a layer is the first, which has to store what the others add.
    pub fn begin(&mut self, layer: Linear) -> bool {
        let found = self.weights.binary_search_by_key(&layer.weight, |(range, _)| range.start);
        found.is_ok_and(|at| !std::mem::replace(&mut self.weights[at].1, true))
    }

    /// What has not been begun becomes zero, and counts.
    pub fn settle(&mut self, gradients: &mut [f32]) {
        for (range, begun) in &mut self.weights {
            if !std::mem::replace(begun, true) {
                gradients[range.clone()].fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_is_stored_once_and_all_else_is_zero() {
        let layer = |weight| Linear { weight, inputs: 2, outputs: 3, bias: None };
        let (first, second) = (layer(4), layer(10));
        let mut sums = Sums::new(20, &[second, first, second]);
        assert!(!sums.begin(first), "all count at first");
        let mut gradients = [7.0; 20];
        sums.restart(&mut gradients);
        assert!(sums.begin(second) && !sums.begin(second));
        assert!(!sums.begin(layer(0)), "no dense layer that is known");
        assert_eq!(gradients[..4], [0.0; 4]);
        assert_eq!(gradients[10..16], [7.0; 6], "the first product writes it");
        assert_eq!(gradients[16..], [0.0; 4]);
        sums.settle(&mut gradients);
        assert_eq!(gradients[4..10], [0.0; 6]);
        assert_eq!(gradients[10..16], [7.0; 6]);
        assert!(!sums.begin(first));
    }
}
