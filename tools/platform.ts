/** What a built core is for: the names of its package and its library, and the hash of the sources that it is made from. */

import { createHash } from "node:crypto";

/** npm's names of this system and processor. */
export const OS = { windows: "win32" }[Deno.build.os as string] ?? Deno.build.os;
export const CPU = { x86_64: "x64", aarch64: "arm64" }[Deno.build.arch as string] ?? Deno.build.arch;

/** The package of npm that has the core for this platform; `ffi/library.ts` looks for it too. */
export const CORE_PACKAGE = `@cloze/core-${OS}-${CPU}`;

/** The file of a crate's library. */
export function libraryFile(crate: string): string {
  const name = crate.replace("-", "_");
  return { windows: `${name}.dll`, darwin: `lib${name}.dylib` }[Deno.build.os as string] ?? `lib${name}.so`;
}

function filesOf(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesOf(`${folder}/${name}`) : [`${folder}/${name}`]
  );
}

/** A hash of all that decides what the core does, hexadecimal: a core with the same one needs not be built again. */
export function sourcesHash(root: string): string {
  const hash = createHash("sha256");
  const files = ["Cargo.toml", "Cargo.lock", "core-rs/Cargo.toml"].map((file) => `${root}/${file}`);
  for (const file of files.concat(filesOf(`${root}/core-rs/src`).sort())) {
    const bytes = Deno.readFileSync(file);
    hash.update(`${file.slice(root.length)} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest("hex");
}
