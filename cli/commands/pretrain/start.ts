/** What is known when a run begins: the record that its metrics and report start with. Called by the pretrain command. */

import type { Batch } from "../../../config/batch.ts";
import type { RunStart, UnigramBaseline } from "../../../config/metric.ts";
import { VERSION } from "../../../config/run_config.ts";
import { maskingStatistics, type PreparedData, textStatistics, tokenizerHash } from "../../../data/mod.ts";
import type { EngineDescription } from "../../../ffi/mod.ts";
import { nspMajority } from "../../../tasks/mlm_nsp.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import { callerFolder } from "../../paths.ts";

/** Where the run stands, and what it runs with. */
export interface RunParts {
  step: number;
  elapsed_ms: number;
  /** As typed. */
  command: string;
  engine: EngineDescription;
  data: PreparedData;
  tokenizer: Tokenizer;
  heldOut: readonly Batch[];
  unigram: UnigramBaseline;
}

/** Makes the record. */
export function runStart(parts: RunParts): RunStart {
  const { step, elapsed_ms, command, data, tokenizer, heldOut, unigram } = parts;
  const nsp_majority = nspMajority(heldOut);
  const { unknown } = data.train.header.corpus ?? {};
  const { engine, instruction_set, threads, parameter_count } = parts.engine;
  return {
    kind: "start",
    step,
    elapsed_ms,
    time: new Date().toISOString(),
    command,
    folder: callerFolder(),
    versions: { cloze: VERSION, deno: Deno.version.deno, platform: `${Deno.build.os} ${Deno.build.arch}` },
    engine: { engine, instruction_set, threads, parameter_count },
    tokenizer: { size: tokenizer.size, lowercase: tokenizer.lowercases, sha256: tokenizerHash(tokenizer) },
    train: textStatistics(data.train, tokenizer),
    held_out: textStatistics(data.heldOut, tokenizer),
    duplicate_share: data.train.header.corpus?.duplicate_share ?? null,
    ...(unknown === undefined ? {} : { unknown }),
    masking: maskingStatistics(heldOut, tokenizer),
    unigram,
    ...(nsp_majority === undefined ? {} : { nsp_majority }),
  };
}
