/**
 * Finds and loads the native core and checks that it is of this version. There are two libraries with the same calls: the
 * core, and one of the core with the candle engine, which only a checkout has and only where it was built.
 *
 * A library is never closed: a call after `close()` would crash the process.
 */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import { CORE_PACKAGE, libraryFile } from "./platform.ts";
import { ABI_HASH, SYMBOLS } from "./symbols.gen.ts";

/** The calls, and that by which the library with the candle engine says to its `cloze_open` that it has one. */
const CALLS = { ...SYMBOLS, cloze_provide_candle: { parameters: [], result: "void", optional: true } } as const;

/** The loaded library. */
export type Library = Deno.DynamicLibrary<typeof CALLS>;

/** The libraries by the engine that each is for. */
const LIBRARIES = { fused: libraryFile("cloze-core"), candle: libraryFile("cloze-candle") };

const loaded: { fused?: Library; candle?: Library } = {};

function environment(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch {
    return undefined; // not permitted to read it, so it is as if it were not set
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Where npm puts the core of this platform, in the program's folder or one above it. */
function installedLibrary(): string | undefined {
  for (let folder = Deno.cwd();; folder = folder.replace(/[/\\][^/\\]*$/, "")) {
    const path = `${folder}/node_modules/${CORE_PACKAGE}/${LIBRARIES.fused}`;
    if (exists(path)) return path;
    if (!/[/\\]/.test(folder)) return undefined;
  }
}

/**
 * The path of the library: `CLOZE_CORE_LIB`, else the project's release build, which `deno compile` embeds under the
 * same path, else the one that npm has installed for a program that takes cloze from JSR.
 *
 * @throws {ClozeError} `engine` if there is none.
 */
export function locateLibrary(): string {
  const chosen = environment("CLOZE_CORE_LIB");
  if (chosen !== undefined) {
    if (exists(chosen)) return chosen;
    throw new ClozeError("engine", `the core library that CLOZE_CORE_LIB names does not exist: ${chosen}`);
  }
  const root = import.meta.dirname?.replace(/[/\\][^/\\]*$/, "");
  const path = `${root}/target/release/${LIBRARIES.fused}`;
  if (root !== undefined && exists(path)) return path;
  const installed = installedLibrary();
  if (installed !== undefined) return installed;
  throw new ClozeError(
    "engine",
    `the core library ${LIBRARIES.fused} was not found in target/release or node_modules`,
    {
      hint: root === undefined ? "npm install cloze, or name one with CLOZE_CORE_LIB" : "build it with: deno task core",
    },
  );
}

/** The library with the candle engine, which stands beside the other one. */
function locateCandle(): string {
  const path = locateLibrary().replace(/[^/\\]*$/, LIBRARIES.candle);
  if (exists(path)) return path;
  if (Deno.build.standalone) {
    throw new ClozeError("engine", "the candle engine, which checks the fused one, is not in this binary", {
      hint: "leave out --engine, or run cloze from its sources",
    });
  }
  throw new ClozeError("engine", `the candle engine is not built: there is no ${path}`, {
    hint: "build it, once, in two or three minutes, with: deno task candle",
  });
}

/**
 * Loads the library of an engine once.
 *
 * @throws {ClozeError} `engine` if it is not there, cannot be loaded or is of another version.
 */
export function loadLibrary(engine: keyof typeof LIBRARIES = "fused"): Library {
  return loaded[engine] ??= open(engine === "fused" ? locateLibrary() : locateCandle());
}

/** Loads and checks the library at `path`. */
export function open(path: string): Library {
  const hint = `build it again with: deno task ${path.endsWith(LIBRARIES.candle) ? "candle" : "core"}`;
  let library: Library;
  try {
    library = Deno.dlopen(path, CALLS);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new ClozeError("engine", `loading the core library needs a permission: ${path}`, {
        hint: `add --allow-ffi=${path}`,
        cause: error,
      });
    }
    const old = /symbol/i.test(messageOf(error));
    throw new ClozeError(
      "engine",
      old
        ? `the core library ${path} lacks calls that this version of cloze makes`
        : `the core library ${path} could not be loaded: ${messageOf(error)}`,
      { hint, cause: error },
    );
  }
  const found = library.symbols.cloze_abi_hash();
  if (found !== ABI_HASH) {
    throw new ClozeError(
      "engine",
      `the core library ${path} is of another version: its interface is ${found.toString(16)}, ` +
        `but this version of cloze expects ${ABI_HASH.toString(16)}`,
      { hint },
    );
  }
  library.symbols.cloze_provide_candle?.();
  return library;
}
