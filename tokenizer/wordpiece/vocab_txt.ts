/** `vocab.txt`: one token a line. Used by `files.ts`. */

import { ClozeError } from "../../config/cloze_error.ts";
import { isBertSpecial } from "../added_tokens.ts";

/** What a vocab.txt says. */
export interface VocabTxt {
  /** Token of each id. */
  vocabulary: string[];
  /** Whether Hugging Face counts other tokens than these: lines of white space, one as all of them. */
  hasBlankLines: boolean;
}

/**
 * The tokens of a vocab.txt: the id is the number of the line. White space at the end of a line is not part of its token.
 *
 * @throws {ClozeError} if it is of another family.
 */
export function parseVocabTxt(text: string): VocabTxt {
  if (text.startsWith("\uFEFF")) {
    throw new ClozeError("input", "it begins with a byte order mark, which would be part of its first token", {
      hint: "save it as UTF-8 without a byte order mark",
    });
  }
  const lines = text.split("\n");
  if (lines[lines.length - 1] === "") lines.pop();
  const all = lines.length;
  while (lines.length > 0 && trimmed(lines[lines.length - 1]) === "") lines.pop();
  // A line of white space is a token that no text is encoded as.
  const vocabulary = lines.map((line) => trimmed(line) || line);
  const pieces = (mark: string) => vocabulary.filter((token) => token.startsWith(mark) && token !== mark).length;
  if (pieces("▁") > pieces("##")) {
    throw new ClozeError("input", "its tokens are SentencePiece's, which begin words with ▁, not WordPiece's with ##", {
      hint: "cloze reads tokenizers of the BERT family",
    });
  }
  return { vocabulary, hasBlankLines: lines.length < all || vocabulary.some((token) => trimmed(token) === "") };
}

/** Without the white space at its end, as Rust's `trim_end` knows it. */
function trimmed(line: string): string {
  let end = line.length;
  while (end > 0 && /\p{White_Space}/u.test(line[end - 1])) end--;
  return line.slice(0, end);
}

/**
 * Whether a vocabulary was made of text that kept its capitals: a token has one, of any script, which lowercased text never
 * gives. Tokens in brackets are names and not text.
 */
export function hasCapitals(vocabulary: readonly string[]): boolean {
  return vocabulary.some((token) =>
    /[\p{Lu}\p{Lt}]/u.test(token) && !isBertSpecial(token) && !/^(\[.*\]|<.*>)$/su.test(token)
  );
}
