/** Which files of a folder a model's weights are in. The core reads them; here they are found, hashed and watched. */

import { ClozeError, ioError } from "../config/cloze_error.ts";
import { own, parseJsonObject } from "../config/json_object.ts";
import { LONGEST_FILE, readWholeText } from "../config/regular_file.ts";

/** The file of a model's weights, as this program writes it. */
export const WEIGHTS = "model.safetensors";

/** What weights can be in. Of several the first one counts, as for transformers. */
const FORMS = [WEIGHTS, "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/** What other programs call their weights, and what helps. */
const OTHERS: Record<string, string> = {
  "tf_model.h5": "it holds TensorFlow's weights: save them as safetensors with transformers 4 (from_tf=True)",
  "flax_model.msgpack": "it holds Flax's weights: save them as safetensors with transformers 4 (from_flax=True)",
  "model.onnx": "it holds a program for ONNX: get the model before it was exported",
};

/** The files of a model's weights. */
export interface WeightsFiles {
  /** The file that is opened: the weights, or an index that says which file has which tensor. */
  path: string;
  /** Names of it and of those that it points to, as far as they are in the folder. */
  names: string[];
}

/**
 * Finds the weights of a folder.
 *
 * @throws {ClozeError} `input` if there are none, or if an adapter would change what they answer.
 */
export async function findWeights(folder: string): Promise<WeightsFiles> {
  const form = FORMS.find((name) => isThere(`${folder}/${name}`));
  if (form === undefined) throw nothingFound(folder);
  const adapter = `${folder}/adapter_config.json`;
  if (isThere(adapter)) {
    throw new ClozeError("input", `${adapter} says that the model has an adapter, which cloze does not apply`, {
      hint: "merge it into the weights first (merge_and_unload of the peft library) and save the model again",
    });
  }
  const path = `${folder}/${form}`;
  return { path, names: form.endsWith(".index.json") ? [form, ...await shardsOf(folder, path)] : [form] };
}

/** The shards that an index names. What is wrong with it is told when the core reads it. */
async function shardsOf(folder: string, index: string): Promise<string[]> {
  const json = parseJsonObject(await readWholeText(index, LONGEST_FILE.config, "read the model"), index);
  const map = own(json, "weight_map");
  const named = typeof map === "object" && map !== null ? new Set(Object.values(map)) : [];
  const plain = [...named].filter((name) =>
    typeof name === "string" && /^[^/\\:\0]+$/.test(name) && !/^\.+$/.test(name)
  );
  return plain.filter((name) => isThere(`${folder}/${name}`)).sort();
}

function nothingFound(folder: string): ClozeError {
  for (const [name, hint] of Object.entries(OTHERS)) {
    if (isThere(`${folder}/${name}`)) return new ClozeError("input", `${folder} has no ${WEIGHTS}`, { hint });
  }
  return new ClozeError("input", `${folder} has no ${WEIGHTS}, and no pytorch_model.bin`, {
    hint: "a run has one after its first checkpoint",
  });
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Whether files of weights are still the ones that were opened. The core maps them into memory and reads them as it answers:
 * whoever writes to one meanwhile changes answers, and whoever cuts it short ends the process. Called around each batch, so
 * that the latter can only happen within one.
 */
export class WeightsWatch {
  readonly #seen: [path: string, stamp: string][];

  /** @throws {ClozeError} `io` */
  constructor(paths: readonly string[]) {
    this.#seen = paths.map((path) => [path, stampOf(path)]);
  }

  /** @throws {ClozeError} `input` if a file was written to, or another one has its name. */
  check(): void {
    for (const [path, seen] of this.#seen) {
      if (stampOf(path) === seen) continue;
      throw new ClozeError("input", `${path} was changed or replaced while it was in use`, {
        hint: "start the command again: it then answers with the new weights",
      });
    }
  }
}

function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtime } = Deno.statSync(path);
    return `${dev} ${ino} ${size} ${mtime?.getTime()}`;
  } catch (error) {
    throw ioError(error, "read the model", path);
  }
}
