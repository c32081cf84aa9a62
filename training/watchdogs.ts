/**
 * Watches a run for what usually goes wrong and says what people usually find to be the cause. Each warns once. Rules only:
 * they read metrics and change nothing. Called by the pretrain command; a resumed run is shown its earlier metrics again.
 */

import { counted } from "../config/numbers.ts";
import type { Metric, Warning } from "../config/metric.ts";

/** Of so much wall clock the waiting for data is looked at, in seconds. */
const STALL_SECONDS = 30;
/** A larger share of it, spent waiting, is a stall. */
const STALL_SHARE = 0.25;
/** Healthy runs, too, spend their first updates on the plateau. */
const PLATEAU_UPDATES = 1000;
/** Loss above this share of the unigram loss: the model knows hardly more than word frequencies. */
const PLATEAU_LOSS = 0.95;
/** And it has not fallen by this share of the unigram loss in the last half of the run. */
const PLATEAU_FALL = 0.01;
/** Below this share of the unigram loss the plateau is left for good. */
const PLATEAU_LEFT = 0.8;
/** Of natural text 1 to 6% of the lines stand there before (measured on reviews, novels, news and an encyclopedia). */
const REPEATED_SHARE = 0.2;
/** Of short lines a few are the same everywhere, as natural text has them twice. */
export const SEEN_SHARE = 0.1;

type Train = Extract<Metric, { kind: "train" }>;

/** The rules that need the metrics of a run, in order. */
export class Watchdogs {
  readonly #unigramLoss: number;
  readonly #warned = new Set<Warning["rule"]>();
  readonly #lines: { step: number; loss: number }[] = [];
  readonly #intervals: { seconds: number; wait: number }[] = [];
  #previous: Train | undefined;
  #warmupEnd: number | undefined;
  #plateauChecked = 0;
  #leftPlateau = false;

  /** `unigramLoss`: what guessing from the training text's frequencies costs, nats a token. */
  constructor(unigramLoss: number) {
    this.#unigramLoss = unigramLoss;
  }

