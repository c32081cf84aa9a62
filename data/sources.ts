/** What is in a file, by its name: format and compression. Reads nothing. Used by all that reads text. */

import type { FORMATS } from "../config/batch_config.ts";

/** What a file holds, by its name. */
export type Format = typeof FORMATS[number];

/** How a file is compressed, by its name. */
export type Compression = "none" | "gzip" | "zstd";

const ENDINGS: Record<string, Format> = {
  txt: "text",
  jsonl: "jsonl",
  ndjson: "jsonl",
  json: "json",
  csv: "csv",
  tsv: "tsv",
  parquet: "parquet",
};
const COMPRESSIONS: Record<string, Compression> = { gz: "gzip", zst: "zstd" };
const KNOWN = new RegExp(`\\.(${Object.keys(ENDINGS).join("|")})(\\.(${Object.keys(COMPRESSIONS).join("|")}))?$`, "i");

/** Format and compression of a file. What has no known ending is of the format `otherwise`. */
export function sourceKind(
  file: string,
  otherwise: Format = "text",
): { format: Format; compression: Compression; isNamed: boolean } {
  const endings = file.toLowerCase().replace(/^.*[/\\]/, "").split(".");
  const compression = COMPRESSIONS[endings[endings.length - 1]];
  if (compression !== undefined) endings.pop();
  const named = endings.length > 1 ? ENDINGS[endings[endings.length - 1]] : undefined;
  return { format: named ?? otherwise, compression: compression ?? "none", isNamed: named !== undefined };
}

/** Whether a file's name says what is in it. */
export function hasKnownEnding(file: string): boolean {
  return KNOWN.test(file);
}
