//! Where each parameter lies in the one flat buffer that holds them all, under its Hugging Face name, and how weights
//! start.

use super::spec::{Blueprint, Group, Part, Start};
use crate::error::{Code, Error, Result};
use crate::rng::splitmix64;

/// One named tensor of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Hugging Face's name in the class that has these heads.
    pub name: String,
    /// Other names that it has in files, the likeliest first.
    pub aliases: Vec<String>,
    /// `[rows, columns]` or `[length]`.
    pub shape: Vec<usize>,
    /// First element in the flat buffer.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
    /// Its first values.
    pub start: Start,
    /// How an optimizer treats it.
    pub group: Group,
    /// What it belongs to.
    pub part: Part,
    /// Whether training changes it.
    pub trainable: bool,
}

impl Parameter {
    /// The elements in the flat buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len
    }

    /// Whether weight decay applies.
    pub fn decays(&self) -> bool {
        self.group != Group::NoDecay
    }
}

/// A dense layer in the flat buffers: weight `[outputs, inputs]`, and bias `[outputs]` somewhere behind it if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Offset of the weight.
    pub weight: usize,
    /// Offset of the bias; behind the weight.
    pub bias: Option<usize>,
    /// Columns of the weight.
    pub inputs: usize,
    /// Rows of the weight.
    pub outputs: usize,
}

/// All parameters of a model, in the order of [`Blueprint::tensors`] and without gaps. A decoder that is tied to the word
/// embeddings is no parameter of its own, but for its bias.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterLayout {
    parameters: Vec<Parameter>,
    known_heads: &'static [&'static str],
    len: usize,
    /// Name of the last bias of the head on tokens.
    decoder_bias: Option<String>,
    second_bias: Option<String>,
}

impl ParameterLayout {
    /// The layout of a blueprint.
    pub fn new(blueprint: &Blueprint) -> Self {
        let decoder = blueprint.tokens.as_ref().map(|head| &head.decoder);
        let decoder_bias = decoder.map(|decoder| decoder.bias.name.clone());
        let second_bias = decoder.and_then(|decoder| decoder.second_bias.clone());
        let (parameters, known_heads) = (Vec::new(), blueprint.known_heads);
        let mut layout = Self { parameters, known_heads, len: 0, decoder_bias, second_bias };
        for tensor in blueprint.tensors() {
            let len = tensor.shape.iter().product();
            let names = [&tensor.name].into_iter().chain(&tensor.aliases);
            let bare = names.filter_map(|name| Some(name.strip_prefix(blueprint.prefix)?.to_owned()));
            layout.parameters.push(Parameter {
                name: tensor.name.clone(),
                aliases: tensor.aliases.iter().cloned().chain(bare).collect(),
                shape: tensor.shape.clone(),
                offset: layout.len,
                len,
                start: tensor.start,
                group: tensor.group,
                part: tensor.part,
                trainable: !(blueprint.freezes_encoder && tensor.part == Part::Encoder),
            });
            layout.len += len;
        }
        layout
    }

