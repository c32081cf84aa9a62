//! What a model is made of. A family's file fills this in from a `config.json`; everything else that depends on the
//! architecture is derived from it: where parameters lie and how they start ([`super::layout`]), the names in files, the
//! groups of an optimizer, the dropout sites, the fused model, the plan of a GPU and the reference model.
//!
//! A field is here because two families differ in it, or because a tensor needs its name.

use serde::{Deserialize, Serialize};

use crate::heads::Pools;
use crate::ops::activation::Activation;

/// A whole model with its heads.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    /// What the names of the encoder's tensors begin with; a file of a bare encoder lacks it.
    pub prefix: &'static str,
    /// Modules of the heads of the family's classes, behind the prefix or without it: a file may have some that this model
    /// has no use for.
    pub known_heads: &'static [&'static str],
    /// From ids to hidden states.
    pub embeddings: Embeddings,
    /// The layers of the encoder, first to last.
    pub blocks: Vec<Block>,
    /// Behind the last block: of families whose blocks do not end with one.
    pub norm: Option<Norm>,
    /// Whether a token sees only itself and what stands before it.
    pub causal: bool,
    /// Whether training leaves embeddings and blocks as they are.
    pub freezes_encoder: bool,
    /// The head on tokens.
    pub tokens: Option<TokenHead>,
    /// The head on sequences.
    pub sequences: Option<SequenceHead>,
    /// Dropout sites that have been numbered.
    pub sites: Sites,
}

/// The sum of up to three tables, then dropout, then a layer where the blocks are of another width.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// Module, for messages.
    pub name: String,
    /// `[V, E]`
    pub words: Tensor,
    /// `[P, E]`; none where positions are rotary.
    pub positions: Option<Tensor>,
    /// The position of a padding token, in families whose texts begin behind it.
    pub padding_position: Option<usize>,
    /// `[types, E]`
    pub token_types: Option<Tensor>,
    /// Before the dropout.
    pub norm: Option<Norm>,
    /// Of the sum, or of what the norm makes of it.
    pub dropout: Site,
    /// `[C, E]`: from embeddings of another width E to the blocks'.
    pub projection: Option<Dense>,
}

/// Attention and a feed-forward part, each a branch beside a residual stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// The first branch.
    pub attention: Attention,
    /// The second branch.
    pub mlp: Mlp,
    /// Where the norms of both branches stand.
    pub place: NormPlace,
}

/// Where the norm of a branch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlace {
    /// `x + branch(norm(x))`: pre-LN (Xiong et al., 2020).
    Before,
    /// `norm(x + branch(x))`: post-LN (Vaswani et al., 2017).
    After,
}

/// Self-attention: `x + dropout(output(attention(query(x), key(x), value(x))))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Module, for messages.
    pub name: String,
    /// H
    pub heads: usize,
    /// Query, key and value: `[C, C]` each, or one layer of `[3C, C]`.
    pub qkv: Vec<Dense>,
    /// The base of the angles that queries and keys are turned by.
    pub rotary: Option<f32>,
    /// How far from itself a token sees, on each side.
    pub window: Option<usize>,
    /// Of the probabilities.
    pub probabilities: Site,
    /// `[C, C]`
    pub output: Dense,
    /// Of the output.
    pub dropout: Site,
    /// The branch's norm; none where what is before the branch ends with one.
    pub norm: Option<Norm>,
}

/// Feed-forward: `x + dropout(down(activation(up(x))))`, or with a gate `x + dropout(down(dropout(activation(u) · g)))`,
/// where u and g are the two halves of `up(x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Module, for messages.
    pub name: String,
    /// `[F, C]`, or with a gate `[2F, C]`.
    pub up: Dense,
    /// Between both layers.
    pub activation: Activation,
    /// The dropout behind the gate, if there is one.
    pub gate: Option<Site>,
    /// `[C, F]`
    pub down: Dense,
    /// Of the output.
    pub dropout: Site,
    /// The branch's norm.
    pub norm: Norm,
}

/// Predicts tokens, or tells their classes: `decoder(dropout(transform(x)))` on the M rows that are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenHead {
    /// In front of the last layer, if something is.
    pub transform: Option<Transform>,
    /// Behind it, in heads that tell classes.
    pub dropout: Option<Site>,
    /// `[V, E]`, or `[K, C]` of K classes.
    pub decoder: Decoder,
}

/// What a head on tokens does first: `norm(activation(dense(x)))`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transform {
    /// `[E, C]`, where E is the embeddings' width
    pub dense: Dense,
    /// Behind it.
    pub activation: Activation,
    /// Behind the activation.
    pub norm: Norm,
}

/// The last layer of a head on tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoder {
    /// `None` if it is the word embeddings.
    pub weight: Option<Tensor>,
    /// `[V]`, or `[K]`
    pub bias: Tensor,
    /// A second name that the bias is written under, for a release of transformers that reads that one.
    pub second_bias: Option<String>,
}

/// Classifies sequences: `output(dropout(tanh(dense(dropout(x)))))`, on one token of each or on the mean of all.
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceHead {
    /// What x is.
    pub pools: Pools,
    /// Before the first layer.
    pub dropout_before: Option<Site>,
    /// `[C, C]`
    pub dense: Dense,
    /// What stands behind it instead of tanh.
    pub activation: Option<(Activation, Option<Norm>)>,
    /// Between both layers.
    pub dropout: Site,
    /// `[K, C]`
    pub output: Dense,
}

