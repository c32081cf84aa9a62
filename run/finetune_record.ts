/** The record of a fine-tuning, `finetune.json`: read, written, and compared. It has the flags that define the run. */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import { exists } from "../config/folder.ts";
import type { FinetuneRun, LabeledFile, PlannedFinetuning } from "../config/finetune_run.ts";
import { readSealed, sealed } from "../config/sealed_json.ts";
import { writeWhole } from "../config/whole_file.ts";

/** The record of the run in a folder. @throws {ClozeError} `input` if it cannot be read. */
export async function readFinetuning(output: string): Promise<PlannedFinetuning> {
  const path = `${output}/finetune.json`;
  try {
    return (await readSealed(path)).value as unknown as PlannedFinetuning;
  } catch (error) {
    if (error instanceof ClozeError) throw error;
    throw new ClozeError("input", `${path} cannot be read: ${messageOf(error)}`, { hint: "give another --output" });
  }
}

const COLUMN_FLAGS = ["text-column", "pair-column", "label-column", "label-separator"] as const;

/** Columns of the files that a fine-tuning read, as far as its flags named them. */
export type RecordedColumns = Partial<Record<typeof COLUMN_FLAGS[number], string>>;

/**
 * Those of the fine-tuning that made a model; none, if it is not known.
 *
 * @throws {ClozeError} `input` if its record cannot be read.
 */
export async function recordedColumns(model: string): Promise<RecordedColumns> {
  if (!await exists(`${model}/finetune.json`)) return {};
  const flags = (await readFinetuning(model)).flags ?? {}; // a record may be of an older version, or edited
  const named: Record<string, unknown> = { "text-column": flags["text-field"], ...flags };
  return Object.fromEntries(
    COLUMN_FLAGS.flatMap((name) => typeof named[name] === "string" ? [[name, named[name]]] : []),
  );
}

/** Writes `finetune.json`. */
export async function writeFinetuning(output: string, run: PlannedFinetuning | FinetuneRun): Promise<void> {
  await writeWhole(`${output}/finetune.json`, sealed(run));
}

/** Takes back the record of a run whose text was not read. */
export async function withdrawFinetuning(output: string): Promise<void> {
  const isPlanned = await readFinetuning(output).then((run) => !("finetuning" in run), () => false);
  if (isPlanned) await Deno.remove(`${output}/finetune.json`).catch(() => {});
}

/** In what the flags that a command was given differ from those of the run that is there; `undefined` if in nothing. */
export function flagDifference(
  asked: Record<string, unknown>,
  kept: Record<string, unknown> | undefined,
): string | undefined {
  if (kept === undefined) return "one of an earlier version, which did not record its flags";
  const shown = (value: unknown) => value === undefined ? "not given" : JSON.stringify(value);
  const name = [...new Set([...Object.keys(asked), ...Object.keys(kept)])]
    .find((name) => JSON.stringify(asked[name]) !== JSON.stringify(kept[name]));
  return name === undefined
    ? undefined
    : `--${name} is ${shown(asked[name])}, but that of the run is ${shown(kept[name])}`;
}

/** @throws {ClozeError} `input` if a labeled file is not what the run began with. */
export function checkLabeledFile(
  found: Pick<LabeledFile, "path" | "sha256">,
  kept: Pick<LabeledFile, "sha256">,
): void {
  if (found.sha256 === kept.sha256) return;
  throw new ClozeError("input", `${found.path} has changed since the run began`, {
    hint: "go on with the same file, or give another --output",
  });
}
