/** The hash of the sources that a core is made from. Loaded where a prebuilt core is made or found, and not by every task. */

import { createHash } from "node:crypto";

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
