/** How a vocabulary writes where its tokens stand: `##s`, `Ġleaves`, `▁leaves`. Used by the tokenizer. */

/** A way to write tokens. Takes tokens as the vocabulary has them. */
export interface Spelling {
  /** Text of tokens that follow one another, as Hugging Face's decoder has it. */
  decode(tokens: readonly string[]): string;
  /** Whether a word begins with the token, whatever stands before it. */
  startsWord(token: string): boolean;
  /** Whether a new word begins behind the token, whatever follows it. */
  endsWord(token: string): boolean;
  /** Whether the token is nothing but white space, which belongs to the word behind it. */
  isSpace(token: string): boolean;
  /** What the token stands for, without its marks and the white space beside it. */
  surface(token: string): string;
  /** What the token stands for as a person should see it where it stands alone. */
  shown(token: string): string;
  /**
   * A text with the token behind it.
   *
   * @param hasSpace whether white space between the two was kept; without it, the token says whether there is any.
   */
  join(before: string, token: string, hasSpace: boolean): string;
  /** A text with words behind it instead of a token. */
  joinWords(before: string, words: string): string;
  /** The text of tokens of which one, at `blank`, is the mask token, as a person would write it: with that token in its place. */
  blanked(tokens: readonly string[], blank: number, hasSpace: boolean): string;
}
