/**
 * A model folder with more tokens: a copy of another one whose embedding, and whatever else has a row a token, is longer.
 * The new folder is whole or not there. Used by `cloze extend-vocab`.
 */

import { ioError } from "../config/cloze_error.ts";
import { parseJsonObject } from "../config/json_object.ts";
import { giveName, syncFolder, temporaryBeside, writeWhole } from "../config/whole_file.ts";
import { extendWeights } from "../ffi/mod.ts";
import { type Tokenizer, tokenizerFiles } from "../tokenizer/mod.ts";
import { CHECKSUMS, checksumsText } from "./checksums.ts";
import { longestText } from "./families.ts";
import { parseModelConfig } from "./model_config.ts";
import { configText } from "./model_folder.ts";
import { modelChecksums } from "./publish_model.ts";
import { findWeights, WEIGHTS } from "./weights_files.ts";
import { writtenConfig } from "./written_config.ts";

/** What to make. */
export interface ExtendedModel {
  /** Folder of the model. */
  from: string;
  /** The family or class to take it for, where its `config.json` names one that is not known. */
  as?: string | undefined;
  /** Folder to make: not there yet, or empty. */
  to: string;
  /** With the new tokens at its end. */
  tokenizer: Tokenizer;
  /** For each new token the ids whose mean its rows begin as. */
  pieces: readonly ArrayLike<number>[];
}

/**
 * Writes the folder. Rows that the model has beyond its tokens, as padding, are used first.
 *
 * @returns the new `vocab_size`.
 * @throws {ClozeError} `io` or `input`, naming the file.
 */
export async function writeExtendedModel({ from, as, to, tokenizer, pieces }: ExtendedModel): Promise<number> {
  const text = await configText(from, as);
  const old = parseModelConfig(text, `${from}/config.json`);
  const config = parseJsonObject(text, `${from}/config.json`);
  const vocab_size = Math.max(old.vocab_size, tokenizer.size);
  const { path: weights } = await findWeights(from);
  const temporary = temporaryBeside(to);
  try {
    await Deno.mkdir(temporary, { recursive: true });
    await extendWeights({
      weights,
      to: `${temporary}/${WEIGHTS}`,
      config: old,
      new_rows: vocab_size,
      first: tokenizer.size - pieces.length,
      pieces: pieces.map((ids) => Array.from(ids)),
    });
    const texts = {
      ...tokenizerFiles(tokenizer, longestText(old)),
      "config.json": writtenConfig({ ...config, vocab_size }),
    };
    for (const [name, text] of Object.entries(texts)) await writeWhole(`${temporary}/${name}`, text);
    const checksums = await modelChecksums(texts, `${temporary}/${WEIGHTS}`);
    await writeWhole(`${temporary}/${CHECKSUMS}`, checksumsText(checksums));
    syncFolder(temporary);
    giveName(temporary, to);
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    throw ioError(error, "write", to);
  }
  return vocab_size;
}
