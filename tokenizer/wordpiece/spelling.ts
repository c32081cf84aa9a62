/** WordPiece's spelling: `##` marks pieces inside a word, all others have white space before them. Used by its tokenizer. */

import type { Spelling } from "../spelling.ts";

/** What marks a piece inside a word. */
export const CONTINUING = "##";

/** Hugging Face's WordPiece decoder. */
export class WordPieceSpelling implements Spelling {
  readonly #cleanup: boolean;

  /** @param cleanup whether spaces before English punctuation are taken out again. */
  constructor(cleanup: boolean) {
    this.#cleanup = cleanup;
  }

  decode(tokens: readonly string[]): string {
    let text = "";
    for (const token of tokens) {
      if (text !== "" && token.startsWith(CONTINUING)) text += token.slice(CONTINUING.length);
      else {
        const spaced = text === "" ? token : ` ${token}`;
        text += this.#cleanup ? cleanUp(spaced) : spaced;
      }
    }
    return text;
  }

  startsWord(token: string): boolean {
    return !token.startsWith(CONTINUING);
  }

  /** What follows says it: a piece goes on, or a word begins. */
  endsWord(): boolean {
    return false;
  }

  isSpace(): boolean {
    return false;
  }

  surface(token: string): string {
    return token.startsWith(CONTINUING) && token !== CONTINUING ? token.slice(CONTINUING.length) : token;
  }

  shown(token: string): string {
    return token;
  }

  join(before: string, token: string): string {
    return token.startsWith(CONTINUING) ? before.trimEnd() + token.slice(CONTINUING.length) : before + token;
  }

  joinWords(before: string, words: string): string {
    return this.join(before, words);
  }

  blanked(tokens: readonly string[]): string {
    return this.decode(tokens);
  }
}

const CLEAN_UPS = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

function cleanUp(token: string): string {
  for (const [from, to] of CLEAN_UPS) token = token.replaceAll(from, to);
  return token;
}
