/** The flags of `cloze finetune`. */

import { AS, DEVICE, dtypeFlag, THREADS } from "../../flags/engine_flags.ts";
import { choice, type CommandTable, number, type Options, text, toggle } from "../../flags/flag.ts";
import { PROBLEM_TYPES } from "../../../model/model_heads.ts";
import { TEXT_FLAGS } from "../../flags/text_flags.ts";
import { ALLOW_UNKNOWN, CHART, SEED } from "../../flags/training_flags.ts";

/** What `--task` may say, by the names that Hugging Face has for them. */
export const FINETUNE_TASKS = ["text-classification", "token-classification"] as const;

/** The command's table. */
export const TABLE = {
  name: "finetune",
  summary: "Trains a classifier of texts, or of words, on top of a pretrained model.",
  usage: "--model DIR --train FILE --valid FILE --output DIR [flags]",
  details:
    "Files are .tsv, .csv, .jsonl, .json or .parquet, also .gz and .zst of them, with a text and a label in each record: a class, several labels, or a number. " +
    "For token classification (entities, parts of speech) they are CoNLL files, a word and last its tag on a line and a " +
    'blank line between sentences, or records such as {"tokens": ["in", "Paris"], "tags": ["O", "B-LOC"]}. ' +
    "predict classifies with what comes out. Stopped or killed at any time, a run goes on when the same command is given " +
    "again, or with --resume.",
  flags: {
    model: text("DIR", "Pretrained model folder, made by cloze or by transformers."),
    as: AS,
    train: text("FILE", "Labeled text to train on."),
    valid: text("FILE", "Labeled text to measure on, none of it in --train."),
    output: text("DIR", "Folder for the classifier and its metrics."),
    task: choice(
      FINETUNE_TASKS,
      "What gets a class: each text, or each word of tagged sentences.",
      "token-classification for .conll, .bio, .iob and .iob2 files and records with tokens and tags, otherwise text-classification",
    ),
    ...TEXT_FLAGS,
    "label-column": text(
      "NAME",
      "Column (field) of the label, or of the tags; its number from 1 in a file without names. Of several values a text: a list, or the columns with commas between them.",
      "label; of tags: tags, ner_tags or labels",
    ),
    "pair-column": text(
      "NAME",
      "Column (field) of the second text, where records are pairs of texts: a question and its answer, two sentences.",
      "each record is one text",
    ),
    "problem-type": choice(
      PROBLEM_TYPES,
      "What the label of a text means: one class, any number of labels, or a value.",
      "any number where labels are lists, a value where all are numbers with fractions, otherwise one class",
    ),
    "label-separator": text(
      "TEXT",
      "What stands between the labels of a text that may have several; a list of a .jsonl file needs none.",
      ", where there may be several",
    ),
    "allow-unknown": ALLOW_UNKNOWN,
    probe: toggle("Leave the encoder as it is and train only pooler and classifier on top: how much it knows already."),
    "from-scratch": toggle("Start from random weights of the model's size, as a baseline."),
    epochs: number({ min: 0.001, max: 1e4 }, "Passes over the training file.", "3"),
    "batch-size": number({ min: 1, max: 4096, integer: true }, "Texts of an update.", "32"),
    "max-sequence-length": number(
      { min: 8, max: 4096, integer: true },
      "Longest text in tokens; the rest is cut off.",
      "128",
    ),
    "learning-rate": number(
      { min: 1e-9, max: 1e6 },
      "Learning rate at its peak.",
      "0.00005 to 0.001, by the model's size",
    ),
    seed: SEED,
    threads: THREADS,
    device: DEVICE,
    dtype: dtypeFlag("auto"),
    chart: CHART,
    resume: text("DIR", "Go on with the run in that folder; takes everything but --threads and --device from it."),
  },
  examples: [
    "cloze finetune --model runs/mine --train a.tsv --valid b.tsv --output runs/reviews",
    "cloze finetune --model runs/mine --train a.csv --valid b.csv --text-column body --output out",
    "cloze finetune --model runs/mine --train a.conll --valid b.conll --output runs/names",
    "cloze finetune --model runs/mine --train a.csv --valid b.csv --problem-type regression --output runs/scores",
    "cloze finetune --resume runs/reviews",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type FinetuneOptions = Options<typeof TABLE.flags>;
