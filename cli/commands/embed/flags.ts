/** The flags of `cloze embed`. */

import { AS, DEVICE, dtypeFlag, ENGINE, THREADS } from "../../flags/engine_flags.ts";
import { choice, type CommandTable, type Options, text, toggle } from "../../flags/flag.ts";
import { TEXT_FLAGS } from "../../flags/text_flags.ts";

/** The command's table. */
export const TABLE = {
  name: "embed",
  summary: "Turns lines of text into vectors, for search, clustering or another program's classifier.",
  usage: "[FILE…] [flags]",
  positional: "FILE",
  details:
    "Reads standard input, or files, line by line, and takes a vector from the encoder's last hidden states, whatever head " +
    "the model was trained with. Every line has one, an empty line, too: row i of an array is line i. A line that is longer " +
    "than the model takes has that of its beginning; such lines are counted.",
  flags: {
    model: text("DIR", "Model folder, made by cloze or by transformers.", "the newest run"),
    as: AS,
    output: text(
      "FILE",
      "Where the vectors go: .jsonl, .npy (f32, lines by width), or .safetensors (the same as tensor embeddings).",
      "JSON lines on standard output",
    ),
    force: toggle("With --output: replace a file that is there."),
    pooling: choice(
      ["mean", "cls"],
      "What a line's vector is: the mean of its tokens' vectors, [CLS] and [SEP] among them, or that of [CLS].",
      "mean",
    ),
    normalize: toggle("Vectors of length 1, so that the dot product of two is their cosine."),
    ...TEXT_FLAGS,
    threads: THREADS,
    device: DEVICE,
    engine: ENGINE,
    dtype: dtypeFlag("f32"),
  },
  examples: [
    'echo "낙엽이 떨어진다." | cloze embed --model runs/mine',
    "cloze embed sentences.txt --output sentences.npy --normalize",
  ],
} satisfies CommandTable;

/** What the command is asked to do. */
export type EmbedOptions = Options<typeof TABLE.flags>;
