/** What came of a fine-tuning, in words. Draws nothing. */

import { clock, counted, grouped, orDash, percent } from "../config/numbers.ts";
import { betterBefore, GAP } from "./classifier_stage.ts";
import { accuracyOf, commonest, titled } from "./classifier_words.ts";
import type { Classification, ClassifierRecord } from "./classifier_record.ts";
import { regressionFindings, regressionHeadline } from "./regression.ts";
import { conforms } from "./run_record.ts";
import { damaged, type Finding, type Verdict } from "./verdict.ts";

/** How a class fares. */
export interface ClassResult {
  label: string;
  /** Texts of this class, and texts that were taken for it. */
  there: number;
  said: number;
  /**
   * Of what was taken for it, the share that was right; of what is there, the share that was found; their harmonic mean.
   * `null` where there is nothing to divide by.
   */
  precision: number | null;
  recall: number | null;
  f1: number | null;
}

/** Precision, recall and F1 of each class. */
export function classResults({ confusion, by_label }: Classification, labels: readonly string[]): ClassResult[] {
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  return labels.map((label, i) => {
    const { right, there, said } = by_label?.[i] ??
      { right: confusion[i][i], there: sum(confusion[i]), said: sum(confusion.map((row) => row[i])) };
    return {
      label,
      there,
      said,
      precision: ratio(right, said),
      recall: ratio(right, there),
      f1: ratio(2 * right, there + said),
    };
  });
}

const ratio = (part: number, whole: number) => (whole === 0 ? null : part / whole);

/** What guessing by the frequency of the classes in the validation file costs, nats a text; of labels, nats a label. */
export function guessingLoss({ confusion, by_label, count }: Classification): number {
  const entropy = (p: number) => p === 0 || p === 1 ? 0 : -p * Math.log(p) - (1 - p) * Math.log(1 - p);
  if (by_label !== undefined) {
    return by_label.reduce((sum, { there }) => sum + entropy(there / Math.max(1, count)), 0) / by_label.length;
  }
  const shares = confusion.map((row) => row.reduce((a, b) => a + b, 0) / Math.max(1, count));
  return -shares.reduce((sum, p) => sum + (p === 0 ? 0 : p * Math.log(p)), 0);
}

/** Judges a fine-tuning by its metrics. */
export function classifierVerdict(record: ClassifierRecord): Verdict {
  const last = record.evaluations.at(-1), value = record.regressions.at(-1);
  const findings = [
    start(record),
    status(record),
    ...unknown(record),
    ...(last === undefined ? [] : found(record, last)),
    ...(value === undefined ? [] : regressionFindings(record, value)),
    ...damaged(record),
  ];
  if (value !== undefined) return { ...regressionHeadline(value), findings };
  if (last === undefined) {
    return { headline: "Nothing has been measured on the validation file yet", tone: "neutral", findings };
  }
  const right =
    `${percent(last.accuracy)} of ${counted(last.count, record.run.unit ?? "text")} told right${
      last.by_label === undefined ? "" : " with all labels"
    }; always ${commonest(record)} gets ` +
    percent(last.majority);
  return last.accuracy_interval[0] > last.majority
    ? { headline: `It learned: ${right}`, tone: "good", findings }
    : { headline: `Not better than guessing: ${right}`, tone: "bad", findings };
}

function start({ run }: ClassifierRecord): Finding {
  const from = run.from_scratch ? "It began at random weights, as a baseline" : `It began at ${run.model}`;
  return { tone: "neutral", text: `${from}${run.finetuning.probe ? "; the encoder was left as it was" : ""}.` };
}

function status({ end, train }: ClassifierRecord): Finding {
  const last = train.at(-1);
  const done = last === undefined
    ? "No update yet."
    : `${counted(last.step, "update")} in ${clock(end?.elapsed_ms ?? last.elapsed_ms)}.`;
  if (end === undefined) return { tone: "neutral", text: `${done} No end is recorded: it goes on, or it was killed.` };
  return end.interrupted
    ? { tone: "bad", text: `${done} It was stopped before its end; the learning rate had not come down.` }
    : { tone: "good", text: `${done} It ran to its end.` };
}

