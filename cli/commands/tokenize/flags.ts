/** The flags of `cloze tokenize`. */

import { choice, type CommandTable, type Options, text, toggle } from "../../flags/flag.ts";

/** The command's table. */
export const TABLE = {
  name: "tokenize",
  summary: "Shows how lines of text are cut into tokens.",
  usage: "[flags]",
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

/** What the command is asked to do. */
export type TokenizeOptions = Options<typeof TABLE.flags>;
