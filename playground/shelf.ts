/**
 * The models of a playground: those that were given, and the checkpoints of their runs. One is opened when it is first
 * asked, and the one that was not asked for longest is closed when there are too many.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { beginModelFolder, type FolderOptions } from "../model/model_folder.ts";
import type { InferenceOptions } from "../inference/open_engine.ts";
import { PlaygroundModel, refuseOthers } from "./playground_model.ts";
import type { ModelEntry } from "./protocol.ts";

/** Models that are open at once. */
const MOST_OPEN = 8;

/** How the models of a shelf are opened. */
export type ShelfOptions = InferenceOptions & FolderOptions;

/** Models by what requests call them. */
export class Shelf implements Disposable {
  readonly #folders: ReadonlyMap<string, string>;
  readonly #options: ShelfOptions;
  /** The one that was asked last stands last. */
  readonly #open = new Map<string, { stamp: number; model: Promise<PlaygroundModel> }>();

  /** @param folders paths of model folders; the first is what a page begins with. */
  constructor(folders: readonly string[], options: ShelfOptions) {
    this.#options = options;
    this.#folders = new Map(folders.map((path) => [idOf(path, folders), path]));
  }

  /**
   * Opens the model that a page begins with, so that its first question does not wait for that, and reads what the others
   * say of themselves.
   *
   * @returns of each model, what a person should know of how its tokenizer was read.
   * @throws {ClozeError} if one of them cannot be used.
   */
  async begin(): Promise<(readonly string[])[]> {
    const [first, ...others] = this.#folders;
    const notes = [(await this.model(first[0])).notes];
    for (const [, path] of others) {
      const folder = await beginModelFolder(path, this.#options);
      refuseOthers(folder);
      notes.push((await folder.readTokenizer()).notes);
    }
    return notes;
  }

  /** What there is now: a run that trains beside it has more checkpoints from time to time. */
  async entries(): Promise<ModelEntry[]> {
    const entries: ModelEntry[] = [];
    for (const [id, path] of this.#folders) {
      entries.push({ id, name: id });
      for (const step of await checkpoints(path)) entries.push({ id: `${id}@${step}`, name: id, step, run: id });
    }
    return entries;
  }

  /** @throws {ClozeError} if there is no such model, or it cannot be used. */
  async model(id: string): Promise<PlaygroundModel> {
    const path = this.#path(id);
    const file = await Deno.stat(`${path}/model.safetensors`).catch(() => undefined);
    if (file === undefined && !this.#folders.has(id)) {
      throw new ClozeError("input", `${id} is not there: the run has no such checkpoint, or has it no more`, {
        hint: "pretrain --keep-checkpoints N keeps more of them",
      });
    }
    const stamp = file?.mtime?.getTime() ?? 0;
    const open = this.#open.get(id);
    this.#open.delete(id);
    if (open !== undefined && open.stamp === stamp) {
      this.#open.set(id, open);
      return await open.model;
    }
    close(open); // its weights were replaced, as those of a run in progress are
    const model = beginModelFolder(path, this.#options).then((folder) => PlaygroundModel.open(folder, this.#options));
    model.catch(() => this.#open.delete(id));
    this.#open.set(id, { stamp, model });
    for (const [oldest, entry] of this.#open) {
      if (this.#open.size <= MOST_OPEN) break;
      this.#open.delete(oldest);
      close(entry);
    }
    return await model;
  }

  #path(id: string): string {
    const known = this.#folders.get(id);
    if (known !== undefined) return known;
    const [, name, step] = /^(.*)@(0|[1-9]\d{0,14})$/s.exec(id) ?? [];
    const run = this.#folders.get(name);
    if (run !== undefined) return `${run}/checkpoints/step-${step}`;
    throw new ClozeError("input", `there is no model ${JSON.stringify(id)} here`, {
      hint: `there are ${[...this.#folders.keys()].join(", ")}`,
    });
  }

  [Symbol.dispose](): void {
    for (const entry of this.#open.values()) close(entry);
    this.#open.clear();
  }
}

function close(entry: { model: Promise<PlaygroundModel> } | undefined): void {
  entry?.model.then((model) => model[Symbol.dispose](), () => {});
}

/** Updates of the checkpoints that a run has, rising. */
async function checkpoints(folder: string): Promise<number[]> {
  const steps: number[] = [];
  try {
    for await (const { name } of Deno.readDir(`${folder}/checkpoints`)) {
      const step = /^step-(0|[1-9]\d{0,14})$/.exec(name)?.[1];
      const weights = `${folder}/checkpoints/${name}/model.safetensors`;
      if (step !== undefined && await Deno.stat(weights).then(({ isFile }) => isFile, () => false)) {
        steps.push(Number(step));
      }
    }
  } catch {
    // A model that is no run has none.
  }
  return steps.sort((a, b) => a - b);
}

/** The folder's name, with as much of the path before it as tells it from the others. */
function idOf(path: string, folders: readonly string[]): string {
  const parts = path.split(/[\\/]+/).filter((part) => part !== "" && part !== ".");
  for (let count = 1; count < parts.length; count++) {
    const id = parts.slice(-count).join("/");
    const same = folders.filter((folder) => `/${folder.split(/[\\/]+/).filter(Boolean).join("/")}`.endsWith(`/${id}`));
    if (same.length === 1) return id;
  }
  return path;
}
