/**
 * What a fine-tuning command finds in its folder: nothing, its own run at any stage, a finished one, or another. The record
 * in `finetune.json` has the flags, so that the run can be gone on with without them. Called by the finetune command.
 */

import { program, quoted } from "../../../config/called.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import type { FinetuneRun, PlannedFinetuning } from "../../../config/finetune_run.ts";
import { exists } from "../../../config/folder.ts";
import { VERSION } from "../../../config/run_config.ts";
import { newestCheckpoint, type TrainingState } from "../../../run/checkpoint.ts";
import { flagDifference, readFinetuning, writeFinetuning } from "../../../run/finetune_record.ts";
import { readMetrics } from "../../../run/metrics_file.ts";
import { callerFolder, resolve } from "../../paths.ts";
import { bold, note } from "../../terminal.ts";
import type { Call } from "../registry.ts";
import type { FinetuneOptions } from "./flags.ts";

/** Flags that do not define the run. */
const NOT_KEPT = ["output", "resume", "threads", "device", "chart", "allow-unknown"] as const;
/** Flags that are paths. */
const PATHS = ["model", "train", "valid"];

/** Where a fine-tuning goes on. */
export interface FinetuneStart {
  state: TrainingState;
  /** A whole model folder, with the moments beside it. */
  folder: string;
  training_state: string;
  run: FinetuneRun;
}

/** What is to be done in the folder. */
export interface FinetunePlan {
  /** The command's flags, or those of the run that is resumed. */
  values: FinetuneOptions;
  /** What is recorded of the run already. */
  record: PlannedFinetuning;
  start?: FinetuneStart;
  finished?: FinetuneRun;
}

/**
 * Finds out what is to be done, and writes the record of a run that begins.
 *
 * @throws {ClozeError} `input` if another run is there.
 */
export async function finetuneHere(
  values: FinetuneOptions,
  output: string,
  shown: string,
  call: Call,
): Promise<FinetunePlan> {
  const kept = await exists(`${output}/finetune.json`) ? await readFinetuning(output) : undefined;
  const flags = values.resume === undefined ? flagsOf(values) : kept!.flags;
  const given = Object.fromEntries(
    NOT_KEPT.flatMap((name) => values[name] === undefined ? [] : [[name, values[name]]]),
  );
  const all = { ...flags, ...given } as FinetuneOptions;
  const end = (await readMetrics(`${output}/metrics.jsonl`)).at(-1);
  const hasModel = await exists(`${output}/model.safetensors`);
  const isFinished = kept !== undefined && hasModel && end?.kind === "end" && !end.interrupted;
  // Those of a finished one are being removed, or were.
  const checkpoint = kept === undefined || isFinished ? undefined : await newestCheckpoint(output, note);
  if (kept !== undefined && (hasModel || checkpoint !== undefined)) {
    const other = flagDifference(flags, kept.flags);
    if (other !== undefined) {
      throw new ClozeError("input", `the output folder ${output} already has another run in it: ${other}`, {
        hint: `give another --output, or go on with that run: ${program()} finetune --resume ${quoted(shown)}`,
      });
    }
    if (isFinished) return { values: all, record: kept, finished: kept as FinetuneRun };
    if (checkpoint !== undefined) {
      const { folder, state, training_state } = checkpoint;
      return { values: all, record: kept, start: { state, folder, training_state, run: kept as FinetuneRun } };
    }
  }
  if (kept !== undefined) {
    note(bold("begin    ") + `again: the run in ${output} was stopped before it had learned anything`);
  }
  const record: PlannedFinetuning = {
    cloze_version: VERSION,
    created: new Date().toISOString(),
    command: call.typed,
    folder: callerFolder(),
    flags,
  };
  await writeFinetuning(output, record);
  return { values: all, record };
}

/** The flags that define the run, with absolute paths. */
function flagsOf(values: FinetuneOptions): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => !(NOT_KEPT as readonly string[]).includes(name))
      .map(([name, value]) => [name, PATHS.includes(name) ? resolve(String(value)) : value]),
  );
}

/** Says that there is nothing to do. */
export function finetuningFinished({ finetuning }: FinetuneRun, output: string): void {
  note(`the run in ${output} is finished: ${finetuning.epochs} ${finetuning.epochs === 1 ? "epoch" : "epochs"}`);
}

/** What `--resume` is given with: the flags that are not kept. */
export function checkResumeFlags(values: FinetuneOptions): void {
  const other = Object.keys(values).find((name) =>
    name === "output" || !(NOT_KEPT as readonly string[]).includes(name)
  );
  if (other === undefined) return;
  throw new ClozeError("usage", `--resume takes everything from the run, but --${other} is given too`, {
    hint: "begin a new run to change it",
  });
}

/** The command of a run like that one with other epochs, into a folder beside it. */
export function longerCommand(values: FinetuneOptions, epochs: number, shown: string): string {
  const { resume: _, ...given } = values;
  epochs = Number(epochs.toPrecision(6)); // three times 0.1 is 0.30000000000000004
  const all: Record<string, unknown> = { ...given, epochs, output: `${shown.replace(/\/+$/, "")}-${epochs}-epochs` };
  const words = Object.entries(all).map(([name, value]) =>
    value === true ? ` --${name}` : ` --${name} ${quoted(String(value))}`
  );
  return `${program()} finetune${words.join("")}`;
}

/** The command that goes on. */
export function resumeCommand(values: FinetuneOptions, shown: string): string {
  const words = (["threads", "device", "chart"] as const).map((name) => {
    const value = values[name];
    return value === undefined ? "" : value === true ? ` --${name}` : ` --${name} ${value}`;
  });
  return `${program()} finetune --resume ${quoted(shown)}${words.join("")}`;
}
