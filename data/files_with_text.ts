/** Files without text: a note where others have some, an error where none has. Used by all that reads a corpus. */

import { ClozeError } from "../config/cloze_error.ts";

/** Says which files have no text, when all their units have been read. */
export class FilesWithText {
  readonly #empty: string[] = [];
  readonly #onNote: (text: string) => void;
  #file: string | undefined;
  #documents = 0;
  #files = 0;

  /** @param onNote told of files without text among others. */
  constructor(onNote: (text: string) => void = () => {}) {
    this.#onNote = onNote;
  }

  /** Units come in order. */
  add(file: string, documents: number): void {
    if (file !== this.#file) this.#finish();
    this.#file = file;
    this.#documents += documents;
  }

  #finish(): void {
    if (this.#file === undefined) return;
    this.#files++;
    if (this.#documents === 0) this.#empty.push(this.#file);
    this.#documents = 0;
  }

  /** @throws {ClozeError} `input` if none has text. */
  end(): void {
    this.#finish();
    this.#file = undefined;
    const [first] = this.#empty, count = this.#empty.length;
    if (count === 0) return;
    const shown = count === 1 ? first : `${first} and ${count - 1} more`;
    if (count < this.#files) return this.#onNote(`without text: ${shown}`);
    const what = count === 1 ? `the data file ${first} has no text` : `none of the ${count} data files has text`;
    throw new ClozeError("input", `${what} in it${count === 1 ? "" : `, among them ${first}`}`);
  }
}
