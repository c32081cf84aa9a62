/** Paths as the caller means them: relative to the folder that the command was typed in. */

import { program } from "../config/called.ts";
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

/** What commands look for in `runs/`: the file that has to be there, and how else it is given. */
const WANTED = {
  model: { file: "model.safetensors", give: "--model DIR" },
  tokenizer: { file: "tokenizer.json", give: "--tokenizer PATH" },
  run: { file: "metrics.jsonl", give: "DIR" },
  pretraining: { file: "run.json", give: "--model DIR", name: "run" },
};

/** The newest run in `runs/` of the caller's folder that has a model, or that has begun. */
export async function newestRun(wanted: keyof typeof WANTED = "model"): Promise<string> {
  const { file, give, name = wanted }: { file: string; give: string; name?: string } = WANTED[wanted];
  const folder = resolve("runs");
  let newest: { path: string; time: number } | undefined;
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = `${folder}/${entry.name}`;
      const info = await Deno.stat(`${path}/${file}`).catch(() => undefined);
      const time = info?.mtime?.getTime();
      if (time !== undefined && (newest === undefined || time > newest.time)) newest = { path, time };
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (newest !== undefined) return newest.path;
  throw new ClozeError("usage", `no ${name} was given, and ${folder} has no finished run`, {
    hint: `give one with ${give}, or train one with: ${program()} pretrain`,
  });
}
