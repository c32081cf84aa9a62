/** The normalizers of a tokenizer.json, one after the other, and what they do to a character. Used by the splitters. */

import { aligned, type AlignedText } from "../aligned_text.ts";
import type { Json } from "../json_fields.ts";
import { graphemeJoins, joinsSpaceBefore, joinsSpaceBehind } from "../unigram/graphemes.ts";
import { EditedText } from "./edited_text.ts";
import { composesBackwards } from "./normal_forms.ts";
import { type Normalizer, readNormalizer } from "./normalizers.ts";

/** What becomes of a character, or how much of the text around it says so. */
export type Fate =
  | { text: string }
  /** What stands between white space says it; `first` is whether it may be the first of that. */
  | { depends: "chunk"; first: boolean }
  | { depends: "text" };

const WHITE_SPACE = /\p{White_Space}/u;
const ON_TEXT: Fate = { depends: "text" };

/** Normalizers in a row. */
export class NormalizerChain {
  readonly steps: readonly Normalizer[];
  readonly #composes: boolean;

  /** @param steps as tokenizer.json has them. @throws {ClozeError} naming one that is not known. */
  constructor(steps: readonly Record<string, Json>[]) {
    this.steps = steps.map(readNormalizer);
    this.#composes = this.steps.some(({ composes }) => composes);
  }

  /** The text that they make of a text. */
  plain(text: string): string {
    for (const step of this.steps) text = step.plain(text);
    return text;
  }

  /** The same, with where each part came from. */
  aligned(text: string): AlignedText {
    if (this.steps.length === 0) return aligned(text);
    const edited = new EditedText(aligned(text));
    for (const step of this.steps) step.edit(edited);
    return edited.aligned;
  }

  /**
   * A text without white space, which has white space around it, normalized; `undefined` if what it becomes depends on that.
   */
  chunk(text: string): string | undefined {
    for (const step of this.steps) {
      if (!step.looksAtSpaces) text = step.plain(text);
      else if (WHITE_SPACE.test(text)) return undefined;
    }
    return WHITE_SPACE.test(text) ? undefined : text;
  }

  /** What becomes of a character, whatever stands beside it, or what that depends on. */
  fateOf(code: number): Fate {
    if (joinsSpaceBehind(code)) return ON_TEXT;
    const character = String.fromCodePoint(code);
    let text = character;
    for (const step of this.steps) {
      if (step.changesAll) return ON_TEXT;
      if (step.looksAtSpaces) {
        if (WHITE_SPACE.test(text) && (text !== " " || step.plain("a a") !== "a a")) return ON_TEXT;
        continue;
      }
      const parts = Array.from(text);
      if (
        this.#joins(parts.at(0)) || this.#joins(parts.at(-1)) || parts.some((part) => step.looksAround?.includes(part))
      ) {
        return { depends: "chunk", first: this.#isFree(character) };
      }
      text = step.plain(text);
    }
    return { text };
  }

  /** Whether something may become of a character and a neighbour together. */
  #joins(character: string | undefined): boolean {
    return character !== undefined &&
      (graphemeJoins(character.codePointAt(0)!) || (this.#composes && composesBackwards(character)));
  }

  /** Whether nothing becomes of a character together with a space before it. */
  #isFree(character: string): boolean {
    const inside = (text: string) =>
      this.steps.reduce((text, step) => step.looksAtSpaces ? text : step.plain(text), text);
    return !joinsSpaceBefore(character.codePointAt(0)!) && !composesBackwards(character) &&
      inside(`a ${character}a`) === `${inside("a ")}${inside(`${character}a`)}`;
  }
}
