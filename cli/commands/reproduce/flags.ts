/** The flags of `cloze reproduce`. */

import { DEVICE, dtypeFlag, THREADS } from "../../flags/engine_flags.ts";
import { BATCH_FLAGS } from "../../flags/batch_flags.ts";
import { choice, type CommandTable, duration, number, type Options, text, toggle } from "../../flags/flag.ts";
import { CORPUS_FLAGS } from "../../flags/text_flags.ts";
import { ALLOW_UNKNOWN, ARCHITECTURE, PRESET_NAMES } from "../../flags/training_flags.ts";
import { VOCAB_SIZE } from "../../flags/vocabulary_flags.ts";

/** The command's table. */
export const TABLE = {
  name: "reproduce",
  summary: "Checks a claim about masked language models on your own text, with a verdict.",
  usage: "EXPERIMENT --data PATH… [--train FILE --valid FILE] [flags]",
  positional: "EXPERIMENT",
  details:
    "EXPERIMENT is convergence, blanks, masking, mask-rate, nsp or dynamic. Pretrains each condition with several seeds " +
    "for the same number of steps, fine-tunes the models on labeled text, or for blanks fills the same held-out blanks " +
    "with them, and says whether the differences support the claim. Stopped, it goes on where it was when called again.",
  flags: {
    ...CORPUS_FLAGS,
    train: text("FILE", "Labeled text to fine-tune on: .tsv, .csv, .jsonl, .json or .parquet."),
    valid: text("FILE", "Labeled text to measure on, none of it in --train."),
    "label-column": text("NAME", "Column (field) of the label in --train and --valid.", "label"),
    output: text("DIR", "Folder of the experiment.", "runs/<experiment>"),
    seeds: number({ min: 2, max: 100, integer: true }, "Repetitions of every condition.", "3"),
    steps: number({ min: 16, max: 1e9, integer: true }, "Pretraining updates of each run."),
    budget: duration("Wall clock for the whole experiment, from which --steps is worked out: 30m, 2h."),
    preset: choice(PRESET_NAMES, "Size of the model.", "tiny"),
    architecture: ARCHITECTURE,
    "vocab-size": VOCAB_SIZE,
    "batch-tokens": BATCH_FLAGS["batch-tokens"],
    "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
    threads: THREADS,
    device: DEVICE,
    dtype: dtypeFlag("auto"),
    "allow-unknown": ALLOW_UNKNOWN,
    json: toggle("One JSON object instead of a table."),
  },
  examples: [
    "cloze reproduce blanks --data corpus/ --budget 2h",
    "cloze reproduce convergence --data corpus/ --train a.tsv --valid b.tsv --budget 2h",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type ReproduceOptions = Options<typeof TABLE.flags>;
