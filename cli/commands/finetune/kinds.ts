/** The kinds of fine-tuning, and which one flags and files ask for. */

import { isTagged } from "../../../data/mod.ts";
import { corpusConfig } from "../../corpus.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { resolve } from "../../paths.ts";
import type { FINETUNE_TASKS, FinetuneOptions } from "./flags.ts";
import type { Kind } from "./kind.ts";
import { TEXTS } from "./labeled_text.ts";
import { TAGGED } from "./tagged_text.ts";

// deno-lint-ignore no-explicit-any
const KINDS: Record<typeof FINETUNE_TASKS[number], Kind<any, any, any, any>> = {
  "text-classification": TEXTS,
  "token-classification": TAGGED,
};

/** Names of files that are CoNLL's. Other plain text may be anything. */
const CONLL = /\.(conll|bio|iob2?|bioes)(\.(gz|zst))?$/i;

/** The kind that is asked for by name, or that the training file is of. @throws {ClozeError} `io`, `input` */
// deno-lint-ignore no-explicit-any
export async function kindOf(values: FinetuneOptions): Promise<Kind<any, any, any, any>> {
  const kind = await askedKind(values);
  if (kind === TAGGED) {
    const why = "is for labels of texts, and the files are of tagged words";
    refuseFlags(values, ["pair-column", "problem-type", "label-separator"], why);
  }
  return kind;
}

// deno-lint-ignore no-explicit-any
async function askedKind(values: FinetuneOptions): Promise<Kind<any, any, any, any>> {
  if (values.task !== undefined) return KINDS[values.task];
  if (CONLL.test(values.train!)) return TAGGED;
  return await isTagged(resolve(values.train!), corpusConfig(values)) ? TAGGED : TEXTS;
}
