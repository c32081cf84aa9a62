/** The flags of `cloze extend-vocab`. */

import { AS, THREADS } from "../../flags/engine_flags.ts";
import { type CommandTable, number, type Options, text } from "../../flags/flag.ts";
import { CORPUS_FLAGS } from "../../flags/text_flags.ts";
import { SPECIAL_TOKEN } from "../../flags/vocabulary_flags.ts";

/** The command's table. */
export const TABLE = {
  name: "extend-vocab",
  summary: "Adds tokens to a trained model, each beginning as the mean of the pieces it was made of.",
  usage: "--model DIR --output DIR [--data PATH… | --tokens FILE] [flags]",
  positional: "PATH",
  details:
    "The new tokens are the lines of --tokens, or those that --data most needs: it is split into the model's own " +
    "tokens, and the most frequent pairs of neighbours become tokens. The model itself is left as it is.",
  flags: {
    model: text("DIR", "Model folder, made by cloze or by transformers."),
    as: AS,
    output: text("DIR", "Folder for the larger model. It must not be there yet, or be empty."),
    ...CORPUS_FLAGS,
    tokens: text("FILE", "New words, one a line; ## begins what stands inside words."),
    "special-token": SPECIAL_TOKEN,
    add: number({ min: 1, max: 1_000_000, integer: true }, "Most tokens to learn from --data.", "1000"),
    "min-frequency": number({ min: 1, max: 1e9, integer: true }, "Pairs that are rarer are not merged.", "2"),
    threads: THREADS,
  },
  examples: [
    "cloze extend-vocab --model runs/mine --output runs/larger --data new-domain/ --add 500",
    "cloze extend-vocab --model runs/mine --output runs/larger --tokens words.txt",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type ExtendVocabOptions = Options<typeof TABLE.flags>;
