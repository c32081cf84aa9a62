/** Flags that say how a vocabulary is learned. */

import { PRE_TOKENIZERS } from "../../tokenizer/wordpiece/pre_tokenizer.ts";
import { choice, number, texts, toggle } from "./flag.ts";

/** `--vocab-size` */
export const VOCAB_SIZE = number(
  { min: 32, max: 1_000_000, integer: true },
  "Tokens in a vocabulary that is learned from the data.",
  "by the size of the text, at most 16000, more where its characters need it",
);

/** `--special-token` */
export const SPECIAL_TOKEN = texts(
  "TOKEN",
  "A special token of your own, such as [URL]: one id, whole wherever it stands, no part of a word. May be repeated.",
);

const PRE_TOKENIZER = choice(
  PRE_TOKENIZERS,
  "What a word is: bert separates white space and punctuation, whitespace white space alone; with characters every " +
    "character is a word, for letters of proteins or DNA.",
  "bert",
);

/** What is learned beside the vocabulary's size: flags of `pretrain` and `train-tokenizer`. */
export const VOCABULARY_FLAGS = {
  lowercase: toggle("Lowercase the text. Accents and Korean stay as they are."),
  "pre-tokenizer": PRE_TOKENIZER,
  "special-token": SPECIAL_TOKEN,
};
