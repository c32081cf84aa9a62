/**
 * Makes the single binary dist/cloze: every command with the core library inside, for machines without Deno and Rust.
 *
 * `deno compile` needs its base binary `denort`, from the network or from DENORT_BIN. Where it cannot be had, this says so
 * and makes a dry run instead: everything is resolved and listed, no binary is made. usage: deno task compile [--dry-run]
 */

import { libraryFile } from "../ffi/platform.ts";

const root = `${import.meta.dirname}/..`;
const output = `dist/cloze${Deno.build.os === "windows" ? ".exe" : ""}`;

/** Paths that are made at run time are not found by looking at imports. */
const RUN_TIME_PATHS = [
  `target/release/${libraryFile("cloze-core")}`,
  "cli/commands",
  "cli/file_sources.ts",
  "cli/flags/help.ts",
  "cli/session.ts",
  "cli/signal_worker.ts",
  "data/unit_worker.ts",
  "ffi/cuda.ts",
  "inference/classifier.ts",
  "inference/regressor.ts",
  "report/live/live_worker.ts",
  "tokenizer/json.ts",
  "tokenizer/pipeline/load.ts",
];

const { permissions } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));

// Permission sets would bake this machine's paths in. A compiled program extracts its library, so ffi has no path.
const ARGS = ["compile", "--quiet", "--allow-read", "--allow-write", "--allow-ffi"]
  .concat(permissions.playground.net.map((host: string) => `--allow-net=${host}`))
  .concat([`--allow-run=${permissions.pretrain.run.join()}`])
  .concat([`--allow-env=${permissions.pretrain.env.join()}`])
  .concat(RUN_TIME_PATHS.flatMap((path) => ["--include", path]))
  .concat(["--output", output, "cli/main.ts"]);

async function compile(env: Record<string, string>, quiet: boolean): Promise<{ success: boolean; text: string }> {
  const args = quiet ? ARGS : ARGS.filter((arg) => arg !== "--quiet");
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { success, text: decode(stdout) + decode(stderr) };
}

async function dryRun(): Promise<void> {
  // Any program serves as the base of a file that is thrown away.
  const { success, text } = await compile({ DENORT_BIN: "/bin/true" }, false);
  console.log(text.trim());
  await Deno.remove(`${root}/${output}`).catch(() => {});
  if (!success) {
    console.error("error: the dry run failed");
    Deno.exit(1);
  }
  console.log("dry run: everything above would be inside dist/cloze; no binary was made");
}

await Deno.mkdir(`${root}/dist`, { recursive: true });
if (Deno.args.includes("--dry-run")) {
  await dryRun();
} else {
  const { success, text } = await compile({}, true);
  if (success) {
    const { size } = await Deno.stat(`${root}/${output}`);
    console.log(`made ${output}, ${(size / 1e6).toFixed(0)} MB`);
  } else {
    console.error(text.trim().split("\n").slice(0, 3).join("\n"));
    console.error("error: the base binary of deno compile could not be had, so there is no dist/cloze");
    console.error("hint: run this with a network, or with DENORT_BIN=PATH of a denort of the same version");
    await dryRun();
    Deno.exit(1);
  }
}
