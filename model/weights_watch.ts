/**
 * Whether a weights file is still the one that was opened. The core maps it into memory and reads it as it answers: whoever
 * writes to it meanwhile changes answers, and whoever cuts it short ends the process. Called around each batch, so that the
 * latter can only happen within one.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";

/** Remembers a file. */
export class WeightsWatch {
  readonly #path: string;
  readonly #seen: string;

  /** @throws {ClozeError} `io` */
  constructor(path: string) {
    this.#path = path;
    this.#seen = stampOf(path);
  }

  /** @throws {ClozeError} `input` if the file was written to, or another one has its name. */
  check(): void {
    if (stampOf(this.#path) === this.#seen) return;
    throw new ClozeError("input", `${this.#path} was changed or replaced while it was in use`, {
      hint: "start the command again: it then answers with the new weights",
    });
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
