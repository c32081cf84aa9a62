/** The flag tables of all commands. */

import { PRESETS } from "../../config/model_config.ts";
import { PRETRAINING_OBJECTIVES } from "../../config/model_heads.ts";
import { choice, type CommandTable, duration, number, text, texts, toggle } from "./flag.ts";

const PRESET_NAMES = Object.keys(PRESETS) as (keyof typeof PRESETS)[];
const SEED = number({ min: 0, max: Number.MAX_SAFE_INTEGER, integer: true }, "Seed of everything random.", "0");
const THREADS = number({ min: 1, max: 1024, integer: true }, "Threads of the engine. Changes no result.", "all cores");
const VOCAB_SIZE = number(
  { min: 32, max: 1_000_000, integer: true },
  "Tokens in a vocabulary that is learned from the data.",
  "by the size of the text, at most 16000",
);
const DATA = texts(
  "PATH",
  "Text: .txt and .txt.gz files, folders, globs. May be repeated, and further paths may follow.",
);
const LOWERCASE = toggle("Lowercase the text. Accents and Korean stay as they are.");

/** Flags of `cloze pretrain`. */
export const PRETRAIN = {
  name: "pretrain",
  summary: "Trains a masked language model on your text, from tokenizer to checkpoints.",
  usage: "[--data PATH… --output DIR] [flags]",
  positional: "PATH",
  details: "Without --data it trains on the embedded practice corpus, which is for trying cloze out. " +
    "One of --steps, --epochs and --budget says how long; the learning rate schedule ends with it.",
  flags: {
    data: DATA,
    output: text("DIR", "Folder of the run: the model, its metrics and checkpoints.", "runs/<date and time>"),
    tokenizer: text("PATH", "Use this tokenizer (a model folder, tokenizer.json or vocab.txt) and learn none."),
    "vocab-size": VOCAB_SIZE,
    lowercase: LOWERCASE,
    objective: choice(
      PRETRAINING_OBJECTIVES,
      "mlm fills blanks; mlm+nsp also tells whether two segments follow each other; clm predicts the next token, left to right.",
      "mlm",
    ),
    preset: choice(PRESET_NAMES, "Size of the model.", "tiny"),
    config: text("FILE", "A Hugging Face config.json instead of a preset."),
    steps: number({ min: 1, max: 1e9, integer: true }, "Number of updates."),
    epochs: number({ min: 0.001, max: 1e6 }, "Passes over the text.", "1, if no other is given"),
    budget: duration("Wall clock for the whole training, with evaluation and saving: 90s, 30m, 2h."),
    "batch-tokens": number({ min: 64, max: 1 << 24, integer: true }, "Tokens of an update.", "by preset"),
    "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
    "learning-rate": number({ min: 1e-9, max: 1e6 }, "Learning rate at its peak.", "by preset"),
    seed: SEED,
    threads: THREADS,
    engine: choice(
      ["fused", "candle"],
      "fused is fast; candle is the same model in plain candle, for checking.",
      "fused",
    ),
    "save-every": number({ min: 1, max: 1e9, integer: true }, "Steps between checkpoints.", "a tenth of the run"),
    "keep-checkpoints": number({ min: 1, max: 1e6, integer: true }, "Newest checkpoints that are kept.", "2"),
    "evaluate-every": number({ min: 1, max: 1e9, integer: true }, "Steps between evaluations.", "a tenth of the run"),
    resume: text("DIR", "Go on with a run that was stopped; takes everything but --threads from it."),
  },
  examples: [
    "cloze pretrain",
    "cloze pretrain --data corpus/ --output runs/mine --preset mini --budget 30m",
    "cloze pretrain --data 'news/*.txt.gz' --tokenizer vocab.txt --output runs/news --epochs 3",
    "cloze pretrain --resume runs/mine",
  ],
} satisfies CommandTable;

/** Flags of `cloze predict`. */
export const PREDICT = {
  name: "predict",
  summary:
    "Fills the blanks in lines of text: [MASK], or three or more underscores. With a fine-tuned model, classifies them.",
  usage: "[FILE…] [flags]",
  positional: "FILE",
  details: "Reads standard input, or files, line by line, and answers each line as it comes.",
  flags: {
    model: text("DIR", "Model folder, made by cloze or by transformers.", "the newest run"),
    "top-k": number({ min: 1, max: 1000, integer: true }, "Answers for each blank, or classes for each line.", "5"),
    json: toggle(
      "One JSON object a line: input, masks (token, id, probability), sequence; or input, labels, truncated.",
    ),
    threads: THREADS,
    engine: choice(
      ["fused", "candle"],
      "fused is fast; candle is the same model in plain candle, for checking.",
      "fused",
    ),
  },
  examples: [
    'echo "In autumn the [MASK] fall from the trees." | cloze predict',
    'echo "단순함을 얻기란 ____ 얻기보다 어렵다." | cloze predict --model runs/mine --top-k 3 --json',
    "cloze predict sentences.txt",
  ],
} satisfies CommandTable;