    /// Every parameter, by offset.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Modules of the heads of the family's classes, those of the model among them.
    pub fn known_heads(&self) -> &'static [&'static str] {
        self.known_heads
    }

    /// Elements in the flat buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no parameter (there always is one).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The parameter of that name.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none.
    pub fn find(&self, name: &str) -> Result<&Parameter> {
        self.parameters
            .iter()
            .find(|p| p.name == name)
            .ok_or_else(|| Error::new(Code::InvalidArgument, format!("the model has no parameter named {name:?}")))
    }

    /// The bias of what predicts tokens.
    ///
    /// # Errors
    /// `InvalidArgument` if nothing does.
    pub fn decoder_bias(&self) -> Result<&Parameter> {
        self.find(self.decoder_bias.as_deref().unwrap_or("decoder.bias"))
    }

    /// The parameter that files have twice, and its other name there.
    pub fn written_twice(&self) -> Option<(&str, &Parameter)> {
        Some((self.second_bias.as_deref()?, self.decoder_bias().ok()?))
    }

    /// The name of the parameter that holds element `index` of the flat buffer.
    pub fn name_at(&self, index: usize) -> &str {
        let after = self.parameters.partition_point(|p| p.offset <= index);
        self.parameters.get(after.saturating_sub(1)).map_or("unknown", |p| p.name.as_str())
    }

    /// Fills a flat buffer the way the blueprint says. The same values on every machine.
    pub fn initialize(&self, seed: u64, flat: &mut [f32]) {
        for p in &self.parameters {
            let values = &mut flat[p.range()];
            match p.start {
                Start::Zeros => values.fill(0.0),
                Start::Ones => values.fill(1.0),
                Start::Normal(deviation) | Start::NormalButRow { deviation, .. } => {
                    for (i, value) in values.iter_mut().enumerate() {
                        *value = normal(seed, (p.offset + i) as u64) * deviation;
                    }
                }
                Start::TruncatedNormal { deviation, cutoff } => {
                    for (i, value) in values.iter_mut().enumerate() {
                        let index = (p.offset + i) as u64;
                        let drawn = (0..).map(|attempt| normal(seed.wrapping_add(attempt), index));
                        *value = drawn.into_iter().find(|x| x.abs() <= cutoff).unwrap_or(0.0) * deviation;
                    }
                }
            }
            if let Start::NormalButRow { row, .. } = p.start {
                let width = p.shape[1];
                values[row * width..][..width].fill(0.0);
            }
        }
    }
}

