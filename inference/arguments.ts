/** What programs pass to models, checked as the command line checks its flags: by name, before anything is done. */

import { ClozeError } from "../config/cloze_error.ts";
import { shown } from "../config/json_object.ts";

/** Threads of the largest team; the core's bound. */
export const MOST_THREADS = 1024;

/** @throws {ClozeError} `usage` if it is not a whole number from `least` to `most`. */
export function checkCount(name: string, value: unknown, least: number, most: number): void {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return;
  throw new ClozeError("usage", `${name} is ${shown(value)}, but has to be a whole number from ${least} to ${most}`);
}

/** @throws {ClozeError} `usage` if it is none of the choices. */
export function checkChoice(name: string, value: unknown, choices: readonly string[]): void {
  if (choices.some((choice) => choice === value)) return;
  throw new ClozeError("usage", `${name} is ${shown(value)}, but has to be one of ${choices.join(", ")}`);
}

/** @throws {ClozeError} `usage` if it is not an array of strings, naming the one that is none. */
export function checkTexts(name: string, value: unknown): void {
  if (!Array.isArray(value)) {
    throw new ClozeError("usage", `${name} is ${shown(value)}, but has to be an array of strings`, {
      hint: typeof value === "string" ? "for one text, give [text]" : undefined,
    });
  }
  for (const [i, text] of value.entries()) { // entries(), because holes have to be seen too
    if (typeof text !== "string") {
      throw new ClozeError("usage", `${name}[${i}] is ${shown(text)}, but has to be a string`);
    }
  }
}

/** Prepares each text; what is wrong with one is said with its number. @throws {ClozeError} as `prepare`. */
export function prepareEach<P>(name: string, texts: readonly string[], prepare: (text: string) => P): P[] {
  checkTexts(name, texts);
  return texts.map((text, i) => {
    try {
      return prepare(text);
    } catch (error) {
      if (!(error instanceof ClozeError)) throw error;
      throw new ClozeError(error.code, `${name}[${i}]: ${error.message}`, { hint: error.hint, cause: error });
    }
  });
}