/** Flags of `cloze finetune`. */
export const FINETUNE = {
  name: "finetune",
  summary: "Trains a classifier of texts on top of a pretrained model.",
  usage: "--model DIR --train FILE --valid FILE --output DIR [flags]",
  details:
    "Files are .tsv, .csv or .jsonl, also gzipped, with a text and a label in each record. predict classifies with " +
    "what comes out.",
  flags: {
    model: text("DIR", "Pretrained model folder, made by cloze or by transformers."),
    train: text("FILE", "Labeled text to train on."),
    valid: text("FILE", "Labeled text to measure on, none of it in --train."),
    output: text("DIR", "Folder for the classifier and its metrics."),
    "text-column": text("NAME", "Column (field) of the text; its number from 1 in a file without names.", "text"),
    "label-column": text("NAME", "Column (field) of the label; its number from 1 in a file without names.", "label"),
    probe: toggle("Leave the encoder as it is and train only pooler and classifier on top: how much it knows already."),
    "from-scratch": toggle("Start from random weights of the model's size, as a baseline."),
    epochs: number({ min: 0.001, max: 1e4 }, "Passes over the training file.", "3"),
    "batch-size": number({ min: 1, max: 4096, integer: true }, "Texts of an update.", "32"),
    "max-sequence-length": number(
      { min: 8, max: 4096, integer: true },
      "Longest text in tokens; the rest is cut off.",
      "128",
    ),
    "learning-rate": number({ min: 1e-9, max: 1e6 }, "Learning rate at its peak.", "0.0001, with --probe 0.001"),
    seed: SEED,
    threads: THREADS,
  },
  examples: [
    "cloze finetune --model runs/mine --train reviews.train.tsv --valid reviews.valid.tsv --output runs/reviews",
    "cloze finetune --model runs/mine --train a.csv --valid b.csv --text-column body --output runs/probe --probe",
  ],
} satisfies CommandTable;

/** Flags of `cloze train-tokenizer`. */
export const TRAIN_TOKENIZER = {
  name: "train-tokenizer",
  summary: "Learns a WordPiece vocabulary from text, the same one each time.",
  usage: "--data PATH… --output DIR [flags]",
  positional: "PATH",
  details: "",
  flags: {
    data: DATA,
    output: text("DIR", "Folder for tokenizer.json, vocab.txt and their configuration."),
    "vocab-size": VOCAB_SIZE,
    "min-frequency": number({ min: 1, max: 1e9, integer: true }, "Pairs that are rarer are not merged.", "2"),
    lowercase: LOWERCASE,
  },
  examples: ["cloze train-tokenizer --data corpus/ --output tokenizer --vocab-size 16000"],
} satisfies CommandTable;

/** Flags of `cloze tokenize`. */
export const TOKENIZE = {
  name: "tokenize",
  summary: "Shows how lines of text are cut into tokens.",
  usage: "--model DIR [flags]",
  details: "Reads standard input and writes one line for each of its lines.",
  flags: {
    model: text("PATH", "A model folder, tokenizer.json or vocab.txt.", "the newest run"),
    ids: toggle("Ids instead of tokens."),
    json: toggle("One JSON object a line: tokens, ids, offsets, words."),
  },
  examples: ['echo "단순함을 얻기" | cloze tokenize --model runs/mine'],
} satisfies CommandTable;

/** Flags of `cloze evaluate`. */
export const EVALUATE = {
  name: "evaluate",
  summary:
    "Measures a model on text with fixed masks: loss, perplexity, accuracy with its interval, by script and word " +
    "frequency, next to what guessing by frequency achieves.",
  usage: "--data PATH… [flags]",
  positional: "PATH",
  details:
    "With --sentences it scores each line instead, from files or standard input: the pseudo-log-likelihood (Salazar " +
    "et al., 2020), or the log-likelihood of a left-to-right model, in nats.",
  flags: {
    data: DATA,
    model: text("DIR", "Model folder, made by cloze or by transformers.", "the newest run"),
    "max-tokens": number({ min: 100, max: 1e9, integer: true }, "Most tokens to measure on.", "1000000"),
    "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
    sentences: toggle("Score each line: score, tokens, the line."),
    json: toggle("One JSON object; with --sentences one a line."),
    threads: THREADS,
  },
  examples: [
    "cloze evaluate --model runs/mine --data held-out.txt",
    "echo '낙엽이 떨어진다.' | cloze evaluate --model runs/mine --sentences",
  ],
} satisfies CommandTable;

/** All tables, in the order of the help. */
export const TABLES: readonly CommandTable[] = [PRETRAIN, PREDICT, EVALUATE, FINETUNE, TRAIN_TOKENIZER, TOKENIZE];
