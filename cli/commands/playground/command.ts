/** `cloze playground`: a model in the browser, until Ctrl-C. */

import { openModelFolder } from "../../../model/model_folder.ts";
import { refuseOthers } from "../../../playground/playground_model.ts";
import { Playground } from "../../../playground/server.ts";
import { inferenceOptions } from "../../device.ts";
import { newestRun, resolve } from "../../paths.ts";
import { showAddresses, stopped } from "../../served.ts";
import { bold, note, warn, writeOut } from "../../terminal.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import type { PlaygroundCommandOptions } from "./flags.ts";

/** Runs the command. */
export async function run(values: PlaygroundCommandOptions): Promise<number> {
  const models = values.model === undefined ? [await newestRun()] : [...new Set(values.model.map(resolve))];
  for (const path of models) { // what is wrong with one is said here, and not first in the page
    const folder = await openModelFolder(path);
    refuseOthers(folder);
    noteTokenizer(folder.tokenizer);
  }
  await using playground = new Playground({
    ...inferenceOptions(values),
    models,
    port: values.port ?? 0,
    onFault: (message) => warn(message),
  });
  for (const path of models) note(`model: ${path}`);
  // The address is what the command gives: standard output, so that a script can take it.
  await writeOut(`${playground.address()}\n`);
  note(`scripts send: ${playground.header}`);
  const asks = Deno.stdin.isTerminal();
  note(`Open the address in a browser.${asks ? " Enter shows a new one," : ""} ${bold("Ctrl-C")} ends it.`);
  const ended = stopped();
  if (asks) showAddresses(() => playground.address());
  await ended;
  return 0;
}
