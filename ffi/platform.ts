/** npm's and the loader's names of what is built for this platform. Imports nothing: set-up runs it before every task. */

/** npm's names of this system and processor. */
export const OS = { windows: "win32" }[Deno.build.os as string] ?? Deno.build.os;
export const CPU = { x86_64: "x64", aarch64: "arm64" }[Deno.build.arch as string] ?? Deno.build.arch;

/** The package of npm that has the core for this platform. */
export const CORE_PACKAGE = `@cloze/core-${OS}-${CPU}`;

/** The file of a crate's library. */
export function libraryFile(crate: string): string {
  const name = crate.replace("-", "_");
  return { windows: `${name}.dll`, darwin: `lib${name}.dylib` }[Deno.build.os as string] ?? `lib${name}.so`;
}
