/** The flags of `cloze doctor`. */

import { type CommandTable, type Options, toggle } from "../../flags/flag.ts";

/** The command's table. */
export const TABLE = {
  name: "doctor",
  summary: "Shows what cloze runs on here: CPU, core, GPU and its libraries, and what to install for one.",
  usage: "[flags]",
  details: "",
  flags: { json: toggle("One JSON object.") },
  examples: ["cloze doctor"],
} satisfies CommandTable;

/** What the command is asked to do. */
export type DoctorOptions = Options<typeof TABLE.flags>;
