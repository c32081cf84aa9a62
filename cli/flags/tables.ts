/** The flag tables of all commands. */

import { PRESETS } from "../../config/model_config.ts";
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

const COMPAT = choice(
  ["huggingface", "google"],
  "Whose rules apply where the two differ: google follows its tokenization.py, composes nothing, and lets words have 200 characters.",
  "huggingface",
);

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
  details: "Says how well the vocabulary fits the text: tokens a word, words that became [UNK], and how much of each " +
    "script is kept.",
  flags: {
    data: DATA,
    output: text("DIR", "Folder for tokenizer.json, vocab.txt and their configuration."),
    "vocab-size": VOCAB_SIZE,
    "min-frequency": number({ min: 1, max: 1e9, integer: true }, "Pairs that are rarer are not merged.", "2"),
    "limit-alphabet": number(
      { min: 1, max: 1_114_112, integer: true },
      "Most characters that are tokens of their own. Korean text has some 2,500.",
      "6000",
    ),
    "pad-to-multiple": number(
      { min: 1, max: 65536, integer: true },
      "Fill the vocabulary up to a multiple of N with [unused0], [unused1], …, which are never predicted.",
      "1",
    ),
    lowercase: LOWERCASE,
    compat: COMPAT,
  },
  examples: [
    "cloze train-tokenizer --data corpus/ --output tokenizer --vocab-size 16000",
    "cloze train-tokenizer --data corpus/ --output tokenizer --vocab-size 30000 --pad-to-multiple 64",
  ],
} satisfies CommandTable;

/** Flags of `cloze tokenize`. */
export const TOKENIZE = {
  name: "tokenize",
  summary: "Shows how lines of text are cut into tokens.",
  usage: "--model DIR [flags]",
  details:
    "Reads standard input and writes one line for each of its lines. Special tokens in the text, such as [MASK], " +
    "are special.",
  flags: {
    model: text("PATH", "A model folder, tokenizer.json or vocab.txt.", "the newest run"),
    ids: toggle("Ids instead of tokens."),
    json: toggle("One JSON object a line: tokens, ids, offsets, words."),
    decode: toggle("The other way round: lines of ids in, text out."),
    compat: choice(
      ["huggingface", "google"],
      "Follow Google's tokenization.py, or Hugging Face's tokenizers, whatever the tokenizer says.",
      "as the tokenizer was made",
    ),
  },
  examples: [
    'echo "단순함을 얻기" | cloze tokenize --model runs/mine',
    'echo "단순함을 얻기" | cloze tokenize --model runs/mine --ids | cloze tokenize --model runs/mine --decode',
  ],
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
  },
  examples: ["cloze evaluate --model runs/mine --data held-out.txt"],
} satisfies CommandTable;

/** Flags of `cloze extend-vocab`. */
export const EXTEND_VOCAB = {
  name: "extend-vocab",
  summary: "Adds tokens to a trained model, each beginning as the mean of the pieces it was made of.",
  usage: "--model DIR --output DIR [--data PATH…] [--tokens FILE] [flags]",
  positional: "PATH",
  details:
    "The new tokens are the lines of --tokens, or those that --data most needs: it is split into the model's own " +
    "tokens, and the most frequent pairs of neighbours become tokens. The model itself is left as it is.",
  flags: {
    model: text("DIR", "Model folder, made by cloze or by transformers."),
    output: text("DIR", "Folder for the larger model. It must not be there yet, or be empty."),
    data: DATA,
    tokens: text("FILE", "New tokens, one a line; ## begins one that stands inside words."),
    add: number({ min: 1, max: 1_000_000, integer: true }, "Most tokens to learn from --data.", "1000"),
    "min-frequency": number({ min: 1, max: 1e9, integer: true }, "Pairs that are rarer are not merged.", "2"),
  },
  examples: [
    "cloze extend-vocab --model runs/mine --output runs/larger --data new-domain/ --add 500",
    "cloze extend-vocab --model runs/mine --output runs/larger --tokens words.txt",
  ],
} satisfies CommandTable;

/** All tables, in the order of the help. */
export const TABLES: readonly CommandTable[] = [PRETRAIN, PREDICT, EVALUATE, TRAIN_TOKENIZER, EXTEND_VOCAB, TOKENIZE];
