/** What is in a file, by its name: format and compression. Reads nothing. Used by all that reads text. */

/** What a file holds, by its name. */
export type Format = "text" | "jsonl" | "csv" | "tsv" | "parquet";

/** How a file is compressed, by its name. */
export type Compression = "none" | "gzip" | "zstd";

const FORMATS: Record<string, Format> = {
  txt: "text",
  jsonl: "jsonl",
  ndjson: "jsonl",
  csv: "csv",
  tsv: "tsv",
  parquet: "parquet",
};
const COMPRESSIONS: Record<string, Compression> = { gz: "gzip", zst: "zstd" };
const KNOWN = new RegExp(`\\.(${Object.keys(FORMATS).join("|")})(\\.(${Object.keys(COMPRESSIONS).join("|")}))?$`, "i");

/** Format and compression of a file; what has no known ending is plain text. */
export function sourceKind(file: string): { format: Format; compression: Compression } {
  const endings = file.toLowerCase().replace(/^.*[/\\]/, "").split(".");
  const compression = COMPRESSIONS[endings[endings.length - 1]];
  if (compression !== undefined) endings.pop();
  return { format: FORMATS[endings[endings.length - 1]] ?? "text", compression: compression ?? "none" };
}

/** Whether a file's name says what is in it. */
export function hasKnownEnding(file: string): boolean {
  return KNOWN.test(file);
}
