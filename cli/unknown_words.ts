/**
 * What people are told of words that became `[UNK]`, which a model can neither read nor learn: how many, why, and what to do
 * about it. From some share on it is a warning, from a larger one on the command refuses to go on.
 */

import { program } from "../config/called.ts";
import { ClozeError } from "../config/cloze_error.ts";
import type { UnknownCauses } from "../config/metric.ts";
import { grouped, percent } from "../config/numbers.ts";
import type { UnknownCounts } from "../tokenizer/mod.ts";

/** Above this share of the words there is a warning; above that one a refusal, unless --allow-unknown is given. */
const WARNED = 0.01, REFUSED = 0.2;

/** Words of a text that became `[UNK]`. */
export interface UnknownWords {
  counts: UnknownCounts;
  causes?: UnknownCauses | undefined;
}

/** Where the vocabulary comes from, which decides what can be done: this text, a tokenizer that was given, or a model. */
export type Vocabulary =
  | { from: "text" }
  | { from: "tokenizer" }
  | {
    from: "model";
    path: string;
    /** Whether the command takes --extend. */
    extend?: boolean;
  };

/** How many words and tokens became `[UNK]`, in a few words. */
export function unknownLine({ words, tokens, unknown }: UnknownCounts): string {
  if (unknown === 0) return `no word of ${grouped(words)} became [UNK]`;
  return `[UNK]: ${share(unknown / words)} of the words (${grouped(unknown)} of ${grouped(words)}), ` +
    `${share(unknown / tokens)} of the tokens`;
}

/** A share that is not shown as nothing where it is something. */
function share(value: number): string {
  return value > 0 && value < 0.0005 ? "under 0.1%" : percent(value);
}

/** A message with what to do about it. */
export interface Advice {
  message: string;
  hint: string;
}

/**
 * What to warn of, if anything.
 *
 * @param allowed whether --allow-unknown is given.
 * @param where whose words: `of --valid`.
 * @throws {ClozeError} `input` if so many words became `[UNK]` that a result would mean nothing, and it is not allowed.
 */
export function checkUnknown(
  found: UnknownWords,
  vocabulary: Vocabulary,
  allowed: boolean,
  where = "",
): Advice | undefined {
  const { words, unknown } = found.counts;
  if (words === 0 || unknown <= WARNED * words) return undefined;
  const message =
    `${share(unknown / words)} of the words${where && ` ${where}`} (${grouped(unknown)} of ${
      grouped(words)
    }) became [UNK]` +
    why(found.causes);
  const hint = remedy(found.causes, vocabulary, where !== "");
  if (unknown <= REFUSED * words || allowed) return { message, hint };
  throw new ClozeError("input", message, { hint: `${hint}; or go on all the same: --allow-unknown` });
}

function why(causes: UnknownCauses | undefined): string {
  if (causes === undefined) return "";
  const { cased, too_long, lacking: [most], examples } = causes;
  const reasons = [
    ...(too_long > 0 ? [`${percent(too_long)} of them are longer than the tokenizer takes`] : []),
    ...(cased > 0 ? [`${percent(cased)} of them would be known in lower case`] : []),
    ...(most === undefined || cased >= most.share ? [] : [
      `${percent(most.share)} of them have ${most.script} that no token stands for, such as ${
        most.characters.join(" ")
      }`,
    ]),
  ];
  return [`, for example ${examples.join(", ")}`, ...reasons].join("; ");
}

/** What to do about the most frequent cause. @param isOther whether the vocabulary was not made for this part of the text. */
function remedy(causes: UnknownCauses | undefined, vocabulary: Vocabulary, isOther: boolean): string {
  const { too_long = 0, cased = 0, lacking: [most] = [] } = causes ?? {};
  if (too_long >= Math.max(cased, most?.share ?? 0) && too_long > 0) {
    const words = "put white space between the words";
    if (vocabulary.from === "model") {
      return `${words}, or use a model whose tokenizer has a larger max_input_chars_per_word`;
    }
    return vocabulary.from === "text"
      ? `${words}, or take each character for a word: --pre-tokenizer characters`
      : `${words}, or leave --tokenizer out to learn one that takes such words, or takes each character for a word: ` +
        "--pre-tokenizer characters";
  }
  if (vocabulary.from === "text") {
    // A vocabulary that is learned has all characters of its text but the rarest.
    return isOther
      ? "the vocabulary is learned from --data: add text like this one to it, or measure on text that is like it"
      : `learn a vocabulary with more of the characters, ${program()} train-tokenizer --data TEXT --output DIR ` +
        "--limit-alphabet N, and give it with --tokenizer DIR";
  }
  if (cased > 0 && cased >= (most?.share ?? 0)) {
    // Where tokenizer_config.json is what says so is known to who made the folder: it may be cased on purpose.
    return "the vocabulary has these words in lower case only: lowercase the text, or use " +
      `${vocabulary.from === "tokenizer" ? "a tokenizer" : "a model"} that was made for text with capitals ` +
      "(in a folder of transformers do_lower_case may be wrong)";
  }
  const script = most === undefined ? "this text" : `${most.script} text`;
  if (vocabulary.from === "tokenizer") {
    return `use a tokenizer that was made for ${script}, or leave --tokenizer out to learn one from it`;
  }
  const more = vocabulary.extend === true
    ? "--extend 1000"
    : `${program()} extend-vocab --model ${vocabulary.path} --data TEXT --output DIR`;
  return `use a model that was made for ${script}, or give this one more tokens: ${more}`;
}
