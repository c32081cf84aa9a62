/** What a run trains on: files and how they are read, or the practice corpus. Its hash names what is made of it. */

import { createHash } from "node:crypto";
import type { CorpusConfig } from "../config/batch_config.ts";
import { ioError } from "../config/cloze_error.ts";
import { readSealed, sealed } from "../config/sealed_json.ts";
import { writeWhole } from "../config/whole_file.ts";
import { type Document, readDocuments } from "./corpus.ts";
import { practiceCorpus } from "./practice/practice_corpus.ts";

/** Files with how they are read, or the practice corpus. */
export type CorpusSource = "practice" | { files: readonly string[]; config: CorpusConfig };

/** The documents as text. */
export function documentsOf(source: CorpusSource): AsyncIterable<Document> | Iterable<Document> {
  return source === "practice" ? practiceCorpus() : readDocuments(source.files, source.config);
}

/** What is remembered of a file, so that it need not be read again to know its content. */
interface KnownFile {
  size: number;
  modified: number;
  sha256: string;
}

/**
 * A hash of what the files hold and how they are read, whatever they are called.
 *
 * @param known a file that remembers the hashes of files by path, size and time of change.
 */
export async function contentHash(source: CorpusSource, known: string): Promise<string> {
  const hash = createHash("sha256");
  if (source === "practice") return hash.update("practice corpus 1").digest("hex");
  const { text_column, on_invalid, ...others } = source.config;
  // Two names as in version 0.1.0, so that its runs can go on.
  hash.update(JSON.stringify({ text_field: text_column, text_column, on_invalid, ...others }));
  // Damaged, or of a version without a checksum: the files are read again.
  const before = await readSealed(known).then(
    ({ value, isSealed }) => isSealed ? value as Record<string, KnownFile> : {},
    (): Record<string, KnownFile> => ({}),
  );
  const now: Record<string, KnownFile> = {};
  for (const file of source.files) {
    const info = await Deno.stat(file).catch((error) => {
      throw ioError(error, "read", file);
    });
    const [size, modified] = [info.size, info.mtime?.getTime() ?? 0];
    const old = before[file];
    const sha256 = old?.size === size && old.modified === modified ? old.sha256 : await fileHash(file);
    now[file] = { size, modified, sha256 };
    hash.update(`${sha256}${/\.[^/\\]*$/.exec(file)?.[0] ?? ""}\n`); // the ending says how it is read
  }
  await writeWhole(known, sealed(now));
  return hash.digest("hex");
}

async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    using file = await Deno.open(path);
    const buffer = new Uint8Array(1 << 20);
    for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
      hash.update(buffer.subarray(0, read));
    }
  } catch (error) {
    throw ioError(error, "read", path);
  }
  return hash.digest("hex");
}
