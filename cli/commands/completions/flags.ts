/** The flags of `cloze completions`. */

import type { CommandTable, Options } from "../../flags/flag.ts";

/** The command's table. */
export const TABLE = {
  name: "completions",
  summary: "Prints what lets a shell complete commands, flags and their values with the tab key.",
  usage: "bash|zsh|fish",
  positional: "SHELL",
  details: "For the command cloze, as deno task install or the single binary gives it. " +
    "zsh looks for it in the folders of fpath that are set before compinit.",
  flags: {},
  examples: [
    "cloze completions bash > ~/.local/share/bash-completion/completions/cloze",
    "cloze completions zsh > ~/.zfunc/_cloze",
    "cloze completions fish > ~/.config/fish/completions/cloze.fish",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type CompletionsOptions = Options<typeof TABLE.flags>;
