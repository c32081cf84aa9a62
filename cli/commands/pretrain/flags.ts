/** The flags of `cloze pretrain`. */

import { OPTIMIZERS } from "../../../config/run_config.ts";
import { FAMILIES } from "../../../model/families.ts";
import { DEFAULT_OBJECTIVE, PRETRAINING_OBJECTIVES, PRETRAINING_TASKS } from "../../../tasks/registry.ts";
import { BATCH_FLAGS } from "../../flags/batch_flags.ts";
import { AS, DEVICE, dtypeFlag, ENGINE, THREADS } from "../../flags/engine_flags.ts";
import {
  choice,
  type CommandTable,
  duration,
  number,
  type Options,
  pathWithShare,
  text,
  texts,
} from "../../flags/flag.ts";
import { CORPUS_FLAGS } from "../../flags/text_flags.ts";
import { ALLOW_UNKNOWN, CHART, OPEN, PRESET_NAMES, SEED } from "../../flags/training_flags.ts";
import { VOCAB_SIZE, VOCABULARY_FLAGS } from "../../flags/vocabulary_flags.ts";

/** How often a run pauses unless told. */
const EVERY_TENTH = "a tenth of the run, more where pauses would take over 10% of a --budget";
const SAVES = `${EVERY_TENTH}; soon after the beginning and every three minutes in any case`;

/** The command's table. */
export const TABLE = {
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
    from: text(
      "DIR",
      "Go on with the model in that folder, cloze's or transformers': its tokenizer and config are kept, optimizer and " +
        "schedule are new.",
    ),
    as: AS,
    extend: number(
      { min: 1, max: 1e6, integer: true },
      "With --from: add up to so many tokens of the text first; their rows are trained alone for the first tenth of the run.",
    ),
    replay: pathWithShare(
      "With --from: mix other text, like what the model was made from, into every update; of all tokens it has that share.",
    ),
    reference: texts("PATH", "With --from: other text that is measured, too, each time. May be repeated."),
    tokenizer: text("PATH", "Use this tokenizer (a model folder, tokenizer.json or vocab.txt) and learn none."),
    "vocab-size": VOCAB_SIZE,
    ...VOCABULARY_FLAGS,
    "allow-unknown": ALLOW_UNKNOWN,
    objective: choice(
      PRETRAINING_OBJECTIVES,
      PRETRAINING_TASKS.map(({ name, summary }) => `${name} ${summary}`).join("; ") + ".",
      DEFAULT_OBJECTIVE,
    ),
    preset: choice(PRESET_NAMES, "Size of the model.", "tiny"),
    architecture: choice(
      FAMILIES.map(({ model_type }) => model_type),
      "bert normalizes behind each part of a layer, megatron-bert before it, which trains deep models with less care; the " +
        "others are Hugging Face's of that name, whose positions, heads or sizes differ. Presets of all cost a token about the same.",
      "bert",
    ),
    config: text("FILE", "A Hugging Face config.json instead of a preset."),
    steps: number({ min: 1, max: 1e9, integer: true }, "Number of updates."),
    epochs: number({ min: 0.001, max: 1e6 }, "Passes over the text.", "1, or 3 with --from, if no other is given"),
    budget: duration("Wall clock for the whole training, with evaluation and saving: 90s, 30m, 2h."),
    ...BATCH_FLAGS,
    "micro-batches": number(
      { min: 1, max: 65536, integer: true },
      "Cut each update into so many micro-batches, a power of two, that as many processes may share: the same bits for " +
        "any number of them (docs/scale-out.md).",
      "8 under mpirun",
    ),
    "learning-rate": number(
      { min: 1e-9, max: 1e6 },
      "Learning rate at its peak.",
      "by size; with --from less, down to a fifth, the better the model knows the text",
    ),
    dropout: number(
      { min: 0, max: 0.9 },
      "Chance of an activation to be dropped in this run; config.json keeps what fine-tuning drops.",
      "by recipe; with --config or --from as config.json has it",
    ),
    optimizer: choice(
      OPTIMIZERS,
      "muon makes the updates of the matrices inside the encoder's layers orthogonal and leaves the rest to adamw; it " +
        "takes the same learning rates, and more time a step.",
      "adamw",
    ),
    seed: SEED,
    threads: THREADS,
    device: DEVICE,
    engine: ENGINE,
    dtype: dtypeFlag("auto"),
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
    chart: CHART,
    open: OPEN,
    resume: text(
      "DIR",
      "Go on with the run in that folder, which has everything but --threads, --device and what is saved when. --steps, " +
        "--epochs or --budget, of the whole run, make it longer.",
    ),
  },
  examples: [
    "cloze pretrain",
    "cloze pretrain --data corpus/ --output runs/mine --preset mini --budget 30m",
    "cloze pretrain --data corpus/ --budget 30m --open",
    "cloze pretrain --data 'news/*.jsonl.zst' --text-column title,body --output runs/news --epochs 3",
    "cloze pretrain --from models/bert --data reviews/ --output runs/reviews --replay news.txt:5%",
    "cloze pretrain --resume runs/mine",
    "cloze pretrain --resume runs/mine --budget 2h",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type PretrainOptions = Options<typeof TABLE.flags>;
