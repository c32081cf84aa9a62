/**
 * Fields of a JSON file that nobody has checked: each is read with its type, and one that is of another is refused by its
 * name. Used by the readers of tokenizer files.
 */

import { ClozeError, messageOf } from "../config/cloze_error.ts";

/** Anything that `JSON.parse` gives. */
// deno-lint-ignore no-explicit-any
export type Json = any;

/** Longer strings are shown without their end. */
const LONGEST_SHOWN = 60;

/** @throws {ClozeError} if the text is not JSON. */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ClozeError("input", `it is not JSON: ${messageOf(error)}`);
  }
}

/** A value as an error shows it: short, whatever it is. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  const text = JSON.stringify(value) ?? "missing";
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}…`;
}

/** A field that is not what it has to be. */
export function refusal(name: string, found: unknown, expected: string, hint?: string): ClozeError {
  return new ClozeError("input", `its ${name} is ${shown(found)}, not ${expected}`, { hint });
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, Json> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value that has to be an object. */
export function object(value: unknown, name: string): Record<string, Json> {
  if (!isObject(value)) throw refusal(name, value, "an object");
  return value;
}

/** A value that has to be a list. */
export function list(value: unknown, name: string): Json[] {
  if (!Array.isArray(value)) throw refusal(name, value, "a list");
  return value;
}

/** A value that has to be true or false. */
export function boolean(value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw refusal(name, value, "true or false");
  return value;
}

/** A value that has to be a text, without half a character in it. */
export function string(value: unknown, name: string): string {
  if (typeof value !== "string" || !value.isWellFormed()) throw refusal(name, value, "a text");
  return value;
}

/** A value that has to be one that is known. */
export function only(value: unknown, expected: string, name: string): void {
  if (value !== expected) {
    throw refusal(name, value, JSON.stringify(expected), "cloze reads tokenizers of the BERT family");
  }
}
