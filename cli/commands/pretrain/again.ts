/**
 * What a pretraining command finds in its folder: nothing, its own run at any stage, a finished one, or another. Called by
 * the pretrain command.
 */

import { program, quoted } from "../../../config/called.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { exists } from "../../../config/folder.ts";
import { clock, counted } from "../../../config/numbers.ts";
import type { Extent, PlannedRun, RunConfig } from "../../../config/run_config.ts";
import { fileHash } from "../../../config/sha256.ts";
import { newestCheckpoint } from "../../../run/checkpoint.ts";
import { readMetrics } from "../../../run/metrics_file.ts";
import { difference, readRecord, writeRecord } from "../../../run/run_record.ts";
import type { BatchStream } from "../../../tasks/task.ts";
import { Schedule } from "../../../training/schedule.ts";
import { isSameStdin, saveStdin } from "../../corpus.ts";
import { resolve } from "../../paths.ts";
import { bold, note } from "../../terminal.ts";
import type { Call } from "../registry.ts";
import { extentOf, newRun } from "./asked.ts";
import type { PretrainOptions } from "./flags.ts";
import { cutFor } from "./crew.ts";
import { type DecidedPlan, type Plan, planOf } from "./plan.ts";

/** Flags that `--resume` takes: what a run is does not change with them, but for how long it is. */
const RESUME_FLAGS = [
  "threads",
  "device",
  "save-every",
  "keep-checkpoints",
  "evaluate-every",
  "chart",
  "allow-unknown",
] as const;

/** Refuses what `--resume` does not take, and gives the extent that the run is to have, if one is asked for. */
export function resumeFlags(values: PretrainOptions, positionals: readonly string[]): Extent | undefined {
  const allowed = new Set<string>(["resume", "steps", "epochs", "budget", ...RESUME_FLAGS]);
  const other = Object.keys(values).find((name) => !allowed.has(name));
  if (other !== undefined || positionals.length > 0) {
    throw new ClozeError(
      "usage",
      `--resume takes everything from the run, but ${other ? `--${other}` : positionals[0]} is given too`,
      {
        hint: "begin a new run to change it; --steps, --epochs or --budget make a run longer",
      },
    );
  }
  return extentOf(values);
}

/** The command that goes on, with the flags that are not kept in the run. */
export function resumeCommand(values: PretrainOptions, shown: string): string {
  const words = RESUME_FLAGS.map((name) => {
    const value = values[name];
    return value === undefined ? "" : value === true ? ` --${name}` : ` --${name} ${value}`;
  });
  return `${program()} pretrain --resume ${quoted(shown)}${words.join("")}`;
}

/**
 * The extent that a run is to be made longer to, or `undefined` if it has that already.
 *
 * @throws {ClozeError} `usage` if it is shorter.
 */
export function longerExtent({ training, run }: Plan, extent: Extent): Extent | undefined {
  const present: Extent = run.extensions?.at(-1)?.extent ?? training.extent;
  const [[unit, value]] = Object.entries(extent);
  const before = (present as unknown as Record<string, number>)[unit];
  if (before === undefined || value > before) return extent;
  if (value === before) return undefined;
  throw new ClozeError("usage", `the run has ${extentText(present)}, and ${extentText(extent)} is less`, {
    hint:
      "--steps, --epochs and --budget are of the whole run, what is done already included; a run can be made longer",
  });
}

/** How long a run is, in words. */
function extentText(extent: Extent): string {
  if ("steps" in extent) return counted(extent.steps, "step");
  return "epochs" in extent
    ? `${extent.epochs} ${extent.epochs === 1 ? "epoch" : "epochs"}`
    : `a budget of ${clock(extent.budget_ms)}`;
}

/**
 * A run that goes on, from its record and its newest checkpoint; from its beginning, if there is none: then nothing was
 * learned yet.
 */
async function planAgain(run: PlannedRun | RunConfig, output: string, shown: string): Promise<Plan> {
  const plan = planOf(run, output, shown);
  const newest = await newestCheckpoint(output, note);
  if (newest === undefined) return plan;
  if (run.data.source === null) {
    throw new ClozeError(
      "input",
      `${output} has checkpoints, but its run.json is that of a run before its first step`,
      {
        hint: "give another --output",
      },
    );
  }
  const { state, weights, training_state } = newest;
  const { step, position, elapsed_ms, tokens, done } = state;
  // One that was made longer where it stood is not at its end any more.
  const isExtended = run.extensions?.at(-1)?.step === step;
  return {
    ...plan,
    start: { step, position, elapsed_ms, tokens, done: done === true && !isExtended },
    ...(state.lines === undefined ? {} : { lines: state.lines }),
    source: run.data.source,
    weights: { weights, training_state },
  };
}

