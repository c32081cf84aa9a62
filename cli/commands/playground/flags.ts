/** The flags of `cloze playground`. */

import { AS, DEVICE, dtypeFlag, ENGINE, THREADS } from "../../flags/engine_flags.ts";
import { type CommandTable, number, type Options, texts } from "../../flags/flag.ts";

/** The command's table. */
export const TABLE = {
  name: "playground",
  summary: "Opens a model in the browser: blank words, see what it expects, what surprises it, and how it learned.",
  usage: "[--model DIR…] [flags]",
  details:
    "A page of this machine alone (127.0.0.1), at an address that opens it once; Enter shows another one. It asks the " +
    "server what scripts may ask as well (docs/playground.md). Of a run it also shows the checkpoints, new ones too while " +
    "it trains; pretrain --keep-checkpoints says how many there are. Ctrl-C ends it.",
  flags: {
    model: texts("DIR", "Model folder, made by cloze or by transformers. May be repeated; default: the newest run."),
    as: AS,
    port: number({ min: 1, max: 65535, integer: true }, "Port of 127.0.0.1 to listen to.", "a free one"),
    threads: THREADS,
    device: DEVICE,
    engine: ENGINE,
    dtype: dtypeFlag("f32"),
  },
  examples: ["cloze playground", "cloze playground --model runs/mine --model runs/other"],
} satisfies CommandTable;

/** What the command is asked to do. */
export type PlaygroundCommandOptions = Options<typeof TABLE.flags>;
