/**
 * Tokens that are found in the text before it is split into words: the special ones, and what people added to a
 * vocabulary. As Hugging Face's `AddedVocabulary`. Used by the tokenizer and by the word counter.
 */

/** A token as tokenizer.json describes it. */
export interface AddedToken {
  /** What it is in the text. */
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

/** A special token that is found wherever it stands. */
export const SPECIAL: Omit<AddedToken, "content"> = { special: true, lstrip: false, rstrip: false, single_word: false };

/** BERT's special tokens, in the order in which a new vocabulary has them. */
export const SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

/** What the special tokens that a model needs are called. */
export interface SpecialNames {
  /** Fills sequences up. */
  pad: string;
  /** A word that the vocabulary cannot write. */
  unk: string;
  /** Begins a text. */
  cls: string;
  /** Ends a text. */
  sep: string;
  /** A blank. */
  mask: string;
}

/** What BERT calls them. */
export const BERT_NAMES: Readonly<SpecialNames> = {
  pad: "[PAD]",
  unk: "[UNK]",
  cls: "[CLS]",
  sep: "[SEP]",
  mask: "[MASK]",
};

/**
 * Which added tokens are found: all of them, as Hugging Face does and as a person means who types a line; or in a corpus
 * all but the tokenizer's own special tokens, since a raw text that says `[SEP]` must teach nothing false.
 */
export type Specials = "all" | "corpus";

/** A part of a text: an added token, or text between two. */
export interface Part {
  text: string;
  /** Where it begins, in UTF-16 units. */
  at: number;
  added: boolean;
  /** Content of the token. */
  token: string;
}

// What Rust's regular expressions call `\w` and `\s`. An expression is made where it is first met: sets of Unicode take a
// millisecond to build, which few texts need.
const isWord = (character: string) => /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u.test(character);
const isSpace = (character: string) => /\p{White_Space}/u.test(character);

/** Whether a token is one of BERT's own five. */
export function isBertSpecial(content: string): boolean {
  return (SPECIAL_TOKENS as readonly string[]).includes(content);
}

/** Contents to look for: the longest of those that begin at the same place is found, as Hugging Face's automaton does. */
class Patterns {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  /** Finds where one may begin. */
  readonly #first: RegExp;
  /** The lengths of those that begin with a code point, the longest first. */
  readonly #lengths = new Map<number, number[]>();

  constructor(tokens: ReadonlyMap<string, AddedToken>) {
    this.#tokens = tokens;
    for (const pattern of tokens.keys()) {
      const code = pattern.codePointAt(0)!, lengths = this.#lengths.get(code) ?? [];
      if (!lengths.includes(pattern.length)) lengths.push(pattern.length);
      this.#lengths.set(code, lengths);
    }
    for (const lengths of this.#lengths.values()) lengths.sort((a, b) => b - a);
    const firsts = [...this.#lengths.keys()].map((code) => `\\u{${code.toString(16)}}`).join("");
    this.#first = new RegExp(`[${firsts}]`, "gu");
  }

  /** Whether there is one in a text. */
  mayBeIn(text: string): boolean {
    this.#first.lastIndex = 0;
    // Most text has not even a character that one begins with.
    return this.#first.test(text) && this.in(text).next().done === false;
  }

  /** Those in a text, from left to right, none over another. */
  *in(text: string): Generator<{ token: AddedToken; start: number; end: number }> {
    for (let at = 0;;) {
      this.#first.lastIndex = at;
      const start = this.#first.exec(text)?.index;
      if (start === undefined) return;
      at = this.#first.lastIndex;
      for (const length of this.#lengths.get(text.codePointAt(start)!)!) {
        const token = this.#tokens.get(text.slice(start, start + length));
        if (token === undefined) continue;
        at = start + length;
        yield { token, start, end: at };
        break;
      }
    }
  }
}

/** Finds added tokens in text as it stands, or in normalized text. */
export class AddedTokens {
  readonly #patterns: Record<Specials, Patterns | undefined>;

  /**
   * @param own contents of those that are not found in a corpus.
   * @param patternOf what each is found by: not at all if that is empty.
   */
  constructor(tokens: readonly AddedToken[], own: ReadonlySet<string>, patternOf = (content: string) => content) {
    const byPattern = new Map<string, AddedToken>();
    for (const token of tokens) {
      const found = patternOf(token.content);
      if (found !== "" && !byPattern.has(found)) byPattern.set(found, token);
    }
    const corpus = new Map([...byPattern].filter(([_, { content }]) => !own.has(content)));
    this.#patterns = {
      all: byPattern.size === 0 ? undefined : new Patterns(byPattern),
      corpus: corpus.size === 0 ? undefined : new Patterns(corpus),
    };
  }

  /** Whether `split` may find anything. */
  any(specials: Specials): boolean {
    return this.#patterns[specials] !== undefined;
  }

  /** Whether there is anything in that text that `split` may find. */
  mayBeIn(text: string, specials: Specials): boolean {
    return this.#patterns[specials]?.mayBeIn(text) === true;
  }

  /** Cuts a text at added tokens. */
  *split(text: string, specials: Specials): Generator<Part> {
    let from = 0;
    for (const match of this.#patterns[specials]?.in(text) ?? []) {
      let { start, end } = match;
      const { content, lstrip, rstrip, single_word } = match.token;
      if (single_word && (isWord(characterBefore(text, start)) || isWord(characterAt(text, end)))) continue;
      if (lstrip) { while (start > from && isSpace(text[start - 1])) start--; }
      if (rstrip) { while (end < text.length && isSpace(text[end])) end++; }
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
