/** The flags of `cloze evaluate`. */

import { AS, DEVICE, dtypeFlag, THREADS } from "../../flags/engine_flags.ts";
import { type CommandTable, number, type Options, text, toggle } from "../../flags/flag.ts";
import { CORPUS_FLAGS } from "../../flags/text_flags.ts";
import { ALLOW_UNKNOWN } from "../../flags/training_flags.ts";

/** The command's table. */
export const TABLE = {
  name: "evaluate",
  summary:
    "Measures a model on text with fixed masks: loss, perplexity, accuracy with its interval, by script and word " +
    "frequency, next to what guessing by frequency achieves.",
  usage: "--data PATH… [flags]",
  positional: "PATH",
  details:
    "With --sentences it scores each line instead, from files or standard input: the pseudo-log-likelihood (Salazar " +
    "et al., 2020), or the log-likelihood of a left-to-right model, in nats. A fine-tuned model is measured on labeled " +
    "files, as finetune reads them: classes, labels or values of texts, or tagged sentences.",
  flags: {
    ...CORPUS_FLAGS,
    model: text("DIR", "Model folder, made by cloze or by transformers.", "the newest run"),
    as: AS,
    "label-column": text("NAME", "Of a fine-tuned model's files: column of the label.", "that of finetune, or label"),
    "pair-column": text(
      "NAME",
      "Of a fine-tuned model's files: column of the second text.",
      "that of finetune, or each record is one text",
    ),
    "label-separator": text(
      "TEXT",
      "What stands between the labels of a text that may have several.",
      "that of finetune, or ,",
    ),
    "max-tokens": number({ min: 100, max: 1e9, integer: true }, "Most tokens to measure on.", "1000000"),
    "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
    "allow-unknown": ALLOW_UNKNOWN,
    sentences: toggle("Score each line: score, tokens, the line."),
    json: toggle("One JSON object; with --sentences one a line."),
    threads: THREADS,
    device: DEVICE,
    dtype: dtypeFlag("f32"),
  },
  examples: [
    "cloze evaluate --model runs/mine --data held-out.txt",
    "cloze evaluate --model runs/reviews --data reviews.test.tsv",
    "echo '낙엽이 떨어진다.' | cloze evaluate --model runs/mine --sentences",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type EvaluateOptions = Options<typeof TABLE.flags>;
