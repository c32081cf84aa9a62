/**
 * What a file is by how it begins, whatever its name says: a compressed file, a document of another program, records.
 * Reads nothing itself. Used before bytes are taken for lines of text.
 */

import { ClozeError } from "../config/cloze_error.ts";

/** What bytes or a text look like, and what to do about it. */
export interface Structure {
  /** As in "it looks like …". */
  what: string;
  hint: string;
}

const UNPACK = "unpack it first, and give what was in it";
const EXPORT = "take its text out first, into a .txt file";
const compressed = (ending: string) => `give it a name that ends with ${ending}, as in corpus.txt${ending}`;

/** How files of other kinds begin: characters of Latin-1 at a place. */
const BEGINNINGS: readonly [begins: string, structure: Structure, at?: number][] = [
  ["\x1F\x8B", { what: "a gzip file", hint: compressed(".gz") }],
  ["\x28\xB5\x2F\xFD", { what: "a zstd file", hint: compressed(".zst") }],
  ["BZh", { what: "a bzip2 file", hint: "unpack it first: bunzip2, or bzcat FILE | gzip > FILE.txt.gz" }],
  ["\xFD7zXZ\0", { what: "an xz file", hint: "unpack it first: unxz, or xzcat FILE | gzip > FILE.txt.gz" }],
  ["\x04\x22\x4D\x18", { what: "an lz4 file", hint: UNPACK }],
  ["PK\x03\x04", { what: "a zip archive (.zip, .docx, .epub …)", hint: UNPACK }],
  ["PK\x05\x06", { what: "an empty zip archive", hint: UNPACK }],
  ["7z\xBC\xAF\x27\x1C", { what: "a 7z archive", hint: UNPACK }],
  ["Rar!\x1A\x07", { what: "a RAR archive", hint: UNPACK }],
  ["ustar", { what: "a tar archive", hint: "unpack it first, tar -xf FILE, and give the folder" }, 257],
  ["%PDF-", { what: "a PDF", hint: `${EXPORT}: pdftotext` }],
  ["\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", { what: "an office document", hint: EXPORT }],
  ["SQLite format 3\0", { what: "an SQLite database", hint: "write its text to a .csv file first" }],
  ["PAR1", { what: "a Parquet file", hint: "give it a name that ends with .parquet, or say --format parquet" }],
  ["ARROW1", { what: "an Arrow file", hint: "write it as Parquet first" }],
  ["Obj\x01", { what: "an Avro file", hint: "write it as Parquet first" }],
  ["\x89HDF\r\n\x1A\n", { what: "an HDF5 file", hint: EXPORT }],
  ["\x93NUMPY", { what: "a NumPy array", hint: EXPORT }],
  ["\x7FELF", { what: "a program", hint: "give files of text" }],
  ["\x89PNG\r\n\x1A\n", { what: "an image", hint: "give files of text" }],
  ["\xFF\xD8\xFF", { what: "an image", hint: "give files of text" }],
  ["GIF8", { what: "an image", hint: "give files of text" }],
  ["\xFF\xFE\0\0", { what: "UTF-32 text", hint: "convert it first, for example with: iconv -f UTF-32 -t UTF-8" }],
  ["\0\0\xFE\xFF", { what: "UTF-32 text", hint: "convert it first, for example with: iconv -f UTF-32 -t UTF-8" }],
  ["\xFF\xFE", { what: "UTF-16 text", hint: "convert it first, for example with: iconv -f UTF-16 -t UTF-8" }],
  ["\xFE\xFF", { what: "UTF-16 text", hint: "convert it first, for example with: iconv -f UTF-16 -t UTF-8" }],
];

