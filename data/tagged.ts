/**
 * Sentences whose words are tagged, for token classification: CoNLL files, and records with lists of words and of tags. They
 * are small next to a corpus and are read whole. Used by the finetune and evaluate commands.
 */

import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { readBytes } from "./bytes.ts";
import { columnIn } from "./columns.ts";
import { CorpusReport } from "./corpus_report.ts";
import type { LabeledColumns } from "./labeled.ts";
import { readLines, SKIPPED, textLines } from "./lines.ts";
import { readRecords } from "./records.ts";
import { sourceKind } from "./sources.ts";

/** A sentence. */
export interface TaggedSentence {
  words: string[];
  /** One a word. */
  tags: string[];
  /** Its first line or its record, for messages. */
  place: string;
}

/** Fields of a record that hold the tags, unless one is named, the likeliest first. */
const TAGS = ["tags", "ner_tags", "labels"], WORDS = "tokens";

/**
 * Whether the first record of a file has lists of words and of tags, by the names of its fields.
 *
 * @throws {ClozeError} `io`, or what is wrong with its first record.
 */
export async function isTagged(file: string, config: CorpusConfig = CORPUS_DEFAULTS): Promise<boolean> {
  const { format } = sourceKind(file, config.format);
  if (format === "text" || format === "csv" || format === "tsv") return false;
  let found: readonly string[] = [];
  const columns = (names: readonly string[]) => {
    found = names;
    return [];
  };
  const options = { config, report: new CorpusReport(), columns, hint: "" };
  for await (const _ of readRecords({ file, format, from: 0, to: Infinity }, options)) break;
  return found.includes(WORDS) && TAGS.some((name) => found.includes(name));
}

/**
 * All sentences of a file.
 *
 * @param columns fields of the words and of the tags; by default `tokens`, and `tags`, `ner_tags` or `labels`.
 * @param report counts what was not valid UTF-8, and what was left out.
 * @throws {ClozeError} `input`, naming file and line of what is wrong; `io`.
 */
export async function readTagged(
  file: string,
  columns: LabeledColumns = {},
  config: CorpusConfig = CORPUS_DEFAULTS,
  report: CorpusReport = new CorpusReport(),
): Promise<TaggedSentence[]> {
  const { format } = sourceKind(file, config.format);
  if (format === "csv") {
    throw new ClozeError("input", `${file} is a .csv file, and words with tags are not read from one`, {
      hint: "give a CoNLL file (a word and its tag on a line, a blank line between sentences), or JSON Lines",
    });
  }
  const sentences = format === "text" || format === "tsv"
    ? await readConll(file, config, report)
    : await readTaggedRecords(file, format, columns, config, report);
  if (sentences.length === 0) throw new ClozeError("input", `${file} has no sentences in it`);
  return sentences;
}

/** CoNLL's format (Tjong Kim Sang and De Meulder, 2003): columns with white space between them, of which the first is the word and the last its tag. */
async function readConll(file: string, config: CorpusConfig, report: CorpusReport): Promise<TaggedSentence[]> {
  const { on_invalid } = config;
  const onInvalid = () => report.invalid++;
  const options = { file, on_invalid, onInvalid, linesBefore: () => Promise.resolve(0), atStart: true };
  const sentences: TaggedSentence[] = [];
  let sentence: TaggedSentence | undefined, width = 0, number = 0;
  for await (const block of readLines(readBytes(file, 0, Infinity), options)) {
    for (const line of textLines(block)) {
      number++;
      if (line === SKIPPED) continue;
      // Words may hold other white space than what stands between columns.
      const fields = line.split(/[ \t\r]+/).filter((field) => field !== "");
      if (fields.length === 0 || fields[0] === "-DOCSTART-") {
        sentence = undefined;
        continue;
      }
      width ||= fields.length;
      if (fields.length < 2 || fields.length !== width) {
        const expected = width < 2 ? "at least a word and its tag" : `${width}, as the first line has`;
        throw new ClozeError(
          "input",
          `${file}: line ${number} has ${fields.length} ${
            fields.length === 1 ? "column" : "columns"
          }; expected ${expected}`,
          { hint: "a line is a word, its tag in the last column; a blank line stands between sentences" },
        );
      }
      if (sentence === undefined) sentences.push(sentence = { words: [], tags: [], place: `line ${number}` });
      sentence.words.push(fields[0]);
      sentence.tags.push(fields[fields.length - 1]);
    }
  }
  return sentences;
}

async function readTaggedRecords(
  file: string,
  format: "jsonl" | "json" | "parquet",
  { text, label, trained = {} }: LabeledColumns,
  config: CorpusConfig,
  report: CorpusReport,
): Promise<TaggedSentence[]> {
  const sentences: TaggedSentence[] = [];
  let words = WORDS;
  const blocks = readRecords({ file, format, from: 0, to: Infinity }, {
    config,
    report,
    columns: (names) => {
      words = text ?? columnIn(names, trained.text) ?? WORDS;
      return [words, label ?? columnIn(names, trained.label) ?? TAGS.find((name) => names.includes(name)) ?? TAGS[0]];
    },
    hint: "--text-column and --label-column name the fields of the words and of their tags",
  });
  for await (const block of blocks) {
    for (const { values: [list, tags], place } of block) {
      const wrong = async (what: string) =>
        new ClozeError("input", `${file}: ${await place()}: ${what}`, {
          hint: 'a record is such as {"tokens": ["in", "Paris"], "tags": ["O", "B-LOC"]}',
        });
      if (!isList(list) || !list.every((word) => typeof word === "string")) {
        throw await wrong(`${words} is no list of words`);
      }
      if (!isList(tags) || !tags.every(isTag)) throw await wrong("the tags are no list of tags");
      if (list.length !== tags.length) throw await wrong(`${list.length} words, but ${tags.length} tags`);
      if (list.length === 0) continue;
      sentences.push({ words: list, tags: tags.map(String), place: await place() });
    }
  }
  return sentences;
}

const isList = (value: unknown): value is unknown[] => Array.isArray(value);

/** Numbers are names as well as texts. */
function isTag(value: unknown): value is string | number | bigint {
  return typeof value === "string" ? value.trim() !== "" : typeof value === "number" || typeof value === "bigint";
}
