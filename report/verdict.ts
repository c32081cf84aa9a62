/**
 * What came of a run, in words: what it reached, against what guessing reaches, and what speaks against it. Draws nothing.
 * The thresholds are stated here, and the sentences give the figures that they are about.
 */

import { clock, counted, grouped, percent } from "../config/numbers.ts";
import { beforeAfter, change, changes, referenceOf } from "./before_after.ts";
import { guessing, isUnmeasured, lastStart, type RunRecord, taskOf } from "./run_record.ts";
import { FLAT, hasRisen, lastQuarter, LEVEL, quarterBefore, seenText, type Stage, stageOf } from "./stage.ts";

/** A sentence, and whether it is good news. */
export interface Finding {
  tone: "good" | "bad" | "neutral";
  text: string;
  hint?: string;
}

/** The verdict on one run. */
export interface Verdict {
  headline: string;
  tone: Finding["tone"];
  findings: Finding[];
}

/** Held-out loss above the training loss by more than this share of it: overfitting. */
const GAP = 0.15;
/** A rise of the loss on the reference text above this, in nats: the model has lost some of what it knew. */
const FORGOTTEN = 0.1;
/** The training loss is averaged over this share of the run, its last. */
const TAIL = 0.1;

/** Judges a run by its metrics. */
export function verdict(run: RunRecord): Verdict {
  const findings = [
    status(run),
    ...goneOn(run),
    ...loss(run),
    ...accuracy(run),
    ...sentencePairs(run),
    ...trend(run),
    ...gap(run),
  ];
  const warnings: Finding[] = run.warnings.map(({ message, step, hint }) => ({
    tone: "bad",
    text: `Warning at update ${grouped(step)}: ${message}.`,
    hint,
  }));
  return { ...headline(run), findings: [...findings, ...warnings, ...damaged(run)] };
}

/** What could not be read of a record: figures and curves lack it. */
export function damaged({ damages }: { damages: readonly string[] }): Finding[] {
  return damages.map((damage) => ({ tone: "bad", text: `Figures and curves are not complete: ${damage}.` }));
}

function headline(run: RunRecord): Pick<Verdict, "headline" | "tone"> {
  const evaluation = run.evaluations.at(-1);
  const unigram = guessing(run);
  if (run.warnings.some(({ rule }) => rule === "non_finite")) {
    return { headline: "The run broke off: a number was no longer finite", tone: "bad" };
  }
  if (isUnmeasured(run)) {
    return { headline: "Nothing is measured: no token of the held-out text is predicted", tone: "bad" };
  }
  if (evaluation === undefined) return { headline: "Nothing has been measured on held-out text yet", tone: "neutral" };
  const right = `${percent(evaluation.accuracy)} of the held-out ${targets(run)} right`;
  if (unigram === undefined) return { headline: right, tone: "neutral" };
  const against = `${right}; always saying the commonest token gets ${percent(unigram.accuracy)}`;
  const both = beforeAfter(run), { stage, tone } = stageOf(run)!;
  const said = both === undefined ? FROM_NOTHING[stage] : GONE_ON[stage];
  return {
    headline: `${run.end === undefined ? said.now : said.then}: ${both === undefined ? against : changes(both)}`,
    tone,
  };
}

/** What a stage is called at the head of a report: of a run that goes on, and of one that has ended. */
type Words = Record<Stage, { now: string; then: string }>;

const FROM_NOTHING: Words = {
  "not yet": { now: "Not better than guessing yet", then: "Not better than guessing yet" },
  "barely begun": { now: "It has barely begun to learn", then: "It has barely begun to learn" },
  learning: { now: "It is learning", then: "It learned, and was still learning" },
  "levelling off": { now: "It learned, and is levelling off", then: "It learned, and levelled off" },
  overfitting: { now: "It learned, and now overfits", then: "It learned, and then overfitted" },
  "getting worse": { now: "It learned, and is getting worse", then: "It learned, and then got worse" },
};

const GONE_ON: Words = {
  ...FROM_NOTHING,
  "not yet": { now: "Not better on your text yet", then: "It did not get better on your text" },
  "barely begun": { now: "It has hardly changed on your text yet", then: "It hardly changed on your text" },
  learning: { now: "It is learning your text", then: "It learned your text, and was still learning" },
  "levelling off": {
    now: "It learned your text, and is levelling off",
    then: "It learned your text, and levelled off",
  },
};

function status(run: RunRecord): Finding {
  const { end } = run;
  const last = run.train.at(-1) ?? run.evaluations.at(-1);
  const done = last === undefined
    ? "No update yet."
    : counted(last.step, "update") + ("tokens" in last ? `, ${counted(last.tokens, "token")}` : "") +
      ` in ${clock(end?.elapsed_ms ?? last.elapsed_ms)}.`;
  const seen = seenText(run), ofText = seen === undefined ? "" : ` ${seen[0].toUpperCase()}${seen.slice(1)}.`;
  const resumed = ofText + (run.starts.length > 1 ? ` It was resumed ${times(run.starts.length - 1)}.` : "");
  if (end === undefined) {
    const from = lastStart(run) === undefined
      ? "No end is recorded: it is an older run, or it still goes on, or it was killed."
      : "No end is recorded: it still goes on, or it was killed.";
    return { tone: "neutral", text: `${done} ${from}${resumed}` };
  }
  return end.interrupted
    ? { tone: "neutral", text: `${done} It was stopped before its end and can be resumed.${resumed}` }
    : { tone: "good", text: `${done} It ran to its end.${resumed}` };
}

