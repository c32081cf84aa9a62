//! A start from which heads look at neighbours. With random weights a head sees all tokens alike, and a model spends much of
//! a short run on learning that neighbours tell most. Learned positions can begin as waves, of which a shift is a rotation
//! (Vaswani et al., 2017, section 3.5); with one basis of these waves as key, and the same basis turned as query, a head
//! scores the token at one distance above all others. Nothing else changes: same parameters, same names, all of it trained.
//! That weights may begin with the structure that training finds is known of "mimetic" starts (Trockman and Kolter, 2023).

use super::layout::{ParameterLayout, normal};
use super::spec::{Attention, Blueprint, Start, Tensor};
use crate::error::Result;

/// Score of the token at a head's distance, where others are near 0: e⁸ is six times the 511 others of a long sequence.
const SCORE: f64 = 8.0;
/// Seeds the basis, so that it has nothing to do with the weights that are drawn beside it.
const BASIS: u64 = 0x6e65_6967_6862_6f75;

/// The distance that a head looks at: −1, 1, −2, 2, … in half of the heads, and two at least; −1, −2, … where no token
/// sees what follows. The others stay as they are.
fn distance(head: usize, heads: usize, causal: bool) -> Option<i32> {
    if head >= heads.div_ceil(2).max(2) {
        return None;
    }
    let number = head as i32;
    Some(match number % 2 {
        _ if causal => -(number + 1),
        0 => -(number / 2 + 1),
        _ => number / 2 + 1,
    })
}

/// Turns the positions, queries and keys of a flat buffer that is initialized into those. A model without learned
/// positions of the width of its layers stays as it is: rotary ones know no token without its neighbours anyway.
///
/// # Errors
/// `InvalidArgument` if the layout is of another blueprint.
pub fn look_at_neighbours(blueprint: &Blueprint, layout: &ParameterLayout, seed: u64, flat: &mut [f32]) -> Result<()> {
    let embeddings = &blueprint.embeddings;
    let (Some(positions), None, Some(Attention { heads, .. })) =
        (&embeddings.positions, &embeddings.projection, blueprint.blocks.first().map(|block| &block.attention))
    else {
        return Ok(());
    };
    let (width, heads) = (positions.shape[1], *heads);
    let size = width / heads;
    let basis = Basis::new(seed, width, size);

    // Positions are as large as words, so that a norm leaves both as much.
    let deviation = |tensor: &Tensor| match tensor.start {
        Start::Normal(deviation) | Start::NormalButRow { deviation, .. } => f64::from(deviation),
        Start::TruncatedNormal { deviation, .. } => f64::from(deviation),
        _ => 0.0,
    };
    let waves = basis.frequencies.len() as f64;
    let words = deviation(&embeddings.words);
    let amplitude = words * (width as f64 / waves).sqrt();
    let types = embeddings.token_types.as_ref().map_or(0.0, deviation);
    let seen = amplitude / (2.0 * words * words + types * types).sqrt();
    let scale = (SCORE * (size as f64).sqrt() / (waves * seen * seen)).sqrt();

    let table = layout.find(&positions.name)?;
    for (position, row) in flat[table.range()].chunks_exact_mut(width).enumerate() {
        if Some(position) != embeddings.padding_position {
            basis.wave(position, amplitude, row);
        }
    }
    for block in &blueprint.blocks {
        let [query, key, _] = &block.attention.qkv[..] else { continue };
        for (dense, turned) in [(query, true), (key, false)] {
            let range = layout.find(&dense.weight.name)?.range();
            for (head, rows) in flat[range].chunks_exact_mut(size * width).enumerate() {
                if let Some(distance) = distance(head, heads, blueprint.causal) {
                    basis.turned(if turned { distance } else { 0 }, scale, rows);
                }
            }
        }
    }
    Ok(())
}

/// Pairs of directions, and the frequency of the wave in each: π u√u for u evenly between 0 and 1, with which waves that are
/// up to 512 tokens apart have no product above 0.3. Even ones would repeat after twice as many positions as a head has dimensions.
struct Basis {
    width: usize,
    /// Orthonormal, two for each frequency; an odd one is left over.
    directions: Vec<Vec<f64>>,
    /// Cosine and sine of the angle from one position to the next.
    frequencies: Vec<(f64, f64)>,
}

