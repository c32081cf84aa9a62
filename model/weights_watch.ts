/**
 * Whether files of weights are still the ones that were opened. The core maps them into memory and reads them as it answers:
 * whoever writes to one meanwhile changes answers, and whoever cuts it short ends the process. Called around each batch, so
 * that the latter can only happen within one.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";

/** Remembers files. */
export class WeightsWatch {
  readonly #seen: [path: string, stamp: string][];

  /** @throws {ClozeError} `io` */
  constructor(paths: readonly string[]) {
    this.#seen = paths.map((path) => [path, stampOf(path)]);
  }

  /** @throws {ClozeError} `input` if a file was written to, or another one has its name. */
  check(): void {
    for (const [path, seen] of this.#seen) {
      if (stampOf(path) === seen) continue;
      throw new ClozeError("input", `${path} was changed or replaced while it was in use`, {
        hint: "start the command again: it then answers with the new weights",
      });
    }
  }
}

function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtime } = Deno.statSync(path);
    return `${dev} ${ino} ${size} ${mtime?.getTime()}`;
  } catch (error) {
    throw ioError(error, "read the model", path);
  }
}
