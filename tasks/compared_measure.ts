/**
 * What is measured while a run goes on from a model, so that both can be compared: the held-out text, by script, and other
 * text beside it.
 */

import type { Batch } from "../config/batch.ts";
import type { Evaluation } from "../config/metric.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { Breakdown, scriptOf } from "./breakdown.ts";
import type { Answering, Measure } from "./task.ts";
import { evaluate } from "./token_evaluation.ts";
import type { Unigram } from "./unigram.ts";

/** What it is measured on. */
export interface Compared {
  heldOut: readonly Batch[];
  /** Of other text; none if there is none. */
  reference: readonly Batch[];
  unigram: Unigram;
  tokenizer: Tokenizer;
}

/** The evaluation of held-out text, with its scripts and with that of the other text in it. */
export function comparedMeasure({ heldOut, reference, unigram, tokenizer }: Compared): Measure<Evaluation> {
  const take = async (engine: Answering, signal: AbortSignal): Promise<Evaluation | undefined> => {
    const scripts = new Breakdown(unigram, (id) => scriptOf(tokenizer.tokenOf(id)));
    const evaluation = await evaluate(engine, heldOut, (...row) => scripts.add(...row), signal);
    if (evaluation === undefined) return undefined;
    const other = await evaluate(engine, reference, undefined, signal);
    return {
      ...evaluation,
      scripts: scripts.groups.map(({ name, model: { loss, accuracy, count } }) => ({ name, loss, accuracy, count })),
      ...(other === undefined ? {} : { reference: pick(other) }),
    };
  };
  return { line: { kind: "evaluation" }, atEnd: false, take };
}

function pick({ loss, accuracy, accuracy_interval, masked }: Evaluation): NonNullable<Evaluation["reference"]> {
  return { loss, accuracy, accuracy_interval, masked };
}
