/**
 * Tokens that are found in the text before it is split into words: the special ones, and what people added to a
 * vocabulary. As Hugging Face's `AddedVocabulary`. Used by the tokenizer.
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
  /** Found in the normalized text, as its content is when normalized; not if it is absent. */
  normalized?: boolean;
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

/** What Rust's regular expressions call `\w` and `\s`. */
const WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const SPACE = /\p{White_Space}/u;

/** Finds added tokens in text as it stands, or in normalized text. */
export class AddedTokens {
  readonly tokens: readonly AddedToken[];
  readonly #byPattern: Map<string, AddedToken>;
  readonly #patterns: Record<Specials, RegExp | undefined>;

  /** @param patternOf what each is found by: not at all if that is empty. */
  constructor(tokens: readonly AddedToken[], patternOf = (content: string) => content) {
    this.tokens = tokens;
    this.#byPattern = new Map();
    for (const token of tokens) {
      const found = patternOf(token.content);
      if (found !== "" && !this.#byPattern.has(found)) this.#byPattern.set(found, token);
    }
    const pattern = (isMeant: (token: AddedToken) => boolean) => {
      const some = [...this.#byPattern].filter(([_, token]) => isMeant(token)).map(([found]) => found);
      if (some.length === 0) return undefined;
      // Of tokens that begin at the same place the longest is meant.
      some.sort((a, b) => b.length - a.length);
      return new RegExp(some.map((found) => RegExp.escape(found)).join("|"), "gu");
    };
    this.#patterns = {
      text: pattern(({ special }) => !special),
      mask: pattern(({ special, content }) => !special || content === "[MASK]"),
      all: pattern(() => true),
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
      const { content, lstrip, rstrip, single_word } = this.#byPattern.get(match[0])!;
      if (single_word && (WORD.test(characterBefore(text, start)) || WORD.test(characterAt(text, end)))) continue;
      if (lstrip) { while (start > from && SPACE.test(text[start - 1])) start--; }
      if (rstrip) { while (end < text.length && SPACE.test(text[end])) end++; }
      if (start > from) yield { text: text.slice(from, start), at: from, added: false, token: "" };
      yield { text: text.slice(start, end), at: start, added: true, token: content };
      from = end;
    }
    if (from < text.length) yield { text: text.slice(from), at: from, added: false, token: "" };
  }
}

function characterAt(text: string, at: number): string {
  return at < text.length ? String.fromCodePoint(text.codePointAt(at)!) : "";
}

function characterBefore(text: string, at: number): string {
  return Array.from(text.slice(Math.max(0, at - 2), at)).pop() ?? "";
}
