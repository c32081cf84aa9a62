/** The models of an experiment: kept without what it takes to train them further. */

import { ioError } from "../../../config/cloze_error.ts";
import { exists, makeFolder } from "../../../config/folder.ts";

/** Links or copies a checkpoint's model, without its training state, to a folder that is whole or not there. */
export async function keepModel(checkpoint: string, target: string): Promise<void> {
  if (await exists(target)) return;
  const temporary = `${target}.tmp`;
  await Deno.remove(temporary, { recursive: true }).catch(() => {});
  await makeFolder(temporary);
  for await (const { name } of Deno.readDir(checkpoint)) {
    if (name.startsWith("training_state.")) continue;
    const [from, to] = [`${checkpoint}/${name}`, `${temporary}/${name}`];
    // Some file systems have no links.
    await Deno.link(from, to).catch(() => Deno.copyFile(from, to));
  }
  await Deno.rename(temporary, target).catch((error) => {
    throw ioError(error, "write", target);
  });
}

/** Removes a folder of the experiment's own. */
export async function removeFolder(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    throw ioError(error, "remove", path);
  });
}
