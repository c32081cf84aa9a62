/**
 * Tokenizer files → a tokenizer: `tokenizer.json`, `vocab.txt` or `vocab.json`, with what stands beside it. Ids are those of
 * transformers' `AutoTokenizer` for the same folder, and of `tokenizers` for a tokenizer.json alone. What would be tokenized
 * differently here is refused by name. Used by the commands and by `inference/`.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";
import { LONGEST_FILE, readTextIfThere, readWholeText } from "../config/regular_file.ts";
import { type Json, object, parseJson } from "./json_fields.ts";
import { checkOuterFields, parseObject, saysWordPiece } from "./outer_fields.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { checkFields, checkWordPiece, familyOf } from "./tokenizer_family.ts";
import { fromVocabTxt, wordPieceFrom } from "./wordpiece/load.ts";

/** Files that a tokenizer is read from, the first one that a folder has. */
const NAMES = ["tokenizer.json", "vocab.txt", "vocab.json"];

/**
 * Loads a model folder (its `tokenizer.json`, else `vocab.txt`, else `vocab.json` with `merges.txt`), or one of these files.
 *
 * @param use `model` asks for what a model needs: special tokens around a text, and the mask token in it.
 * @param model what the folder's config.json says, if it was read; else it is read here.
 * @throws {ClozeError} `io` or `input`, naming the file and the field.
 */
export async function loadTokenizer(
  path: string,
  use: "text" | "model" = "text",
  model?: Record<string, unknown>,
): Promise<Tokenizer> {
  if (kindAt(path) === "folder") {
    const name = NAMES.find((name) => kindAt(`${path}/${name}`, false) !== undefined);
    if (name !== undefined) return loadTokenizer(`${path}/${name}`, use, model);
    throw new ClozeError("input", `${path} has no tokenizer.json, no vocab.txt and no vocab.json`, {
      hint: "give a model folder, a tokenizer.json, a vocab.txt, or a vocab.json with its merges.txt beside it",
    });
  }
  const text = await readText(path);
  const folder = path.replace(/[^/\\]*$/, "");
  const optional = async (name: string) => await beside(`${folder}${name}`) ?? {};
  const config = await beside(`${folder}tokenizer_config.json`);
  const files = {
    config: config ?? {},
    isAlone: config === undefined,
    specialTokensMap: await optional("special_tokens_map.json"),
    addedTokens: await optional("added_tokens.json"),
    model: model ?? await beside(`${folder}config.json`),
  };
  try {
    checkFields(files.config);
    const family = familyOf(files.config, files.model);
    if (!path.endsWith(".json")) {
      checkWordPiece(family);
      return fromVocabTxt(text, files);
    }
    const json = parseObject(text);
    if (path.endsWith("vocab.json")) {
      const { pipelineFromVocabJson } = await pipelines();
      return pipelineFromVocabJson(json, await readText(`${folder}merges.txt`), files, family, use);
    }
    if (saysWordPiece(json)) {
      checkOuterFields(json);
      return wordPieceFrom(json, files, family, use);
    }
    const [{ tokenizerOf }, { asRustReads }] = await Promise.all([otherModels(), unigram()]);
    // Classes that are made anew take a file's numbers from Python.
    return tokenizerOf(family === "file" ? asRustReads(text, json) : json, files, family, use);
  } catch (error) {
    if (!(error instanceof ClozeError)) throw error;
    throw new ClozeError(error.code, `${path}: ${error.message}`, { hint: error.hint });
  }
}

/**
 * Models other than WordPiece are many modules, which are loaded where there is one. Deno reads all that a written-out
 * `import` leads to before a program starts, and the first answer would wait for it: so the paths are made here.
 */
const pipelines = (): Promise<typeof import("./pipeline/load.ts")> => import(moduleAt("pipeline/load.ts"));
const otherModels = (): Promise<typeof import("./json.ts")> => import(moduleAt("json.ts"));
const unigram = (): Promise<typeof import("./unigram/json.ts")> => import(moduleAt("unigram/json.ts"));
const moduleAt = (path: string) => new URL(path, import.meta.url).href;

/** What is at a path, if anything is. @throws {ClozeError} `io` if `isNeeded` and nothing is. */
function kindAt(path: string, isNeeded = true): "file" | "folder" | undefined {
  try {
    return Deno.statSync(path).isDirectory ? "folder" : "file";
  } catch (error) {
    if (isNeeded) throw ioError(error, "read the tokenizer", path);
    return undefined;
  }
}

const readText = (path: string) => readWholeText(path, LONGEST_FILE.tokenizer, "read the tokenizer");

/** A JSON file with an object in it that need not be there. */
async function beside(path: string): Promise<Record<string, Json> | undefined> {
  const text = await readTextIfThere(path, LONGEST_FILE.tokenizer, "read the tokenizer");
  if (text === undefined) return undefined;
  try {
    return object(parseJson(text), "content");
  } catch (error) {
    throw new ClozeError("input", (error as ClozeError).message.replace(/^it(s content)? is/, `${path} is`));
  }
}
