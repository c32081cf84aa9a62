/** Holds the rules of ARCHITECTURE.md: who imports whom, who may do what, how long a file may be. */

import { assertEquals } from "@std/assert";

const root = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

/** Rooms that each room may import from, beside itself. */
const MAY_IMPORT: Record<string, string[]> = {
  config: [],
  tokenizer: ["config"],
  data: ["config", "tokenizer"],
  ffi: ["config"],
  training: ["config", "data", "ffi"],
  inference: ["config", "tokenizer", "ffi"],
  cli: ["config", "tokenizer", "data", "ffi", "training", "inference"],
};

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
    for (const [, target] of text.matchAll(/(?:from|import\()\s*"([^"]+)"/g)) {
      if (!target.startsWith(".")) {
        if (!/^(@std\/cli\/|@std\/assert|node:)/.test(target)) broken.push(`${path} imports ${target}`);
        continue;
      }
      const to = new URL(target, `file:///${path}`).pathname.slice(1).split("/")[0];
      if (to !== room && !allowed.includes(to)) broken.push(`${path} imports ${target}`);
    }
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
    if (/extern "C"/.test(text) && !path.startsWith("core-rs/src/abi/")) broken.push(`${path} knows C`);
    if (/std::net|TcpStream/.test(text)) broken.push(`${path} uses the network`);
    if (/use crate::(model|trainer|engine|abi|backend)/.test(text) && path.startsWith("core-rs/src/ops/")) {
      broken.push(`${path}: an operation knows the model`);
    }
  }
  assertEquals(broken, []);
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
