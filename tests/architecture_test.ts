/** Holds the rules of ARCHITECTURE.md: who imports whom, who may do what, how long a file may be. */

import { assertEquals } from "@std/assert";
import { COMMANDS } from "../cli/commands/registry.ts";
import { HEAD_KINDS } from "../model/head_kinds.ts";
import { PRETRAINING_OBJECTIVES } from "../tasks/registry.ts";

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Rooms that each room may import from, beside itself. */
const MAY_IMPORT: Record<string, string[]> = {
  config: [],
  tokenizer: ["config"],
  data: ["config", "tokenizer"],
  ffi: ["config"],
  model: ["config", "tokenizer", "ffi"],
  tasks: ["config", "tokenizer", "data", "model"],
  run: ["config", "data", "ffi", "model", "tasks"],
  training: ["config", "tokenizer", "data", "ffi", "model", "tasks", "run"],
  inference: ["config", "tokenizer", "ffi", "model"],
  web: ["config"],
  report: ["config", "tasks", "run", "experiments", "web"],
  experiments: ["config"],
  playground: ["config", "tokenizer", "model", "ffi", "inference", "web"],
  cli: ["playground", "config", "tokenizer", "data", "ffi", "model", "tasks", "run", "training", "inference"]
    .concat("report", "experiments", "web"),
};

/** Where a device's buffers are handed to other processes: what else is there knows of none. */
const SENDS = /^core-rs\/src\/backend\/((\w+\/)?sharing|cuda\/plan)\.rs$/;

/** Rooms of the core that a room of the core must not know. */
const MUST_NOT_USE: Record<string, string[]> = {
  machine: [
    "ops",
    "optim",
    "driver",
    "backend",
    "model",
    "trainer",
    "engine",
    "abi",
    "checkpoint",
    "blueprint",
    "config",
    "heads",
  ],
  driver: [
    "ops",
    "optim",
    "backend",
    "model",
    "trainer",
    "engine",
    "abi",
    "checkpoint",
    "blueprint",
    "config",
    "heads",
  ],
  blueprint: [
    "machine",
    "driver",
    "optim",
    "backend",
    "model",
    "trainer",
    "engine",
    "abi",
    "checkpoint",
  ],
  ops: ["model", "trainer", "engine", "abi", "backend", "optim", "checkpoint", "blueprint"],
  optim: ["engine", "model", "trainer", "abi", "backend"],
  engine: ["model", "trainer", "abi", "backend", "checkpoint", "driver"],
  backend: ["model", "trainer", "abi", "collective"],
  // NCCL sends what lies on a driver's device.
  collective: ["machine", "ops", "optim", "backend", "model", "trainer", "engine", "abi"].concat(
    ["checkpoint", "blueprint", "config", "heads"],
  ),
  model: ["trainer", "abi", "checkpoint", "optim", "collective"],
  trainer: ["abi"],
};

/** The files of the core whose list of kernels names files of other rooms. */
const MAY_INCLUDE = ["core-rs/src/backend/cuda/program.rs"];

async function* files(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(`${root}/${folder}`)) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (/^(\..*|target|dist|runs|coverage|node_modules)$/.test(entry.name)) continue;
    if (entry.isDirectory) yield* files(path);
    else yield path;
  }
}

async function sources(filter: (path: string) => boolean): Promise<{ path: string; text: string }[]> {
  const found = [];
  for await (const path of files("")) {
    if (filter(path)) found.push({ path, text: await Deno.readTextFile(`${root}/${path}`) });
  }
  return found;
}

