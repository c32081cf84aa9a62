/** The flag tables of all commands. */

import { PRESETS } from "../../config/model_config.ts";
import { PRETRAINING_OBJECTIVES } from "../../config/model_heads.ts";
import { choice, type CommandTable, duration, number, text, texts, toggle } from "./flag.ts";

const PRESET_NAMES = Object.keys(PRESETS) as (keyof typeof PRESETS)[];
const SEED = number({ min: 0, max: Number.MAX_SAFE_INTEGER, integer: true }, "Seed of everything random.", "0");
const THREADS = number({ min: 1, max: 1024, integer: true }, "Threads of the engine. Changes no result.", "all cores");
const dtype = (standard: string) =>
  choice(
    ["auto", "f32", "bf16"],
    "What activations and products are in; auto is bf16 where the processor is made for it.",
    standard,
  );
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
    dtype: dtype("auto"),
    "save-every": number({ min: 1, max: 1e9, integer: true }, "Steps between checkpoints.", "a tenth of the run"),
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
  summary: "Fills the blanks in lines of text: [MASK], or three or more underscores.",
  usage: "[FILE…] [flags]",
  positional: "FILE",
  details: "Reads standard input, or files, line by line, and answers each line as it comes.",
  flags: {
    model: text("DIR", "Model folder, made by cloze or by transformers.", "the newest run"),
    "top-k": number({ min: 1, max: 1000, integer: true }, "Answers for each blank.", "5"),
    json: toggle("One JSON object a line: input, masks (token, id, probability), sequence."),
    threads: THREADS,
    engine: choice(
      ["fused", "candle"],
      "fused is fast; candle is the same model in plain candle, for checking.",
      "fused",
    ),
    dtype: dtype("f32"),
  },
  examples: [
    'echo "In autumn the [MASK] fall from the trees." | cloze predict',
    'echo "단순함을 얻기란 ____ 얻기보다 어렵다." | cloze predict --model runs/mine --top-k 3 --json',
    "cloze predict sentences.txt",
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
  summary: "Measures a model on text with fixed masks: loss, perplexity, accuracy with its interval.",
  usage: "--data PATH… [flags]",
  positional: "PATH",
  details: "",
  flags: {
    data: DATA,
    model: text("DIR", "Model folder, made by cloze or by transformers.", "the newest run"),
    "max-tokens": number({ min: 100, max: 1e9, integer: true }, "Most tokens to measure on.", "1000000"),
    "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
    json: toggle("One JSON object."),
    threads: THREADS,
    dtype: dtype("f32"),
  },
  examples: ["cloze evaluate --model runs/mine --data held-out.txt"],
} satisfies CommandTable;

/** All tables, in the order of the help. */
export const TABLES: readonly CommandTable[] = [PRETRAIN, PREDICT, EVALUATE, TRAIN_TOKENIZER, TOKENIZE];
