/**
 * Which ids added tokens get, by the rules of Hugging Face's `AddedVocabulary`: a token that the model has keeps its id, any
 * other gets the next one, whatever a file says; of tokens with the same content the last one counts. Used by the readers
 * of tokenizer files.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { AddedToken } from "./added_tokens.ts";
import type { WordSplitter } from "./text_scanner.ts";

/** The tokens that were added to a vocabulary. */
export class AddedVocabulary {
  /** The model's tokens, and behind them those that were added. */
  readonly vocabulary: string[];
  readonly #modelId: (content: string) => number | undefined;
  /** Of those behind the model's. */
  readonly #ids = new Map<string, number>();
  readonly #tokens = new Map<string, AddedToken>();

  /**
   * @param model its tokens by id
   * @param modelId the id of one of them: what the file was read into knows it already
   */
  constructor(model: readonly string[], modelId: (content: string) => number | undefined) {
    this.vocabulary = [...model];
    this.#modelId = modelId;
  }

  /** Adds a token; one without content is passed over. */
  add(token: AddedToken): void {
    if (token.content === "") return;
    if (this.idOf(token.content) === undefined) this.#ids.set(token.content, this.vocabulary.push(token.content) - 1);
    this.#tokens.set(token.content, token);
  }

  /** The id of a token, if it has one. */
  idOf(content: string): number | undefined {
    return this.#ids.get(content) ?? this.#modelId(content);
  }

  /** Whether it was added. */
  has(content: string): boolean {
    return this.#tokens.has(content);
  }

  /** What was added, by id. */
  get tokens(): AddedToken[] {
    return [...this.#tokens.values()].sort((a, b) => this.idOf(a.content)! - this.idOf(b.content)!);
  }

  /** @throws {ClozeError} if Hugging Face cannot tell some of them from each other in a text, or fails where they are. */
  check(splitter: Pick<WordSplitter, "normalize">): void {
    const byText = new Map<string, string>();
    for (const { content, normalized, lstrip } of this.#tokens.values()) {
      const name = `its added token ${JSON.stringify(content.slice(0, 60))}`;
      if (lstrip && /^\p{White_Space}+$/u.test(content)) {
        throw new ClozeError("input", `${name} is white space that takes the white space before it (lstrip)`);
      }
      if (!normalized) continue;
      const text = splitter.normalize(content).text;
      if (text === "") throw new ClozeError("input", `${name} is normalized, and nothing is left of it`);
      const other = byText.get(text);
      if (other !== undefined) {
        throw new ClozeError("input", `${name} is normalized to the same text as ${JSON.stringify(other)}`, {
          hint: "which of the two is found is chance in Hugging Face: take one of them out",
        });
      }
      byText.set(text, content);
    }
  }
}