Deno.test("imports go one way", async () => {
  const broken = [];
  for (const { path, text } of await sources((path) => path.endsWith(".ts"))) {
    const [room] = path.split("/");
    const allowed = MAY_IMPORT[room];
    if (allowed === undefined || /_test\.ts$/.test(path)) continue;
    for (const [, target] of text.matchAll(/(?:from|import\()\s*"([^"\n]+)"/g)) {
      if (!target.startsWith(".")) {
        const known = /^(@std\/cli\/|@std\/assert|node:)/.test(target);
        // Packages for formats of files: the data room alone, and only where such a file is read.
        const isLazy = room === "data" && /^npm:hyparquet(-compressors)?@\^[\d.]+(\/src\/\w+\.js)?$/.test(target) &&
          !text.includes(`from "${target}"`);
        // The report's curves: put into its page as text.
        const isText = room === "report" && target.startsWith("uplot/");
        if (!known && !isLazy && !isText) broken.push(`${path} imports ${target}`);
        continue;
      }
      const to = new URL(target, `file:///${path}`).pathname.slice(1).split("/")[0];
      if (to !== room && !allowed.includes(to)) broken.push(`${path} imports ${target}`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("no file re-exports what another room has, which would hide an import from the rule; config is open to all", async () => {
  const broken = [];
  for (const { path, text } of await sources((path) => path.endsWith(".ts"))) {
    const [room] = path.split("/");
    if (MAY_IMPORT[room] === undefined) continue;
    for (const [, target] of text.matchAll(/export (?:type )?(?:\*|\{[^}]*\}) from "([^"]+)"/g)) {
      const to = new URL(target, `file:///${path}`).pathname.slice(1).split("/")[0];
      if (to !== room && to !== "config") broken.push(`${path} re-exports ${target}`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("nothing compares the name of a task, or keeps a table by it, but the registries of tasks and heads", async () => {
  const names = [...new Set([...PRETRAINING_OBJECTIVES, ...Object.keys(HEAD_KINDS)])].filter((name) => name !== "none");
  const name = `"(?:${names.map((name) => name.replace("+", "\\+")).join("|")})"`;
  const bare = `(?:${name}|${names.filter((name) => /^\w+$/.test(name)).join("|")})`;
  const compared = new RegExp(`[!=]==?\\s*${name}|${name}\\s*[!=]==?|\\bcase ${name}|^\\s*${bare}:`, "m");
  assertEquals(compared.test('a !== "mlm+nsp"') && compared.test("  clm: 1"), true, "it finds them");
  const broken = [];
  for (const { path, text } of await sources((path) => path.endsWith(".ts"))) {
    if (MAY_IMPORT[path.split("/")[0]] === undefined || /_test\.ts$/.test(path)) continue;
    if (path === "tasks/registry.ts" || path === "model/head_kinds.ts") continue;
    const [found] = compared.exec(text) ?? [];
    if (found !== undefined) broken.push(`${path}: ${found.trim()}`);
  }
  assertEquals(broken, []);
});

Deno.test("mod.ts only re-exports", async () => {
  const text = await Deno.readTextFile(`${root}/mod.ts`);
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/export (?:type )?\{[^}]*\} from "[^"]+";/g, "");
  assertEquals(code.trim(), "");
});

Deno.test("only the command line and the tools end the process, and only abi knows C", async () => {
  const broken = [];
  for (const { path, text } of await sources((path) => /\.(ts|rs)$/.test(path))) {
    if (/Deno\.exit\(/.test(text) && !/^(cli|tools|bench|tests)\//.test(path)) broken.push(`${path} ends the process`);
    if (path.startsWith("tests/")) continue;
    // The simulator of the GPU is C++, which its tests call; MPI is C, and its calls are a table of their own.
    const mayKnowC = /^core-rs\/(src\/abi|src\/collective\/mpi|tests\/cuda)\/|^core-candle\/src\/lib\.rs$/;
    if (/extern "C"/.test(text) && !mayKnowC.test(path)) broken.push(`${path} knows C`);
    if (/std::net|TcpStream/.test(text)) broken.push(`${path} uses the network`);
    if (path.startsWith("core-rs/src/") && /std::env::(var|args)/.test(text)) {
      broken.push(`${path} reads its environment, but every value comes from the caller`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("one place alone listens, and nothing connects to anything", async () => {
  const users = [];
  for (const { path, text } of await sources((path) => path.endsWith(".ts"))) {
    const isProgram = Object.hasOwn(MAY_IMPORT, path.split("/")[0]) && !/_test\.ts$/.test(path);
    const code = text.replace(/\/\*[\s\S]*?\*\//g, "");
    const network =
      /\bDeno\.(serve|listen|connect|resolveDns)|\bfetch\(|\bnew (WebSocket|EventSource)|"node:(https?|net|dgram|tls)"/;
    if (isProgram && network.test(code)) users.push(path);
  }
  assertEquals(users, ["web/local_server.ts"]);
});

Deno.test("only cli/terminal.ts writes to a terminal, because it escapes what a terminal would obey", async () => {
  const writers = [];
  for (const { path, text } of await sources((path) => path.endsWith(".ts"))) {
    const isProgram = Object.hasOwn(MAY_IMPORT, path.split("/")[0]) && !/_test\.ts$/.test(path);
    const code = text.replace(/\/\*[\s\S]*?\*\//g, "");
    if (isProgram && /\bconsole\.|Deno\.std(out|err)\.writ/.test(code)) writers.push(path);
  }
  assertEquals(writers, ["cli/terminal.ts"]);
});

Deno.test("files are read whole through config/regular_file.ts only, which bounds them and opens nothing that hangs", async () => {
  const readers = [];
  for (const { path, text } of await sources((path) => path.endsWith(".ts"))) {
    const isProgram = Object.hasOwn(MAY_IMPORT, path.split("/")[0]) && !/_test\.ts$/.test(path);
    if (isProgram && /Deno\.read(Text)?File/.test(text)) readers.push(path);
  }
  assertEquals(readers, []);
});

Deno.test("rooms of the core know only what is below them", async () => {
  const broken = [];
  for (const { path, text } of await sources((path) => path.startsWith("core-rs/src/") && path.endsWith(".rs"))) {
    if (/\btests\.rs$/.test(path)) continue;
    const room = path.split("/")[2].replace(/\.rs$/, "");
    const code = text.split("#[cfg(test)]")[0].replace(/\/\/.*$/gm, "");
    for (const [, used] of code.matchAll(/\bcrate::(\w+)/g)) {
      if (used === "collective" && SENDS.test(path)) continue;
      if (MUST_NOT_USE[room]?.includes(used)) broken.push(`${path} uses crate::${used}`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("the candle engine shares no mathematics with the fused one, which it checks", async () => {
  const broken = [];
  for (const { path, text } of await sources((path) => path.startsWith("core-candle/src/"))) {
    const code = text.replace(/\/\/.*$/gm, "");
    const used = [...code.matchAll(/\bcloze_core::(model|trainer|backend)\b/g)];
    broken.push(...used.map(([name]) => `${path} uses ${name}`));
  }
  assertEquals(broken, []);
});

Deno.test("no file of the core is text in another room, but kernels in the list of kernels", async () => {
  const broken = [];
  for (const { path, text } of await sources((path) => path.startsWith("core-rs/src/") && path.endsWith(".rs"))) {
    for (const [, target] of text.matchAll(/\binclude(?:_str|_bytes)?!\(\s*"([^"]+)"/g)) {
      if (target.startsWith("..") && !MAY_INCLUDE.includes(path)) broken.push(`${path} includes ${target}`);
    }
  }
  assertEquals(broken, []);
});

/** The paths of a `use`, with what stands in braces multiplied out. */
function usedPaths(tree: string): string[] {
  const brace = tree.indexOf("{");
  if (brace < 0) return [tree.replace(/ as \w+$/, "")];
  const parts = [];
  let depth = 0, start = brace + 1;
  for (let i = brace; i < tree.length; i++) {
    if (tree[i] === "{") depth++;
    if (tree[i] === "}") depth--;
    if (depth === 0 || depth === 1 && tree[i] === ",") {
      parts.push(tree.slice(start, i));
      start = i + 1;
    }
    if (depth === 0) break;
  }
  return parts.filter((part) => part !== "").flatMap((part) => usedPaths(tree.slice(0, brace) + part));
}

/** The files of the core that each file names, beside its own modules and its parent's. */
async function coreGraph(): Promise<Map<string, Set<string>>> {
  const prefix = "core-rs/src/";
  const files = await sources((path) => path.startsWith(prefix) && path.endsWith(".rs") && !/\btests\.rs$/.test(path));
  const module = (path: string) => path.slice(prefix.length, -".rs".length).replace(/\/mod$/, "").replaceAll("/", "::");
  const known = new Set(files.map(({ path }) => module(path)));
  const graph = new Map<string, Set<string>>();
  for (const { path, text } of files) {
    const here = module(path);
    const code = text.split("#[cfg(test)]\nmod tests")[0].replace(/\/\/.*$/gm, "");
    const trees = [...code.matchAll(/\buse ((?:crate|super)[^;]*);/g)].map(([, tree]) => tree.replace(/\s+/g, ""));
    const inline = [...code.matchAll(/\b(?:crate|super)(?:::\w+)+/g)].map(([path]) => path);
    const used = new Set<string>();
    for (const path of [...trees, ...inline].flatMap(usedPaths)) {
      const above = path.match(/^(?:super::)+/)?.[0].length ?? 0;
      const base = here.split("::").slice(0, -above / "super::".length);
      let name = (above > 0 ? [...base, path.slice(above)].join("::") : path.replace(/^crate::/, "")).replace(
        /::self$/,
        "",
      );
      while (name !== "" && !known.has(name)) name = name.split("::").slice(0, -1).join("::");
      const isParent = here.startsWith(`${name}::`) || name.startsWith(`${here}::`);
      if (name !== "" && name !== here && !isParent) used.add(name);
    }
    graph.set(here, used);
  }
  return graph;
}

/** The circles of a graph, each from one of its nodes back to it. */
function circlesOf(graph: Map<string, Set<string>>): string[] {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (name: string, path: string[]) => {
    if (path.includes(name)) circles.push([...path.slice(path.indexOf(name)), name].join(" → "));
    if (path.includes(name) || done.has(name)) return;
    for (const next of graph.get(name) ?? []) visit(next, [...path, name]);
    done.add(name);
  };
  for (const name of graph.keys()) visit(name, []);
  return circles;
}

Deno.test("circlesOf finds a circle, and none where two ways lead to one place", () => {
  const graph = (edges: Record<string, string[]>) =>
    new Map(Object.entries(edges).map(([from, to]) => [from, new Set(to)]));
  assertEquals(circlesOf(graph({ a: ["b"], b: ["c"], c: ["b"] })), ["b → c → b"]);
  assertEquals(circlesOf(graph({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] })), []);
});

Deno.test("no files of the core know each other in a circle", async () => {
  assertEquals(circlesOf(await coreGraph()), []);
});

Deno.test("no files of TypeScript import each other in a circle, not even for types", async () => {
  const graph = new Map<string, Set<string>>();
  for (
    const { path, text } of await sources((path) => path.endsWith(".ts") && !/_test\.ts$/.test(path))
  ) {
    const code = text.replace(/^ *\/?\*.*$/gm, ""); // examples in comments import what they show
    const imports = [...code.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)];
    graph.set(path, new Set(imports.map(([, target]) => new URL(target, `file:///${path}`).pathname.slice(1))));
  }
  assertEquals(circlesOf(graph), []);
});

Deno.test("the argument list ends in cli/main.ts: commands take typed options", async () => {
  const readers = [];
  for (const { path, text } of await sources((path) => path.endsWith(".ts") && !/_test\.ts$/.test(path))) {
    const isProgram = Object.hasOwn(MAY_IMPORT, path.split("/")[0]);
    if (isProgram && /\bDeno\.args\b|\bparseFlags\b/.test(text) && path !== "cli/flags/parse.ts") readers.push(path);
  }
  assertEquals(readers, ["cli/main.ts"]);
});

Deno.test("each command is a task of its name with the least permissions", async () => {
  const { tasks, permissions } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  for (const name of COMMANDS) {
    const set = /-P=(\S+)/.exec(tasks[name]?.command ?? "")?.[1] ?? "";
    assertEquals(tasks[name]?.command, `deno run -q -P=${set} cli/main.ts ${name}`);
    const { read, write, ffi, env, net, run, ...others } = permissions[set];
    const opensPage = name === "pretrain" || name === "report";
    assertEquals(net, opensPage || name === "playground" ? ["127.0.0.1"] : undefined, `${name} and the network`);
    assertEquals(run, opensPage ? ["xdg-open", "open", "rundll32"] : undefined, `${name} and other programs`);
    assertEquals(others, {}, `${name} asks for more than files, its library and its environment`);
    assertEquals(read, true);
    assertEquals([undefined, true].includes(write) && (ffi === undefined || ffi.join() === "./target/release"), true);
    assertEquals(Array.isArray(env), true, `${name} names the variables that it reads`);
  }
});

Deno.test("a command that opens the core may read each variable that is looked for then: a terminal would be asked", async () => {
  const { permissions } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  const text = (await sources((path) => /^ffi\/(cuda|library)\.ts$/.test(path))).map(({ text }) => text).join("");
  const lists = [...text.matchAll(/(?:environment|given)\(\[?((?:"\w+",? ?)+)/g)].map(([, list]) => list);
  const names = lists.flatMap((list) => list.match(/\w+/g)!);
  assertEquals(names.includes("CUDA_HOME") && names.includes("CLOZE_CORE_LIB"), true, names.join());
  for (const [set, { ffi, env }] of Object.entries<{ ffi?: string[]; env: string[] }>(permissions)) {
    if (ffi !== undefined) assertEquals(names.filter((name) => !env.includes(name)), [], set);
  }
});

Deno.test("commands that the documents tell exist", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}/deno.json`));
  const missing = [];
  for (const { path, text } of await sources((path) => path.endsWith(".md"))) {
    for (const [command, name] of text.matchAll(/\bdeno (?:run|task) ([a-z][a-z-]*)(?![\w./-])/g)) {
      if (tasks[name] === undefined) missing.push(`${path}: ${command}`);
    }
    for (const [command, script] of text.matchAll(/\bdeno run (?:-\S+ )*([\w/]+\.ts)\b/g)) {
      const found = await Deno.stat(`${root}/${script}`).then(() => true, () => false);
      if (!found) missing.push(`${path}: ${command}`);
    }
  }
  assertEquals(missing, []);
});

Deno.test("no file names a machine: no home folders, no package registries", async () => {
  const machine = /(?<![\w.])\/(?:work|root|home\/\w+|Users\/\w+)\/|\bregistry\.npm|\bindex-url\b|\bpypi\.org/;
  const found: string[] = [];
  for (
    const { path, text } of await sources((path) =>
      /\.(ts|rs|py|md|json|toml|txt|html)$/.test(path) && path !== "tests/architecture_test.ts"
    )
  ) {
    text.split("\n").forEach((line, i) => {
      if (machine.test(line)) found.push(`${path}:${i + 1}: ${line.trim().slice(0, 100)}`);
    });
  }
  assertEquals(found, []);
});

Deno.test("files stay short, or say why they are long", async () => {
  const long = [];
  for (const { path, text } of await sources((path) => /\.(ts|rs)$/.test(path) && !/\.gen\.ts$/.test(path))) {
    const count = text.split("\n").length;
    if (count > 500 && !/long because/i.test(text.slice(0, 1000))) long.push(`${path}: ${count} lines`);
  }
  assertEquals(long, []);
});

Deno.test("every file begins by saying what it is", async () => {
  const silent = [];
  for (
    const { path, text } of await sources((path) => /\.(ts|rs)$/.test(path) && !/_test\.ts$|third_party/.test(path))
  ) {
    if (!/^(\/\*\*|\/\/)/.test(text)) silent.push(path);
  }
  assertEquals(silent, []);
});