function loss(run: RunRecord): Finding[] {
  const evaluation = run.evaluations.at(-1);
  const unigram = guessing(run);
  if (evaluation === undefined) return [];
  const measured = `Held-out loss ${evaluation.loss.toFixed(3)} nats a token (perplexity ${
    perplexity(evaluation.loss)
  })`;
  if (unigram === undefined) {
    return [{ tone: "neutral", text: `${measured}. What guessing by frequency costs is not recorded.` }];
  }
  const below = unigram.loss - evaluation.loss;
  const against = `guessing by word frequency, ${unigram.loss.toFixed(3)} (perplexity ${perplexity(unigram.loss)})`;
  return [
    below > 0
      ? { tone: "good", text: `${measured}: ${below.toFixed(3)} below ${against}.` }
      : { tone: "bad", text: `${measured}: ${(-below).toFixed(3)} above ${against}.` },
  ];
}

/** Of a run that goes on from a model: what that did to its text, and to other text. */
function goneOn(run: RunRecord): Finding[] {
  const both = beforeAfter(run);
  if (both === undefined) return [];
  const { before, after } = both;
  const [old, now] = [referenceOf(before), referenceOf(after)];
  const sentence = (on: string, from: number, to: number) =>
    `On ${on} the loss went from ${from.toFixed(3)}, before the first update, to ${to.toFixed(3)} (${
      change(from, to)
    }).`;
  const own: Finding = {
    tone: after.loss < before.loss ? "good" : "bad",
    text: sentence("your text", before.loss, after.loss),
  };
  if (old === undefined || now === undefined) return [own];
  const isForgotten = now.loss - old.loss > FORGOTTEN;
  return [own, {
    tone: isForgotten ? "bad" : "good",
    text: sentence("the reference", old.loss, now.loss),
    ...(isForgotten
      ? { hint: "to keep more of what the model knew: --replay FILE:5% with text like the reference" }
      : {}),
  }];
}

function accuracy(run: RunRecord): Finding[] {
  const evaluation = run.evaluations.at(-1);
  const unigram = guessing(run);
  if (evaluation === undefined) return [];
  const [low, high] = evaluation.accuracy_interval;
  const measured =
    `Accuracy ${percent(evaluation.accuracy)} on ${grouped(evaluation.masked)} held-out ${targets(run)} ` +
    `(95% interval ${percent(low)} to ${percent(high)})`;
  if (unigram === undefined) return [{ tone: "neutral", text: `${measured}.` }];
  const baseline = `what always saying the commonest token gets, ${percent(unigram.accuracy)}`;
  if (low > unigram.accuracy) return [{ tone: "good", text: `${measured}: the interval lies above ${baseline}.` }];
  if (high < unigram.accuracy) return [{ tone: "bad", text: `${measured}: the interval lies below ${baseline}.` }];
  return [{ tone: "bad", text: `${measured}: the interval contains ${baseline}, so it may be no better.` }];
}

/** Next-sentence prediction, where it was trained, against always giving the answer that is right more often. */
function sentencePairs(run: RunRecord): Finding[] {
  const { nsp_accuracy, nsp_accuracy_interval: interval, nsp_pairs } = run.evaluations.at(-1) ?? {};
  const majority = lastStart(run)?.nsp_majority;
  if (typeof nsp_accuracy !== "number" || typeof nsp_pairs !== "number" || !Array.isArray(interval)) return [];
  const measured = `Next-sentence prediction ${percent(nsp_accuracy)} on ${grouped(nsp_pairs)} pairs ` +
    `(95% interval ${percent(interval[0])} to ${percent(interval[1])})`;
  if (majority === undefined) return [{ tone: "neutral", text: `${measured}.` }];
  const always = `what always giving the commoner answer gets, ${percent(majority)}`;
  return [
    interval[0] > majority
      ? { tone: "good", text: `${measured}: the interval lies above ${always}.` }
      : { tone: "bad", text: `${measured}: the interval does not lie above ${always}.` },
  ];
}

/** What a rise means, by stage: of what was not learned yet, little. */
const RISEN: Partial<Record<Stage, string>> = {
  "getting worse": " No text was seen twice, so it is not learned by heart; a lower --learning-rate may help.",
  overfitting: " More of the same training makes this model worse; more text, or fewer passes over it, may help.",
};

