/** Special tokens that a person names, such as `[URL]`: whole wherever they stand. Used by the commands that take them. */

import { ClozeError } from "../config/cloze_error.ts";
import { isBertSpecial } from "./added_tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Longer ones are a mistake. */
const LONGEST = 100;

/**
 * Tokens as `--special-token` names them, checked.
 *
 * @throws {ClozeError} `usage`, saying which cannot be one.
 */
export function specialTokens(named: readonly string[]): string[] {
  named.forEach((token, i) => {
    const refuse = (reason: string, hint?: string) =>
      new ClozeError("usage", `--special-token ${JSON.stringify(token)} ${reason}`, { hint });
    if (/^\p{White_Space}|\p{White_Space}$|[\p{Cc}\p{Zl}\p{Zp}]/u.test(token)) {
      throw refuse("begins or ends with white space, or holds a line end or control character");
    }
    if (token.length > LONGEST) throw refuse(`is longer than ${LONGEST} characters`);
    if (isBertSpecial(token)) throw refuse("is one of BERT's own, which every vocabulary has");
    if (named.indexOf(token) < i) throw refuse("is given twice");
    if (token.startsWith("##") || Array.from(token).length === 1) {
      throw refuse("is what pieces of words are called", "give a name that no word has: [URL]");
    }
    if (/^\[unused\d+\]$/.test(token)) throw refuse("is the name of a placeholder", "give another name: [URL]");
  });
  return [...named];
}

/**
 * The same, of which a tokenizer must have none.
 *
 * @throws {ClozeError} `usage` or `input`.
 */
export function newSpecialTokens(named: readonly string[], tokenizer: Tokenizer): string[] {
  const tokens = specialTokens(named);
  const known = tokens.find((token) => tokenizer.idOf(token) !== undefined);
  if (known !== undefined) {
    throw new ClozeError("input", `the model has the token ${JSON.stringify(known)} already`, {
      hint: "leave it out, or give another name",
    });
  }
  return tokens;
}
