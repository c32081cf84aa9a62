/**
 * Learns a byte-level BPE vocabulary by the rule of Hugging Face's `BpeTrainer`. A pure function of the counted words: pairs of
 * equal frequency go by their ids, and those go by GPT-2's alphabet. Used by the commands.
 */

import { type AddedToken, SPECIAL, type SpecialNames } from "../added_tokens.ts";
import { BYTE_PIECES, learnMerges } from "../merging/merges.ts";
import type { PipelineSteps } from "../pipeline/steps.ts";
import { PipelineTokenizer } from "../pipeline/tokenizer.ts";
import type { WordCounts } from "../word_counter.ts";
import type { WordSource } from "../word_source.ts";
import { BYTE_CHARACTERS } from "./byte_alphabet.ts";

/** RoBERTa's special tokens, in its order. */
export const ROBERTA_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] as const;

const NAMES: SpecialNames = { cls: "<s>", pad: "<pad>", sep: "</s>", unk: "<unk>", mask: "<mask>" };

/** What text goes through before it is cut into words. */
export interface BpeTextOptions {
  lowercase: boolean;
  /** Special tokens besides RoBERTa's. */
  special_tokens?: readonly string[];
}

/** What to learn. */
export interface BpeTrainerOptions extends BpeTextOptions {
  vocab_size: number;
  /** Pairs that are rarer are not merged. */
  min_frequency?: number;
  /** Fills the vocabulary up to a multiple of this with `[unused0]`, `[unused1]`, …, which no text is encoded as. */
  pad_to_multiple_of?: number;
  /** Told now and then how many tokens there are. */
  onProgress?: (tokens: number) => void;
}

/**
 * Text is composed (NFC), so that Hangul is never taken apart, and has a space put before it: a word is the same token at the
 * beginning of a line as elsewhere.
 */
function stepsOf(lowercase: boolean): PipelineSteps {
  return {
    normalizers: [{ type: "NFC" }, ...(lowercase ? [{ type: "Lowercase" }] : [])],
    pre_tokenizers: [{ type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true }],
  };
}

/** The mask token takes the white space before it, as RoBERTa's does: what fills it says whether there is any. */
function addedTokens(special_tokens: readonly string[]): AddedToken[] {
  return [...ROBERTA_TOKENS, ...special_tokens].map((content) => ({
    content,
    ...SPECIAL,
    lstrip: content === NAMES.mask,
  }));
}

/** The words that such a vocabulary is learned from. */
export function bpeWords({ lowercase, special_tokens = [] }: BpeTextOptions): WordSource {
  return {
    splitter: { pipeline: stepsOf(lowercase) },
    added_tokens: addedTokens(special_tokens),
    own: ROBERTA_TOKENS,
  };
}

/**
 * Learns a tokenizer: special tokens first, then the 256 bytes in the order of their characters, then merges in the order in
 * which they were made, `vocab_size` tokens in all, or fewer if the text has no more pairs.
 */
export function learnBpe(words: WordCounts, options: BpeTrainerOptions): PipelineTokenizer {
  const { vocab_size, min_frequency = 2, pad_to_multiple_of = 1, lowercase, special_tokens = [] } = options;
  const added_tokens = addedTokens(special_tokens);
  const first = added_tokens.length, alphabet = [...BYTE_CHARACTERS].sort();
  const tokens = [...added_tokens.map(({ content }) => content), ...alphabet];
  const ids = Int32Array.from(BYTE_CHARACTERS, (character) => first + alphabet.indexOf(character));
  const merges = learnMerges(tokens, {
    words,
    cut: (bytes, start, end, out) => {
      for (let i = start; i < end; i++) out[i - start] = ids[bytes[i]];
      return end - start;
    },
    pieces: BYTE_PIECES,
    vocab_size,
    min_frequency,
    onProgress: options.onProgress ?? (() => {}),
  });
  for (let i = 0; tokens.length % pad_to_multiple_of !== 0; i++) tokens.push(`[unused${i}]`);
  const [cls, , sep] = ROBERTA_TOKENS;
  return new PipelineTokenizer({
    vocabulary: tokens,
    pieces: tokens.length,
    added_tokens,
    names: NAMES,
    model: {
      type: "BPE",
      merges: Int32Array.from(merges),
      byte_level: true,
      unk_token: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
    },
    ...stepsOf(lowercase),
    post_processors: [{
      type: "RobertaProcessing",
      sep: [sep, tokens.indexOf(sep)],
      cls: [cls, tokens.indexOf(cls)],
      trim_offsets: true,
      add_prefix_space: true,
    }],
    decoders: [{ type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true }],
  });
}
