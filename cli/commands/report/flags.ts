/** The flags of `cloze report`. */

import { type CommandTable, type Options, text, toggle } from "../../flags/flag.ts";
import { OPEN } from "../../flags/training_flags.ts";

/** The command's table. */
export const TABLE = {
  name: "report",
  summary: "Shows a run, or several side by side: a verdict in words, curves, filled blanks, how to repeat it.",
  usage: "[DIR…] [flags]",
  positional: "DIR",
  details:
    "Writes one HTML page that needs nothing else. A run writes its own as it goes: report.html in its folder. " +
    "Without a folder it is about the newest run.",
  flags: {
    output: text("FILE", "The page.", "report.html in the run's folder, or here for several runs"),
    force: toggle("Replace a file that is no report, too."),
    live: toggle("Follow one run in the browser: its page, at an address of this machine alone, until Ctrl-C."),
    open: OPEN,
    text: toggle("Write the verdict and the loss curve to standard output instead."),
  },
  examples: [
    "cloze report runs/mine",
    "cloze report runs/mine runs/other --output comparison.html",
    "cloze report runs/mine --live",
    "cloze report runs/mine --text",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type ReportOptions = Options<typeof TABLE.flags>;
