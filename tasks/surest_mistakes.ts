/** The texts that a classifier is most certain of and wrong about: in them one finds labels that are wrong, and words that mislead. */

import { packLabeled } from "../config/batch.ts";
import type { Mistakes } from "../config/metric.ts";
import { EVALUATION_SEQUENCES, rowAnswer } from "./finetuning_task.ts";
import type { ClassifiedSequence } from "./sequence_classification.ts";
import type { Answering } from "./task.ts";

/** How many are told. */
const TOLD = 10;
/** UTF-16 units of a text that are told. */
const LENGTH = 300;

/** A text, or two, as it was read. */
export interface ToldText {
  text: string;
  pair?: string;
}

/**
 * @param sequences of `texts`, one each.
 * @throws the signal's reason.
 */
export async function surestMistakes(
  engine: Answering,
  texts: readonly ToldText[],
  sequences: readonly ClassifiedSequence[],
  labels: readonly string[],
  signal: AbortSignal,
): Promise<Mistakes["lines"]> {
  const found: Parameters<typeof toldMistakes>[1] = [];
  for (let from = 0; from < sequences.length; from += EVALUATION_SEQUENCES) {
    signal.throwIfAborted();
    const part = sequences.slice(from, from + EVALUATION_SEQUENCES);
    const logits = await engine.sequenceLogits(packLabeled(part), labels.length);
    part.forEach(({ label }, b) => {
      const row = logits.subarray(b * labels.length, (b + 1) * labels.length);
      const { answer } = rowAnswer(row, label);
      if (answer === label) return;
      const probability = Math.exp(-rowAnswer(row, answer).loss);
      found.push({ i: from + b, is: labels[label], answered: labels[answer], how: probability, probability });
    });
  }
  return toldMistakes(texts, found);
}

/** The worst of wrong answers, by `how` bad they are, with their texts. `i` is the number of the text. */
export function toldMistakes(
  texts: readonly ToldText[],
  found: { i: number; is: string; answered: string; how: number; probability?: number }[],
): Mistakes["lines"] {
  found.sort((a, b) => b.how - a.how || a.i - b.i);
  return found.slice(0, TOLD).map(({ i, how: _, ...answer }) => {
    const { text, pair } = texts[i];
    return { text: cut(text), ...(pair === undefined ? {} : { pair: cut(pair) }), ...answer };
  });
}

function cut(text: string): string {
  return text.length <= LENGTH ? text : `${text.slice(0, LENGTH).toWellFormed()}…`;
}
