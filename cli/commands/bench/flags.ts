/** The flags of `cloze bench`. */

import { DEVICE, THREADS } from "../../flags/engine_flags.ts";
import { choice, type CommandTable, duration, number, type Options, toggle } from "../../flags/flag.ts";
import { CORPUS_FLAGS } from "../../flags/text_flags.ts";
import { ARCHITECTURE, PRESET_NAMES } from "../../flags/training_flags.ts";
import { VOCAB_SIZE } from "../../flags/vocabulary_flags.ts";

/** The command's table. */
export const TABLE = {
  name: "bench",
  summary: "Measures this machine: what to expect before a long run is started.",
  usage: "[--data PATH…] [flags]",
  positional: "PATH",
  details:
    "Times matrix products and whole training steps of every preset, as pretrain's default recipe has them. With --data " +
    "it tells how long a pass over that text takes, with --budget also how many passes fit into it, the dropout " +
    "that pretrain then takes, and about which held-out loss it comes to.",
  flags: {
    ...CORPUS_FLAGS,
    budget: duration("Wall clock that you have: 30m, 8h."),
    preset: choice(PRESET_NAMES, "One size of model instead of all."),
    architecture: ARCHITECTURE,
    dtype: choice(["f32", "bf16"], "One precision instead of both."),
    "vocab-size": VOCAB_SIZE,
    "max-sequence-length": number({ min: 8, max: 512, integer: true }, "Length of the sequences in tokens.", "128"),
    profile: toggle(
      "Also where the time of a step goes, by operation; on a GPU by kernel, and under mpirun what processes do together.",
    ),
    threads: THREADS,
    device: DEVICE,
    json: toggle("One JSON object."),
  },
  examples: [
    "cloze bench",
    "cloze bench --data corpus/ --budget 8h",
    "cloze bench --preset mini --profile",
    "mpirun -n 2 cloze bench --preset mini --profile",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type BenchOptions = Options<typeof TABLE.flags>;