function trend(run: RunRecord): Finding[] {
  const last = run.evaluations.at(-1);
  const before = quarterBefore(run);
  if (isUnmeasured(run)) return [];
  if (last === undefined || before === undefined) {
    return [{ tone: "neutral", text: "There are too few evaluations to say whether the loss still falls." }];
  }
  const best = run.evaluations.reduce((a, b) => (b.loss < a.loss ? b : a));
  if (hasRisen(run)) {
    return [{
      tone: "bad",
      text: `The held-out loss rises: it was lowest, ${best.loss.toFixed(3)}, at update ${grouped(best.step)}.` +
        (RISEN[stageOf(run)?.stage ?? "overfitting"] ?? ""),
    }];
  }
  const since = `since update ${grouped(before.step)} (${before.loss.toFixed(3)} to ${last.loss.toFixed(3)})`;
  const share = lastQuarter(run);
  const brought = share === undefined ? "" : `: the last quarter brought ${percent(share)} of what it gained`;
  if (share === undefined ? before.loss - last.loss > FLAT * last.loss : share >= LEVEL) {
    const falling = run.end === undefined ? "is falling" : "was still falling";
    return [{ tone: "neutral", text: `The held-out loss ${falling}, ${since}${brought}.` }];
  }
  return [{ tone: "neutral", text: `The held-out loss hardly changes any more, ${since}${brought}.` }];
}

function gap(run: RunRecord): Finding[] {
  const last = run.evaluations.at(-1);
  const training = tailLoss(run);
  if (last === undefined || training === undefined) return [];
  const gap = last.loss - training;
  const dropout = run.config?.training?.dropout === 0 ? ["", ""] : [", with dropout", ", without"];
  const figures = `training loss ${training.toFixed(3)} over the last tenth of the updates${dropout[0]}; held-out ` +
    `${last.loss.toFixed(3)}${dropout[1]}`;
  if (gap > GAP * last.loss) {
    return [{
      tone: "bad",
      text: `It overfits: the loss is ${gap.toFixed(3)} lower on text that it was trained on (${figures}).`,
    }];
  }
  return [{ tone: "good", text: `No sign of overfitting (${figures}).` }];
}

/** Mean training loss of the last tenth of the updates. */
function tailLoss(run: RunRecord): number | undefined {
  const end = run.train.at(-1)?.step ?? 0;
  let sum = 0, updates = 0;
  run.train.forEach(({ step, loss }, i) => {
    if (step <= (1 - TAIL) * end) return;
    const weight = step - (run.train[i - 1]?.step ?? 0);
    sum += weight * loss;
    updates += weight;
  });
  return updates > 0 ? sum / updates : undefined;
}

/** What is predicted. */
const targets = (run: RunRecord) => taskOf(run).predictions;

const perplexity = (loss: number) => {
  const value = Math.exp(loss);
  return value < 100 ? value.toFixed(1) : grouped(value);
};
const times = (n: number) => (n === 1 ? "once" : `${n} times`);

/** Why the losses of several runs cannot be compared as they stand; empty if they can. */
export function incomparable(runs: readonly RunRecord[]): string[] {
  const starts = runs.map(lastStart);
  const differ = (value: (start: NonNullable<(typeof starts)[number]>) => string) =>
    new Set(starts.map((start) => (start === undefined ? "unknown" : value(start)))).size > 1;
  if (runs.length < 2) return [];
  if (starts.includes(undefined)) return ["At least one run does not record its text and tokenizer."];
  if (differ((start) => start.tokenizer.sha256)) {
    return ["They have different tokenizers, so a blank is not the same thing in each."];
  }
  if (differ((start) => start.held_out.sha256)) return ["They were measured on different held-out texts."];
  if (differ((start) => `${start.masking.tokens} ${start.masking.masked}`)) {
    return ["They were measured on different blanks: other sequence lengths or mask rates."];
  }
  return [];
}

/** Which of several comparable runs did best, and whether that is more than the accuracy's uncertainty. */
export function bestOf(runs: readonly RunRecord[]): { text: string; findings: Finding[] } | undefined {
  const [best, second] = runs.map((run) => ({ name: run.name, evaluation: run.evaluations.at(-1) }))
    .flatMap(({ name, evaluation }) => (evaluation === undefined ? [] : [{ name, ...evaluation }]))
    .sort((a, b) => a.loss - b.loss);
  if (second === undefined) return undefined;
  const losses = [best, second].map(({ loss }) => loss.toFixed(3));
  const isTie = losses[0] === losses[1];
  const text = isTie
    ? `${best.name} and ${second.name} have the same held-out loss, ${losses[0]}`
    : `The lowest held-out loss is that of ${best.name}, ${losses[0]}; next is ${second.name}, ${losses[1]}`;
  const apart = best.accuracy_interval[0] > second.accuracy_interval[1];
  const accuracies = `The 95% intervals of their accuracies (${percent(best.accuracy)} and ${
    percent(second.accuracy)
  })`;
  const finding = apart
    ? `${accuracies} do not overlap.`
    : `${accuracies} overlap, so that another seed may turn the order round.`;
  return { text, findings: [{ tone: "neutral", text: finding }] };
}
