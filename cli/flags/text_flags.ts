/** Flags that say which text is read, and how. */

import { DOCUMENTS, FORMATS, ON_INVALID, QUOTING } from "../../config/batch_config.ts";
import { choice, separator, text, texts } from "./flag.ts";

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
