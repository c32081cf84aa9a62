/** `cloze report`: the page of one run, fine-tuning or experiment, or of several runs side by side. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { type AnyRecord, experimentText, readRecord, reportText, writeReport } from "../../../report/mod.ts";
import { newestRun, resolve } from "../../paths.ts";
import { note, terminalSize, writeOut } from "../../terminal.ts";
import type { ReportOptions } from "./flags.ts";

/** Runs the command. */
export async function run({ positionals = [], ...values }: ReportOptions): Promise<number> {
  if (values.text === true && values.output !== undefined) {
    throw new ClozeError("usage", "--text writes to standard output, and --output names a page: give one of them");
  }
  if (values.text === true && values.force === true) {
    throw new ClozeError("usage", "--text writes no file, so that --force has nothing to replace");
  }
  const folders = positionals.length === 0 ? [await newestRun("run")] : [...new Set(positionals.map(resolve))];
  const records: AnyRecord[] = [];
  for (const folder of folders) {
    const record = await readRecord(folder);
    for (const damage of record.kind === "experiment" ? [] : record.damages) note(`note: ${folder}: ${damage}`);
    records.push(record);
  }
  if (values.text === true) {
    const told = (record: AnyRecord) =>
      record.kind === "experiment" ? experimentText(record) : reportText(record, terminalSize().columns);
    await writeOut(records.map(told).join("\n"));
    return 0;
  }
  const output = values.output === undefined
    ? folders.length === 1 ? `${folders[0]}/report.html` : resolve("report.html")
    : resolve(values.output);
  await writeReport(records, output, values.force);
  note(`wrote ${output}`);
  return 0;
}
