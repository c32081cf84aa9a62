/** What `predict` shows of an answer. */

import { percent } from "../../../config/numbers.ts";
import { visibleLine } from "../../../config/visible.ts";
import type { ClassifiedText } from "../../../inference/classifier.ts";
import type { FilledLine } from "../../../inference/fill_mask.ts";
import type { MeasuredText } from "../../../inference/regressor.ts";
import type { TaggedText } from "../../../inference/token_classifier.ts";

/** The filled sentence, and under it the answers for each blank. */
export function filledLine(line: FilledLine): string {
  const rows = line.masks.map((answers, i) => {
    const label = line.masks.length > 1 ? `  ${i + 1}. ` : "  ";
    return label + answers.map(({ token, probability }) => `${visibleLine(token)} ${percent(probability)}`).join("  ");
  });
  const seen = line.truncated ? ["  (from what stands around the blank: the line is longer than the model takes)"] : [];
  return [line.sequence, ...rows, ...seen, ""].join("\n");
}

/** The classes of a text, and the text. */
export function classes({ labels, ...of }: Pick<ClassifiedText, "labels" | "input" | "pair">): string {
  return labels.map(({ label, probability }) => `${visibleLine(label)} ${percent(probability)}`).join("  ") +
    `\t${given(of)}\n`;
}

/** The text, or both of a pair with a tab between them. */
function given({ input, pair }: { input: string; pair?: string }): string {
  return pair === undefined ? input : `${input}\t${pair}`;
}

/** The words of a text with their tags, one a line as in CoNLL's files, and a blank line behind them. */
export function taggedLines({ words }: Pick<TaggedText, "words">): string {
  const lines = words.map(({ word, entity, score }) =>
    `${visibleLine(word)}\t${entity === null ? "–" : visibleLine(entity)}\t${score === null ? "–" : percent(score)}\n`
  );
  return lines.join("") + "\n";
}

/** The values of a text, with their names where there are several, and the text. */
export function measuredLine({ values, ...of }: MeasuredText): string {
  const shown = values.map(({ label, value }) => {
    const digits = String(Number(value.toPrecision(6)));
    return values.length === 1 ? digits : `${visibleLine(label)} ${digits}`;
  });
  return `${shown.join("  ")}\t${given(of)}\n`;
}
