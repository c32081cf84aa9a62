/** What a model is, in the names of a Hugging Face `config.json`. `model/model_config.ts` reads and writes that file. */

/** Field names are Hugging Face's. */
export interface ModelConfig {
  /** The family, such as `bert`: see `model/families.ts`. */
  model_type: string;
  /** Tokens of the vocabulary, V. */
  vocab_size: number;
  /** Width of the encoder, C. */
  hidden_size: number;
  /** Width of the embeddings, in families where it may be another than `hidden_size`. */
  embedding_size?: number;
  /** Layers of the encoder. */
  num_hidden_layers: number;
  /** Heads of attention, which divide the width among them. */
  num_attention_heads: number;
  /** Width of the feed-forward part. */
  intermediate_size: number;
  /** The longest sequence, in tokens. */
  max_position_embeddings: number;
  /** Kinds of segments; 2 where the second of two texts has one of its own. */
  type_vocab_size: number;
  /** Chance of an activation to be dropped. */
  hidden_dropout_prob: number;
  /** Chance of a weight of attention to be dropped. */
  attention_probs_dropout_prob: number;
  /** What is added to a variance before its root is taken. */
  layer_norm_eps: number;
  /** Standard deviation of the first weights. */
  initializer_range: number;
  /** Name of the activation function, such as `gelu`. */
  hidden_act: string;
  /** Id of `[PAD]`. */
  pad_token_id: number;
  /** Whether the decoder is the word embedding matrix; else it has one of its own. */
  tie_word_embeddings: boolean;
  /** What only ModernBERT has; its `config.json` has these fields beside the others. */
  modernbert?: ModernBertConfig;
}

/** Fields of ModernBERT (Warner et al., 2024) that BERT has not. */
export interface ModernBertConfig {
  /** Layers from one that sees everything to the next. */
  global_attn_every_n_layers: number;
  /** Tokens that the others see, half of them on each side. */
  local_attention: number;
  /** Base of the rotary angles in the layers that see everything. */
  global_rope_theta: number;
  /** The same in the layers that see a window. */
  local_rope_theta: number;
  /** Chance of an activation of the embeddings to be dropped. */
  embedding_dropout: number;
  /** The same in the feed-forward parts. */
  mlp_dropout: number;
  /** Standard deviations beyond which no weight starts. */
  initializer_cutoff_factor: number;
  /** Whether the norms have a bias. */
  norm_bias: boolean;
  /** Whether the matrices of attention have one. */
  attention_bias: boolean;
  /** Whether those of the feed-forward parts have one. */
  mlp_bias: boolean;
  /** Whether the first layer of a head has one. */
  classifier_bias: boolean;
  /** What follows the first layer of a head. */
  classifier_activation: string;
  /** What a classifier reads: the first token, or the mean of all. */
  classifier_pooling: "cls" | "mean";
}

/** A model whose vocabulary is not known yet: `vocab_size` is `null` then. */
export type UnsizedModelConfig = Omit<ModelConfig, "vocab_size"> & { vocab_size: number | null };

/** BERT's values (Devlin et al., 2019) for everything but the sizes. */
export const BERT_DEFAULTS: Omit<
  ModelConfig,
  "vocab_size" | "hidden_size" | "num_hidden_layers" | "num_attention_heads" | "intermediate_size"
> = {
  model_type: "bert",
  max_position_embeddings: 512,
  type_vocab_size: 2,
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  layer_norm_eps: 1e-12,
  initializer_range: 0.02,
  hidden_act: "gelu",
  pad_token_id: 0,
  tie_word_embeddings: true,
};

/** Layers and hidden size of BERT's miniatures (Turc et al., 2019) and of BERT-base. */
export const PRESETS = {
  tiny: { num_hidden_layers: 2, hidden_size: 128 },
  mini: { num_hidden_layers: 4, hidden_size: 256 },
  small: { num_hidden_layers: 4, hidden_size: 512 },
  medium: { num_hidden_layers: 8, hidden_size: 512 },
  base: { num_hidden_layers: 12, hidden_size: 768 },
} as const;

/** A name in {@linkcode PRESETS}. */
export type Preset = keyof typeof PRESETS;

/** A preset's configuration: heads of size 64, feed-forward four times as wide as the hidden size, the rest a family's. */
export function presetConfig(preset: Preset, vocab_size: number, defaults = BERT_DEFAULTS): ModelConfig {
  const { hidden_size, num_hidden_layers } = PRESETS[preset];
  return {
    ...defaults,
    vocab_size,
    hidden_size,
    num_hidden_layers,
    num_attention_heads: hidden_size / 64,
    intermediate_size: 4 * hidden_size,
  };
}
