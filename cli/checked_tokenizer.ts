/** Loads a tokenizer alone, from a folder that may say what its files' checksums are. */

import { folderOf } from "../config/whole_file.ts";
import { checkModelFiles, TOKENIZER_FILES } from "../model/checksums.ts";
import { loadTokenizer, type Tokenizer } from "../tokenizer/mod.ts";
import { noteTokenizer } from "./tokenizer_notes.ts";

/**
 * The tokenizer of a model folder, or of a file in one. Says on standard error what a person should know of it.
 *
 * @throws {ClozeError} as `loadTokenizer`; `input` if a file is not what it was.
 */
export async function checkedTokenizer(path: string): Promise<Tokenizer> {
  const tokenizer = await loadTokenizer(path);
  const isFolder = await Deno.stat(path).then((info) => info.isDirectory);
  await checkModelFiles(isFolder ? path : folderOf(path), TOKENIZER_FILES);
  noteTokenizer(tokenizer);
  return tokenizer;
}
