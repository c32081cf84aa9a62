/** Labeled text as a fine-tuning takes it: read, with its classes, and cut into sequences. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { regularFile } from "../../../config/regular_file.ts";
import type { FinetuneConfig } from "../../../config/run_config.ts";
import { CorpusReport, type LabeledText, readLabeled, type UnknownSample } from "../../../data/mod.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import { classifierDropout, classifierHeads } from "../../../model/model_heads.ts";
import { type ClassifiedSequence, SEQUENCE_CLASSIFICATION } from "../../../tasks/sequence_classification.ts";
import { surestMistakes } from "../../../tasks/surest_mistakes.ts";
import { bothCounts, encodeSequence, NO_WORDS } from "../../../tokenizer/mod.ts";
import { corpusConfig, noteFindings, textColumn } from "../../corpus.ts";
import { resolve } from "../../paths.ts";
import { counted } from "../../terminal.ts";
import type { FinetuneOptions } from "./flags.ts";
import type { CutFile, Kind } from "./kind.ts";
import { warnOfTexts } from "./text.ts";
import { sayData } from "./view.ts";

/** @throws {ClozeError} if what the flag names is not one file. */
export async function checkFile(flag: "train" | "valid", file: string): Promise<void> {
  const isFolder = await Deno.stat(resolve(file)).then((info) => info.isDirectory, () => false);
  if (isFolder) {
    throw new ClozeError("input", `--${flag} is the folder ${file}, but has to be one file of labeled text`, {
      hint: "give a .tsv, .csv, .jsonl, .json or .parquet file",
    });
  }
  regularFile(resolve(file));
}

/** The records of a file; says what was wrong with it. */
async function readRecords(file: string, values: FinetuneOptions): Promise<LabeledText[]> {
  const text = textColumn(values), label = values["label-column"], pair = values["pair-column"];
  const columns = {
    ...(text === undefined ? {} : { text }),
    ...(label === undefined ? {} : { label }),
    ...(pair === undefined ? {} : { pair }),
  };
  const report = new CorpusReport();
  const records = await readLabeled(resolve(file), columns, corpusConfig(values), report);
  noteFindings(report, file);
  return records;
}

/** The classes: those of a classifier that is trained further, or those of the training file. */
function labelsOf(
  data: { train: LabeledText[]; valid: LabeledText[] },
  folder: ModelFolder,
  values: FinetuneOptions,
): string[] {
  const found = [...new Set(data.train.map(({ label }) => label))].sort(byNumber);
  if (found.length < 2) {
    throw new ClozeError("input", `${values.train} has one class only, ${JSON.stringify(found[0])}`, {
      hint: "a classifier needs at least two; --label-column says where they are",
    });
  }
  if (found.length > Math.max(100, data.train.length / 10)) {
    throw new ClozeError(
      "input",
      `${values.train} has ${found.length} classes in ${counted(data.train.length, "record")}`,
      {
        hint: "--label-column says where the classes are",
      },
    );
  }
  const { classifier, token_classifier } = folder.heads;
  if (token_classifier !== null) {
    throw new ClozeError("input", `${folder.path} classifies tokens, and the files have a class for each text`, {
      hint: "fine-tune the pretrained model that it was made from",
    });
  }
  if (classifier !== null && classifier.problem_type !== "single_label_classification") {
    const what = classifier.problem_type === "regression" ? "gives values" : "gives a text any number of labels";
    throw new ClozeError("input", `${folder.path} ${what}, and finetune trains one class a text`, {
      hint: "fine-tune the pretrained model that it was made from",
    });
  }
  const labels = classifier?.labels ?? found;
  for (const [name, records] of Object.entries(data)) {
    const other = records.find(({ label }) => !labels.includes(label));
    if (other === undefined) continue;
    const where = name === "train" ? values.train : values.valid;
    const whose = labels === found ? `${values.train} has` : `${folder.path} has`;
    throw new ClozeError(
      "input",
      `${where} has the class ${JSON.stringify(other.label)}, but ${whose} only ` +
        labels.map((label) => JSON.stringify(label)).join(", "),
    );
  }
  return labels;
}

/** Whole numbers by value, everything else by its characters. */
function byNumber(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) || difference === 0 ? (a < b ? -1 : 1) : difference;
}

/** Texts with the number of their class, cut to the length that the run has. */
function cut(
  records: readonly LabeledText[],
  labels: readonly string[],
  { tokenizer, config: { type_vocab_size } }: ModelFolder,
  { max_sequence_length }: FinetuneConfig,
  sample: UnknownSample,
): CutFile<ClassifiedSequence> {
  let counts = NO_WORDS, cut_off = 0;
  const sequences = records.map((record) => {
    const { ids, type_ids, ...found } = encodeSequence(tokenizer, record, max_sequence_length, type_vocab_size);
    for (const text of [record.text, record.pair]) {
      if (found.counts.unknown > 0 && text !== undefined) sample.addText(text, [tokenizer.special.unk], tokenizer);
    }
    counts = bothCounts(counts, found.counts);
    if (found.truncated) cut_off++;
    return { ids, ...(type_ids === undefined ? {} : { type_ids }), label: labels.indexOf(record.label) };
  });
  return { sequences, texts: records.length, cut_off, counts };
}

/** A text gets one of several classes. */
export const TEXTS: Kind<LabeledText, ClassifiedSequence> = {
  task: SEQUENCE_CLASSIFICATION,
  unit: "text",
  parts: ["pooler", "classifier"],
  read: readRecords,
  labels: labelsOf,
  heads: (labels, { config, heads: { is_decoder } }) =>
    classifierHeads(
      { labels, classifier_dropout: classifierDropout(config), problem_type: "single_label_classification" },
      is_decoder,
    ),
  cut,
  say(data, { train, valid }, labels, names) {
    sayData(counted(train.texts, data.train[0].pair === undefined ? "text" : "pair"), valid.texts, labels);
    warnOfTexts(data, labels, names);
  },
  mistakes: surestMistakes,
  isTrainedFurther: ({ classifier }) => classifier !== null,
};
