/**
 * A corpus → two shards, for training and held out: a share of its documents, or text of its own. They are made once and used again as long as content, tokenizer and
 * options are the same, by the same run or by another one beside it. Called by the commands.
 */

import { createHash } from "node:crypto";
import { ClozeError, ioError } from "../config/cloze_error.ts";
import { folderOf, removeLeftovers } from "../config/whole_file.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { planUnits } from "./corpus.ts";
import { type CorpusCounts, CorpusReport } from "./corpus_report.ts";
import { contentHash, type CorpusSource, documentsOf } from "./corpus_source.ts";
import { FilesWithText } from "./files_with_text.ts";
import { HELD_OUT, SentenceEncoder, sinkDocument } from "./sentence_encoder.ts";
import { Shard } from "./shard.ts";
import { BlockWriter, ShardWriter } from "./shard_writer.ts";
import { partPath } from "./unit_jobs.ts";
import { type OnProgress, runUnits } from "./worker_pool.ts";
import { UnknownSample } from "./unknown_words.ts";

/** Both shards, open. */
export interface PreparedData {
  /** What is trained on. */
  train: Shard;
  /** What is measured on. */
  heldOut: Shard;
  /** A hash of what the shards were made from. */
  source: string;
  /** Whether they were there already. */
  reused: boolean;
  /** A file of the text that is not there any more; the shards are, and stand for it. */
  gone?: string;
}

/** How shards are made. */
export interface PrepareOptions {
  /** Most workers. */
  threads: number;
  /** Told now and then how far it is. */
  onProgress?: OnProgress;
  /** Told of files without text among others. */
  onNote?: (text: string) => void;
  /** Of a run that goes on: what its shards were made from. */
  source?: string;
  /** Folders that may hold the same shards: they are linked, not copied. */
  others?: readonly string[];
  /** Text to measure on: it is held out, and all of the corpus is trained on. */
  valid?: FileSource | undefined;
  /** Share of the documents that is held out where there is no `valid`. */
  held_out?: number;
}

/** Files with how they are read. */
export type FileSource = Exclude<CorpusSource, "practice">;

const NAMES = { train: "train.shard", heldOut: "held_out.shard" };

/** A hash of everything that decides which ids a text of a corpus becomes: the tokenizer's own special tokens are not found in one. */
export function tokenizerHash(tokenizer: Tokenizer): string {
  const { data } = tokenizer, own = Object.values(tokenizer.names);
  const added_tokens = data.added_tokens.filter(({ content }) => !own.includes(content));
  // How text is made of ids decides nothing.
  const encoding = { ...data, added_tokens, cleanup: undefined, decoders: undefined };
  return createHash("sha256").update(JSON.stringify(encoding)).digest("hex");
}

/**
 * Opens the shards in `folder`, after writing them if they are not there or were made from something else.
 *
 * @throws {ClozeError} `input` if that is not the `source` that is asked for: then nothing is written; `io`.
 */
export async function prepareShards(
  folder: string,
  corpus: CorpusSource,
  tokenizer: Tokenizer,
  options: PrepareOptions,
): Promise<PreparedData> {
  await Deno.mkdir(folder, { recursive: true }).catch((error) => {
    throw ioError(error, "create the folder", folder);
  });
  const gone = options.source !== undefined && holds(folder, options.source)
    ? await missingFile(corpus) ?? (options.valid && await missingFile(options.valid))
    : undefined;
  if (gone !== undefined) return { ...open(folder, options.source!), reused: true, gone };
  const content = await contentHash(corpus, `${folder}/files.json`);
  const heldOut = options.valid === undefined
    ? options.held_out ?? HELD_OUT
    : `all of ${await contentHash(options.valid, `${folder}/valid_files.json`)}`;
  const source = createHash("sha256").update(`2 ${content} ${tokenizerHash(tokenizer)} ${heldOut}`).digest("hex");
  if (options.source !== undefined && options.source !== source) {
    throw new ClozeError("input", `the data files of the run in ${folderOf(folder)} have changed since it began`, {
      hint: "resume with the same files, or begin a new run",
    });
  }
  let reused = holds(folder, source);
  for (const other of options.others ?? []) {
    if (!reused && holds(other, source)) reused = await link(other, folder) && isWhole(folder, tokenizer.size);
  }
  if (!reused) await write(folder, corpus, tokenizer, source, options);
  return { ...open(folder, source), reused };
}

/** Makes room as early as can be. */
function removePart(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // What is left over goes with its folder.
  }
}

/** Opens both shards. @throws {ClozeError} `input` if one is damaged. */
function open(folder: string, source: string): Omit<PreparedData, "reused"> {
  const train = Shard.open(`${folder}/${NAMES.train}`);
  try {
    return { train, heldOut: Shard.open(`${folder}/${NAMES.heldOut}`), source };
  } catch (error) {
    train[Symbol.dispose]();
    throw error;
  }
}

/** A file of the corpus that is not there, if there is one. */
async function missingFile(corpus: CorpusSource): Promise<string | undefined> {
  if (corpus === "practice") return undefined;
  for (const file of corpus.files) {
    const isMissing = await Deno.stat(file).then(() => false, (error) => error instanceof Deno.errors.NotFound);
    if (isMissing) return file;
  }
  return undefined;
}

/** Whether both shards are there and were made from that source. A file that is no shard, or of an older version, is not. */
function holds(folder: string, source: string): boolean {
  try {
    return Object.values(NAMES).every((name) => Shard.peek(`${folder}/${name}`)?.source === source);
  } catch {
    return false;
  }
}

