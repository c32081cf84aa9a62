/** Text that was changed, with where each part of it came from. Used by everything that tells offsets. */

/** A text or a word, normalized, and where it stood: UTF-16 offsets into the source, end exclusive. */
export interface AlignedText {
  text: string;
  /** Source range of each UTF-16 unit of `text`. */
  starts: number[];
  ends: number[];
}

/** A text as it stands. */
export function aligned(text: string): AlignedText {
  const starts = Array.from({ length: text.length }, (_, i) => i);
  const ends = starts.map((i) => i + 1);
  // Both halves of a pair are one character.
  for (let i = 0; i + 1 < text.length; i++) {
    if (text.codePointAt(i)! < 0x10000) continue;
    starts[i + 1] = i;
    ends[i] = i + 2;
  }
  return { text, starts, ends };
}

/** The part from `from` to `to`. */
export function sliced({ text, starts, ends }: AlignedText, from: number, to: number): AlignedText {
  return { text: text.slice(from, to), starts: starts.slice(from, to), ends: ends.slice(from, to) };
}

/** A text behind a prefix, which has the place of the first character, as in Hugging Face. */
export function prefixed(text: AlignedText, prefix: string): AlignedText {
  const [starts, ends] = [text.starts, text.ends].map((all) => [...Array<number>(prefix.length).fill(all[0]), ...all]);
  return { text: prefix + text.text, starts, ends };
}
