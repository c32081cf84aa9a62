/** `cloze playground`: a model in the browser, until Ctrl-C. */

import { beginModelFolder } from "../../../model/model_folder.ts";
import { refuseOthers } from "../../../playground/playground_model.ts";
import { Playground } from "../../../playground/server.ts";
import { inferenceOptions } from "../../device.ts";
import { newestRun, resolve } from "../../paths.ts";
import { showAddresses, stopped } from "../../served.ts";
import { bold, note, warn, writeOut } from "../../terminal.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import type { PlaygroundCommandOptions } from "./flags.ts";

export { TABLE } from "./flags.ts";

/** Runs the command. */
export async function run(values: PlaygroundCommandOptions): Promise<number> {
  const models = values.model === undefined ? [await newestRun()] : [...new Set(values.model.map(resolve))];
  // What is quickly found to be wrong with one is said before there is a page.
  for (const path of models) refuseOthers(await beginModelFolder(path, values));
  const ended = stopped();
  await using playground = new Playground({
    ...inferenceOptions(values),
    as: values.as,
    models,
    port: values.port ?? 0,
    onFault: (message) => warn(message),
  });
  // The address is what the command gives: standard output, so that a script can take it.
  await writeOut(`${playground.address()}\n`);
  const opening = playground.begin(); // while the browser opens the page
  for (const path of models) note(`model: ${path}`);
  note(`scripts send: ${playground.header}`);
  const asks = Deno.stdin.isTerminal();
  note(`Open the address in a browser.${asks ? " Enter shows a new one," : ""} ${bold("Ctrl-C")} ends it.`);
  if (asks) showAddresses(() => playground.address());
  const opened = opening.then((all) => all.forEach((notes) => noteTokenizer({ notes })));
  await Promise.race([ended, opened.then(() => ended)]); // what is wrong with a model ends it
  return 0;
}
