/**
 * Reading checkpoints: which there are, and whether one is whole. What is damaged is passed over for the one before it;
 * what is no checkpoint is left alone.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { exists } from "../config/folder.ts";
import { readSealed } from "../config/sealed_json.ts";
import { fileHash } from "../config/sha256.ts";
import type { Position } from "../data/mod.ts";
import { WEIGHTS } from "../model/weights_files.ts";

export const MOMENTS = "training_state.safetensors";
export const STATE = "training_state.json";

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
  /** Lines of the run's metrics.jsonl so far; version 0.1.0 did not count them. */
  lines?: number;
  /** SHA-256 of all files beside it. Its own is the last field of the file. */
  sha256: Record<string, string>;
}

/** A checkpoint whose every byte was checked. */
export interface Checkpoint {
  folder: string;
  state: TrainingState;
  /** Paths. */
  weights: string;
  training_state: string;
}

/** Where the checkpoint of a step is, if there is one. */
export function checkpointFolder(run: string, step: number): string {
  return `${run}/checkpoints/step-${step}`;
}

/** Steps of the folders that are named like checkpoints, newest first. */
export async function checkpointSteps(run: string): Promise<number[]> {
  const steps: number[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(`${run}/checkpoints`)) {
      const match = /^step-(0|[1-9]\d{0,14})$/.exec(name);
      if (match !== null && isDirectory) steps.push(Number(match[1]));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) throw error;
  }
  return steps.sort((a, b) => b - a);
}

/** Those of the steps whose checkpoint at least says that it is one. */
export async function checkpointsThere(run: string): Promise<number[]> {
  const found: number[] = [];
  for (const step of await checkpointSteps(run)) {
    if (await readState(run, step).then(() => true, () => false)) found.push(step);
  }
  return found;
}

/** What the newest state that can be read says of the run: how far it has come, and with how many lines of metrics. */
export async function newestState(run: string): Promise<TrainingState | undefined> {
  for (const step of await checkpointSteps(run)) {
    const found = await readState(run, step).catch(() => undefined);
    if (found !== undefined) return found.state;
  }
  return undefined;
}

/**
 * Reads a checkpoint and checks every file of it.
 *
 * @throws {ClozeError} what is wrong with it.
 */
export async function readCheckpoint(run: string, step: number): Promise<Checkpoint & { isSealed: boolean }> {
  const folder = checkpointFolder(run, step);
  const { state, isSealed } = await readState(run, step);
  for (const name of [WEIGHTS, MOMENTS]) {
    if (!Object.hasOwn(state.sha256, name)) {
      throw new ClozeError("input", `${folder}/${STATE} has no checksum of ${name}`);
    }
  }
  for (const [name, expected] of Object.entries(state.sha256)) {
    const found = await fileHash(`${folder}/${name}`);
    if (found !== expected) {
      throw new ClozeError("input", `${folder}/${name} is damaged: its SHA-256 is ${found}, expected ${expected}`);
    }
  }
  return { folder, state, weights: `${folder}/${WEIGHTS}`, training_state: `${folder}/${MOMENTS}`, isSealed };
}

async function readState(run: string, step: number): Promise<{ state: TrainingState; isSealed: boolean }> {
  const path = `${checkpointFolder(run, step)}/${STATE}`;
  const { value, isSealed } = await readSealed(path);
  if (!isState(value)) throw new ClozeError("input", `${path} lacks what every checkpoint has`);
  if (value.step !== step) throw new ClozeError("input", `${path} is of step ${value.step}, not ${step}`);
  return { state: value, isSealed };
}

function isState(value: unknown): value is TrainingState {
  const { step, position, elapsed_ms, tokens, lines, sha256 } = value as Partial<TrainingState>;
  const isCount = (n: unknown) => Number.isSafeInteger(n) && n as number >= 0;
  const isPlace = (place: Partial<Position> | undefined) => isCount(place?.window) && isCount(place?.batch);
  const { replay, short } = position ?? {};
  const isMixed = replay === undefined || (isPlace(replay) && Number.isFinite(replay.owed) && replay.owed <= 0);
  const isGrowing = short === undefined || isPlace(short);
  return isCount(step) && isPlace(position) && isMixed && isGrowing && isCount(tokens) &&
    Number.isFinite(elapsed_ms) && (lines === undefined || isCount(lines)) && typeof sha256 === "object" &&
    sha256 !== null &&
    Object.entries(sha256).every(([name, hash]) => /^[^/\\]+$/.test(name) && typeof hash === "string");
}

/**
 * The run's newest checkpoint that is whole; `undefined` if there is no checkpoint, whole or not.
 *
 * @param tell is told of each one that is not, and of a state that has no checksum of its own.
 * @throws {ClozeError} `input` if there are some and none is whole.
 */
export async function newestCheckpoint(
  run: string,
  tell: (line: string) => void = () => {},
): Promise<Checkpoint | undefined> {
  const damages: string[] = [];
  for (const step of await checkpointSteps(run)) {
    const folder = checkpointFolder(run, step);
    if (!await exists(`${folder}/${STATE}`) && !await exists(`${folder}/${WEIGHTS}`)) {
      tell(`note: ${folder} is passed over: it is no checkpoint`);
      continue;
    }
    try {
      const { isSealed, ...checkpoint } = await readCheckpoint(run, step);
      for (const damage of damages) tell(`note: a checkpoint is passed over: ${damage}`);
      if (damages.length > 0) tell(`note: the run goes on from the one before it, of step ${step}`);
      if (!isSealed) tell(`note: ${folder}/${STATE} has no checksum of its own; it is taken as it is`);
      return checkpoint;
    } catch (error) {
      if (!(error instanceof ClozeError)) throw error;
      damages.push(error.message);
    }
  }
  if (damages.length === 0) return undefined;
  throw new ClozeError("input", `no checkpoint of ${run} is whole: ${damages.join("; ")}`, {
    hint: `copy one from a backup; or move ${run}/checkpoints away, and the run begins again`,
  });
}
