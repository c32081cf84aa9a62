/**
 * What is done with the units of a corpus: encoding them into parts of shards, or counting their words. Runs in workers or,
 * for a small corpus, in the main thread; the results are the same. Used by `unit_worker.ts` and `worker_pool.ts`.
 */

import type { CorpusConfig } from "../config/batch_config.ts";
import {
  type Tokenizer,
  type TokenizerData,
  tokenizerFrom,
  type WordCounts,
  type WordSource,
} from "../tokenizer/mod.ts";
import { bytesRead } from "./bytes.ts";
import { decided, readUnit } from "./corpus.ts";
import type { Unit } from "./unit.ts";
import { CorpusReport, type ReportState } from "./corpus_report.ts";
import { knownPerLine } from "./document_breaks.ts";
import { SentenceCounter } from "./sentence_counter.ts";
import { SentenceEncoder } from "./sentence_encoder.ts";
import { BlockWriter, type ShardPart } from "./shard_writer.ts";
import { type SampleState, UnknownSample } from "./unknown_words.ts";

/** A job as plain data. */
export type JobSetup =
  | { kind: "encode"; corpus: CorpusConfig; tokenizer: TokenizerData; folder: string; held_out: number }
  | { kind: "count"; corpus: CorpusConfig; words: WordSource };

/** What comes of one unit. */
export interface UnitResult {
  documents: number;
  /** Of `count`: whether every line of the file is a document, if that was found out. */
  document_per_line?: boolean;
  /** Of `encode`: the parts, whose blocks are in `partPath`. */
  train?: ShardPart;
  heldOut?: ShardPart;
}

/** What a job has collected over all its units. */
export interface JobResult {
  report: ReportState;
  /** Of `encode`: what became `[UNK]`. */
  unknown?: SampleState;
  /** Of `count`. */
  words?: WordCounts;
  characters?: number;
}

/** Told how many bytes of a unit have been read. */
export type OnBytes = (bytes: number) => void;

/** A job in progress. */
export interface UnitJob {
  run(unit: Unit, number: number, onBytes: OnBytes): Promise<UnitResult>;
  finish(): JobResult;
}

/** Starts a job. */
export function startJob(setup: JobSetup): UnitJob {
  return setup.kind === "encode" ? new EncodeJob(setup) : new CountJob(setup);
}

/** Tells how far a unit has been read; one that has to be looked through first is read twice. */
function teller({ bytes, document_per_line }: Unit, passes: number, onBytes: OnBytes): () => void {
  const before = bytesRead(), times = document_per_line === undefined ? passes : 1;
  return () => onBytes(Math.min(bytes, (bytesRead() - before) / times));
}

/** Where the blocks of a unit's part are. */
export function partPath(folder: string, number: number, name: "train" | "held_out"): string {
  return `${folder}/${number}.${name}.part`;
}

class EncodeJob implements UnitJob {
  readonly #corpus: CorpusConfig;
  readonly #folder: string;
  /** Share of the documents. */
  readonly #heldOut: number;
  readonly #tokenizer: Tokenizer;
  readonly #report = new CorpusReport();
  readonly #unknown = new UnknownSample();

  constructor(setup: JobSetup & { kind: "encode" }) {
    this.#corpus = setup.corpus;
    this.#folder = setup.folder;
    this.#heldOut = setup.held_out;
    this.#tokenizer = tokenizerFrom(setup.tokenizer);
  }

  async run(unit: Unit, number: number, onBytes: OnBytes): Promise<UnitResult> {
    const tell = teller(unit, 2, onBytes);
    const { size } = this.#tokenizer;
    const writers = {
      train: new BlockWriter(partPath(this.#folder, number, "train"), size),
      heldOut: new BlockWriter(partPath(this.#folder, number, "held_out"), size),
    };
    const before = this.#report.documents;
    const encoder = new SentenceEncoder(this.#tokenizer, number, writers, this.#unknown, this.#heldOut);
    try {
      for await (const _ of readUnit(await decided(unit), this.#corpus, this.#report, encoder)) tell();
      writers.train.flush();
      writers.heldOut.flush();
    } finally {
      writers.train.close();
      writers.heldOut.close();
    }
    const part = ({ entries, counts }: BlockWriter) => ({ entries, counts });
    const documents = this.#report.documents - before;
    return { documents, train: part(writers.train), heldOut: part(writers.heldOut) };
  }

  finish(): JobResult {
    return { report: this.#report.state, unknown: this.#unknown.state };
  }
}

class CountJob implements UnitJob {
  readonly #corpus: CorpusConfig;
  readonly #counter: SentenceCounter;
  readonly #report = new CorpusReport();

  constructor(setup: JobSetup & { kind: "count" }) {
    this.#corpus = setup.corpus;
    this.#counter = new SentenceCounter(setup.words);
  }

  async run(unit: Unit, _number: number, onBytes: OnBytes): Promise<UnitResult> {
    const tell = teller(unit, 1, onBytes);
    const { documents } = this.#report;
    for await (const _ of readUnit(unit, this.#corpus, this.#report, this.#counter)) tell();
    const document_per_line = unit.document_per_line ?? knownPerLine(unit.file, unit.stamp, undefined);
    return {
      documents: this.#report.documents - documents,
      ...(document_per_line === undefined ? {} : { document_per_line }),
    };
  }

  finish(): JobResult {
    const { words, characters } = this.#counter;
    return { report: this.#report.state, words, characters };
  }
}