/** What the first bytes of a file say that it is, if that is no text. */
export function binaryStructure(bytes: Uint8Array): Structure | undefined {
  const isAt = (begins: string, at: number) => {
    if (bytes.length < at + begins.length) return false;
    for (let i = 0; i < begins.length; i++) if (bytes[at + i] !== begins.charCodeAt(i)) return false;
    return true;
  };
  const found = BEGINNINGS.find(([begins, , at = 0]) => isAt(begins, at));
  // "BZh" and "GIF8" could begin a text: what follows them in such a file is not written by hand.
  if (found?.[0] === "BZh" && !isAt("1AY&SY", 4) && !isAt("\x17\x72\x45\x38\x50\x90", 4)) return undefined;
  if (found?.[0] === "GIF8" && !isAt("7a", 4) && !isAt("9a", 4)) return undefined;
  return found?.[1];
}

/** The program that unpacks what begins so, if cloze does it itself where a name says that it is needed. */
export function packedWith(bytes: Uint8Array): "gzip" | "zstd" | undefined {
  const what = binaryStructure(bytes)?.what;
  return what === "a gzip file" ? "gzip" : what === "a zstd file" ? "zstd" : undefined;
}

/**
 * Refuses bytes that are no text by how they begin.
 *
 * @throws {ClozeError} `input`
 */
export function refuseBinary(bytes: Uint8Array, file: string): void {
  const structure = binaryStructure(bytes);
  if (structure === undefined) return;
  throw new ClozeError("input", `${file} is not a text file: it looks like ${structure.what}`, {
    hint: structure.hint,
  });
}

/** Lines that are looked at. */
const MOST_LINES = 50;

/** What the beginning of a text without a known ending is, if it has a structure that plain text has not. */
export function textStructure(beginning: string): Structure | undefined {
  const text = beginning.replace(/^\uFEFF/, "").trimStart();
  const lines = text.split(/\r?\n/, MOST_LINES).filter((line) => line.trim() !== "");
  if (isJson(lines[0] ?? "", ["{"])) {
    return { what: "JSON Lines", hint: "say --format jsonl, or give it a name that ends with .jsonl" };
  }
  if (/^\{\s*("|\}$|$)|^\[\s*[{"]/.test(text) || isJson(lines[0] ?? "", ["["])) {
    return { what: "JSON", hint: "say --format json, or give it a name that ends with .json" };
  }
  const markup = /^(<!doctype\s+html|<html|<\?xml|<mediawiki|\{\\rtf|%!PS)/i.exec(text)?.[1].toLowerCase();
  if (markup !== undefined) {
    const what = markup.startsWith("{")
      ? "RTF"
      : markup.startsWith("%")
      ? "PostScript"
      : markup.includes("html")
      ? "HTML"
      : "XML";
    return { what, hint: EXPORT };
  }
  for (const [delimiter, name] of [["\t", "tsv"], [",", "csv"], [";", "csv"]] as const) {
    if (isTable(lines, delimiter)) {
      return {
        what: `a table (${name.toUpperCase()})`,
        hint: `say --format ${name}, or give it a name that ends with .${name}; for plain text: --format text`,
      };
    }
  }
}

/** Whether a line is a JSON value that begins with one of the brackets; a footnote's [1] is none. */
function isJson(line: string, brackets: string[]): boolean {
  if (!brackets.includes(line.trimStart()[0]) || /^\s*\[\d*\]\s*$/.test(line)) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** Whether the first line has names, and all lines have as many fields. */
function isTable(lines: readonly string[], delimiter: string): boolean {
  if (lines.length < 2) return false;
  const names = lines[0].split(delimiter);
  if (names.length < 2 || names.some((name) => !/^\s*"?[\p{L}_][\p{L}\p{N}_ .:-]{0,30}"?\s*$/u.test(name))) {
    return false;
  }
  if (delimiter !== "\t" && names.some((name) => /\S\s+\S/.test(name) || /[.!?]$/.test(name.trim()))) return false;
  // Lines that are cut by the end of what was read, or that go on within quotes, are not counted exactly.
  return lines.slice(1, -1).concat(lines.length === 2 ? [lines[1]] : []).every((line) =>
    line.split(delimiter).length >= names.length || line.includes('"')
  );
}
