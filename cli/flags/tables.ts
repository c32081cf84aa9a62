/** The flag tables of all commands. Long because they share flags, and people look for all of them in one place. */

import { BATCHING, DOCUMENTS, FORMATS, MASK_COUNTS, MASKING, ON_INVALID, QUOTING } from "../../config/batch_config.ts";
import { PRESETS } from "../../config/model_config.ts";
import { PRE_TOKENIZERS } from "../../tokenizer/pre_tokenizer.ts";
import { PRETRAINING_OBJECTIVES } from "../../config/objective.ts";
import { choice, type CommandTable, duration, number, separator, shares, text, texts, toggle, words } from "./flag.ts";

const PRESET_NAMES = Object.keys(PRESETS) as (keyof typeof PRESETS)[];
const SEED = number({ min: 0, max: Number.MAX_SAFE_INTEGER, integer: true }, "Seed of everything random.", "0");
const THREADS = number(
  { min: 1, max: 1024, integer: true },
  "Threads of the engine, and workers that read text. Changes no result.",
  "all cores",
);
const dtype = (standard: string) =>
  choice(
    ["auto", "f32", "bf16"],
    "What activations and products are in; auto is bf16 where the processor is made for it.",
    standard,
  );
const DEVICE = choice(
  ["cpu", "cuda", "auto"],
  "Where the engine runs: cuda is an NVIDIA GPU, auto takes it where there is one. See cloze doctor.",
  "cpu",
);
const VOCAB_SIZE = number(
  { min: 32, max: 1_000_000, integer: true },
  "Tokens in a vocabulary that is learned from the data.",
  "by the size of the text, at most 16000, more where its characters need it",
);

/** How text is read: flags of every command that reads files of it. */
export const TEXT_FLAGS = {
  "text-column": text(
    "NAME",
    "Column of a table, or field of a JSON record, that holds the text: a name, a.b for what is inside of another, " +
      "title,body for several that become lines of one text, or a number from 1 where a table's first line has no " +
      "names. A column with the comma or the dot in its name goes first.",
    "text",
  ),
  "text-field": text("NAME", "Another name for --text-column."),
  format: choice(FORMATS, "What files are whose names do not tell, and standard input.", "text"),
  delimiter: separator("What separates fields of .csv and .tsv.", "what the first line has, of the four named"),
  quoting: choice(
    QUOTING,
    "Whether a quote that begins a field of .csv or .tsv opens it, as in Python's csv, or quotes are only text.",
    "minimal; none for a .tsv where they can only be text",
  ),
  "on-invalid": choice(
    ON_INVALID,
    "What is not UTF-8: replace the bad bytes, skip the line or record, or fail. skip also leaves out lines of a table " +
      "with too many fields or too few.",
    "fail",
  ),
};

/** Flags of every command that reads a corpus. */
export const CORPUS_FLAGS = {
  data: texts(
    "PATH",
    "Text: .txt, .jsonl, .json, .csv, .tsv and .parquet files, also .gz and .zst of them, folders, globs, or - for " +
      "standard input. May be repeated, and further paths may follow. Of a folder, hidden files and those of a model " +
      "are left out.",
  ),
  exclude: texts(
    "GLOB",
    "Leave files and folders out: by name, or where it has a slash by the path below the folder given. May be repeated.",
  ),
  ...TEXT_FLAGS,
  documents: choice(
    DOCUMENTS,
    "What a document is in plain text: a line, or what stands between blank lines.",
    "blank-lines for a file that has any between its lines, lines for others",
  ),
};

/** How text becomes masked batches: flags of `pretrain` and `inspect`. */
export const BATCH_FLAGS = {
  "batch-tokens": number({ min: 64, max: 1 << 24, integer: true }, "Tokens of an update.", "by preset"),
  "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
  "full-sentences": toggle("Sequences go on in the next document, after a [SEP], until they are full."),
  "short-seq-prob": number(
    { min: 0, max: 1 },
    "Of sentence pairs: share of the documents that give short ones.",
    "0.1",
  ),
  batching: choice(BATCHING, "Batches packed full, or bucketed: of like lengths, for padding elsewhere.", "packed"),
  "mlm-probability": number({ min: 0, max: 1 }, "Share of the tokens that are chosen to be predicted.", "0.15"),
  masking: choice(
    MASKING,
    "What is chosen as one: a token, a word, an eojeol (all between white space), a span of words.",
    "token",
  ),
  "mask-count": choice(
    MASK_COUNTS,
    "Each with the same chance, or exactly the share of every sequence; spans are exact.",
    "bernoulli",
  ),
  "mask-shares": shares("M/R/K", "Of the chosen tokens: percent masked, replaced at random, kept.", "80/10/10"),
  "static-masking": toggle("The same masks in every epoch."),
};
const ALLOW_UNKNOWN = toggle(
  "Go on where more than 20% of the words are none that the vocabulary can write ([UNK]).",
);
const LOWERCASE = toggle("Lowercase the text. Accents and Korean stay as they are.");

