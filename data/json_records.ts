/** JSON → records: a record a line (JSON Lines), or the elements of an array. Used by `records.ts`. */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import { findColumns, joined } from "./columns.ts";
import { JsonSplitter } from "./json_splitter.ts";
import { SKIPPED, textLines } from "./lines.ts";
import type { FileRecord, RecordOptions } from "./records.ts";
import { readText } from "./text_blocks.ts";
import { isWellFormed, soundRecord } from "./well_formed.ts";

/** The records of lines. */
export async function* readJsonLines(
  blocks: AsyncIterable<Uint8Array>,
  file: string,
  options: RecordOptions,
  linesBefore: () => Promise<number>,
): AsyncGenerator<FileRecord[]> {
  let number = 0;
  for await (const block of blocks) {
    const records: FileRecord[] = [];
    for (const line of textLines(block)) {
      const at = ++number;
      if (line === SKIPPED || line.trim() === "") continue;
      const record = await recordOf(line, file, async () => `line ${await linesBefore() + at}`, options);
      if (record !== undefined) records.push(record);
    }
    yield records;
  }
}

/** The records of a .json file: of an array, or one after another. */
export async function* readJson(file: string, options: RecordOptions): AsyncGenerator<FileRecord[]> {
  const { on_invalid } = options.config;
  const splitter = new JsonSplitter(file);
  const take = async (values: ReturnType<JsonSplitter["push"]>) => {
    const records: FileRecord[] = [];
    for (const { text, line } of values) {
      if (!text.isWellFormed()) {
        options.report.invalid++;
        if (on_invalid === "skip") continue;
      }
      const record = await recordOf(text.toWellFormed(), file, () => Promise.resolve(`line ${line}`), options);
      if (record !== undefined) records.push(record);
    }
    return records;
  };
  for await (const text of readText({ file, on_invalid })) yield await take(splitter.push(text));
  yield await take(splitter.finish());
}

/** A record, or none if it is left out. */
async function recordOf(
  text: string,
  file: string,
  place: FileRecord["place"],
  options: RecordOptions,
): Promise<FileRecord | undefined> {
  const values = jsonFields(text, options.columns);
  if (values instanceof Error) {
    throw new ClozeError("input", `${file}: ${await place()} ${values.message}`, { hint: options.hint });
  }
  return values.every(isWellFormed)
    ? { values, place }
    : await soundRecord({ values, place }, file, "has half a surrogate pair (\\uD800 to \\uDFFF)", options);
}

function jsonFields(text: string, columns: RecordOptions["columns"]): unknown[] | Error {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return new Error(`is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(parsed)) return new Error("is not a JSON object");
  const values: unknown[] = [];
  for (const field of columns(Object.keys(parsed))) {
    const found = findColumns(field, (name) => fieldOf(parsed, name));
    if ("missing" in found) {
      const names = namesOf(parsed).slice(0, 20).join(", ") || "none";
      return new Error(`has no field ${JSON.stringify(found.missing)}; it has: ${names}`);
    }
    values.push(joined(found.parts.map(({ value }) => value)));
  }
  return values;
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