/// A standard normal number as a pure function of seed and index: Marsaglia's polar method with numbered attempts.
pub(super) fn normal(seed: u64, index: u64) -> f32 {
    let mut key = splitmix64(seed ^ splitmix64(index));
    loop {
        let uniform = |bits: u64| (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
        let (x, y) = (uniform(key), uniform(splitmix64(key)));
        let s = x * x + y * y;
        if s > 0.0 && s < 1.0 {
            return (x * (-2.0 * ln(s) / s).sqrt()) as f32;
        }
        key = splitmix64(splitmix64(key));
    }
}

/// ln x for 0 < x < 1 from +, ×, ÷ only, so that no platform's mathematics library changes a weight.
fn ln(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52) as i64 - 1023;
    let mantissa = f64::from_bits((x.to_bits() & ((1 << 52) - 1)) | (1023 << 52));
    // ln m = 2 atanh z, with z = (m − 1) / (m + 1) ≤ 1/3
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let mut sum = 0.0;
    for n in (0..20).rev() {
        sum = sum * z * z + 1.0 / f64::from(2 * n + 1);
    }
    2.0 * z * sum + exponent as f64 * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::config::tests::tiny;
    use crate::heads::Heads;
    use crate::heads::tests::classification;

    fn layout_of(config: &ModelConfig, heads: &Heads) -> ParameterLayout {
        Blueprint::of(config, heads).unwrap().layout()
    }

    #[test]
    fn layout_has_hugging_face_names_without_gaps() {
        let layout = layout_of(&tiny(), &Heads::MASKED_LM);
        let mut offset = 0;
        for p in layout.parameters() {
            assert_eq!(p.offset, offset);
            assert_eq!(p.len, p.shape.iter().product::<usize>());
            assert_eq!(layout.name_at(offset), p.name);
            offset += p.len;
        }
        assert_eq!(offset, layout.len());
        let (q, k) =
            ("bert.encoder.layer.1.attention.self.query.weight", "bert.encoder.layer.1.attention.self.key.weight");
        let (q, k) = (layout.find(q).unwrap(), layout.find(k).unwrap());
        assert_eq!(q.offset + q.len, k.offset);
        assert!(q.group == Group::Matrix && !layout.find("bert.embeddings.LayerNorm.weight").unwrap().decays());
        assert_eq!(layout.find("decoder").unwrap_err().code, Code::InvalidArgument);
    }

    #[test]
    fn heads_follow_the_encoder_so_that_all_heads_begin_with_the_same_encoder() {
        let encoder = layout_of(&tiny(), &classification(true));
        let names = |heads: &Heads| {
            let layout = layout_of(&tiny(), heads);
            let parameters: Vec<Parameter> = layout.parameters().to_vec();
            let heads = parameters.iter().filter(|p| !p.name.starts_with("bert.e")).map(|p| p.name.clone()).collect();
            (parameters, heads)
        };
        let (_, mlm): (_, Vec<String>) = names(&Heads::MASKED_LM);
        let (_, both): (_, Vec<String>) = names(&Heads::PRE_TRAINING);
        let sequence = ["bert.pooler.dense.weight", "bert.pooler.dense.bias"];
        let next = ["cls.seq_relationship.weight", "cls.seq_relationship.bias"];
        assert_eq!(both, [&mlm[..], &sequence.map(String::from), &next.map(String::from)].concat());
        assert_eq!(names(&Heads::CAUSAL_LM).1, mlm);
        let (parameters, heads): (_, Vec<String>) = names(&classification(true));
        assert_eq!(heads, [&sequence[..], &["classifier.weight", "classifier.bias"]].concat());
        for p in &parameters {
            assert_eq!(p.trainable, !p.name.starts_with("bert.e"), "{}", p.name);
        }
        assert_eq!(encoder.find("classifier.weight").unwrap().shape, [3, 8]);
    }

    #[test]
    fn a_decoder_that_is_not_tied_is_a_parameter_and_starts_like_other_weights() {
        let config = ModelConfig { tie_word_embeddings: false, ..tiny() };
        let layout = layout_of(&config, &Heads::MASKED_LM);
        let [decoder, bias] =
            ["weight", "bias"].map(|name| layout.find(&format!("cls.predictions.decoder.{name}")).unwrap());
        assert_eq!((&decoder.shape[..], decoder.group), (&[23, 8][..], Group::Decay));
        assert_eq!(bias.aliases, ["cls.predictions.bias"]);
        assert!(decoder.offset < bias.offset, "a bias is behind its weight");
        let mut flat = vec![0.0; layout.len()];
        layout.initialize(1, &mut flat);
        assert!(flat[decoder.range()].iter().all(|&x| x != 0.0));
        let tied = layout_of(&tiny(), &Heads::MASKED_LM);
        assert!(tied.find(&decoder.name).is_err() && tied.find("cls.predictions.bias").is_ok());
        let classifier = layout_of(&config, &classification(false));
        assert!(classifier.find(&decoder.name).is_err(), "a classifier has no decoder");
    }

    #[test]
    fn initialize_is_normal_with_the_configured_deviation_and_the_same_for_a_seed() {
        let config = ModelConfig { vocab_size: 2000, ..tiny() };
        let layout = layout_of(&config, &Heads::MASKED_LM);
        let fill = |seed| {
            let mut flat = vec![9.0; layout.len()];
            layout.initialize(seed, &mut flat);
            flat
        };
        let flat = fill(7);
        assert_eq!(flat, fill(7));
        assert_ne!(flat, fill(8));
        let words = &flat[config.hidden_size..layout.find("bert.embeddings.word_embeddings.weight").unwrap().len];
        let n = words.len() as f64;
        let mean = words.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let deviation = (words.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n).sqrt();
        let range = f64::from(config.initializer_range);
        assert!(mean.abs() < 4.0 * range / n.sqrt() && (deviation / range - 1.0).abs() < 0.02, "{mean} {deviation}");
        let beyond = words.iter().filter(|x| f64::from(x.abs()) > 1.96 * range).count() as f64 / n;
        assert!((beyond - 0.05).abs() < 0.006, "{beyond}");
        assert!(flat[..config.hidden_size].iter().all(|&x| x == 0.0), "the padding row");
    }

    #[test]
    fn ln_equals_the_library_within_rounding() {
        for i in 1..1000 {
            let x = f64::from(i) / 1000.0;
            assert!((ln(x) - x.ln()).abs() < 1e-14 * (1.0 + x.ln().abs()));
        }
    }
}
