/** The flags of `cloze predict`. */

import { AS, DEVICE, dtypeFlag, ENGINE, THREADS } from "../../flags/engine_flags.ts";
import { type CommandTable, number, type Options, text, texts, toggle, words } from "../../flags/flag.ts";
import { TEXT_FLAGS } from "../../flags/text_flags.ts";

/** The command's table. */
export const TABLE = {
  name: "predict",
  summary:
    "Fills the blanks in lines of text: [MASK], <mask>, or three or more underscores. With a fine-tuned model, classifies them or tags their words; of pairs, tells whether one follows the other.",
  usage: "[FILE…] [flags]",
  positional: "FILE",
  details:
    "Reads standard input, or files, line by line, and answers each line as it comes; on a terminal it asks for them. A " +
    "line that cannot be answered is named, the others are answered, and the exit code is 1. Special tokens are no " +
    "answers, unless they are --targets. Control characters, and those that " +
    "turn the direction of text, are written as escapes (\\x1b, \\u202e); with --json nothing of the text is lost. Of a " +
    "multi-label classifier each label's probability is its own, and they do not add up to 100%. A token classifier " +
    "prints a word, its tag and the tag's probability on a line, and a blank line behind each text.",
  flags: {
    model: texts(
      "DIR",
      "Model folder, made by cloze or by transformers. May be repeated: each line is then answered by each.",
      "the newest run",
    ),
    as: AS,
    "top-k": number(
      { min: 1, max: 1000, integer: true },
      "Answers for each blank; of a classifier, classes for each line, most probable first.",
      "5 answers; 1 class, all with --json or of a multi-label classifier",
    ),
    targets: words("WORD,…", "Answers to choose from, instead of the whole vocabulary; all are shown, best first."),
    pairs: toggle(
      "Lines are pairs of texts with a tab between the two. Taken for granted of a model that finetune --pair-column made. Of one with next-sentence prediction: whether the second follows the first.",
    ),
    "pair-column": text(
      "NAME",
      "Column of a table, or field of a JSON record, that holds the second text, where records are pairs.",
      "that of finetune, if the file has it",
    ),
    ...TEXT_FLAGS,
    json: toggle(
      "One JSON object a line: input, masks (token, id, probability), sequence, truncated, unknown (words that became [UNK]); or input, labels, truncated, unknown; or input, words, entities (with offsets in UTF-16 units), divided, unknown. Of several models each has its own, with model.",
    ),
    threads: THREADS,
    device: DEVICE,
    engine: ENGINE,
    dtype: dtypeFlag("f32"),
  },
  examples: [
    'echo "In autumn the [MASK] fall from the trees." | cloze predict',
    'echo "단순함을 얻기란 ____ 얻기보다 어렵다." | cloze predict --model runs/mine --top-k 3 --json',
    'echo "The soup is ____." | cloze predict --targets hot,cold',
    "cloze predict sentences.txt",
    "cloze predict --model runs/first --model runs/second",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type PredictOptions = Options<typeof TABLE.flags>;
