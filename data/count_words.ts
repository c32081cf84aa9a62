/** The words of a corpus, counted by several workers. Used by the commands that learn a vocabulary. */

import type { WordCounts, WordSource } from "../tokenizer/mod.ts";
import { planUnits } from "./corpus.ts";
import { CorpusReport } from "./corpus_report.ts";
import { type CorpusSource, documentsOf } from "./corpus_source.ts";
import { FilesWithText } from "./files_with_text.ts";
import { SentenceCounter } from "./sentence_counter.ts";
import { sinkDocument } from "./sentence_encoder.ts";
import { type OnProgress, runUnits } from "./worker_pool.ts";

/** How words are counted. */
export interface CountOptions {
  /** What a word is. */
  words: WordSource;
  /** Most workers. */
  threads: number;
  /** Told now and then how far it is. */
  onProgress?: OnProgress;
  /** Told of files without text among others. */
  onNote?: (text: string) => void;
}

/** What was counted. */
export interface CountedWords {
  /** Of each worker: to be merged. */
  words: WordCounts[];
  /** Characters of text, without line ends. */
  characters: number;
  report: CorpusReport;
}

/** Counts the words of a corpus. The sum of the counts does not depend on the number of workers. */
export async function countWords(source: CorpusSource, options: CountOptions): Promise<CountedWords> {
  const { words, threads, onProgress = () => {}, onNote } = options;
  const report = new CorpusReport();
  if (source === "practice") {
    const counter = new SentenceCounter(words);
    for await (const document of documentsOf(source)) sinkDocument(document, counter);
    return { words: [counter.words], characters: counter.characters, report };
  }
  const withText = new FilesWithText(onNote);
  const results = await runUnits({
    setup: { kind: "count", corpus: source.config, words },
    units: await planUnits(source.files, source.config),
    threads,
    onProgress,
    onResult: ({ documents }, unit) => withText.add(unit.file, documents),
  });
  withText.end();
  for (const result of results) report.merge(result.report);
  return {
    words: results.map(({ words }) => words!),
    characters: results.reduce((sum, { characters = 0 }) => sum + characters, 0),
    report,
  };
}
