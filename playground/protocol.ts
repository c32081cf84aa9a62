/**
 * What the playground's page, and scripts, ask and are answered: one JSON object each way (docs/playground.md). Offsets
 * count UTF-16 units of the text, end exclusive; probabilities are from 0 to 1, logarithms and entropies in nats.
 */

/** A model that can be asked. */
export interface ModelEntry {
  /** What requests call it. */
  id: string;
  /** What people call it: the folder's name. */
  name: string;
  /** Of a checkpoint: its update, and the model whose run it is of. */
  step?: number;
  run?: string;
}

/** `GET /models` */
export interface ModelsAnswer {
  version: string;
  models: ModelEntry[];
}

/** What every question says. */
export interface Question {
  model: string;
  text: string;
}

/** A token of a text. */
export interface TextToken {
  token: string;
  id: number;
  start: number;
  end: number;
  /** Tokens with the same number are one word. */
  word: number;
  /** Whether the vocabulary has no word for it. */
  unknown: boolean;
  /** Whether it is a blank. */
  blank: boolean;
}

/** `POST /tokenize` */
export interface TokenizeAnswer {
  tokens: TextToken[];
}

/** An answer for a blank. */
export interface BlankAnswer {
  token: string;
  id: number;
  probability: number;
  /** What it puts into the text. */
  word: string;
  /** Whether it continues the word before the blank: no space stands between. */
  joined: boolean;
}

/** `POST /fill`, with `top_k` if it is not to be 8. */
export interface FillAnswer {
  blanks: {
    start: number;
    end: number;
    /** Of the distribution over the whole vocabulary; ln V where the model has no idea. */
    entropy: number;
    answers: BlankAnswer[];
  }[];
  /** The text with all blanks filled, the surest first. */
  filled: string;
  /** Whether the model saw only what stands around the blanks. */
  truncated: boolean;
}

/** `POST /score`: each token masked in turn and asked for (Salazar et al., 2020); blanks stay blank. */
export interface ScoreAnswer {
  /** Sum of the tokens' log probabilities. */
  score: number;
  /** exp(−score / number of tokens) */
  perplexity: number;
  tokens: (TextToken & {
    /** `null` for a blank. */
    log_probability: number | null;
    /** How many tokens the model finds more probable there. */
    rank: number | null;
  })[];
}

/** `POST /attention`, with `layer` from 0, if it is not to be the last. */
export interface AttentionAnswer {
  layers: number;
  heads: number;
  layer: number;
  /** What the model sees, the special tokens at both ends included, whose ranges are empty. */
  tokens: TextToken[];
  /** What token i gives to token j, of each head: `[head][i][j]`; each row sums to 1. */
  probabilities: number[][][];
}

/** `POST /neighbours`: `text` is a word, or a few; with `top_k` if it is not to be 8. */
export interface NeighboursAnswer {
  /** The tokens that the word is made of: what is near is near to the mean of their embeddings. */
  tokens: string[];
  neighbours: {
    token: string;
    id: number;
    /** The cosine, from −1 to 1. */
    similarity: number;
  }[];
}

/** Every answer that is none: the status is 4xx or 5xx. */
export interface ErrorAnswer {
  error: string;
  hint?: string;
}
