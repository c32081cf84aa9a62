/** `cloze inspect`: the packed and masked batches that a run sees, for people on the terminal and for programs in a file. */

import type { Batch } from "../../../config/batch.ts";
import { program } from "../../../config/called.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { exists } from "../../../config/folder.ts";
import { counted, grouped, size } from "../../../config/numbers.ts";
import { PRESET_TRAINING, VERSION } from "../../../config/run_config.ts";
import { type BatchOptions, prepareShards, Shard, tokenizerHash, writeBatches } from "../../../data/mod.ts";
import { readRun } from "../../../run/run_record.ts";
import { MLM } from "../../../tasks/mlm.ts";
import { MLM_NSP } from "../../../tasks/mlm_nsp.ts";
import type { PretrainingTask } from "../../../tasks/pretraining_task.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import type { BatchStream } from "../../../tasks/task.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import { batchOptions, maskingOf, samplingOf } from "../../batch_options.ts";
import { checkedTokenizer } from "../../checked_tokenizer.ts";
import { corpusConfig, corpusFiles, noteFindings, noteOnce, saveStdin } from "../../corpus.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { bytesPace } from "../../pace.ts";
import { newestRun, resolve } from "../../paths.ts";
import { runBatches } from "../../run_batches.ts";
import { endProgress, note, progress, writeOut } from "../../terminal.ts";
import type { InspectOptions } from "./flags.ts";
import { json, readable } from "./view.ts";

export { TABLE } from "./flags.ts";

/** Runs the command. */
export async function run({ positionals = [], ...values }: InspectOptions): Promise<number> {
  const data = [...(values.data ?? []), ...positionals];
  if (values.model !== undefined && data.length > 0) {
    throw new ClozeError("usage", "cloze inspect takes either --model DIR or --data PATH… with --tokenizer PATH");
  }
  if (values.force === true && values.export === undefined) {
    throw new ClozeError("usage", "--force is for --export: without it no file is written");
  }
  if (values.export !== undefined) refuseFlags(values, ["json"], "is for what is shown, but --export writes to a file");
  if (values.pairs !== true) refuseFlags(values, ["short-seq-prob"], "is for --pairs");
  if (values.export !== undefined && values.force !== true && await exists(resolve(values.export))) {
    throw new ClozeError("input", `${resolve(values.export)} exists`, {
      hint: "give another file with --export, or --force to replace it",
    });
  }
  if (data.length === 0) {
    const folder = values.model === undefined ? await newestRun("pretraining") : resolve(values.model);
    if (values.model === undefined) note(`model: ${folder}`);
    return await inspectRun(folder, values);
  }
  if (values.tokenizer === undefined) {
    throw new ClozeError("usage", "cloze inspect --data needs --tokenizer PATH", {
      hint: `learn one with: ${program()} train-tokenizer`,
    });
  }
  const tokenizer = await checkedTokenizer(resolve(values.tokenizer));
  const task = values.pairs === true ? MLM_NSP : MLM;
  const temporary = await Deno.makeTempDir({ prefix: "cloze-inspect-" });
  try {
    const { files, stdin } = await corpusFiles(data, values, temporary);
    if (stdin !== undefined) await saveStdin(stdin, values.format);
    const { train, heldOut } = await prepareShards(temporary, { files, config: corpusConfig(values) }, tokenizer, {
      threads: values.threads ?? navigator.hardwareConcurrency,
      onProgress: bytesPace("tokenizing"),
      onNote: noteOnce,
    });
    endProgress();
    heldOut[Symbol.dispose]();
    using shard = train;
    noteFindings(shard.header.corpus);
    return await show(shard, tokenizer, task, optionsOf(task, values), values);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

async function inspectRun(folder: string, values: InspectOptions): Promise<number> {
  const other = Object.keys(values).find((name) => !["model", "batches", "export", "force", "json"].includes(name));
  if (other !== undefined) {
    throw new ClozeError("usage", `what a run sees is in its folder, but --${other} is given too`, {
      hint: "use --data and --tokenizer to see what other flags would do",
    });
  }
  const run = await readRun(folder, note);
  const tokenizer = await checkedTokenizer(folder);
  using shard = Shard.open(`${folder}/data/train.shard`);
  using replay = run.data.replay === undefined ? undefined : Shard.open(`${folder}/data/replay/train.shard`);
  const task = pretrainingTask(run.training.objective);
  const streamOf = () => runBatches(run, shard, replay, tokenizer);
  return await show(shard, tokenizer, task, batchOptions(run.training), values, streamOf);
}

/** What a run with these flags would do. */
function optionsOf(task: PretrainingTask, values: InspectOptions): BatchOptions {
  const sampling = samplingOf(values);
  return {
    ...maskingOf(values, values.recipe ?? "fast"),
    ...sampling,
    ...task.options,
    seed: values.seed ?? 0,
    batch_tokens: Math.max(values["batch-tokens"] ?? PRESET_TRAINING.tiny.batch_tokens, sampling.max_sequence_length),
  };
}

async function show(
  shard: Shard,
  tokenizer: Tokenizer,
  task: PretrainingTask,
  options: BatchOptions,
  values: InspectOptions,
  streamOf = () => task.trainingBatches(shard, tokenizer, options),
): Promise<number> {
  if (shard.header.tokens === 0) throw new ClozeError("input", "there is not enough text to make batches of");
  using batches = streamOf();
  const most = values.batches ?? (values.export === undefined ? 1 : Infinity);
  if (values.export !== undefined) {
    const path = resolve(values.export);
    const metadata = {
      cloze_version: VERSION,
      source: shard.header.source,
      tokenizer: tokenizerHash(tokenizer),
      options: JSON.stringify(options),
    };
    const written = await writeBatches(path, upTo(batches, most), metadata);
    note(`wrote ${path}: ${counted(written.batches, "batch", "batches")}, ${size(written.bytes)}`);
    return 0;
  }
  if (!task.masks) note("left to right: nothing is masked, every token predicts the next one");
  let number = 0;
  for (let batch of upTo(batches, most)) {
    if (!task.masks) batch = { ...batch, masked_positions: new Int32Array(), labels: new Int32Array() };
    await writeOut(values.json === true ? json(batch, number, tokenizer) : readable(batch, number, tokenizer, options));
    number++;
  }
  return 0;
}

/** The batches from the beginning on: so many, or those of the first epoch. */
function* upTo(batches: BatchStream, most: number): Generator<Batch> {
  for (let n = 0; n < most && (most < Infinity || batches.epoch < 1); n++) {
    if (n % 100 === 0) progress(`batch ${grouped(n)}`);
    yield batches.next();
  }
}
