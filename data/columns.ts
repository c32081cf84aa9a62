/**
 * What a person means by the name of a column, and what the values of columns are as text. The same for columns of tables
 * and fields of JSON records. Used by the readers of records and by those who take their values.
 */

import { firstOf } from "../config/numbers.ts";

/** Columns, or fields, of texts. */
export interface TextColumns {
  /** That of the configuration unless given. */
  text?: string;
  /** Of the second text; without it, a record is one text. */
  pair?: string;
}

/** Says which columns of a file hold the texts, from the names that it has, or its first record. */
export type ColumnsOf = (names: readonly string[]) => TextColumns;

/** Whether a file of records with such names has what a name means, as far as names tell. */
export function hasColumn(names: readonly string[], name: string): boolean {
  const isThere = (part: string) =>
    names.includes(part) || names.includes(part.split(".")[0]) || /^[1-9]\d*$/.test(part);
  return names.includes(name) || name.split(",").every(isThere);
}

/** The name of a column, if a file of records has what it means, as far as names tell. */
export function columnIn(names: readonly string[], name: string | undefined): string | undefined {
  return name !== undefined && hasColumn(names, name) ? name : undefined;
}

/** Columns of a name: one, or several whose texts are joined. */
export type Found<T> = { parts: T[] } | { missing: string };

/**
 * The columns behind a name: that of one column, or of several with commas between them. A column whose name has the
 * comma in it goes first.
 */
export function findColumns<T>(name: string, find: (name: string) => T | undefined): Found<T> {
  const whole = find(name);
  if (whole !== undefined) return { parts: [whole] };
  const parts: T[] = [];
  for (const part of new Set(name.split(","))) { // a column that is named twice is read once
    const found = find(part);
    if (found === undefined) return { missing: part };
    parts.push(found);
  }
  return { parts };
}

/** One value: that of one column as it is, or the texts of several as lines. Of several, the first that is no text. */
export function joined(parts: readonly unknown[]): unknown {
  if (parts.length === 1) return parts[0];
  const texts = parts.map(textOf);
  const wrong = texts.indexOf(undefined);
  return wrong < 0 ? texts.filter((text) => text !== "").join("\n") : parts[wrong];
}

/** A value as text: null is none, a list of texts is their lines; `undefined` if it is something else. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "";
  if (!Array.isArray(value)) return undefined;
  const isText = (item: unknown) => item === null || typeof item === "string";
  return value.every(isText) ? value.filter((item) => item !== null).join("\n") : undefined;
}

/** What a value is that is no text, in words. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return "a text";
  if (typeof value === "bigint") return "a number";
  if (!Array.isArray(value)) return typeof value === "object" ? "an object" : `a ${typeof value}`;
  const other = value.find((item) => item !== null && typeof item !== "string");
  if (other === undefined) return value.length === 0 ? "an empty list" : "a list of texts";
  return Array.isArray(other) ? "a list of lists" : `a list with ${kindOf(other)} in it`;
}

/** Most names that are shown. */
const MOST_NAMES = 20;

/** Names of columns, for messages. */
export function listOf(names: readonly string[]): string {
  return names.length === 0 ? "none" : firstOf(names, MOST_NAMES);
}
