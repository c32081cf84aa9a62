/** The kinds of heads that Hugging Face's classes have. A family's file says which of its classes has which. */

/** What is known of a kind without reading anything else of a `config.json`. */
interface HeadFacts {
  /** Whether tokens are predicted: masked ones, or the next one of a decoder. */
  tokens: boolean;
  /** Whether it tells if the second segment follows the first. */
  next_sentence: boolean;
  /** Whether a token sees only what stands before it. */
  is_decoder: boolean;
  /** What the file names classes of. */
  labels: "sequences" | "tokens" | null;
}

const NONE: HeadFacts = { tokens: false, next_sentence: false, is_decoder: false, labels: null };

/** Every kind, by the name of the task that its class is for; `none` is a bare encoder. */
export const HEAD_KINDS = {
  "mlm": { ...NONE, tokens: true },
  "mlm+nsp": { ...NONE, tokens: true, next_sentence: true },
  "next_sentence_prediction": { ...NONE, next_sentence: true },
  "clm": { ...NONE, tokens: true, is_decoder: true },
  "sequence_classification": { ...NONE, labels: "sequences" },
  "token_classification": { ...NONE, labels: "tokens" },
  "none": NONE,
} satisfies Record<string, HeadFacts>;

/** A name in {@linkcode HEAD_KINDS}. */
export type HeadKind = keyof typeof HEAD_KINDS;

/** What a class without labels is when its `config.json` says `is_decoder`, and what it is when it names no class. */
export const DECODER: HeadKind = "clm", UNNAMED: HeadKind = "mlm";
