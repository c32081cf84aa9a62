/** `cloze completions`: a script that a shell reads. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { writeOut } from "../../terminal.ts";
import { loadTables } from "../registry.ts";
import { bash } from "./bash.ts";
import { fish } from "./fish.ts";
import type { CompletionsOptions } from "./flags.ts";
import { zsh } from "./zsh.ts";

export { TABLE } from "./flags.ts";

const SHELLS = { bash, zsh, fish };

/** Runs the command. */
export async function run({ positionals = [] }: CompletionsOptions): Promise<number> {
  const [shell] = positionals;
  if (positionals.length !== 1 || !Object.hasOwn(SHELLS, shell)) {
    throw new ClozeError("usage", `completions takes one shell: ${Object.keys(SHELLS).join(", ")}`);
  }
  await writeOut(SHELLS[shell as keyof typeof SHELLS](await loadTables()));
  return 0;
}
