/**
 * Checkpoint folders. Each is a whole Hugging Face folder with the training state beside it, complete or not there; the
 * newest few are kept. Nothing is removed that this program did not write.
 */

import { ioError } from "../config/cloze_error.ts";
import { exists, makeFolder } from "../config/folder.ts";
import { VERSION } from "../config/run_config.ts";
import { sealed } from "../config/sealed_json.ts";
import { fileHash } from "../config/sha256.ts";
import { giveName, removeLeftovers, syncFolder, temporaryBeside, writeWhole } from "../config/whole_file.ts";
import type { Engine } from "../ffi/mod.ts";
import { CHECKSUMS, checksumsText } from "../model/checksums.ts";
import { modelChecksums, publishModel, textHash } from "../model/publish_model.ts";
import { WEIGHTS } from "../model/weights_files.ts";
import { checkpointsThere, MOMENTS, readCheckpoint, STATE, type TrainingState } from "./checkpoint_folder.ts";

export { checkpointSteps, newestCheckpoint, type TrainingState } from "./checkpoint_folder.ts";

/** How many checkpoints are kept, unless more are asked for: one may be damaged. */
const KEPT = 2;

/** Bytes of a checkpoint a parameter, at most: the weight, and two numbers of the optimizer. */
const BYTES = 12;
/** What a checkpoint takes, as a guess before there is one: rather much of a slow disk, and the files beside the weights. */
const BYTES_A_MS = 150_000, FILES_MS = 50;

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
  const before = await readCheckpoint(run, state.step).catch(() => undefined);
  if (before === undefined) {
    await removeLeftovers(parent);
    await makeFolder(temporary);
    try {
      const [weights, training_state] = [`${temporary}/${WEIGHTS}`, `${temporary}/${MOMENTS}`];
      await engine.save({ weights, training_state });
      const model = await modelChecksums(files, weights);
      const texts = { ...files, [CHECKSUMS]: checksumsText(model) };
      for (const [name, text] of Object.entries(texts)) await writeWhole(`${temporary}/${name}`, text);
      const sha256 = {
        ...Object.fromEntries(model),
        [CHECKSUMS]: textHash(texts[CHECKSUMS]),
        [MOMENTS]: await fileHash(training_state),
      };
      const whole: TrainingState = { cloze_version: VERSION, ...state, sha256 };
      await writeWhole(`${temporary}/${STATE}`, sealed(whole));
      syncFolder(temporary);
      await putAside(folder);
      giveName(temporary, folder);
    } catch (error) {
      await removeIfThere(temporary).catch(() => {}); // what went wrong first is told
      throw ioError(error, "write", folder);
    }
  } else if (state.done) {
    // It was saved as one of the way, and then there was no time for another step.
    await writeWhole(`${folder}/${STATE}`, sealed({ ...before.state, ...state }));
  }
  await publishModel(run, files, `${folder}/${WEIGHTS}`);
  const all = await checkpointsThere(run);
  // Later ones are of a time that the run does not go on from: they were passed over as damaged.
  for (const later of all.filter((step) => step > state.step)) await putAside(`${parent}/step-${later}`);
  const there = all.filter((step) => step <= state.step);
  for (const step of surplus(there, kept, every)) await removeIfThere(`${parent}/step-${step}`);
  return folder;
}

/** Of the steps, newest first, those that need not stay. */
export function surplus(steps: readonly number[], kept: number, every: number): number[] {
  const regular = steps.filter((step) => step % every === 0).slice(0, kept);
  // One may be damaged: the newest is not alone.
  return steps.filter((step, i) => i > 0 && !regular.includes(step) && !(i === 1 && regular.length < 2 && kept > 1));
}

async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw ioError(error, "remove", path);
  });
}

/** Renames what stands where a checkpoint is to be and is none that is whole: nothing of the user's is lost. */
async function putAside(path: string): Promise<void> {
  if (!await exists(path)) return;
  for (let n = 1;; n++) {
    const aside = `${path}.damaged${n === 1 ? "" : `-${n}`}`;
    if (await exists(aside)) continue;
    return await Deno.rename(path, aside).catch((error) => {
      throw ioError(error, "rename", path);
    });
  }
}
