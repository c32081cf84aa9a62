/** The flags of `cloze train-tokenizer`. */

import { THREADS } from "../../flags/engine_flags.ts";
import { choice, type CommandTable, number, type Options, text, toggle } from "../../flags/flag.ts";
import { CORPUS_FLAGS } from "../../flags/text_flags.ts";
import { VOCAB_SIZE, VOCABULARY_FLAGS } from "../../flags/vocabulary_flags.ts";

const COMPAT = choice(
  ["huggingface", "google"],
  "Whose rules apply where the two differ: google follows its tokenization.py, composes nothing, and lets words have 200 characters.",
  "huggingface",
);

/** What `--model` may say beside `wordpiece`: models whose tokens have the white space before them. */
export const SPACED_MODELS = ["bpe", "unigram"] as const;

/** The command's table. */
export const TABLE = {
  name: "train-tokenizer",
  summary: "Learns a tokenizer from text, the same one each time.",
  usage: "--data PATH… --output DIR [flags]",
  positional: "PATH",
  details: "Says how well the vocabulary fits the text: tokens a word, words that became [UNK], and how much of each " +
    "script is kept.",
  flags: {
    ...CORPUS_FLAGS,
    output: text(
      "DIR",
      "Folder for tokenizer.json and its configuration, with vocab.txt or vocab.json and merges.txt.",
    ),
    model: choice(
      ["wordpiece", ...SPACED_MODELS],
      "wordpiece as BERT has it, in whose tokens ## marks pieces inside a word; bpe, byte-level as RoBERTa has it, which " +
        "knows every text; unigram as XLM-R has it, which cuts words into the likeliest pieces.",
      "wordpiece",
    ),
    "vocab-size": VOCAB_SIZE,
    "min-frequency": number({ min: 1, max: 1e9, integer: true }, "Pairs that are rarer are not merged.", "2"),
    "limit-alphabet": number(
      { min: 1, max: 1_114_112, integer: true },
      "Most characters that are tokens of their own; the rarest go. Korean text has some 2,500.",
      "all up to 6000, and of more as many as leave one word in 100,000 [UNK]",
    ),
    "pad-to-multiple": number(
      { min: 1, max: 65536, integer: true },
      "Fill the vocabulary up to a multiple of N with [unused0], [unused1], …, which are never predicted.",
      "1",
    ),
    ...VOCABULARY_FLAGS,
    force: toggle("Replace another tokenizer that is in the folder."),
    threads: THREADS,
    compat: COMPAT,
  },
  examples: [
    "cloze train-tokenizer --data corpus/ --output tokenizer --vocab-size 16000",
    "cloze train-tokenizer --data corpus/ --output tokenizer --model bpe",
    "cloze train-tokenizer --data corpus/ --output tokenizer --model unigram --vocab-size 16000",
    "cloze train-tokenizer --data corpus/ --output tokenizer --vocab-size 30000 --pad-to-multiple 64",
    "cloze train-tokenizer --data proteins.txt --output tokenizer --pre-tokenizer characters",
    "cloze train-tokenizer --data corpus/ --output tokenizer --special-token '[URL]'",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type TrainTokenizerOptions = Options<typeof TABLE.flags>;
