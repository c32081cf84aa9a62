/**
 * Finds and loads the native core and checks that it is of this version. Called by `engine.ts` only.
 *
 * The library is never closed: a call after `close()` would crash the process.
 */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import { ABI_HASH, SYMBOLS } from "./symbols.gen.ts";

/** The loaded library. */
export type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

const NAME = { windows: "cloze_core.dll", darwin: "libcloze_core.dylib" }[Deno.build.os as string] ??
  "libcloze_core.so";

let loaded: Library | undefined;

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

/**
 * The path of the library: `CLOZE_CORE_LIB`, else the project's release build, which `deno compile` embeds under the
 * same path.
 *
 * @throws {ClozeError} `engine` if there is none.
 */
export function locateLibrary(): string {
  const chosen = environment("CLOZE_CORE_LIB");
  if (chosen !== undefined) {
    if (exists(chosen)) return chosen;
    throw new ClozeError("engine", `the core library that CLOZE_CORE_LIB names does not exist: ${chosen}`);
  }
  const root = import.meta.dirname!.replace(/[/\\][^/\\]*$/, "");
  const path = `${root}/target/release/${NAME}`;
  if (exists(path)) return path;
  throw new ClozeError("engine", `the core library ${NAME} was not found in target/release`, {
    hint: "build it with: deno task core",
  });
}

/**
 * Loads the library once.
 *
 * @throws {ClozeError} `engine` if it cannot be loaded or is of another version.
 */
export function loadLibrary(): Library {
  return loaded ??= open(locateLibrary());
}

/** Loads and checks the library at `path`. */
export function open(path: string): Library {
  let library: Library;
  try {
    library = Deno.dlopen(path, SYMBOLS);
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
      { hint: "build it again with: deno task core", cause: error },
    );
  }
  const found = library.symbols.cloze_abi_hash();
  if (found !== ABI_HASH) {
    throw new ClozeError(
      "engine",
      `the core library ${path} is of another version: its interface is ${found.toString(16)}, ` +
        `but this version of cloze expects ${ABI_HASH.toString(16)}`,
      { hint: "build it again with: deno task core" },
    );
  }
  return library;
}
