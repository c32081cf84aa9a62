/** Paths as the caller means them: relative to the folder that the command was typed in. */

import { ClozeError } from "../config/cloze_error.ts";

/** The caller's folder: a task runs in the project's, and says in `INIT_CWD` where it was called. */
export function callerFolder(): string {
  return environment("INIT_CWD") ?? Deno.cwd();
}

function environment(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch {
    return undefined;
  }
}

/** An absolute path. */
export function resolve(path: string): string {
  return path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path) ? path : `${callerFolder()}/${path.replace(/^\.\//, "")}`;
}

/** The newest run in `runs/` of the caller's folder. */
export async function newestRun(): Promise<string> {
  const folder = resolve("runs");
  let newest: { path: string; time: number } | undefined;
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = `${folder}/${entry.name}`;
      const info = await Deno.stat(`${path}/model.safetensors`).catch(() => undefined);
      const time = info?.mtime?.getTime();
      if (time !== undefined && (newest === undefined || time > newest.time)) newest = { path, time };
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (newest !== undefined) return newest.path;
  throw new ClozeError("usage", `no model was given, and ${folder} has no finished run`, {
    hint: "give one with --model DIR, or train one with: deno run pretrain",
  });
}