const COMPAT = choice(
  ["huggingface", "google"],
  "Whose rules apply where the two differ: google follows its tokenization.py, composes nothing, and lets words have 200 characters.",
  "huggingface",
);

const SPECIAL_TOKEN = texts(
  "TOKEN",
  "A special token of your own, such as [URL]: one id, whole wherever it stands, no part of a word. May be repeated.",
);

const PRE_TOKENIZER = choice(
  PRE_TOKENIZERS,
  "What a word is: bert separates white space and punctuation, whitespace white space alone; with characters every " +
    "character is a word, for letters of proteins or DNA.",
  "bert",
);

/** How often a run pauses unless told. */
const EVERY_TENTH = "a tenth of the run, more where pauses would take over 10% of a --budget";
const SAVES = `${EVERY_TENTH}; soon after the beginning and every three minutes in any case`;

/** Flags of `cloze pretrain`. */
export const PRETRAIN = {
  name: "pretrain",
  summary: "Trains a masked language model on your text, from tokenizer to checkpoints.",
  usage: "[--data PATH… --output DIR] [flags]",
  positional: "PATH",
  details: "Without --data it trains on the embedded practice corpus, which is for trying cloze out. " +
    "One of --steps, --epochs and --budget says how long; the learning rate schedule ends with it. Stopped or killed at " +
    "any time, a run goes on when the same command is given again, or with --resume; with --resume, --steps, --epochs " +
    "or --budget make it longer (docs/runs.md).",
  flags: {
    ...CORPUS_FLAGS,
    valid: texts(
      "PATH",
      "Text to measure on, none of it in --data, in the same formats. Without it 2% of the documents of --data are held " +
        "out. May be repeated.",
    ),
    output: text("DIR", "Folder of the run: the model, its metrics and checkpoints.", "runs/<date and time>"),
    tokenizer: text("PATH", "Use this tokenizer (a model folder, tokenizer.json or vocab.txt) and learn none."),
    "vocab-size": VOCAB_SIZE,
    lowercase: LOWERCASE,
    "pre-tokenizer": PRE_TOKENIZER,
    "special-token": SPECIAL_TOKEN,
    "allow-unknown": ALLOW_UNKNOWN,
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
    ...BATCH_FLAGS,
    "learning-rate": number({ min: 1e-9, max: 1e6 }, "Learning rate at its peak.", "by preset"),
    seed: SEED,
    threads: THREADS,
    device: DEVICE,
    engine: choice(
      ["fused", "candle"],
      "fused is fast; candle is the same model in plain candle, for checking.",
      "fused",
    ),
    dtype: dtype("auto"),
    "save-every": number(
      { min: 1, max: 1e9, integer: true },
      "Steps between checkpoints.",
      SAVES,
    ),
    "keep-checkpoints": number({ min: 1, max: 1e6, integer: true }, "Newest checkpoints that are kept.", "2"),
    "evaluate-every": number(
      { min: 1, max: 1e9, integer: true },
      "Steps between evaluations.",
      EVERY_TENTH,
    ),
    chart: toggle("Draw the loss while it trains, on a terminal."),
    resume: text(
      "DIR",
      "Go on with the run in that folder, which has everything but --threads, --device and what is saved when. --steps, " +
        "--epochs or --budget, of the whole run, make it longer.",
    ),
  },
  examples: [
    "cloze pretrain",
    "cloze pretrain --data corpus/ --output runs/mine --preset mini --budget 30m",
    "cloze pretrain --data 'news/*.jsonl.zst' --text-column title,body --output runs/news --epochs 3",
    "cloze pretrain --resume runs/mine",
    "cloze pretrain --resume runs/mine --budget 2h",
  ],
} satisfies CommandTable;

