/** What a pretraining run does where a launcher has started several processes for it. Called by the pretrain command. */

import { createHash } from "node:crypto";
import type { Batch } from "../../../config/batch.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import type { ModelConfig } from "../../../config/model_config.ts";
import { counted } from "../../../config/numbers.ts";
import type { Extension } from "../../../config/run_config.ts";
import { fileHash } from "../../../config/sha256.ts";
import { folderOf } from "../../../config/whole_file.ts";
import { Shard, tokenizerHash } from "../../../data/mod.ts";
import type { Engine } from "../../../ffi/mod.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import type { BatchStream } from "../../../tasks/task.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import type { Clock, Crew, Ready, UpdateOrder } from "../../../training/crew.ts";
import { Schedule } from "../../../training/schedule.ts";
import { SharedEvaluation } from "../../../training/shared_evaluation.ts";
import { microBatches, sharedMicroBatches, type Start } from "../../../training/train.ts";
import { accumulate, Update } from "../../../training/update.ts";
import { checkedTokenizer } from "../../checked_tokenizer.ts";
import { runBatches } from "../../run_batches.ts";
import { printError } from "../../terminal.ts";
import type { Beginning } from "./beginning.ts";
import { openEngine } from "./engine.ts";
import type { PretrainOptions } from "./flags.ts";
import { alone as rowsAlone, referenceBatches } from "./others.ts";
import type { DecidedPlan, Plan } from "./plan.ts";
import { heldOutBatches } from "./text.ts";

/** The run with its updates cut for processes that share them, unless it says how. */
export function cutFor<P extends Plan>(plan: P, processes: number | undefined): P {
  const { training, run } = plan;
  if (processes === undefined || training.micro_batches !== undefined) return plan;
  const { batch_tokens, max_sequence_length } = training;
  const micro_batches = sharedMicroBatches(batch_tokens, max_sequence_length, processes);
  const cut = { ...training, micro_batches };
  return { ...plan, training: cut, run: { ...run, training: cut } };
}

/** @throws {ClozeError} if the processes cannot share the run's updates, or its engine cannot. */
export function checkShares({ training, engine }: Plan, { size }: Crew): void {
  const cut = training.micro_batches;
  if (engine === "candle") {
    throw new ClozeError("usage", "--engine candle is for one process: it cannot share updates", {
      hint: "start it without mpirun, or with --engine fused",
    });
  }
  if (cut === undefined) {
    if (size === 1) return;
    throw new ClozeError("input", "the updates of this run are not cut into micro-batches that processes could share", {
      hint: "go on without mpirun, or begin a new run with mpirun or --micro-batches 8",
    });
  }
  if (cut % size === 0) return;
  const hint = size > cut
    ? `each has to hold a sequence: give --batch-tokens ${
      size * training.max_sequence_length
    } or more in a new run, or ` +
      "start fewer processes"
    : `start ${2 ** Math.floor(Math.log2(Math.min(size, cut)))} processes`;
  const text = `${counted(size, "process", "processes")} cannot share an update of ` +
    `${counted(cut, "micro-batch", "micro-batches")} evenly`;
  throw new ClozeError("usage", text, { hint });
}

/** What the leader tells the others of the run. */
export interface Assignment {
  output: string;
  run: DecidedPlan["run"];
  model: ModelConfig;
  weights: Beginning["weights"];
  start: Start;
  extensions: readonly Extension[];
  clock: Clock;
  source: string;
  dtype: "f32" | "bf16";
}

/** What is evaluated, in order: the same in all processes. */
export function evaluatedBatches(heldOut: readonly Batch[], reference: readonly Batch[]): Batch[] {
  return [...heldOut, ...reference].filter(({ labels, sequence_labels }) => labels.length + sequence_labels.length > 0);
}