/** Words that the model cannot read, where they are more than a hundredth. */
function unknown({ run: { train, valid, unknown } }: ClassifierRecord): Finding[] {
  const words = (train.words ?? 0) + (valid.words ?? 0);
  const missing = (train.unknown_words ?? 0) + (valid.unknown_words ?? 0);
  if (!(words > 0 && missing > 0.01 * words)) return [];
  const examples = conforms(unknown?.examples, [""]) ? `, for example ${unknown!.examples.join(", ")}` : "";
  return [{
    tone: "bad",
    text:
      `${percent(missing / words)} of the words (${grouped(missing)} of ${grouped(words)}) became [UNK], which the ` +
      `model cannot tell apart${examples}.`,
  }];
}

function found(record: ClassifierRecord, last: Classification): Finding[] {
  const { run, evaluations, onTraining } = record;
  const [low, high] = last.accuracy_interval;
  const above = low > last.majority;
  const findings: Finding[] = [{
    tone: above ? "good" : "bad",
    text:
      `${titled(accuracyOf(record))} ${last.by_label === undefined ? "" : "in "}${
        percent(last.accuracy)
      } (95% interval ${percent(low)} to ${percent(high)}): the interval ` +
      `${above ? "lies above" : "does not lie above"} what always ${commonest(record)} gets, ${
        percent(last.majority)
      }.`,
  }];
  const classes = classResults(last, run.labels);
  const worst = classes.reduce((a, b) => ((b.f1 ?? 1) < (a.f1 ?? 1) ? b : a));
  findings.push({
    tone: worst.said === 0 ? "bad" : "neutral",
    text:
      `${last.micro_f1 === undefined ? "" : `Micro-F1 ${percent(last.micro_f1)}. `}Macro-F1 ${
        percent(last.macro_f1)
      } (95% interval ${last.macro_f1_interval.map(percent).join(" to ")}); ` +
      `lowest is ${worst.label}, ${orDash(worst.f1, percent)}${worst.said === 0 ? ", which it never says" : ""}.`,
  });
  const best = betterBefore(evaluations);
  if (best !== undefined) {
    findings.push({
      tone: "bad",
      text: `It was better before: ${percent(best.accuracy)} at update ${grouped(best.step)}. Fewer epochs may help.`,
    });
  }
  if (onTraining === undefined) return findings;
  const gap = onTraining.accuracy - last.accuracy;
  const figures = `${percent(onTraining.accuracy)} on its training file, ${percent(last.accuracy)} on the other`;
  if (gap > GAP) {
    findings.push({ tone: "bad", text: `It overfits: ${figures}. More labels, or fewer epochs, may help.` });
  } else if (onTraining.accuracy > last.accuracy_interval[1]) {
    findings.push({ tone: "neutral", text: `It knows its training file better: ${figures}.` });
  } else {
    findings.push({ tone: "good", text: `No sign of overfitting: ${figures}.` });
  }
  return findings;
}

/** Why several cannot be compared as they stand; empty if they can. */
export function incomparableClassifiers(records: readonly ClassifierRecord[]): string[] {
  const differ = (value: (record: ClassifierRecord) => string) => new Set(records.map(value)).size > 1;
  if (differ(({ run }) => run.problem_type ?? "")) return ["They answer with classes, sets of labels or values."];
  if (differ(({ run }) => JSON.stringify(run.labels))) return ["They have different classes."];
  if (differ(({ run }) => run.valid.sha256)) return ["They were measured on different files."];
  return [];
}

/** Which of several did best, and whether that is more than the accuracy's uncertainty. */
export function bestClassifier(records: readonly ClassifierRecord[]): Finding[] {
  if (records.every(({ run }) => run.problem_type === "regression")) return [];
  const [best, second] = records.flatMap(({ name, evaluations }) => evaluations.slice(-1).map((e) => ({ name, ...e })))
    .sort((a, b) => b.accuracy - a.accuracy);
  if (second === undefined) return [];
  const isAccuracy = accuracyOf(records[0]) === "accuracy";
  if (percent(best.accuracy) === percent(second.accuracy)) {
    const what = isAccuracy ? "accuracy" : "share of texts with all labels right";
    return [{
      tone: "neutral",
      text: `${best.name} and ${second.name} have the same ${what}, ${percent(best.accuracy)}.`,
    }];
  }
  const apart = best.accuracy_interval[0] > second.accuracy_interval[1];
  return [{
    tone: "neutral",
    text:
      `${
        isAccuracy ? "The highest accuracy is that" : "The most texts with all labels right are those"
      } of ${best.name}, ${percent(best.accuracy)}; next is ${second.name}, ` +
      `${percent(second.accuracy)}. Their 95% intervals ${apart ? "do not overlap" : "overlap"}. Another seed would ` +
      "give other figures.",
  }];
}
