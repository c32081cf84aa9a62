/** JSON that others may have written: read within bounds, and shown in messages without taking them over. */

import { ClozeError, messageOf } from "./cloze_error.ts";

/** Objects and arrays inside each other; no file of a model has as many. */
const DEEPEST = 64;

/** @throws {ClozeError} `input` if the text is not a JSON object, or one that is nested beyond reason. */
export function parseJsonObject(text: string, path: string): Record<string, unknown> {
  if (isDeep(text)) {
    throw new ClozeError("input", `${path} is nested more than ${DEEPEST} deep`, { hint: "it is no file of a model" });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ClozeError("input", `${path} is not JSON: ${messageOf(error)}`, {
      hint: "it is damaged, or another kind of file",
    });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ClozeError("input", `${path} has to be a JSON object, but is ${shown(json)}`);
  }
  return json as Record<string, unknown>;
}

/** A value as messages show it: at most some sixty characters. */
export function shown(value: unknown): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string") return String(value);
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

/** Whether brackets outside of strings are nested too deep; a parser that recurses would end the process. */
function isDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) {
      while (++i < text.length && text.charCodeAt(i) !== 0x22) if (text.charCodeAt(i) === 0x5c) i++;
    } else if (code === 0x7b || code === 0x5b) {
      if (++depth > DEEPEST) return true;
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return false;
}

/** A field of the object itself, never one that all objects have. */
export function own(json: Record<string, unknown>, field: string): unknown {
  return Object.hasOwn(json, field) ? json[field] : undefined;
}
