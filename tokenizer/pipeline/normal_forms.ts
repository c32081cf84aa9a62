/**
 * Unicode normalization as `tokenizers` does it, whose tables are those of Unicode 9: what is newer is a letter to it that
 * composes with nothing and has no decomposition. `alignForm` also follows the place of every character. Used by
 * `normalizers.ts`.
 */

import { CHARACTERS } from "../wordpiece/characters.ts";
import type { EditedText } from "./edited_text.ts";

const known = CHARACTERS.huggingface;

/** The four forms. */
export type NormalForm = "NFC" | "NFD" | "NFKC" | "NFKD";

/** Whether one of the forms may make one text of a character and what stands before it. */
export function composesBackwards(character: string): boolean {
  const [first] = known.normalized(character, "NFKD");
  return /[\p{M}\u1161-\u1175\u11A8-\u11C2\u{16D67}]/u.test(first);
}

/** A character with its change; see {@linkcode EditedText.transform}. */
interface Changed {
  character: string;
  change: number;
  isStarter: boolean;
}

/** Brings a text into one of the forms. */
export function alignForm(text: EditedText, form: NormalForm): void {
  const compatible = form.startsWith("NFK");
  let changed = decompose(text.chars, compatible ? "NFKD" : "NFD");
  if (form.endsWith("C")) changed = compose(changed);
  text.transform(changed.map(({ character }) => character), changed.map(({ change }) => change));
}

/** Decomposed, with marks in canonical order. */
function decompose(characters: readonly string[], form: "NFD" | "NFKD"): Changed[] {
  const ready: Changed[] = [], pending: Changed[] = [];
  const sorted = () => pending.splice(0).sort((a, b) => isBefore(a, b) ? -1 : isBefore(b, a) ? 1 : 0);
  for (const composed of characters) {
    let change = 0;
    for (const character of known.normalized(composed, form)) {
      const isStarter = !known.hasCombiningClass(character);
      if (isStarter) {
        for (const mark of sorted()) ready.push(mark);
        ready.push({ character, change, isStarter });
      } else pending.push({ character, change, isStarter });
      change = 1;
    }
  }
  for (const mark of sorted()) ready.push(mark);
  return ready;
}

/** Whether the combining class of `a` is less than that of `b`; both have one. */
function isBefore(a: Changed, b: Changed): boolean {
  const swapped = b.character + a.character;
  return swapped.normalize("NFD") !== swapped;
}

/** Composed again (Unicode, section 3.11): a character is blocked by one of its class or a higher one before it. */
function compose(characters: readonly Changed[]): Changed[] {
  const out: Changed[] = [];
  let composee: Changed | undefined, between: Changed[] = [];
  for (const next of characters) {
    if (composee === undefined) {
      if (next.isStarter) composee = next;
      else out.push(next);
      continue;
    }
    const last = between.at(-1);
    const isBlocked = last !== undefined && (next.isStarter || !isBefore(last, next));
    const composed: string | undefined = isBlocked ? undefined : pair(composee.character, next.character);
    if (composed !== undefined) {
      composee = { character: composed, change: composee.change + next.change - 1, isStarter: true };
    } else if (next.isStarter) {
      out.push(composee);
      for (const mark of between) out.push(mark);
      composee = next;
      between = [];
    } else between.push(next);
  }
  if (composee !== undefined) out.push(composee);
  for (const mark of between) out.push(mark);
  return out;
}

/** The character that two compose to. */
function pair(first: string, second: string): string | undefined {
  const composed = known.normalized(first + second, "NFC");
  return composed.length === (composed.codePointAt(0)! < 0x10000 ? 1 : 2) ? composed : undefined;
}
