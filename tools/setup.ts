/**
 * Makes the project ready to run: @std resolvable and the core built, with --candle also the library with the candle
 * engine. Quick when there is nothing to do, because every task depends on it; it never reads standard input, which
 * belongs to the task. usage: deno run -A tools/setup.ts [--candle]
 */

import { CORE_PACKAGE, libraryFile } from "../ffi/platform.ts";

const root = `${import.meta.dirname}/..`;
/** Calls of the core keep their buffers alive from this version of Deno on. */
const MINIMUM_DENO = [2, 7, 6];

function fail(message: string, hint: string): never {
  console.error(`error: ${message}\nhint: ${hint}`);
  Deno.exit(1);
}

function modified(path: string): number | undefined {
  try {
    return Deno.statSync(path).mtime?.getTime();
  } catch {
    return undefined;
  }
}

function newestSource(folder: string): number {
  let newest = 0;
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    newest = Math.max(newest, entry.isDirectory ? newestSource(path) : modified(path) ?? 0);
  }
  return newest;
}

async function run(command: string, args: string[]): Promise<boolean> {
  const child = new Deno.Command(command, { args, cwd: root, stdin: "null", stdout: "null", stderr: "inherit" });
  return (await child.spawn().status).success;
}

const version = Deno.version.deno.split(".").map(Number);
const older = MINIMUM_DENO.findIndex((part, i) => version[i] !== part);
if (older >= 0 && version[older] < MINIMUM_DENO[older]) {
  fail(`Deno ${Deno.version.deno} is too old: cloze needs ${MINIMUM_DENO.join(".")} or newer`, "npm install -g deno");
}

// Where JSR answered, there is no .std; the stamp says that it did. Stand-ins that have changed are copied again.
const stamp = `${root}/target/std-from-jsr`;
const standIns = modified(`${root}/.std`);
const outdated = standIns === undefined
  ? modified(stamp) === undefined
  : newestSource(`${root}/third_party/std`) > standIns;
if (outdated) {
  if (!await run(Deno.execPath(), ["run", "-A", "-q", `${root}/tools/std.ts`])) Deno.exit(1);
  if (modified(`${root}/.std`) === undefined) {
    Deno.mkdirSync(`${root}/target`, { recursive: true });
    Deno.writeTextFileSync(stamp, "");
  }
}

// Packages are fetched here and not when a command first needs one. The stamp names the cache that they went to.
const packages = `${root}/target/packages`;
const cache = Deno.env.get("DENO_DIR") ?? "default";
const fetched = modified(packages) ?? 0;
if (fetched < modified(`${root}/deno.lock`)! || Deno.readTextFileSync(packages) !== cache) {
  if (!await run(Deno.execPath(), ["cache", "-q", `${root}/data/mod.ts`, `${root}/report/mod.ts`])) {
    fail("the packages of deno.json could not be fetched", "run the command again with a network");
  }
  Deno.mkdirSync(`${root}/target`, { recursive: true });
  Deno.writeTextFileSync(packages, cache);
}

/** Where cargo puts a crate's library. */
const library = (crate: string) => `${root}/target/release/${libraryFile(crate)}`;

/** Takes the core that npm has put into the checkout, if it is made from the very sources that lie here. */
async function takePrebuilt(): Promise<boolean> {
  const folder = `${root}/node_modules/${CORE_PACKAGE}`;
  if (modified(`${folder}/package.json`) === undefined) return false;
  const { sources } = JSON.parse(Deno.readTextFileSync(`${folder}/package.json`));
  const { sourcesHash } = await import("./sources_hash.ts");
  if (sources !== sourcesHash(root)) {
    console.error(`the core in node_modules/${CORE_PACKAGE} is made from other sources than these`);
    return false;
  }
  const path = library("cloze-core");
  Deno.mkdirSync(`${root}/target/release`, { recursive: true });
  Deno.copyFileSync(`${folder}/${libraryFile("cloze-core")}`, `${path}.new`);
  Deno.renameSync(`${path}.new`, path);
  console.error(`took the core from node_modules/${CORE_PACKAGE}`);
  return true;
}

async function build(crate: string, what: string, howLong: string): Promise<void> {
  console.error(`building ${what} with cargo (once, ${howLong})`);
  try {
    if (!await run("cargo", ["build", "--release", "--lib", "--package", crate])) {
      fail(
        `${what} could not be built`,
        "cargo's messages above say why; Rust 1.89 or newer is needed: rustup update",
      );
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    fail(
      `cargo, which builds ${what}, was not found`,
      "install Rust with rustup (rustup.rs), or a release's core (docs/release.md); then run the command again",
    );
  }
  // cargo leaves an unchanged library as it is; its time says that it is up to date.
  const now = new Date();
  Deno.utimeSync(library(crate), now, now);
}

/** The time of the newest of a crate's sources. */
function newestOf(folder: string): number {
  const manifests = ["Cargo.toml", "Cargo.lock", `${folder}/Cargo.toml`].map((file) =>
    modified(`${root}/${file}`) ?? 0
  );
  return Math.max(newestSource(`${root}/${folder}/src`), ...manifests);
}

const core = newestOf("core-rs");
if ((modified(library("cloze-core")) ?? 0) < core && !await takePrebuilt()) {
  await build("cloze-core", "the core", "about a minute");
}

const candle = library("cloze-candle");
if ((modified(candle) ?? 0) < Math.max(core, newestOf("core-candle"))) {
  if (Deno.args.includes("--candle")) await build("cloze-candle", "the candle engine", "two or three minutes");
  else if (modified(candle) !== undefined) Deno.removeSync(candle); // an old one would answer as the core once did
}