/** Whether every byte of both shards is as it was written. */
function isWhole(folder: string, vocab_size: number): boolean {
  try {
    return Object.values(NAMES).every((name) => {
      using shard = Shard.open(`${folder}/${name}`);
      for (const _ of shard.blocks());
      return shard.header.vocab_size === vocab_size;
    });
  } catch {
    return false;
  }
}

/** Links the shards of another folder, if they are files of the same user. */
async function link(from: string, to: string): Promise<boolean> {
  try {
    const { uid } = await Deno.stat(to);
    for (const name of Object.values(NAMES)) {
      const other = await Deno.lstat(`${from}/${name}`);
      if (!other.isFile || other.uid !== uid) return false;
      await Deno.remove(`${to}/${name}`).catch(() => {});
      await Deno.link(`${from}/${name}`, `${to}/${name}`);
    }
    return true;
  } catch {
    return false; // another disk, or a system without links: the shards are made again
  }
}

async function write(
  folder: string,
  corpus: CorpusSource,
  tokenizer: Tokenizer,
  source: string,
  options: PrepareOptions,
): Promise<void> {
  await removeLeftovers(folder);
  const parts = `${folder}/parts.tmp`;
  await Deno.remove(parts, { recursive: true }).catch(() => {});
  await Deno.mkdir(parts).catch((error) => {
    throw ioError(error, "create the folder", parts);
  });
  const train = new ShardWriter(`${folder}/${NAMES.train}`, tokenizer.size, source);
  const heldOut = new ShardWriter(`${folder}/${NAMES.heldOut}`, tokenizer.size, source);
  const target = { tokenizer, folder: parts, train, heldOut };
  const found = new Found();
  try {
    const held_out = options.valid === undefined ? options.held_out ?? HELD_OUT : 0;
    if (corpus === "practice") await encodeHere(corpus, target, found);
    else await encodeUnits(corpus, held_out, target, found, options);
    heldOut.finish(options.valid === undefined ? found.counts(tokenizer) : await encodeValid(target, found, options));
    train.finish(found.counts(tokenizer)); // last: both are there when this one is
  } catch (error) {
    train.discard();
    heldOut.discard();
    throw error;
  } finally {
    await Deno.remove(parts, { recursive: true }).catch(() => {});
  }
}

/** What is found while a text is encoded. */
class Found {
  readonly report = new CorpusReport();
  readonly unknown = new UnknownSample();

  counts(tokenizer: Tokenizer): CorpusCounts {
    const unknown = this.unknown.causes(tokenizer);
    return { ...this.report.counts, ...(unknown === undefined ? {} : { unknown }) };
  }
}

/** What text is encoded with, and where to. */
interface Target {
  tokenizer: Tokenizer;
  /** Of the parts. */
  folder: string;
  train: ShardWriter;
  heldOut: ShardWriter;
}

/** Encodes the text to measure on, all of it held out. Returns what was found, also how much of it is trained on. */
async function encodeValid(target: Target, trained: Found, options: PrepareOptions): Promise<CorpusCounts> {
  const found = new Found();
  await encodeUnits(options.valid!, 1, target, found, options);
  return { ...found.counts(target.tokenizer), in_training: found.report.shareIn(trained.report) };
}

async function encodeUnits(
  corpus: FileSource,
  held_out: number,
  { tokenizer, folder, train, heldOut }: Target,
  { report, unknown }: Found,
  { threads, onProgress = () => {}, onNote }: PrepareOptions,
): Promise<void> {
  const withText = new FilesWithText(onNote);
  const results = await runUnits({
    setup: { kind: "encode", corpus: corpus.config, tokenizer: tokenizer.data, folder, held_out },
    units: await planUnits(corpus.files, corpus.config),
    threads,
    onProgress,
    onResult: (result, unit, number) => {
      withText.add(unit.file, result.documents);
      train.append(partPath(folder, number, "train"), result.train!);
      heldOut.append(partPath(folder, number, "held_out"), result.heldOut!);
      for (const name of ["train", "held_out"] as const) removePart(partPath(folder, number, name));
    },
  });
  withText.end();
  for (const result of results) {
    report.merge(result.report);
    unknown.merge(result.unknown!);
  }
}

/** The practice corpus comes from a generator: nothing to share out. */
async function encodeHere(
  corpus: CorpusSource,
  { tokenizer, folder, train, heldOut }: Target,
  { report, unknown }: Found,
): Promise<void> {
  const writers = {
    train: new BlockWriter(partPath(folder, 0, "train"), tokenizer.size),
    heldOut: new BlockWriter(partPath(folder, 0, "held_out"), tokenizer.size),
  };
  const encoder = new SentenceEncoder(tokenizer, 0, writers, unknown, HELD_OUT);
  const sink = {
    sentence: (bytes: Uint8Array, from: number, to: number) => {
      report.sentence(bytes, from, to);
      encoder.sentence(bytes, from, to);
    },
    endDocument: () => {
      report.documents++;
      encoder.endDocument();
    },
  };
  for await (const document of documentsOf(corpus)) sinkDocument(document, sink);
  for (const writer of Object.values(writers)) {
    writer.flush();
    writer.close();
  }
  train.append(partPath(folder, 0, "train"), writers.train);
  heldOut.append(partPath(folder, 0, "held_out"), writers.heldOut);
}
