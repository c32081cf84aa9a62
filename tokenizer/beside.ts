/** What stands beside a tokenizer's file in its folder. Used by the readers of tokenizer files. */

import type { Json } from "./json_fields.ts";
import type { NamingFiles } from "./named_tokens.ts";

/** The files beside a tokenizer.json or vocab.txt. */
export interface Beside extends NamingFiles {
  /** Whether there is no tokenizer_config.json. */
  isAlone: boolean;
  /** config.json, of a model folder. */
  model: Record<string, Json> | undefined;
}