/** Flags of `cloze predict`. */
export const PREDICT = {
  name: "predict",
  summary:
    "Fills the blanks in lines of text: [MASK], or three or more underscores. With a fine-tuned model, classifies them.",
  usage: "[FILE…] [flags]",
  positional: "FILE",
  details:
    "Reads standard input, or files, line by line, and answers each line as it comes. Control characters, and those that " +
    "turn the direction of text, are written as escapes (\\x1b, \\u202e); with --json nothing of the text is lost. Of a " +
    "multi-label classifier each label's probability is its own, and they do not add up to 100%.",
  flags: {
    model: text("DIR", "Model folder, made by cloze or by transformers.", "the newest run"),
    "top-k": number(
      { min: 1, max: 1000, integer: true },
      "Answers for each blank; of a classifier, classes for each line, most probable first.",
      "5 answers; 1 class, all with --json or of a multi-label classifier",
    ),
    targets: words("WORD,…", "Answers to choose from, instead of the whole vocabulary; all are shown, best first."),
    ...TEXT_FLAGS,
    json: toggle(
      "One JSON object a line: input, masks (token, id, probability), sequence, truncated, unknown (words that became [UNK]); or input, labels, truncated, unknown.",
    ),
    threads: THREADS,
    device: DEVICE,
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
    'echo "The soup is ____." | cloze predict --targets hot,cold',
    "cloze predict sentences.txt",
  ],
} satisfies CommandTable;

/** Flags of `cloze finetune`. */
export const FINETUNE = {
  name: "finetune",
  summary: "Trains a classifier of texts on top of a pretrained model.",
  usage: "--model DIR --train FILE --valid FILE --output DIR [flags]",
  details:
    "Files are .tsv, .csv, .jsonl, .json or .parquet, also .gz and .zst of them, with a text and a label in each record. " +
    "predict classifies with what comes out. Stopped or killed at any time, a run goes on when the same command is given " +
    "again, or with --resume.",
  flags: {
    model: text("DIR", "Pretrained model folder, made by cloze or by transformers."),
    train: text("FILE", "Labeled text to train on."),
    valid: text("FILE", "Labeled text to measure on, none of it in --train."),
    output: text("DIR", "Folder for the classifier and its metrics."),
    ...TEXT_FLAGS,
    "label-column": text("NAME", "Column (field) of the label; its number from 1 in a file without names.", "label"),
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
    dtype: dtype("auto"),
    chart: toggle("Draw the loss while it trains, on a terminal."),
    resume: text("DIR", "Go on with the run in that folder; takes everything but --threads and --device from it."),
  },
  examples: [
    "cloze finetune --model runs/mine --train a.tsv --valid b.tsv --output runs/reviews",
    "cloze finetune --model runs/mine --train a.csv --valid b.csv --text-column body --output out",
    "cloze finetune --resume runs/reviews",
  ],
} satisfies CommandTable;

/** Flags of `cloze reproduce`. */
export const REPRODUCE = {
  name: "reproduce",
  summary: "Checks a claim about masked language models on your own text, with a verdict.",
  usage: "EXPERIMENT --data PATH… --train FILE --valid FILE [flags]",
  positional: "EXPERIMENT",
  details:
    "EXPERIMENT is convergence, masking, mask-rate, nsp or dynamic. Pretrains each condition with several seeds for the same number of steps, fine-tunes the models on labeled " +
    "text, and says whether the differences support the claim. Stopped, it goes on where it was when called again.",
  flags: {
    ...CORPUS_FLAGS,
    train: text("FILE", "Labeled text to fine-tune on: .tsv, .csv, .jsonl, .json or .parquet."),
    valid: text("FILE", "Labeled text to measure on, none of it in --train."),
    "label-column": text("NAME", "Column (field) of the label in --train and --valid.", "label"),
    output: text("DIR", "Folder of the experiment.", "runs/<experiment>"),
    seeds: number({ min: 2, max: 100, integer: true }, "Repetitions of every condition.", "3"),
    steps: number({ min: 16, max: 1e9, integer: true }, "Pretraining updates of each run."),
    budget: duration("Wall clock for the whole experiment, from which --steps is worked out: 30m, 2h."),
    preset: choice(PRESET_NAMES, "Size of the model.", "tiny"),
    "vocab-size": VOCAB_SIZE,
    "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
    threads: THREADS,
    device: DEVICE,
    dtype: dtype("auto"),
    "allow-unknown": ALLOW_UNKNOWN,
    json: toggle("One JSON object instead of a table."),
  },
  examples: [
    "cloze reproduce convergence --data corpus/ --train a.tsv --valid b.tsv --budget 2h",
  ],
} satisfies CommandTable;

