/** Blanks of the held-out text as a run filled them last, for the terminal. */

import type { Blanks } from "../../../config/metric.ts";
import { counted, percent } from "../../../config/numbers.ts";
import { cut, widthOf } from "../../terminal.ts";

/** Columns of the text before a blank and behind it. */
const BEFORE = 28, BEHIND = 16;

/**
 * A line that says what they are, one for each, and an empty one; none where there are no blanks.
 *
 * @param columns that a line has: of the answers those are shown that fit, the best in any case.
 */
export function filledLines(lines: Blanks["lines"], columns = Infinity): string[] {
  if (lines.length === 0) return [];
  const right = lines.filter(({ answer, predictions: [best] }) => best?.token === answer).length;
  return [
    `  Held-out text; what stood there is in brackets. ${right} of ${counted(lines.length, "blank")} right:`,
    ...lines.map(({ text, answer = "____", predictions }) => {
      const [before, behind] = text.split("[MASK]");
      const [best, ...others] = predictions.map(({ token, probability }) => `${token} ${percent(probability)}`);
      const line = `  ${end(before)}[${answer}]${beginning(behind)}   ${best}`;
      return others.reduce(
        (line, answer) => widthOf(`${line}, ${answer}`) > columns ? line : `${line}, ${answer}`,
        line,
      );
    }),
    "",
  ];
}

/** The beginning of a text that is too long to be shown. */
function beginning(text: string): string {
  return widthOf(text) <= BEHIND ? text : `${cut(text, BEHIND - 1)}…`;
}

/** The end of one. */
function end(text: string): string {
  if (widthOf(text) <= BEFORE) return text;
  let kept = "";
  for (const character of [...text].reverse()) {
    if (widthOf(character + kept) > BEFORE - 1) break;
    kept = character + kept;
  }
  return `…${kept}`;
}