/// A dense layer: `x Wᵀ + b`, or without b.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// `[outputs, inputs]`
    pub weight: Tensor,
    /// `[outputs]`
    pub bias: Option<Tensor>,
}

/// A LayerNorm.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// `[C]`
    pub weight: Tensor,
    /// `[C]`
    pub bias: Option<Tensor>,
    /// Added to the variance.
    pub eps: f32,
}

/// One named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name in a Hugging Face folder.
    pub name: String,
    /// Other names that it has in files, the likeliest first.
    pub aliases: Vec<String>,
    /// `[rows, columns]` or `[length]`.
    pub shape: Vec<usize>,
    /// Its first values.
    pub start: Start,
    /// How an optimizer treats it.
    pub group: Group,
    /// What it belongs to.
    pub part: Part,
}

/// How a tensor starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Normal with that standard deviation.
    Normal(f32),
    /// The same without what is further from 0 than so many deviations.
    TruncatedNormal {
        /// Standard deviation of the whole.
        deviation: f32,
        /// Deviations.
        cutoff: f32,
    },
    /// The same, but for one row of zeros.
    NormalButRow {
        /// Standard deviation.
        deviation: f32,
        /// The row.
        row: usize,
    },
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
}

/// How an optimizer treats a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A matrix inside a block, which decays; optimizers that treat matrices as such take these.
    Matrix,
    /// Other weights: they decay.
    Decay,
    /// Biases and norms: they do not (Devlin et al., 2019, appendix A.2).
    NoDecay,
}

/// What a tensor belongs to: what it is missing from, where a file lacks it, and whether a frozen encoder leaves it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Embeddings and blocks.
    Encoder,
    /// The head that predicts tokens.
    TokenHead,
    /// That head's weight, where it is not the word embeddings.
    Decoder,
    /// The first layer of a head that tells classes.
    Pooler,
    /// The last layer of next-sentence prediction.
    NextSentence,
    /// The last layer of a classifier.
    Classifier,
}

/// A dropout: its number in the model, which keys its masks, and its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// From 0.
    pub number: u32,
    /// Share of elements that are dropped.
    pub rate: f32,
}

/// Numbers dropout sites in the order in which a family names them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sites(u32);

impl Sites {
    /// The next one.
    pub fn next(&mut self, rate: f32) -> Site {
        self.0 += 1;
        Site { number: self.0 - 1, rate }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0 as usize
    }
}

impl Embeddings {
    /// Tokens of the longest text for which there are positions, if those have rows.
    pub fn longest(&self) -> Option<usize> {
        let rows = self.positions.as_ref()?.shape[0];
        Some(self.padding_position.map_or(rows, |padding| rows.saturating_sub(padding + 1)))
    }
}

impl Dense {
    /// Rows and columns of the weight.
    pub fn shape(&self) -> [usize; 2] {
        [self.weight.shape[0], self.weight.shape[1]]
    }

    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        [&self.weight].into_iter().chain(&self.bias)
    }
}

impl Norm {
    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        [&self.weight].into_iter().chain(&self.bias)
    }
}

impl Block {
    /// Query, key and value lie side by side, so that they are one `[3C, C]` matrix and one `[3C]` bias.
    fn tensors(&self) -> Vec<&Tensor> {
        let Attention { qkv, output, norm, .. } = &self.attention;
        let mut attention: Vec<_> = qkv.iter().map(|dense| &dense.weight).collect();
        attention.extend(qkv.iter().flat_map(|dense| &dense.bias));
        attention.extend(output.tensors());
        let mlp = self.mlp.up.tensors().chain(self.mlp.down.tensors()).collect();
        let branches = [(norm.as_ref(), attention), (Some(&self.mlp.norm), mlp)];
        let in_order = branches.into_iter().flat_map(|(norm, branch)| {
            let norm: Vec<_> = norm.into_iter().flat_map(Norm::tensors).collect();
            match self.place {
                NormPlace::Before => [norm, branch].concat(),
                NormPlace::After => [branch, norm].concat(),
            }
        });
        in_order.collect()
    }
}

impl Blueprint {
    /// C, of the blocks.
    pub fn width(&self) -> usize {
        let Embeddings { words, projection, .. } = &self.embeddings;
        projection.as_ref().map_or(words.shape[1], |dense| dense.shape()[0])
    }

    /// Every tensor in the order of the flat buffer: the encoder's, then those of its heads. The tables come first
    /// and side by side; a norm's bias follows its weight.
    pub fn tensors(&self) -> Vec<&Tensor> {
        let Embeddings { words, positions, token_types, norm, projection, .. } = &self.embeddings;
        let mut all: Vec<_> = [words].into_iter().chain(positions).chain(token_types).collect();
        all.extend(norm.iter().flat_map(Norm::tensors));
        all.extend(projection.iter().flat_map(Dense::tensors));
        all.extend(self.blocks.iter().flat_map(Block::tensors));
        all.extend(self.norm.iter().flat_map(Norm::tensors));
        if let Some(TokenHead { transform, decoder, .. }) = &self.tokens {
            all.extend(
                transform.iter().flat_map(|Transform { dense, norm, .. }| dense.tensors().chain(norm.tensors())),
            );
            all.extend(decoder.weight.iter().chain([&decoder.bias]));
        }
        if let Some(SequenceHead { dense, activation, output, .. }) = &self.sequences {
            let norm = activation.iter().flat_map(|(_, norm)| norm).flat_map(Norm::tensors);
            all.extend(dense.tensors().chain(norm).chain(output.tensors()));
        }
        all
    }
}