/** Flags of `cloze bench`. */
export const BENCH = {
  name: "bench",
  summary: "Measures this machine: what to expect before a long run is started.",
  usage: "[--data PATH…] [flags]",
  positional: "PATH",
  details:
    "Times matrix products and whole training steps of every preset. With --data it tells how long a pass over " +
    "that text takes, with --budget also how many passes fit into it.",
  flags: {
    ...CORPUS_FLAGS,
    budget: duration("Wall clock that you have: 30m, 8h."),
    preset: choice(PRESET_NAMES, "One size of model instead of all."),
    dtype: choice(["f32", "bf16"], "One precision instead of both."),
    "vocab-size": VOCAB_SIZE,
    "max-sequence-length": number({ min: 8, max: 512, integer: true }, "Length of the sequences in tokens.", "128"),
    profile: toggle("Also where the time of a step goes, by operation; on a GPU by kernel."),
    threads: THREADS,
    device: DEVICE,
    json: toggle("One JSON object."),
  },
  examples: ["cloze bench", "cloze bench --data corpus/ --budget 8h", "cloze bench --preset mini --profile"],
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
    ...CORPUS_FLAGS,
    output: text("DIR", "Folder for tokenizer.json, vocab.txt and their configuration."),
    "vocab-size": VOCAB_SIZE,
    "min-frequency": number({ min: 1, max: 1e9, integer: true }, "Pairs that are rarer are not merged.", "2"),
    "limit-alphabet": number(
      { min: 1, max: 1_114_112, integer: true },
      "Most characters that are tokens of their own; the rarest go. Korean text has some 2,500.",
      "all up to 6000, and of more as many as leave one word in 100,000 [UNK]",
    ),
    "pad-to-multiple": number(
      { min: 1, max: 65536, integer: true },
      "Fill the vocabulary up to a multiple of N with [unused0], [unused1], …, which are never predicted.",
      "1",
    ),
    lowercase: LOWERCASE,
    "pre-tokenizer": PRE_TOKENIZER,
    "special-token": SPECIAL_TOKEN,
    force: toggle("Replace another tokenizer that is in the folder."),
    threads: THREADS,
    compat: COMPAT,
  },
  examples: [
    "cloze train-tokenizer --data corpus/ --output tokenizer --vocab-size 16000",
    "cloze train-tokenizer --data corpus/ --output tokenizer --vocab-size 30000 --pad-to-multiple 64",
    "cloze train-tokenizer --data proteins.txt --output tokenizer --pre-tokenizer characters",
    "cloze train-tokenizer --data corpus/ --output tokenizer --special-token '[URL]'",
  ],
} satisfies CommandTable;

/** Flags of `cloze tokenize`. */
export const TOKENIZE = {
  name: "tokenize",
  summary: "Shows how lines of text are cut into tokens.",
  usage: "--tokenizer PATH [flags]",
  details:
    "Reads standard input and writes one line for each of its lines. Special tokens in the text, such as [MASK], " +
    "are special.",
  flags: {
    tokenizer: text("PATH", "A model folder, tokenizer.json or vocab.txt.", "the newest run"),
    ids: toggle("Ids instead of tokens."),
    json: toggle("One JSON object a line: tokens, ids, offsets, words."),
    decode: toggle("The other way round: lines of ids in, text out."),
    compat: choice(
      ["huggingface", "google"],
      "Follow Google's tokenization.py, or Hugging Face's tokenizers, whatever the tokenizer says.",
      "as the tokenizer was made",
    ),
  },
  renamed: { model: "tokenizer" },
  examples: [
    'echo "단순함을 얻기" | cloze tokenize --tokenizer runs/mine',
    "cloze tokenize --ids < text.txt | cloze tokenize --decode",
  ],
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
    ...CORPUS_FLAGS,
    model: text("DIR", "Model folder, made by cloze or by transformers.", "the newest run"),
    "max-tokens": number({ min: 100, max: 1e9, integer: true }, "Most tokens to measure on.", "1000000"),
    "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
    "allow-unknown": ALLOW_UNKNOWN,
    sentences: toggle("Score each line: score, tokens, the line."),
    json: toggle("One JSON object; with --sentences one a line."),
    threads: THREADS,
    device: DEVICE,
    dtype: dtype("f32"),
  },
  examples: [
    "cloze evaluate --model runs/mine --data held-out.txt",
    "echo '낙엽이 떨어진다.' | cloze evaluate --model runs/mine --sentences",
  ],
} satisfies CommandTable;

