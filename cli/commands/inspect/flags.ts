/** The flags of `cloze inspect`. */

import { BATCH_FLAGS } from "../../flags/batch_flags.ts";
import { THREADS } from "../../flags/engine_flags.ts";
import { type CommandTable, number, type Options, text, toggle } from "../../flags/flag.ts";
import { CORPUS_FLAGS } from "../../flags/text_flags.ts";
import { SEED } from "../../flags/training_flags.ts";

/** The command's table. */
export const TABLE = {
  name: "inspect",
  summary: "Shows the packed and masked batches that a run sees, and writes them to a file.",
  usage: "[--model DIR | --data PATH… --tokenizer PATH] [flags]",
  positional: "PATH",
  details:
    "With --model, the batches of that run; with --data, those of a run with the same flags. Masked tokens are " +
    "shown as [MASK], with what stood there; replaced ones with both; kept ones are marked.",
  flags: {
    model: text("DIR", "Folder of a run.", "without --data, the newest run"),
    ...CORPUS_FLAGS,
    tokenizer: text("PATH", "A model folder, tokenizer.json or vocab.txt."),
    ...BATCH_FLAGS,
    pairs: toggle("Sentence pairs, as for next-sentence prediction."),
    seed: SEED,
    batches: number({ min: 1, max: 1e9, integer: true }, "How many batches.", "1; with --export, those of an epoch"),
    export: text("FILE", "Write the batches as safetensors: 0.input_ids, 0.labels, …, 1.input_ids, …"),
    force: toggle("With --export: replace a file that is there."),
    json: toggle("One JSON object a sequence: tokens, labels, positions."),
    threads: THREADS,
  },
  examples: [
    "cloze inspect --model runs/mine",
    "cloze inspect --data corpus/ --tokenizer runs/mine --masking eojeol",
    "cloze inspect --model runs/mine --batches 1000 --export batches.safetensors",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type InspectOptions = Options<typeof TABLE.flags>;