  /** Takes the next metric and returns what has to be said about it. */
  see(metric: Metric): Warning[] {
    if (metric.kind === "warning") this.#warned.add(metric.rule); // of an earlier part of the run
    if (metric.kind !== "train") return [];
    const found = [this.#stall(metric), this.#plateau(metric)].filter((warning) => warning !== undefined);
    this.#previous = metric;
    const fresh = found.filter(({ rule }) => !this.#warned.has(rule));
    for (const { rule } of fresh) this.#warned.add(rule);
    return fresh;
  }

  #stall(metric: Train): Warning | undefined {
    const tokens = metric.tokens - (this.#previous?.tokens ?? 0);
    if (!(tokens > 0 && metric.tokens_per_second > 0)) return undefined;
    const intervals = this.#intervals;
    intervals.push({ seconds: tokens / metric.tokens_per_second, wait: metric.data_wait_ms / 1000 });
    const seconds = () => intervals.reduce((sum, interval) => sum + interval.seconds, 0);
    while (intervals.length > 1 && seconds() - intervals[0].seconds >= STALL_SECONDS) intervals.shift();
    const wait = intervals.reduce((sum, interval) => sum + interval.wait, 0);
    if (seconds() < STALL_SECONDS || wait <= STALL_SHARE * seconds()) return undefined;
    return {
      ...at(metric),
      rule: "data_stall",
      message: `the engine waited for data for up to ${percent(wait / seconds())} of the last ${
        seconds().toFixed(0)
      } seconds`,
      hint:
        "usual causes: the run's folder is on a slow or remote disk, other programs use the cores, or the model is " +
        "so small that batches take longer to build than to train on (a larger --batch-tokens does not help then)",
    };
  }

  #plateau(metric: Train): Warning | undefined {
    const { step, loss } = metric;
    const unigram = this.#unigramLoss;
    this.#lines.push({ step, loss });
    // The rate rises in the warmup; the plateau is counted from its peak on.
    const rising = this.#previous === undefined || metric.learning_rate > this.#previous.learning_rate;
    if (!rising) this.#warmupEnd ??= this.#previous!.step;
    if (step < Math.max(PLATEAU_UPDATES, 1.1 * this.#plateauChecked)) return undefined;
    if (this.#leftPlateau || this.#warmupEnd === undefined || step / 2 < this.#warmupEnd) return undefined;
    this.#plateauChecked = step;
    const before = this.#mean(step / 2, 3 * step / 4), now = this.#mean(3 * step / 4, step);
    this.#leftPlateau = now < PLATEAU_LEFT * unigram;
    if (now < PLATEAU_LOSS * unigram || !(before - now < PLATEAU_FALL * unigram)) return undefined;
    return {
      ...at(metric),
      rule: "plateau",
      message:
        `after ${step.toLocaleString("en-US")} updates the training loss is ${now.toFixed(2)}, about what guessing ` +
        `by word frequency costs (${unigram.toFixed(2)}), and it does not fall`,
      hint:
        "usual causes: the learning rate is too high, or too low for so few updates; the text is mostly copies of " +
        "the same lines; sequences and updates are long, so that there are few updates: try a learning rate of a " +
        "third, a smaller --batch-tokens, a smaller --max-sequence-length",
    };
  }

  /** Mean loss of the updates after `from` up to `to`; a line stands for the updates since the line before it. */
  #mean(from: number, to: number): number {
    let sum = 0, updates = 0;
    this.#lines.forEach(({ step, loss }, i) => {
      if (step <= from || step > to) return;
      const weight = step - (this.#lines[i - 1]?.step ?? 0);
      sum += weight * loss;
      updates += weight;
    });
    return sum / updates;
  }
}

/** The warning about a text that is largely copies of itself. `duplicate_share`: of its lines, see `CorpusCounts`. */
export function repeatedText(duplicate_share: number): Warning | undefined {
  if (duplicate_share <= REPEATED_SHARE) return undefined;
  return {
    ...at({ step: 0, elapsed_ms: 0 }),
    rule: "repeated_text",
    message: `${percent(duplicate_share)} of the lines of the text are copies of earlier ones`,
    hint: "usual causes: the same file twice under two names, headers and footers on every page, a crawl of mirrored " +
      "pages. Held-out text then has copies of training text in it, and its loss flatters the model: " +
      "remove the copies, for example with: awk '!NF || !seen[$0]++'",
  };
}

/** The warning about held-out text that is trained on. `in_training`: share of its lines, see `CorpusCounts`. */
export function seenText(in_training: number): Warning | undefined {
  if (in_training <= SEEN_SHARE) return undefined;
  return {
    ...at({ step: 0, elapsed_ms: 0 }),
    rule: "seen_text",
    message: `${percent(in_training)} of the lines of the held-out text are lines of the training text, too`,
    hint: "the held-out loss flatters the model there: leave these lines out of one of the two",
  };
}

/** The warning about a run that can measure nothing: no held-out token is predicted. */
export function nothingHeldOut({ documents, tokens }: { documents: number; tokens: number }, hasOwn: boolean): Warning {
  const text = tokens === 0
    ? `${hasOwn ? "the held-out text has no word in it" : "the text is too short for a held-out part"}`
    : `the held-out text is so short (${counted(tokens, "token")} in ${counted(documents, "document")}) ` +
      "that nothing in it is predicted";
  return {
    ...at({ step: 0, elapsed_ms: 0 }),
    rule: "nothing_held_out",
    message: `${text}, so that nothing is measured and there is no held-out loss or accuracy`,
    hint: hasOwn ? "give more text with --valid FILE" : "give text to measure on: --valid FILE",
  };
}

/** The warning about words that became `[UNK]`. */
export function unknownWords(advice: { message: string; hint: string }): Warning {
  return { ...at({ step: 0, elapsed_ms: 0 }), rule: "unknown_words", ...advice };
}

/** The record of a run that ended because a number was no longer finite. */
export function nonFinite(message: string, last: { step: number; elapsed_ms: number }): Warning {
  return { ...at(last), rule: "non_finite", message, hint: NON_FINITE_CAUSES };
}

/** What is behind most losses that are NaN or infinite. */
export const NON_FINITE_CAUSES =
  "usual causes: the learning rate is too high (try a third of it) or rises too fast, or " +
  "the weights that the run began from are broken";

function at({ step, elapsed_ms }: { step: number; elapsed_ms: number }) {
  return { kind: "warning" as const, step, elapsed_ms };
}

const percent = (share: number) => `${(100 * share).toFixed(0)}%`;