/** Flags of `cloze inspect`. */
export const INSPECT = {
  name: "inspect",
  summary: "Shows the packed and masked batches that a run sees, and writes them to a file.",
  usage: "--model DIR | --data PATH… --tokenizer PATH [flags]",
  positional: "PATH",
  details:
    "With --model, the batches of that run; with --data, those of a run with the same flags. Masked tokens are " +
    "shown as [MASK], with what stood there; replaced ones with both; kept ones are marked.",
  flags: {
    model: text("DIR", "Folder of a run."),
    ...CORPUS_FLAGS,
    tokenizer: text("PATH", "A model folder, tokenizer.json or vocab.txt."),
    ...BATCH_FLAGS,
    pairs: toggle("Sentence pairs, as for next-sentence prediction."),
    seed: SEED,
    batches: number({ min: 1, max: 1e9, integer: true }, "How many batches.", "1; with --export, those of an epoch"),
    export: text("FILE", "Write the batches as safetensors: 0.input_ids, 0.labels, …, 1.input_ids, …"),
    force: toggle("With --export: replace a file that is there."),
    json: toggle("One JSON object a sequence: tokens, labels, positions."),
    threads: THREADS,
  },
  examples: [
    "cloze inspect --model runs/mine",
    "cloze inspect --data corpus/ --tokenizer runs/mine --masking eojeol",
    "cloze inspect --model runs/mine --batches 1000 --export batches.safetensors",
  ],
} satisfies CommandTable;

/** Flags of `cloze extend-vocab`. */
export const EXTEND_VOCAB = {
  name: "extend-vocab",
  summary: "Adds tokens to a trained model, each beginning as the mean of the pieces it was made of.",
  usage: "--model DIR --output DIR [--data PATH… | --tokens FILE] [flags]",
  positional: "PATH",
  details:
    "The new tokens are the lines of --tokens, or those that --data most needs: it is split into the model's own " +
    "tokens, and the most frequent pairs of neighbours become tokens. The model itself is left as it is.",
  flags: {
    model: text("DIR", "Model folder, made by cloze or by transformers."),
    output: text("DIR", "Folder for the larger model. It must not be there yet, or be empty."),
    ...CORPUS_FLAGS,
    tokens: text("FILE", "New tokens, one a line; ## begins one that stands inside words."),
    "special-token": SPECIAL_TOKEN,
    add: number({ min: 1, max: 1_000_000, integer: true }, "Most tokens to learn from --data.", "1000"),
    "min-frequency": number({ min: 1, max: 1e9, integer: true }, "Pairs that are rarer are not merged.", "2"),
    threads: THREADS,
  },
  examples: [
    "cloze extend-vocab --model runs/mine --output runs/larger --data new-domain/ --add 500",
    "cloze extend-vocab --model runs/mine --output runs/larger --tokens words.txt",
  ],
} satisfies CommandTable;

/** Flags of `cloze report`. */
export const REPORT = {
  name: "report",
  summary: "Shows a run, or several side by side: a verdict in words, curves, filled blanks, how to repeat it.",
  usage: "[DIR…] [flags]",
  positional: "DIR",
  details:
    "Writes one HTML page that needs nothing else. A run writes its own as it goes: report.html in its folder. " +
    "Without a folder it is about the newest run.",
  flags: {
    output: text("FILE", "The page.", "report.html in the run's folder, or here for several runs"),
    force: toggle("Replace a file that is no report, too."),
    text: toggle("Write the verdict and the loss curve to standard output instead."),
  },
  examples: [
    "cloze report runs/mine",
    "cloze report runs/mine runs/other --output comparison.html",
    "cloze report runs/mine --text",
  ],
} satisfies CommandTable;

/** Flags of `cloze doctor`. */
export const DOCTOR = {
  name: "doctor",
  summary: "Shows what cloze runs on here: CPU, core, GPU and its libraries, and what to install for one.",
  usage: "[flags]",
  details: "",
  flags: { json: toggle("One JSON object.") },
  examples: ["cloze doctor"],
} satisfies CommandTable;

/** All tables, in the order of the help. */
export const TABLES: readonly CommandTable[] = [
  PRETRAIN,
  PREDICT,
  EVALUATE,
  REPORT,
  FINETUNE,
  REPRODUCE,
  BENCH,
  INSPECT,
  TRAIN_TOKENIZER,
  EXTEND_VOCAB,
  TOKENIZE,
  DOCTOR,
];
