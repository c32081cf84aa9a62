/**
 * The folder of a run: whose it is, and that one process at a time works in it. The run's record is written before anything
 * else but `.lock` and `data/`, so that from any instant on the run can be told from other people's files, and be begun again
 * or gone on with.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";
import { exists, makeFolder } from "../config/folder.ts";
import { isTemporary, removeLeftovers } from "../config/whole_file.ts";

/** Name of a run's record: of a pretraining or of a fine-tuning. */
export type RecordName = "run.json" | "finetune.json";

/**
 * Makes the run's folder this process's own, until it ends however it ends.
 *
 * @param resumed whether there has to be a run in it; if not, it may also be new or empty.
 * @throws {ClozeError} `input` if other files are in it, or another process is.
 */
export async function openRun(output: string, record: RecordName, resumed: boolean): Promise<Disposable> {
  const isNew = !await exists(output);
  if (!resumed) await makeFolder(output);
  if (!await exists(`${output}/${record}`)) {
    if (resumed) {
      throw new ClozeError("input", `${output} is not the folder of a run: it has no ${record}`, {
        hint:
          "give the folder that was the --output of a run; one that was stopped before it had any goes on with its " +
          "original command",
      });
    }
    await checkEmpty(output, record);
  }
  const path = `${output}/.lock`;
  const there = await Deno.lstat(path).catch(() => undefined);
  if (there !== undefined && !there.isFile) {
    throw new ClozeError("input", `${path} is not a file of this program`, { hint: "remove it" });
  }
  const file = await Deno.open(path, { create: true, write: true }).catch((error) => {
    throw ioError(error, "write", path);
  });
  if (!file.tryLockSync(true)) {
    file.close();
    throw new ClozeError("input", `another process is using the output folder ${output}`, {
      hint: "wait for it to end, or give another --output",
    });
  }
  await removeLeftovers(output);
  return {
    [Symbol.dispose]: () => {
      if (isNew) removeUnused(output);
      file.close();
    },
  };
}

/** Whether a process has the folder of a run for its own now. */
export async function isInUse(output: string): Promise<boolean> {
  const file = await Deno.open(`${output}/.lock`).catch(() => undefined);
  if (file === undefined) return false;
  try {
    return !file.tryLockSync(false); // closing gives it back
  } finally {
    file.close();
  }
}

/** Takes away a new folder in which nothing came to be but the lock. */
function removeUnused(output: string): void {
  try {
    if (Array.from(Deno.readDirSync(output)).some(({ name }) => name !== ".lock")) return;
    Deno.removeSync(`${output}/.lock`);
    Deno.removeSync(output);
  } catch {
    // Windows keeps a file that is open, and the folder may be gone: the next command takes it as it is.
  }
}

/** Refuses a folder with files that no run has left there before it wrote its record. */
async function checkEmpty(output: string, record: RecordName): Promise<void> {
  for await (const { name } of Deno.readDir(output)) {
    if (name === ".lock" || name === "data" || (isTemporary(name) && name.startsWith(`.${record}.`))) continue;
    throw new ClozeError("input", `the output folder ${output} already has files in it, and no ${record}`, {
      hint: "give a new or empty folder as --output",
    });
  }
}
