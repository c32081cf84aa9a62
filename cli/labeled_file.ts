/** What a path of labeled text has to lead to. Called by finetune and evaluate, which read such files whole. */

import { ClozeError } from "../config/cloze_error.ts";
import { regularFile } from "../config/regular_file.ts";
import { resolve } from "./paths.ts";

/** @throws {ClozeError} if what the flag names is not one file. */
export async function checkFile(flag: "train" | "valid" | "data", file: string): Promise<void> {
  if (file === "-") throw new ClozeError("usage", `--${flag} takes files of labeled text, not standard input (-)`);
  const isFolder = await Deno.stat(resolve(file)).then((info) => info.isDirectory, () => false);
  if (isFolder) {
    throw new ClozeError("input", `--${flag} is the folder ${file}, but has to be one file of labeled text`, {
      hint: "give a .tsv, .csv, .jsonl, .json or .parquet file",
    });
  }
  regularFile(resolve(file));
}