/** The run that the flags ask for. Where its text is gone, but a run in its folder has it, the error says so. */
export async function askedRun(
  values: PretrainOptions,
  positionals: readonly string[],
): Promise<Plan & { run: PlannedRun }> {
  return await newRun(values, positionals).catch(async (error) => {
    const { output } = values;
    const isText = error instanceof ClozeError && (error.code === "input" || error.code === "io");
    if (!isText || output === undefined || !await exists(`${resolve(output)}/checkpoints`)) throw error;
    const { message, code } = error;
    throw new ClozeError(code, message, {
      hint: `the run in ${output} has its own copy of its text, in tokens; to go on with it: ${
        resumeCommand(values, output)
      }`,
      cause: error,
    });
  });
}

/**
 * The run to do in the folder: the one that is there, if it has learned something, or the one that is asked for.
 *
 * @param processes how many share its updates, if a launcher started them.
 */
export async function planHere(
  asked: (Plan & { run: PlannedRun }) | undefined,
  output: string,
  shown: string,
  processes?: number,
): Promise<Plan> {
  const isThere = await exists(`${output}/run.json`);
  const kept = isThere ? await planAgain(await readRecord(output, note), output, shown) : undefined;
  const other = asked === undefined || kept === undefined ? undefined : difference(asked.run, kept.run);
  if (kept?.start !== undefined) {
    if (other === undefined) {
      if (asked?.stdin === undefined || await isSameStdin(asked.stdin)) return kept;
      throw new ClozeError("input", `standard input is not the text that the run in ${output} was begun with`, {
        hint: `give another --output, or go on with that run: ${program()} pretrain --resume ${quoted(shown)}`,
      });
    }
    const longer = other.startsWith("training.extent ") ? "; --steps, --epochs or --budget there make it longer" : "";
    throw new ClozeError("input", `the output folder ${output} already has another run in it: ${other}`, {
      hint: `give another --output, or go on with that run: ${program()} pretrain --resume ${quoted(shown)}${longer}`,
    });
  }
  if (kept !== undefined) {
    const instead = other === undefined ? "" : `; ${other}`;
    note(bold("begin    ") + `again: the run in ${output} was stopped before it had learned anything${instead}`);
  }
  if (asked === undefined) return kept!;
  asked = cutFor(asked, processes);
  await writeRecord(output, asked.run);
  if (asked.stdin !== undefined) await saveStdin(asked.stdin, asked.run.data.corpus.format);
  return asked;
}

/** The plan of a run that is made longer; of one that has learned nothing yet, it is as if it had been begun so. */
export async function lengthened(plan: Plan, extent: Extent): Promise<Plan> {
  if (plan.start !== undefined) return { ...plan, extent };
  const training = { ...plan.training, extent };
  const run = { ...plan.run, training } as Plan["run"];
  await writeRecord(plan.output, run);
  return { ...plan, training, run };
}

/** Whether the run has come to its end, and everything that it leaves is there. */
export async function isFinished({ start, weights, output, run }: Plan): Promise<boolean> {
  if (start?.done !== true) return false;
  const end = (await readMetrics(`${output}/metrics.jsonl`)).at(-1);
  const files = ["model.safetensors", "config.json", "report.html"];
  if (run.from === undefined) files.push("tokenizer.json"); // another program's model may have a vocab.txt alone
  return end?.kind === "end" && end.step === start.step && !end.interrupted &&
    (await Promise.all(files.map((name) => exists(`${output}/${name}`)))).every(Boolean) &&
    await fileHash(`${output}/model.safetensors`) === await fileHash(weights!.weights);
}

/** Says that there is nothing to do, and how there would be. */
export function finished({ start, output, shown }: Plan, call: Call): number {
  note(`the run in ${output} is finished: ${counted(start!.step, "step")}, ${clock(start!.elapsed_ms)}`);
  if (call.isPart) return 0;
  const resume = `${program()} pretrain --resume ${quoted(shown)}`;
  note(bold("next     ") + `to train it longer: ${resume} --steps N, --epochs N or --budget TIME, of the whole run`);
  return 0;
}

/** The run's schedule; an extension that is asked for is first written down. */
export async function scheduleOf(plan: DecidedPlan, batches: BatchStream): Promise<Schedule> {
  const { training, start, extent, run, output } = plan;
  const extensions = run.extensions ?? [];
  const schedule = new Schedule(training, extensions);
  if (extent === undefined || start === undefined) return schedule;
  batches.position = start.position;
  const { step, elapsed_ms } = start;
  const extension = {
    ...schedule.extension(extent, { step, epoch: batches.epoch, elapsed_ms, reserved_ms: 0 }),
    ...(start.done === true ? { learning_rate: 0, recipe_progress: 1 } : {}), // by the clock it ends a little before its time
  };
  if (extension.progress >= 1) {
    throw new ClozeError("usage", `the run in ${output} has had ${extentText(extent)} already`, {
      hint: "--steps, --epochs and --budget are of the whole run",
    });
  }
  const all = [...extensions.filter(({ step }) => step < extension.step), extension];
  await writeRecord(output, { ...run, extensions: all } as RunConfig);
  note(bold("longer   ") + `${extentText(extent)} instead of ${extentText(schedule.extent)}`);
  return new Schedule(training, all);
}