impl Basis {
    /// `size` directions in a space of `width` dimensions.
    fn new(seed: u64, width: usize, size: usize) -> Self {
        let mut directions: Vec<Vec<f64>> = Vec::with_capacity(size);
        for number in 0..size {
            let mut direction: Vec<f64> =
                (0..width).map(|i| f64::from(normal(seed ^ BASIS, (number * width + i) as u64))).collect();
            for other in &directions {
                let along: f64 = direction.iter().zip(other).map(|(a, b)| a * b).sum();
                direction.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
            }
            let length = direction.iter().map(|a| a * a).sum::<f64>().sqrt();
            direction.iter_mut().for_each(|a| *a /= length);
            directions.push(direction);
        }
        let waves = size / 2;
        let frequencies = (0..waves)
            .map(|wave| {
                let u = (wave as f64 + 0.5) / waves as f64;
                cos_sin(std::f64::consts::PI * u * u.sqrt())
            })
            .collect();
        Self { width, directions, frequencies }
    }

    /// What stands for a position: all waves, `amplitude` high. `row` is `[width]`.
    fn wave(&self, position: usize, amplitude: f64, row: &mut [f32]) {
        let mut sum = vec![0.0; self.width];
        for (&frequency, pair) in self.frequencies.iter().zip(self.directions.chunks_exact(2)) {
            let (cos, sin) = times(frequency, position as i32);
            for (sum, (a, b)) in sum.iter_mut().zip(pair[0].iter().zip(&pair[1])) {
                *sum += amplitude * (cos * a + sin * b);
            }
        }
        row.iter_mut().zip(sum).for_each(|(value, sum)| *value = sum as f32);
    }

    /// A head's matrix: `scale` times the directions, each pair turned by what lies `distance` tokens apart. `rows` is
    /// `[size, width]`.
    fn turned(&self, distance: i32, scale: f64, rows: &mut [f32]) {
        let pairs = self.frequencies.iter().zip(self.directions.chunks_exact(2));
        for ((&frequency, pair), rows) in pairs.zip(rows.chunks_exact_mut(2 * self.width)) {
            let (cos, sin) = times(frequency, distance);
            let (first, second) = rows.split_at_mut(self.width);
            for (i, (a, b)) in pair[0].iter().zip(&pair[1]).enumerate() {
                first[i] = (scale * (cos * a - sin * b)) as f32;
                second[i] = (scale * (sin * a + cos * b)) as f32;
            }
        }
    }
}

/// Cosine and sine of an angle times a number.
fn times((cos, sin): (f64, f64), number: i32) -> (f64, f64) {
    let sin = if number < 0 { -sin } else { sin };
    let (mut power, mut result) = ((cos, sin), (1.0, 0.0));
    let mut left = number.unsigned_abs();
    while left > 0 {
        if left % 2 == 1 {
            result = (result.0 * power.0 - result.1 * power.1, result.0 * power.1 + result.1 * power.0);
        }
        power = (power.0 * power.0 - power.1 * power.1, 2.0 * power.0 * power.1);
        left /= 2;
    }
    result
}

