/** The spelling of vocabularies in which a token has the white space before it: `Ġleaves`, `▁leaves`. Used by pipelines. */

import type { Spelling } from "../spelling.ts";

/** Spells tokens that stand for text with its white space. */
export class SpacedSpelling implements Spelling {
  readonly #decode: (tokens: readonly string[]) => string;
  readonly #textOf: (token: string) => string;

  /**
   * @param decode the file's decoder.
   * @param textOf the text of one token, with the white space that it has.
   */
  constructor(decode: (tokens: readonly string[]) => string, textOf: (token: string) => string) {
    this.#decode = decode;
    this.#textOf = textOf;
  }

  decode(tokens: readonly string[]): string {
    return this.#decode(tokens);
  }

  /** Punctuation marks begin and end words, as for BERT. */
  startsWord(token: string): boolean {
    return /^[\p{White_Space}\p{P}\p{S}]/u.test(this.#textOf(token));
  }

  endsWord(token: string): boolean {
    return /[\p{White_Space}\p{P}\p{S}]$/u.test(this.#textOf(token));
  }

  isSpace(token: string): boolean {
    return this.#textOf(token).trim() === "";
  }

  surface(token: string): string {
    return this.#textOf(token).trim();
  }

  shown(token: string): string {
    return this.#textOf(token);
  }

  join(before: string, token: string, hasSpace: boolean): string {
    const text = this.#textOf(token);
    if (hasSpace) return before + (/\s$/.test(before) ? text.trimStart() : text);
    const kept = before.trimEnd();
    return kept === "" ? text.trimStart() : kept + text;
  }

  joinWords(before: string, words: string): string {
    return before + words;
  }

  /** Where the mask token takes white space, it does not say whether a word begins there; a person would put a space. */
  blanked(tokens: readonly string[], blank: number, hasSpace: boolean): string {
    if (hasSpace || blank === 0) return this.#decode(tokens).trimStart();
    return `${this.#decode(tokens.slice(0, blank)).trim()} ${this.#decode(tokens.slice(blank)).trimStart()}`;
  }

  /** Whether the token begins with white space, ends with it, or is nothing else. */
  spaces(token: string): { begins: boolean; ends: boolean; isSpace: boolean } {
    const text = this.#textOf(token);
    return { begins: /^\s/.test(text), ends: /\s$/.test(text), isSpace: text.trim() === "" };
  }
}
