/**
 * Learns tokenizers whose tokens have the white space before them: one entry a model. Used by `cloze train-tokenizer --model`.
 */

import { ClozeError } from "../../../config/cloze_error.ts";
import { grouped } from "../../../config/numbers.ts";
import { type CorpusSource, countWords } from "../../../data/mod.ts";
import {
  Alphabet,
  bpeWords,
  learnBpe,
  learnUnigram,
  type PipelineTokenizer,
  ROBERTA_TOKENS,
  suitableVocabSize,
  unigramWords,
  wordCounter,
  type WordCounts,
  type WordSource,
  XLM_ROBERTA_TOKENS,
} from "../../../tokenizer/mod.ts";
import { noteOnce } from "../../corpus.ts";
import type { Learned, LearnOptions } from "../../learn_tokenizer.ts";
import { bytesPace, tokensPace } from "../../pace.ts";
import { stoppable } from "../../stop_signals.ts";
import { endProgress, note } from "../../terminal.ts";
import type { SPACED_MODELS } from "./flags.ts";

/** What a text is prepared with. */
type TextOptions = Pick<LearnOptions, "lowercase" | "special_tokens">;

/** How a model is learned. */
interface SpacedModel {
  /** What it calls its special tokens. */
  own: readonly string[];
  /** The words that it is learned from. */
  words(options: TextOptions): WordSource;
  /** How many tokens are single characters or bytes, whatever the size. */
  alphabet(counts: WordCounts, limit: number | undefined): number;
  learn(
    counts: WordCounts,
    options: LearnOptions & { vocab_size: number; onProgress: (tokens: number) => void },
  ): PipelineTokenizer;
}

/** Bytes, which all are tokens of their own. */
const BYTES = 256;

/** The models by what `--model` calls them. */
const MODELS: Record<typeof SPACED_MODELS[number], SpacedModel> = {
  bpe: { own: ROBERTA_TOKENS, words: bpeWords, alphabet: () => BYTES, learn: learnBpe },
  unigram: {
    own: XLM_ROBERTA_TOKENS,
    words: unigramWords,
    alphabet: (counts, limit) => new Alphabet(counts, limit).kept,
    learn: learnUnigram,
  },
};

/**
 * Learns a tokenizer from a corpus. Says on standard error where the vocabulary has to be larger than asked for.
 *
 * @throws {ClozeError} `input` if the text has no words; `usage` if a special token is one of the model's own.
 */
export async function learnSpaced(
  name: keyof typeof MODELS,
  source: CorpusSource,
  options: LearnOptions,
): Promise<Learned> {
  const model = MODELS[name];
  const taken = options.special_tokens?.find((token) => model.own.includes(token));
  if (taken !== undefined) {
    throw new ClozeError("usage", `--special-token ${JSON.stringify(taken)} is one that every such vocabulary has`);
  }
  const words = model.words(options);
  const counted = await countWords(source, {
    words,
    threads: options.threads,
    onProgress: bytesPace("counting words"),
    onNote: noteOnce,
  });
  const counter = wordCounter(words);
  for (const counts of counted.words) counter.merge(counts);
  if (counter.size === 0) throw new ClozeError("input", "the text has no words, so there is no vocabulary to learn");
  const vocab_size = options.vocab_size ??
    suitableVocabSize(counted.characters, model.alphabet(counter.words, options.limit_alphabet));
  const show = tokensPace(`learning the vocabulary from ${grouped(counter.size)} distinct words`);
  const tokenizer = await stoppable((check) => {
    const onProgress = (tokens: number) => {
      check();
      show(tokens, vocab_size);
    };
    return model.learn(counter.words, { ...options, vocab_size, onProgress });
  });
  endProgress();
  if (options.vocab_size !== undefined && tokenizer.size > options.vocab_size && !options.pad_to_multiple_of) {
    note(`the vocabulary has ${grouped(tokenizer.size)} tokens, more than the ${grouped(vocab_size)} asked for`);
  }
  return { tokenizer, counts: counter.words, corpus: counted.report.counts };
}
