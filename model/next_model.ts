/**
 * The model that a run makes of another one: which of its heads are kept and which are new, and the texts of its folder as
 * they are. Used by `cloze pretrain --from`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { own, parseJsonObject } from "../config/json_object.ts";
import { LONGEST_FILE, readWholeText } from "../config/regular_file.ts";
import { nativeFileHash } from "../ffi/file_hash.ts";
import type { EngineDescription, ModelPart } from "../ffi/mod.ts";
import { TOKENIZER_FILES } from "./checksums.ts";
import { familyOf } from "./families.ts";
import { DECODER } from "./head_kinds.ts";
import { configText, type ModelFolder } from "./model_folder.ts";
import { type ModelHeads, nameOf, parseModelHeads } from "./model_heads.ts";
import { textHash } from "./publish_model.ts";
import { writtenConfig } from "./written_config.ts";

/** How a model's heads change when it is trained for a task. */
export interface HeadChange {
  /** What its weights may lack, because it is new. */
  may_be_missing: ModelPart[];
  /** What is left out, in words; empty if nothing is. */
  leftOut: string;
}

/**
 * Which heads are new.
 *
 * @throws {ClozeError} `usage` if its attention is of the other kind: its weights would mean nothing there.
 */
export function headChange(before: ModelHeads, after: ModelHeads, path: string): HeadChange {
  if (before.is_decoder !== after.is_decoder) {
    const reads = ({ is_decoder }: ModelHeads) => (is_decoder ? "reads left to right" : "sees the whole text");
    throw new ClozeError(
      "usage",
      `the model in ${path} ${reads(before)}, but --objective ${after.task} is for one that ${reads(after)}`,
      { hint: before.is_decoder ? `give --objective ${DECODER}` : "leave --objective out" },
    );
  }
  return {
    may_be_missing: [
      ...(before.tokens ? [] : TOKEN_HEAD),
      ...(after.next_sentence && !before.next_sentence ? PAIR_HEAD : []),
    ],
    leftOut: before.next_sentence && !after.next_sentence
      ? "its head on sentence pairs"
      : before.classifier !== null || before.token_classifier !== null
      ? "its classifier"
      : "",
  };
}

const TOKEN_HEAD: ModelPart[] = ["token_head", "decoder"], PAIR_HEAD: ModelPart[] = ["next_sentence", "pooler"];

/** SHA-256 of a model's weights, in hexadecimal; of several files, of their hashes. */
export async function weightsHash({ weightsFiles }: ModelFolder): Promise<string> {
  const hashes = [];
  for (const file of weightsFiles) hashes.push(await nativeFileHash(file));
  return hashes.length === 1 ? hashes[0] : textHash(hashes.join("\n"));
}

/** Which heads have parameters that began with random numbers, in words; empty if none has. */
export function newHeads(initialized: EngineDescription["initialized"]): string {
  const has = (parts: readonly ModelPart[]) => initialized.some(({ part }) => parts.includes(part));
  return [
    ...(has(TOKEN_HEAD) ? ["its head on tokens"] : []),
    ...(has(PAIR_HEAD) ? ["its head on sentence pairs"] : []),
  ].join(" and ");
}

/**
 * The texts of a model folder as they are, by name, for a model that goes on with it. `config.json` is changed where it
 * would not be true any more: its class, if the heads are others, and the dtype, as weights are written in f32.
 */
export async function textsFor(
  heads: ModelHeads,
  { path: folder, as }: Pick<ModelFolder, "path" | "as">,
): Promise<Record<string, string>> {
  const texts: Record<string, string> = { "config.json": configFor(heads, await configText(folder, as), folder) };
  for (const name of TOKENIZER_FILES) {
    const isThere = await Deno.lstat(`${folder}/${name}`).then(() => true, () => false);
    if (isThere) texts[name] = await readWholeText(`${folder}/${name}`, LONGEST_FILE.tokenizer);
  }
  return texts;
}

function configFor({ task }: ModelHeads, text: string, folder: string): string {
  const path = `${folder}/config.json`;
  const json = parseJsonObject(text, path);
  const changes: Record<string, unknown> = {};
  if (parseModelHeads(text, path).task !== task || own(json, "architectures") === undefined) {
    const { architectures, model_type } = familyOf(json, path);
    Object.assign(changes, { architectures: [nameOf(task, architectures)], model_type });
  }
  for (const name of ["dtype", "torch_dtype"]) {
    if ((own(json, name) ?? "float32") !== "float32") changes[name] = "float32";
  }
  return Object.keys(changes).length === 0 ? text : writtenConfig({ ...json, ...changes });
}
