/**
 * The packages of npm: `cloze` has the command as JavaScript, since Deno strips types in no folder `node_modules`, and asks
 * for Deno and for one of the packages `@cloze/core-<os>-<cpu>`, each with the core for one platform.
 */

import { stripTypeScriptTypes } from "node:module";
import uplotLicense from "uplot/LICENSE" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import { CORE_PACKAGE, CPU, libraryFile, OS } from "../../ffi/platform.ts";
import { sourcesHash } from "../sources_hash.ts";

const root = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");
const { version, permissions, tasks, unstable } = JSON.parse(Deno.readTextFileSync(`${root}/deno.json`));

const COMMON = { version, license: "Apache-2.0", engines: { node: ">=18" } };

/** For which platforms a release has a core. A musl system builds its own. */
const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"];

function write(path: string, content: string | Uint8Array): void {
  Deno.mkdirSync(path.replace(/\/[^/]*$/, ""), { recursive: true });
  if (typeof content === "string") Deno.writeTextFileSync(path, content);
  else Deno.writeFileSync(path, content);
}

const json = (value: unknown) => JSON.stringify(value, null, 2) + "\n";

/** What Deno finds by an import map in a checkout. Files of a package have none, and text is found by its path alone. */
const OWN = {
  "@std/cli/parse-args": "vendor/parse_args.js",
  "uplot/LICENSE": "vendor/uplot/LICENSE",
  "uplot/dist/uPlot.min.css": "vendor/uplot/uPlot.min.css",
  "uplot/dist/uPlot.iife.min.js": "vendor/uplot/uPlot.iife.min.js",
};

/**
 * TypeScript → JavaScript, for a file of `folder`. Modules are named in imports and, where one is loaded only when it is
 * needed, in plain strings.
 */
function javascript(text: string, folder = ""): string {
  const up = folder.replace(/[^/]+/g, "..");
  return Object.entries(OWN).reduce(
    (text, [name, file]) => text.replace(`"${name}"`, `"${up}/${file}"`),
    stripTypeScriptTypes(text),
  )
    .replace(/"([\w./-]*\w)\.ts"/g, '"$1.js"');
}

/** Copies a folder of the checkout as JavaScript, but for its tests; adds the rooms that it names to `rooms`. */
function copyRoom(folder: string, to: string, rooms: Set<string>): void {
  for (const { name, isDirectory } of Deno.readDirSync(`${root}/${folder}`)) {
    const from = `${folder}/${name}`;
    if (isDirectory) copyRoom(from, to, rooms);
    else if (!name.endsWith(".ts")) write(`${to}/${from}`, Deno.readFileSync(`${root}/${from}`));
    else if (!name.endsWith("_test.ts")) {
      const text = Deno.readTextFileSync(`${root}/${from}`);
      for (const [, path] of text.matchAll(/ from "(\.\.\/[^"]+)"/g)) {
        rooms.add(new URL(path, `file:///${from}`).pathname.split("/")[1]);
      }
      write(`${to}/${from.replace(/\.ts$/, ".js")}`, javascript(text, folder));
    }
  }
}

/** The module that loads packages, with them in it: the same wherever npm puts a package, and no request at run time. */
function bundle(module: string, to: string): void {
  const path = `${to}/${module.replace(/\.ts$/, ".js")}`;
  const args = ["bundle", "-q", "--platform=deno", "-o", path, module];
  const { success, stderr } = new Deno.Command(Deno.execPath(), { args, cwd: root }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Deno's flags for a set of permissions, but for the core's: its place is known when the command is started. */
function flagsOf(set: Record<string, true | string[]>): string[] {
  return Object.entries(set).filter(([kind]) => kind !== "ffi")
    .map(([kind, what]) => `--allow-${kind}${what === true ? "" : `=${what.join()}`}`);
}

/** The package with the command, in the folder `to`. */
export function commandPackage(to: string): void {
  const rooms = new Set(["cli"]);
  for (const room of rooms) copyRoom(room, to, rooms); // those that are added meanwhile come as well
  bundle("data/parquet_library.ts", to);
  write(`${to}/vendor/parse_args.js`, javascript(Deno.readTextFileSync(`${root}/third_party/std/cli/parse_args.ts`)));
  write(`${to}/vendor/uplot/LICENSE`, uplotLicense);
  write(`${to}/vendor/uplot/uPlot.min.css`, uplotStyle);
  write(`${to}/vendor/uplot/uPlot.iife.min.js`, uplotScript);
  const taskSets = Object.entries(tasks as Record<string, { command: string }>).flatMap(([name, { command }]) => {
    const set = /-P=(\S+) cli\/main\.ts/.exec(command)?.[1];
    return set === undefined ? [] : [[name, set]];
  });
  const sets = permissions as Record<string, Record<string, true | string[]>>;
  const always = (unstable as string[]).map((feature) => `--unstable-${feature}`);
  const flags = Object.fromEntries(Object.entries(sets).map(([name, set]) => [name, [...always, ...flagsOf(set)]]));
  write(`${to}/permissions.json`, json({ sets: Object.fromEntries(taskSets), flags }));
  write(`${to}/launcher.cjs`, Deno.readFileSync(`${root}/tools/release/launcher.cjs`));
  for (const file of ["README.md", "LICENSE"]) write(`${to}/${file}`, Deno.readFileSync(`${root}/${file}`));
  write(
    `${to}/package.json`,
    json({
      name: "cloze",
      description: "Masked language models of your own text: pretrain, fill blanks, fine-tune",
      ...COMMON,
      type: "module",
      bin: { cloze: "launcher.cjs" },
      dependencies: { deno: "^2.7.6" },
      optionalDependencies: Object.fromEntries(PLATFORMS.map((platform) => [`@cloze/core-${platform}`, version])),
    }),
  );
}

/** The package with the core of this platform, in the folder `to`. The core has to be built. */
export function corePackage(to: string): void {
  const library = libraryFile("cloze-core");
  write(`${to}/${library}`, Deno.readFileSync(`${root}/target/release/${library}`));
  write(`${to}/LICENSE`, Deno.readFileSync(`${root}/LICENSE`));
  write(`${to}/README.md`, `The core of cloze for ${OS}-${CPU}, which the package cloze loads.\n`);
  write(
    `${to}/package.json`,
    json({
      name: CORE_PACKAGE,
      description: `The core of cloze for ${OS}-${CPU}`,
      ...COMMON,
      main: library,
      os: [OS],
      cpu: [CPU],
      ...(OS === "linux" ? { libc: ["glibc"] } : {}),
      sources: sourcesHash(root),
    }),
  );
}
