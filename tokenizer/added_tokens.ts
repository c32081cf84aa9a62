/**
 * Tokens that are found in the text as it stands, before it is normalized and split: the special ones, and what people
 * added to a vocabulary. As Hugging Face's `AddedVocabulary`. Used by the tokenizer.
 */

/** A token as tokenizer.json describes it. */
export interface AddedToken {
  content: string;
  /** Whether it stands for something other than text. */
  special: boolean;
  /** Takes the white space before it. */
  lstrip: boolean;
  /** Takes the white space behind it. */
  rstrip: boolean;
  /** Only where no word goes on beside it. */
  single_word: boolean;
}

/** Which added tokens are found: those that are not special, `[MASK]` as well, or all. */
export type Specials = "text" | "mask" | "all";

/** A part of a text: an added token, or text between two. */
export interface Part {
  text: string;
  /** Where it begins, in UTF-16 units. */
  at: number;
  added: boolean;
  /** Content of the token. */
  token: string;
}

/** Finds added tokens. */
export class AddedTokens {
  readonly tokens: readonly AddedToken[];
  readonly #byContent: Map<string, AddedToken>;
  readonly #patterns: Record<Specials, RegExp | undefined>;

  constructor(tokens: readonly AddedToken[]) {
    this.tokens = tokens;
    this.#byContent = new Map(tokens.map((token) => [token.content, token]));
    const pattern = (some: readonly AddedToken[]) => {
      if (some.length === 0) return undefined;
      // Of tokens that begin at the same place the longest is meant.
      const contents = some.map(({ content }) => content).sort((a, b) => b.length - a.length);
      return new RegExp(contents.map((content) => RegExp.escape(content)).join("|"), "gu");
    };
    this.#patterns = {
      text: pattern(tokens.filter(({ special }) => !special)),
      mask: pattern(tokens.filter(({ special, content }) => !special || content === "[MASK]")),
      all: pattern(tokens),
    };
  }

  /** Whether `split` may find anything. */
  any(specials: Specials): boolean {
    return this.#patterns[specials] !== undefined;
  }

  /** Cuts a text at added tokens. */
  *split(text: string, specials: Specials): Generator<Part> {
    let from = 0;
    const pattern = this.#patterns[specials];
    for (const match of pattern === undefined ? [] : text.matchAll(pattern)) {
      let start = match.index, end = start + match[0].length;
      const { lstrip, rstrip, single_word } = this.#byContent.get(match[0])!;
      if (
        single_word && (/\w$/u.test(text.slice(Math.max(0, start - 1), start)) || /^\w/u.test(text.slice(end, end + 1)))
      ) {
        continue;
      }
      if (lstrip) { while (start > from && /\s/u.test(text[start - 1])) start--; }
      if (rstrip) { while (end < text.length && /\s/u.test(text[end])) end++; }
      if (start > from) yield { text: text.slice(from, start), at: from, added: false, token: "" };
      yield { text: text.slice(start, end), at: start, added: true, token: match[0] };
      from = end;
    }
    if (from < text.length) yield { text: text.slice(from), at: from, added: false, token: "" };
  }
}