/** What a process trains with, to compare: the losses of the first batch depend on every weight, and on the text. */
export async function readyWith(
  engine: Engine,
  tokenizer: Tokenizer,
  batches: BatchStream,
  evaluated: readonly Batch[],
  { start, weights }: Pick<Assignment, "start" | "weights">,
): Promise<Ready> {
  const { instruction_set, dtype } = engine.describe();
  batches.position = start.position;
  const batch = batches.next();
  batches.position = start.position;
  const { row_loss, sequence_loss } = await engine.evaluate(batch);
  const hash = createHash("sha256").update(tokenizerHash(tokenizer));
  const whatIsEvaluated = evaluated.flatMap(({ input_ids, labels }) => [input_ids, labels]);
  for (const array of [...Object.values(batch) as Int32Array[], ...whatIsEvaluated, row_loss, sequence_loss]) {
    hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  if (weights.training_state !== undefined) hash.update(await fileHash(weights.training_state));
  return { instruction_set, dtype, data: hash.digest("hex").slice(0, 16) };
}

/** Follows the leader to the end of the run. */
export async function follow(crew: Crew, values: PretrainOptions): Promise<number> {
  let stop = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGUSR1"] as const) Deno.addSignalListener(signal, () => stop = true);
  try {
    await crew.greet();
    await crew.equip(values.device ?? "cpu");
    await work(crew, values, () => stop);
    await crew.leave();
    return 0;
  } catch (error) {
    if (!(error instanceof ClozeError)) await crew.abort(error);
    await crew.leave(error as ClozeError);
    return (error as ClozeError).exitCode; // the leader says why
  }
}

async function work(crew: Crew, values: PretrainOptions, stopped: () => boolean): Promise<void> {
  const assignment = await crew.assigned<Assignment | undefined>();
  if (assignment === undefined) return; // there was nothing to train
  const { output, run, model, weights, start, source, dtype, extensions } = assignment;
  const folder = weights.training_state === undefined ? output : folderOf(weights.training_state);
  const tokenizer = await checkedTokenizer(folder);
  using train = shard(`${output}/data/train.shard`, source);
  using replay = run.data.replay === undefined ? undefined : shard(`${output}/data/replay/train.shard`);
  using batches = runBatches(run, train, replay, tokenizer);
  using engine = await openEngine({ run, training: run.training, engine: run.engine, dtype }, model, weights, {
    ...crew.on,
    threads: values.threads ?? crew.threads,
  });
  const evaluated = evaluatedOf(assignment, tokenizer);
  await crew.ready(await readyWith(engine, tokenizer, batches, evaluated, assignment));
  const task = pretrainingTask(run.training.objective);
  batches.position = start.position;
  const schedule = new Schedule(run.training, extensions);
  let clock: Clock = assignment.clock;
  const { count } = microBatches(run.training);
  const share = crew.share(count);
  const updateOf = (step: number) => {
    const done = () => schedule.recipeProgress({ ...clock, step, epoch: batches.epoch });
    return new Update({ task, batches, count, share, done });
  };
  const rows = rowsAlone(run, tokenizer);
  let isAlone = false;
  let update = updateOf(start.step);
  update.take();
  update.amount = await crew.count(update.amount);
  for (let { step } = start;; step++) {
    const upcoming = updateOf(step + 1);
    await accumulate({ engine, task, cut: true }, update, step, upcoming);
    const due = await nextUpdate(crew, engine, evaluated, upcoming, stopped);
    if (due === undefined) return;
    const { alone, learning_rate } = clock = due;
    if (update.amount.predicted > 0) {
      if (alone !== isAlone) await engine.trainRows(alone ? rows : undefined);
      isAlone = alone;
      await crew.together(() => engine.update(learning_rate, step));
    }
    update = upcoming;
  }
}

/** Does what is due before the next update, and learns how much the one after it has; nothing comes of it at the end. */
async function nextUpdate(
  crew: Crew,
  engine: Engine,
  evaluated: readonly Batch[],
  upcoming: Update,
  stopped: () => boolean,
): Promise<UpdateOrder | undefined> {
  const shared = new SharedEvaluation(engine, crew, evaluated);
  for (;;) {
    const said = await crew.follow(stopped(), upcoming.amount);
    if (said === undefined) return undefined;
    const { order, amount } = said;
    if (order === "save") await crew.together(() => engine.collect());
    else if ("evaluate" in order) await shared.round(order.evaluate);
    else {
      upcoming.amount = amount;
      return order;
    }
  }
}

/** What the leader evaluates, from its shards. */
function evaluatedOf({ output, run: { training, data } }: Assignment, tokenizer: Tokenizer): Batch[] {
  using heldOut = shard(`${output}/data/held_out.shard`);
  using reference = data.reference === undefined ? undefined : shard(`${output}/data/reference/train.shard`);
  return evaluatedBatches(
    heldOutBatches(training, heldOut, tokenizer),
    referenceBatches(training, reference, tokenizer),
  );
}

function shard(path: string, source?: string): Shard {
  const opened = Shard.open(path);
  if (source === undefined || opened.header.source === source) return opened;
  opened[Symbol.dispose]();
  throw new ClozeError("input", `${path} is not the text of this run`, {
    hint: "the folder of the run has to be the same for all: put it where all machines see it",
  });
}

/** Prints what ends all processes. */
export const tell = (error: ClozeError): void => printError(error);
