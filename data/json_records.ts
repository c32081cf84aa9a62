/** JSON → records: a record a line (JSON Lines), or the elements of an array. Used by `records.ts`. */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import { findColumns, joined, kindOf, listOf } from "./columns.ts";
import { JsonSplitter } from "./json_splitter.ts";
import { SKIPPED, textLines } from "./lines.ts";
import { type FileRecord, Lacking, type RecordOptions } from "./record.ts";
import { readText } from "./text_blocks.ts";
import { isWellFormed, soundRecord } from "./well_formed.ts";

/** The records of lines. */
export async function* readJsonLines(
  blocks: AsyncIterable<Uint8Array>,
  file: string,
  options: RecordOptions,
  linesBefore: () => Promise<number>,
): AsyncGenerator<FileRecord[]> {
  const mayLack = lackingBehindFirst(options);
  let number = 0;
  for await (const block of blocks) {
    const records: FileRecord[] = [];
    try {
      for (const line of textLines(block)) {
        const at = ++number;
        if (line === SKIPPED || line.trim() === "") continue;
        const place = async () => `line ${await linesBefore() + at}`;
        const made = recordOf(line, file, place, mayLack());
        const record = made instanceof Promise ? await made : made;
        if (record !== undefined) records.push(record);
      }
    } catch (error) {
      yield records; // whoever answers them one by one has those before
      throw error;
    }
    yield records;
  }
}

/** The records of a .json file: of an array, or one after another. */
export async function* readJson(file: string, options: RecordOptions): AsyncGenerator<FileRecord[]> {
  const { on_invalid } = options.config, mayLack = lackingBehindFirst(options);
  const splitter = new JsonSplitter(file);
  const take = async (values: ReturnType<JsonSplitter["push"]>) => {
    const records: FileRecord[] = [];
    for (const { text, line } of values) {
      if (!text.isWellFormed()) {
        options.report.invalid++;
        if (on_invalid === "skip") continue;
      }
      const place = () => Promise.resolve(`line ${line}`);
      const made = recordOf(text.toWellFormed(), file, place, mayLack());
      const record = made instanceof Promise ? await made : made;
      if (record !== undefined) records.push(record);
    }
    return records;
  };
  for await (const text of readText({ file, on_invalid })) yield await take(splitter.push(text));
  yield await take(splitter.finish());
}

/** Gives the options for the first record, which may lack no field, and then those for the others. */
function lackingBehindFirst(options: RecordOptions): () => RecordOptions {
  let next: RecordOptions = { ...options, mayLack: false };
  return () => {
    const now = next;
    next = options;
    return now;
  };
}

/** A record, or none if it is left out; at once, unless something is wrong. */
function recordOf(
  text: string,
  file: string,
  place: FileRecord["place"],
  options: RecordOptions,
): FileRecord | Promise<FileRecord | undefined> {
  const values = jsonFields(text, options);
  if (values instanceof NoRecord) return refuse(values, file, place, options.hint);
  if (values.every(isWellFormed)) return { values, place };
  return soundRecord({ values, place }, file, "has half a surrogate pair (\\uD800 to \\uDFFF)", options);
}

async function refuse(
  { what, hint }: NoRecord,
  file: string,
  place: FileRecord["place"],
  otherwise: string,
): Promise<never> {
  throw new ClozeError("input", `${file}: ${await place()} ${what}`, { hint: hint ?? otherwise });
}

/** Why a text is no record. */
class NoRecord {
  readonly what: string;
  readonly hint: string | undefined;

  constructor(what: string, hint?: string) {
    this.what = what;
    this.hint = hint;
  }
}

const SHAPE =
  'a record is an object such as {"text": "…"}: in a .jsonl file one on each line, in a .json file several in ' +
  "an array, or one after another";

/** Texts of so many characters are looked at before they are parsed: values take far more memory than their text. */
const LONG_TEXT = 1 << 20;
const MOST_VALUES = 1 << 20;

function jsonFields(text: string, { columns, mayLack = false }: RecordOptions): unknown[] | NoRecord {
  if (text.length > LONG_TEXT && holdsMoreThan(text, MOST_VALUES)) {
    return new NoRecord(`has more than ${MOST_VALUES} values in one record`, SHAPE);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    // The parser counts lines and columns of the record, not of the file.
    return new NoRecord(`is not JSON: ${messageOf(error).replace(/ \(line \d+ column \d+\)$/, "")}`, SHAPE);
  }
  if (!isObject(parsed)) return new NoRecord(`is not a JSON object, but ${kindOf(parsed)}`, SHAPE);
  const values: unknown[] = [];
  for (const field of columns(Object.keys(parsed))) {
    if (Object.hasOwn(parsed, field)) { // most are
      values.push(parsed[field]);
      continue;
    }
    const found = findColumns(field, (name) => fieldOf(parsed, name));
    if ("missing" in found) {
      const what = `has no field ${JSON.stringify(found.missing)}; it has: ${listOf(namesOf(parsed))}`;
      if (!mayLack) return new NoRecord(what);
      values.push(new Lacking(what));
      continue;
    }
    values.push(joined(found.parts.map(({ value }) => value)));
  }
  return values;
}

/** Whether a text of JSON has more objects, lists and items than that, those in quotes left aside. */
function holdsMoreThan(text: string, most: number): boolean {
  let count = 0;
  for (let at = 0; at < text.length && count <= most; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5C) at++;
    } else if (code === 0x2C || code === 0x5B || code === 0x7B) count++;
  }
  return count > most;
}

type JsonObject = Record<string, unknown>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The field of that name, or behind the dots of it: inside of an object, or of each object of a list. */
function fieldOf(object: JsonObject, name: string): { value: unknown } | undefined {
  if (Object.hasOwn(object, name)) return { value: object[name] };
  for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
    const head = name.slice(0, dot), rest = name.slice(dot + 1);
    const found = Object.hasOwn(object, head) ? inside(object[head], rest) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function inside(value: unknown, name: string): { value: unknown } | undefined {
  if (value === null) return { value: null };
  if (isObject(value)) return fieldOf(value, name);
  if (!Array.isArray(value)) return undefined;
  const found = value.map((item) => isObject(item) ? fieldOf(item, name) : undefined);
  return found.includes(undefined) ? undefined : { value: found.map((item) => item!.value) };
}

/** Names of the fields, also inside of objects, as they can be asked for. */
function namesOf(object: JsonObject): string[] {
  return Object.entries(object).flatMap(([name, value]) =>
    isObject(value) ? Object.keys(value).map((inner) => `${name}.${inner}`) : [name]
  );
}
