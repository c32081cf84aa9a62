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
interface Shown {
  text: string;
  pair?: string;
}

/**
 * @param sequences of `texts`, one each.
 * @throws the signal's reason.
 */
export async function surestMistakes(
  engine: Answering,
  texts: readonly Shown[],
  sequences: readonly ClassifiedSequence[],
  labels: readonly string[],
  signal: AbortSignal,
): Promise<Mistakes["lines"]> {
  const found: { i: number; answer: number; probability: number }[] = [];
  for (let from = 0; from < sequences.length; from += EVALUATION_SEQUENCES) {
    signal.throwIfAborted();
    const part = sequences.slice(from, from + EVALUATION_SEQUENCES);
    const logits = await engine.sequenceLogits(packLabeled(part), labels.length);
    part.forEach(({ label }, b) => {
      const row = logits.subarray(b * labels.length, (b + 1) * labels.length);
      const { answer } = rowAnswer(row, label);
      if (answer !== label) found.push({ i: from + b, answer, probability: Math.exp(-rowAnswer(row, answer).loss) });
    });
  }
  found.sort((a, b) => b.probability - a.probability || a.i - b.i);
  return found.slice(0, TOLD).map(({ i, answer, probability }) => {
    const { text, pair } = texts[i];
    return {
      text: cut(text),
      ...(pair === undefined ? {} : { pair: cut(pair) }),
      is: labels[sequences[i].label],
      answered: labels[answer],
      probability,
    };
  });
}

function cut(text: string): string {
  return text.length <= LENGTH ? text : `${text.slice(0, LENGTH).toWellFormed()}…`;
}
