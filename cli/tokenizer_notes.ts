/** What a person should know of a tokenizer that was loaded. Used by every command that loads one. */

import type { Tokenizer } from "../tokenizer/mod.ts";
import { note } from "./terminal.ts";

/** Says what its files say that is not followed, or not as they say it. */
export function noteTokenizer({ notes }: Pick<Tokenizer, "notes">): void {
  for (const sentence of notes) note(`note: ${sentence}`);
}