/// Cosine and sine of an angle from 0 to π from +, × and ÷ only, so that no platform's mathematics library changes a weight.
fn cos_sin(angle: f64) -> (f64, f64) {
    let (mut cos, mut sin, mut term) = (0.0, 0.0, 1.0);
    for n in 0..32 {
        match n % 4 {
            0 => cos += term,
            1 => sin += term,
            2 => cos -= term,
            _ => sin -= term,
        }
        term *= angle / f64::from(n + 1);
    }
    (cos, sin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::config::tests::tiny;
    use crate::heads::Heads;

    /// A model of a family, 128 wide, with weights that are drawn and then turned to neighbours.
    fn start(model_type: &str, heads: &Heads) -> (Blueprint, ParameterLayout, Vec<f32>) {
        let config = ModelConfig {
            model_type: model_type.into(),
            hidden_size: 128,
            num_attention_heads: 2,
            intermediate_size: 256,
            max_position_embeddings: 140,
            initializer_range: 0.02,
            ..tiny()
        };
        let blueprint = Blueprint::of(&config, heads).unwrap();
        let layout = blueprint.layout();
        let mut flat = vec![0.0; layout.len()];
        layout.initialize(7, &mut flat);
        look_at_neighbours(&blueprint, &layout, 7, &mut flat).unwrap();
        (blueprint, layout, flat)
    }

    /// What a head's first layer attends to from position `at`: the position with the highest score, and its softmax among
    /// 128 positions. Tokens are drawn, and embeddings are scaled as a norm scales them.
    fn attended(head: usize, at: usize, heads: &Heads) -> (usize, f64) {
        let (blueprint, layout, flat) = start("bert", heads);
        let of = |name: &str| &flat[layout.find(name).unwrap().range()];
        let positions = of(&blueprint.embeddings.positions.as_ref().unwrap().name);
        let hidden = |position: usize| -> Vec<f64> {
            let x: Vec<f64> = (0..128)
                .map(|i| {
                    f64::from(positions[position * 128 + i]) + 0.02 * f64::from(normal(99, (position * 128 + i) as u64))
                })
                .collect();
            let length = (x.iter().map(|x| x * x).sum::<f64>() / 128.0).sqrt();
            x.iter().map(|x| x / length).collect()
        };
        let project = |name: &str, x: &[f64]| -> Vec<f64> {
            let rows = of(name).chunks_exact(128).skip(64 * head).take(64);
            rows.map(|row| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()).collect()
        };
        let [query, key, _] = &blueprint.blocks[1].attention.qkv[..] else { unreachable!() };
        let q = project(&query.weight.name, &hidden(at));
        let scores: Vec<f64> = (0..128)
            .map(|j| project(&key.weight.name, &hidden(j)).iter().zip(&q).map(|(k, q)| k * q / 8.0).sum())
            .collect();
        let best = (0..128).max_by(|&a, &b| f64::total_cmp(&scores[a], &scores[b])).unwrap();
        (best, scores[best].exp() / scores.iter().map(|score| score.exp()).sum::<f64>())
    }

    #[test]
    fn heads_attend_to_the_token_before_and_the_token_behind() {
        for at in [1, 20, 60, 126] {
            for (head, neighbour) in [(0, at - 1), (1, at + 1)] {
                let (best, share) = attended(head, at, &Heads::MASKED_LM);
                assert_eq!(best, neighbour, "head {head} at {at}");
                assert!(share > 0.4, "head {head} at {at}: {share}");
            }
        }
    }

    #[test]
    fn heads_that_cannot_see_what_follows_attend_to_two_tokens_before() {
        for (head, distance) in [(0, 1), (1, 2)] {
            assert_eq!(attended(head, 50, &Heads::CAUSAL_LM).0, 50 - distance);
        }
    }

    #[test]
    fn half_of_many_heads_stay_as_they_are() {
        let distances = |heads, causal| (0..heads).map(|head| distance(head, heads, causal)).collect::<Vec<_>>();
        assert_eq!(distances(1, false), [Some(-1)]);
        assert_eq!(distances(4, false), [Some(-1), Some(1), None, None]);
        assert_eq!(distances(8, false)[..5], [Some(-1), Some(1), Some(-2), Some(2), None]);
        assert_eq!(distances(4, true), [Some(-1), Some(-2), None, None]);
    }

    #[test]
    fn positions_are_as_large_as_words_and_padding_keeps_none() {
        let (blueprint, layout, flat) = start("roberta", &Heads::MASKED_LM);
        let table = layout.find(&blueprint.embeddings.positions.as_ref().unwrap().name).unwrap();
        let padding = blueprint.embeddings.padding_position.unwrap();
        for (position, row) in flat[table.range()].chunks_exact(128).enumerate() {
            let size = (row.iter().map(|x| x * x).sum::<f32>() / 128.0).sqrt();
            let wanted = if position == padding { 0.0 } else { 0.02 };
            assert!((size - wanted).abs() < 1e-4, "{position}: {size}");
        }
    }

    #[test]
    fn a_model_without_learned_positions_is_left_as_it_is() {
        let (_, layout, turned) = start("modernbert", &Heads::MASKED_LM);
        let mut plain = vec![0.0; layout.len()];
        layout.initialize(7, &mut plain);
        assert_eq!(turned, plain);
    }

    #[test]
    fn cosines_and_sines_are_those_of_the_standard_library() {
        for i in 0..=64 {
            let angle = std::f64::consts::PI * f64::from(i) / 64.0;
            for number in [-3, 0, 1, 5, 511] {
                let (cos, sin) = times(cos_sin(angle), number);
                let expected = angle * f64::from(number);
                assert!((cos - expected.cos()).abs() + (sin - expected.sin()).abs() < 1e-10, "{angle} × {number}");
            }
        }
    }
}
