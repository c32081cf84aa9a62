/** `cloze report`: the page of one run, fine-tuning or experiment, or of several runs side by side. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { exists } from "../../../config/folder.ts";
import { LiveServer } from "../../../report/live/live_server.ts";
import { type AnyRecord, readRecord, reportText, writeReport } from "../../../report/mod.ts";
import { openInBrowser } from "../../open_page.ts";
import { newestRun, resolve } from "../../paths.ts";
import { shownExperiment } from "../../shown_experiment.ts";
import { showAddresses, stopped } from "../../served.ts";
import { bold, note, terminalSize, warn, writeOut } from "../../terminal.ts";
import type { ReportOptions } from "./flags.ts";

export { TABLE } from "./flags.ts";

/** Runs the command. */
export async function run({ positionals = [], ...values }: ReportOptions): Promise<number> {
  if (values.text === true && values.output !== undefined) {
    throw new ClozeError("usage", "--text writes to standard output, and --output names a page: give one of them");
  }
  if (values.text === true && values.force === true) {
    throw new ClozeError("usage", "--text writes no file, so that --force has nothing to replace");
  }
  const folders = positionals.length === 0 ? [await newestRun("run")] : [...new Set(positionals.map(resolve))];
  if (values.live === true) return await follow(folders, values);
  if (values.open === true) throw new ClozeError("usage", "--open is for the page of --live");
  const records: AnyRecord[] = [];
  for (const folder of folders) {
    const record = await readRecord(folder);
    for (const damage of record.kind === "experiment" ? [] : record.damages) note(`note: ${folder}: ${damage}`);
    records.push(record);
  }
  if (values.text === true) {
    const told = (record: AnyRecord) =>
      record.kind === "experiment" ? shownExperiment(record) : reportText(record, terminalSize().columns);
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

/** Serves the page of a run, as it grows, until Ctrl-C. */
async function follow(folders: readonly string[], { text, output, force, open }: ReportOptions): Promise<number> {
  if (text !== undefined || output !== undefined || force !== undefined) {
    throw new ClozeError("usage", "--live writes no file, so that --text, --output and --force have nothing to do");
  }
  const [folder, ...others] = folders;
  if (others.length > 0) {
    throw new ClozeError("usage", `--live follows one run, and ${folders.length} were given`, {
      hint: "without --live a page shows several side by side",
    });
  }
  const isBegun = await exists(`${folder}/run.json`) || await exists(`${folder}/plan.json`);
  if (!isBegun) await readRecord(folder); // says what is wrong
  await using server = new LiveServer(folder, (message) => warn(message));
  note(`run: ${folder}`);
  const address = server.address();
  if (open !== true || !await openInBrowser(address)) {
    // The address is what the command gives: standard output, so that a script can take it.
    await writeOut(`${address}\n`);
    note("Open the address in a browser.");
  }
  const asks = Deno.stdin.isTerminal();
  note(`${asks ? "Enter shows a new address, " : ""}${bold("Ctrl-C")} ends it; the run goes on.`);
  const ended = stopped();
  if (asks) showAddresses(() => server.address());
  await ended;
  return 0;
}
