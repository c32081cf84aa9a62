/**
 * Learns a Unigram tokenizer from counted words, with the special tokens and the layout of XLM-R. Used by the commands.
 */

import { type AddedToken, SPECIAL, type SpecialNames } from "../added_tokens.ts";
import type { Json } from "../json_fields.ts";
import type { PipelineSteps } from "../pipeline/steps.ts";
import { PipelineTokenizer } from "../pipeline/tokenizer.ts";
import type { WordCounts } from "../word_counter.ts";
import type { WordSource } from "../word_source.ts";
import { METASPACE_STEPS } from "./metaspace.ts";
import { trainUnigram } from "./unigram_trainer.ts";

/** What XLM-R calls its special tokens, in the order in which a new vocabulary has them. */
export const XLM_ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] as const;

const NAMES: SpecialNames = { cls: "<s>", pad: "<pad>", sep: "</s>", unk: "<unk>", mask: "<mask>" };

/** What placeholders score: text of known characters is likelier as these. */
const PLACEHOLDER_SCORE = -1000;

/** What text goes through before it is cut into words. */
export interface UnigramTextOptions {
  lowercase: boolean;
  /** Special tokens besides XLM-R's. */
  special_tokens?: readonly string[];
}

/** What to learn. */
export interface LearnUnigramOptions extends UnigramTextOptions {
  vocab_size: number;
  /** Most characters that are pieces of their own; the rarest go. */
  limit_alphabet?: number;
  /** Fills the vocabulary up to a multiple of this with `[unused0]`, `[unused1]`, …. */
  pad_to_multiple_of?: number;
  /** Told now and then how far it is, as a number of tokens. */
  onProgress?: (tokens: number) => void;
}

/**
 * Text is composed (NFC), so that Hangul is never taken apart; control characters go and other white space becomes spaces
 * (`Nmt`); a word is what white space leaves, with ▁ before it.
 */
function stepsOf(lowercase: boolean): PipelineSteps {
  return {
    normalizers: [{ type: "NFC" }, { type: "Nmt" }, ...(lowercase ? [{ type: "Lowercase" }] : [])],
    pre_tokenizers: METASPACE_STEPS,
  };
}

/** The mask token takes the white space before it, as XLM-R's does: what fills it says whether there is any. */
function addedTokens(special_tokens: readonly string[]): AddedToken[] {
  const contents = [...XLM_ROBERTA_TOKENS, ...special_tokens];
  return contents.map((content) => ({ content, ...SPECIAL, lstrip: content === NAMES.mask }));
}

/** The words that such a vocabulary is learned from. */
export function unigramWords({ lowercase, special_tokens = [] }: UnigramTextOptions): WordSource {
  return {
    splitter: { pipeline: stepsOf(lowercase) },
    added_tokens: addedTokens(special_tokens),
    own: XLM_ROBERTA_TOKENS,
  };
}

/** `<s> A </s>`, and `<s> A </s></s> B </s>`. */
function template(): Record<string, Json> {
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const single = [special(NAMES.cls), text("A"), special(NAMES.sep)];
  const idOf = (token: string) => (XLM_ROBERTA_TOKENS as readonly string[]).indexOf(token);
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, special(NAMES.sep), text("B"), special(NAMES.sep)],
    special_tokens: Object.fromEntries(
      [NAMES.cls, NAMES.sep].map((token) => [token, { id: token, ids: [idOf(token)], tokens: [token] }]),
    ),
  };
}

/**
 * Learns a tokenizer: special tokens first, then pieces, the likeliest first; `vocab_size` tokens in all, more if the alphabet
 * needs them, and fewer if the text has no more pieces.
 */
export function learnUnigram(words: WordCounts, options: LearnUnigramOptions): PipelineTokenizer {
  const { vocab_size, limit_alphabet, pad_to_multiple_of = 1, lowercase, special_tokens = [], onProgress } = options;
  const added_tokens = addedTokens(special_tokens), first = added_tokens.length;
  const { pieces, scores } = trainUnigram(words, vocab_size - first, {
    limit_alphabet,
    onProgress: (share) => onProgress?.(Math.floor(share * vocab_size)),
  });
  const vocabulary = [...added_tokens.map(({ content }) => content), ...pieces];
  for (let i = 0; vocabulary.length % pad_to_multiple_of !== 0; i++) vocabulary.push(`[unused${i}]`);
  const all = new Float64Array(vocabulary.length).fill(PLACEHOLDER_SCORE);
  all.fill(0, 0, first);
  all.set(scores, first);
  return new PipelineTokenizer({
    vocabulary,
    pieces: vocabulary.length,
    added_tokens,
    names: NAMES,
    model: { type: "Unigram", scores: all, unk_id: vocabulary.indexOf(NAMES.unk), byte_fallback: false },
    ...stepsOf(lowercase),
    post_processors: [template()],
    decoders: [METASPACE_STEPS[1]],
  });
}
