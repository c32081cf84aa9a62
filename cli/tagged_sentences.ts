/** Tagged sentences as finetune and evaluate take them: read, checked, and cut into sequences. */

import { ClozeError } from "../config/cloze_error.ts";
import { counted, grouped } from "../config/numbers.ts";
import { CorpusReport, readTagged, type TaggedSentence, type UnknownSample } from "../data/mod.ts";
import type { RecordedColumns } from "../run/finetune_record.ts";
import type { TaggedSequence } from "../tasks/token_classification.ts";
import {
  bothCounts,
  joinedWords,
  NO_WORDS,
  type Tokenizer,
  type UnknownCounts,
  unknownCounts,
  wordWindows,
} from "../tokenizer/mod.ts";
import { corpusConfig, noteFindings, textColumn, type TextValues } from "./corpus.ts";
import { resolve } from "./paths.ts";
import { note, warn } from "./terminal.ts";

/** Sentences of a file as sequences. */
export interface CutSentences {
  sequences: TaggedSequence[];
  /** Sentences of the file. */
  texts: number;
  /** Those with a word that is longer than a sequence, whose end was cut off. */
  cut_off: number;
  /** Words of all of them, and those that became `[UNK]`. */
  counts: UnknownCounts;
  /** Sentences that are longer than a sequence, and were divided. */
  divided: number;
  /** Words that are no piece of the vocabulary at all. */
  unseen: number;
}

/**
 * The sentences of a file; says what was wrong with it.
 *
 * @param recorded columns that the model was trained with; they are taken where the file has them and no flag names others.
 */
export async function readSentences(
  file: string,
  values: TextValues & { "label-column"?: string },
  recorded: RecordedColumns = {},
): Promise<TaggedSentence[]> {
  const text = textColumn(values), label = values["label-column"];
  const trained = { text: recorded["text-column"], label: recorded["label-column"] };
  const columns = { ...(text === undefined ? {} : { text }), ...(label === undefined ? {} : { label }), trained };
  const report = new CorpusReport();
  const sentences = await readTagged(resolve(file), columns, corpusConfig(values), report);
  noteFindings(report, file);
  return sentences;
}

/** @throws {ClozeError} `input` naming the place of a tag that is none of the classes. */
export function checkTags(
  sentences: readonly TaggedSentence[],
  file: string,
  labels: readonly string[],
  whose: string,
): void {
  const known = new Set(labels);
  for (const { tags, words, place } of sentences) {
    const at = tags.findIndex((tag) => !known.has(tag));
    if (at < 0) continue;
    const shown = [...labels.slice(0, 12), ...(labels.length > 12 ? ["…"] : [])].join(", ");
    throw new ClozeError(
      "input",
      `${file}: the sentence of ${place}: ${JSON.stringify(words[at])} has the tag ${JSON.stringify(tags[at])}, ` +
        `but ${whose} only ${shown}`,
    );
  }
}

/** Sentences with the numbers of their words' classes, divided where they are longer than a sequence. */
export function cutSentences(
  sentences: readonly TaggedSentence[],
  labels: readonly string[],
  tokenizer: Tokenizer,
  longest: number,
  sample: UnknownSample,
): CutSentences {
  const sequences: TaggedSequence[] = [], numbers = new Map(labels.map((label, id) => [label, id]));
  let counts = NO_WORDS, cut_off = 0, divided = 0, unseen = 0;
  sentences.forEach(({ words, tags }, sentence) => {
    const { text, places } = joinedWords(words);
    const { ids } = tokenizer.encode(text);
    sample.addText(text, ids, tokenizer);
    counts = bothCounts(counts, unknownCounts(ids, tokenizer));
    const cut = wordWindows(text, places, tokenizer, longest);
    for (const { ids, positions, words } of cut.windows) {
      sequences.push({ ids, positions, labels: words.map((word) => numbers.get(tags[word])!), sentence });
    }
    if (cut.windows.length > 1) divided++;
    if (cut.cut > 0) cut_off++;
    unseen += cut.unseen;
  });
  return { sequences, texts: sentences.length, cut_off, counts, divided, unseen };
}

/** Says what became of sentences that were not taken as they are. */
export function sayCut({ divided, unseen, texts }: CutSentences, file: string, longest: number): void {
  if (divided > 0) {
    note(
      `         ${grouped(divided)} of the ${counted(texts, "sentence")} of ${file} ${divided === 1 ? "is" : "are"} ` +
        `longer than ${grouped(longest)} tokens and read in parts`,
    );
  }
  if (unseen === 0) return;
  warn(
    `${counted(unseen, "word")} of ${file} ${
      unseen === 1 ? "is" : "are"
    } nothing to the tokenizer, which removes such ` +
      "characters: no tag is told of them, and they are not measured",
  );
}
