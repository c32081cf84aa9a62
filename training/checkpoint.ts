/**
 * Checkpoint folders. Each is a whole Hugging Face folder with the training state beside it, complete or not there; the
 * newest few are kept. Nothing is removed that this program did not write.
 */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { VERSION } from "../config/run_config.ts";
import {
  createFile,
  giveName,
  removeLeftovers,
  syncFolder,
  temporaryBeside,
  writeWhole,
} from "../config/whole_file.ts";
import type { Position } from "../data/mod.ts";
import type { Engine } from "../ffi/mod.ts";
import { exists, fileHash, makeFolder } from "./files.ts";

/** How many checkpoints are kept, unless more are asked for: one may be damaged. */
const KEPT = 2;

/** Where a run stands, beside its weights and moments. */
export interface TrainingState {
  cloze_version: string;
  /** Updates done. */
  step: number;
  /** The next batch. */
  position: Position;
  elapsed_ms: number;
  tokens: number;
  /** Whether the run has come to its end. */
  done: boolean;
  /** SHA-256 of the files beside it. */
  sha256: Record<string, string>;
}

const WEIGHTS = "model.safetensors";
const MOMENTS = "training_state.safetensors";
const STATE = "training_state.json";

/** Bytes of a checkpoint a parameter: weights and two moments. */
const BYTES = 12;
/** What a checkpoint takes, as a guess before there is one: rather much of a slow disk, and the files beside the weights. */
const BYTES_A_MS = 200_000, FILES_MS = 50;

/** How long a checkpoint of so many parameters takes, about, before one was measured. */
export function savingTime(parameters: number): number {
  return FILES_MS + BYTES * parameters / BYTES_A_MS;
}

/** Which checkpoints stay. */
export interface Keeping {
  /** How many of the newest. */
  kept?: number | undefined;
  /** Only those of whole multiples of it count, and the newest: others go as soon as there is a newer one. */
  every?: number | undefined;
}

/** Writes `checkpoints/step-N` in the run's folder and lets the run's `model.safetensors` be its weights. */
export async function saveCheckpoint(
  run: string,
  engine: Engine,
  files: Record<string, string>,
  state: Omit<TrainingState, "cloze_version" | "sha256">,
  { kept = KEPT, every = 1 }: Keeping = {},
): Promise<string> {
  const parent = `${run}/checkpoints`;
  const folder = `${parent}/step-${state.step}`;
  const temporary = temporaryBeside(folder);
  if (!await exists(folder)) {
    await removeLeftovers(parent);
    await makeFolder(temporary);
    try {
      for (const [name, text] of Object.entries(files)) await writeWhole(`${temporary}/${name}`, text);
      const [weights, training_state] = [`${temporary}/${WEIGHTS}`, `${temporary}/${MOMENTS}`];
      await engine.save({ weights, training_state });
      const sha256 = { [WEIGHTS]: await fileHash(weights), [MOMENTS]: await fileHash(training_state) };
      const whole: TrainingState = { cloze_version: VERSION, ...state, sha256 };
      await writeWhole(`${temporary}/${STATE}`, JSON.stringify(whole, null, 2) + "\n");
      syncFolder(temporary);
      giveName(temporary, folder);
    } catch (error) {
      await removeIfThere(temporary);
      throw error;
    }
  } else if (state.done) {
    // It was saved as one of the way, and then there was no time for another step.
    const before = JSON.parse(await Deno.readTextFile(`${folder}/${STATE}`));
    await writeWhole(`${folder}/${STATE}`, JSON.stringify({ ...before, ...state }, null, 2) + "\n");
  }
  await publish(`${folder}/${WEIGHTS}`, `${run}/${WEIGHTS}`);
  for (const step of surplus(await checkpointSteps(run), kept, every)) await removeIfThere(`${parent}/step-${step}`);
  return folder;
}

/** Of the steps, newest first, those that need not stay. */
export function surplus(steps: readonly number[], kept: number, every: number): number[] {
  const regular = steps.filter((step) => step % every === 0).slice(0, kept);
  // One may be damaged: the newest is not alone.
  return steps.filter((step, i) => i > 0 && !regular.includes(step) && !(i === 1 && regular.length < 2 && kept > 1));
}

/** Makes `to` a copy of `from`, at once: one of the two stays whole if the other is damaged. */
async function publish(from: string, to: string): Promise<void> {
  const temporary = temporaryBeside(to);
  try {
    createFile(temporary).close();
    await Deno.copyFile(from, temporary); // shares its blocks, where the file system can do that
    using file = Deno.openSync(temporary, { write: true });
    file.syncSync();
    giveName(temporary, to);
  } catch (error) {
    await removeIfThere(temporary);
    throw ioError(error, "write", to);
  }
}

async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

/** Steps of the run's checkpoints, newest first. */
export async function checkpointSteps(run: string): Promise<number[]> {
  const steps: number[] = [];
  try {
    for await (const { name } of Deno.readDir(`${run}/checkpoints`)) {
      const match = /^step-(\d+)$/.exec(name);
      if (match !== null) steps.push(Number(match[1]));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return steps.sort((a, b) => b - a);
}

/** The run's newest checkpoint, its checksums verified. */
export async function newestCheckpoint(run: string): Promise<{
  state: TrainingState;
  weights: string;
  training_state: string;
}> {
  const [step] = await checkpointSteps(run);
  if (step === undefined) {
    throw new ClozeError("input", `${run} has no checkpoint to resume from`, {
      hint: "give the folder that was the --output of a run",
    });
  }
  const folder = `${run}/checkpoints/step-${step}`;
  let state: TrainingState;
  try {
    state = JSON.parse(await Deno.readTextFile(`${folder}/${STATE}`));
  } catch (error) {
    throw new ClozeError("input", `${folder}/${STATE} cannot be read: ${messageOf(error)}`);
  }
  for (const [name, expected] of Object.entries(state.sha256)) {
    const found = await fileHash(`${folder}/${name}`);
    if (found !== expected) {
      throw new ClozeError("input", `${folder}/${name} is damaged: its SHA-256 is ${found}, expected ${expected}`, {
        hint: `move that folder away to resume from the checkpoint before it`,
      });
    }
  }
  return { state, weights: `${folder}/${WEIGHTS}`, training_state: `${folder}/${MOMENTS}` };
}
