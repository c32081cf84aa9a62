/**
 * Text that is being normalized, with the place in the source of every character. Edits follow the rules of `tokenizers`'
 * `NormalizedString`, so that offsets are the same; they are odd where something is removed or put in. Used by
 * `normalizers.ts`.
 */

import type { AlignedText } from "../aligned_text.ts";

/** Characters (code points) and where each stood: UTF-16 offsets into the source, end exclusive. */
export class EditedText {
  chars: string[];
  starts: number[];
  ends: number[];

  constructor({ text, starts, ends }: AlignedText) {
    this.chars = Array.from(text);
    this.starts = [];
    this.ends = [];
    let unit = 0;
    for (const { length } of this.chars) {
      this.starts.push(starts[unit]);
      this.ends.push(ends[unit]);
      unit += length;
    }
  }

  /** The text. */
  get text(): string {
    return this.chars.join("");
  }

  /** The same by UTF-16 units. */
  get aligned(): AlignedText {
    const starts: number[] = [], ends: number[] = [];
    this.chars.forEach(({ length }, i) => {
      for (let unit = 0; unit < length; unit++) {
        starts.push(this.starts[i]);
        ends.push(this.ends[i]);
      }
    });
    return { text: this.text, starts, ends };
  }

  /**
   * Becomes other characters. Each has a change: 0 if it takes the place of the next character, -n if of that and n more
   * behind it, 1 if it is put in behind what was taken last, whose place it gets.
   *
   * @param skipped characters at the beginning that are taken away first
   */
  transform(chars: string[], changes: readonly number[], skipped = 0): void {
    const starts: number[] = [], ends: number[] = [];
    let taken = skipped;
    for (const change of changes) {
      const at = change > 0 ? taken - 1 : taken;
      starts.push(at < 0 ? 0 : this.starts[at]);
      ends.push(at < 0 ? 0 : this.ends[at]);
      if (change <= 0) taken += 1 - change;
    }
    this.chars = chars;
    this.starts = starts;
    this.ends = ends;
  }

  /** Keeps some characters, each with its place. */
  filter(keep: (character: string, index: number) => boolean): void {
    const kept = this.chars.map(keep);
    const of = <T>(list: T[]) => list.filter((_, i) => kept[i]);
    [this.chars, this.starts, this.ends] = [of(this.chars), of(this.starts), of(this.ends)];
  }

  /** Puts `content` in place of every range; its characters get the place of the last one of the range. */
  replace(ranges: readonly { from: number; to: number }[], content: readonly string[]): void {
    const chars: string[] = [], starts: number[] = [], ends: number[] = [];
    let done = 0;
    const keep = (to: number) => {
      for (; done < to; done++) {
        chars.push(this.chars[done]);
        starts.push(this.starts[done]);
        ends.push(this.ends[done]);
      }
    };
    for (const { from, to } of ranges) {
      keep(from);
      for (const character of content) {
        chars.push(character);
        starts.push(this.starts[to - 1]);
        ends.push(this.ends[to - 1]);
      }
      done = to;
    }
    keep(this.chars.length);
    [this.chars, this.starts, this.ends] = [chars, starts, ends];
  }
}
