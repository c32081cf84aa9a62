/**
 * How far a run has come: not yet, barely begun, learning, levelling off or overfitting, by what it gained in all, what the
 * last quarter brought, and how much of the text it has seen. One judgement for terminal, report and page.
 */

import { program } from "../config/called.ts";
import { percent, roundedTime } from "../config/numbers.ts";
import { beforeAfter } from "./before_after.ts";
import { guessing, type RunRecord, taskOf } from "./run_record.ts";

/** How far a run has come. */
export type Stage = "not yet" | "barely begun" | "learning" | "levelling off" | "overfitting" | "getting worse";

/** A judgement, with its reason in figures. */
export interface Judgement {
  stage: Stage;
  tone: "good" | "bad" | "neutral";
  /** A clause. */
  why: string;
}

/** Below this share of what guessing costs, a gain is little more than knowing which tokens are frequent. */
const BEGUN = 0.1;
/** The same for a run that goes on from a model, of what that model cost. */
const CHANGED = 0.01;
/** The last quarter of a run that levels off brings less than this share of its gain. */
export const LEVEL = 0.05;
/** A rise of the held-out loss over its best by more than this share of it, and of what had been gained, is none by chance. */
export const FLAT = 0.01;

/** Judges a run; nothing where nothing was measured, or what guessing costs is not known. */
export function stageOf(run: RunRecord): Judgement | undefined {
  const last = run.evaluations.at(-1), guessed = guessing(run), both = beforeAfter(run), base = baseOf(run);
  if (last === undefined || base === undefined) return undefined;
  const rise = risen(run, base);
  if (rise !== undefined) return rise;
  const gain = base - last.loss;
  const against = both === undefined ? "guessing by frequency" : "the model that it began with";
  const nats = (value: number) => `${Math.abs(value).toFixed(3)} nats`;
  if (gain <= 0) {
    const isRight = both === undefined && last.accuracy_interval[0] > guessed!.accuracy;
    return {
      stage: isRight ? "barely begun" : "not yet",
      tone: "bad",
      why: `its loss is ${nats(gain)} above that of ${against}`,
    };
  }
  if (both === undefined && last.accuracy_interval[0] <= guessed!.accuracy) {
    return { stage: "not yet", tone: "bad", why: "it is right no more often than who always says the commonest token" };
  }
  if (gain < (both === undefined ? BEGUN : CHANGED) * base) {
    return {
      stage: "barely begun",
      tone: "neutral",
      why: `its loss is ${nats(gain)} below that of ${against}, ${percent(gain / base)} of it`,
    };
  }
  const share = lastQuarter(run);
  if (share === undefined) {
    return { stage: "learning", tone: "good", why: "too few evaluations to say whether the loss still falls" };
  }
  return {
    stage: share < LEVEL ? "levelling off" : "learning",
    tone: "good",
    why: `the last quarter of its updates brought ${percent(share)} of what it gained`,
  };
}

/** Whether the last held-out loss is above the lowest one by more than chance. */
export function hasRisen(run: RunRecord): boolean {
  const last = run.evaluations.at(-1)!, best = bestOf(run), gained = (baseOf(run) ?? best.loss) - best.loss;
  return last.loss - best.loss > FLAT * Math.max(last.loss, gained);
}

/** The judgement on a run that had been better than what it began from, and better than it is. */
function risen(run: RunRecord, base: number): Judgement | undefined {
  const last = run.evaluations.at(-1)!, best = bestOf(run), passes = passesOf(run);
  const begun = (beforeAfter(run) === undefined ? BEGUN : CHANGED) * base;
  if (base - best.loss < begun || !hasRisen(run)) return undefined; // nothing was learned that could be lost
  const why = `the held-out loss rose from ${best.loss.toFixed(3)} to ${last.loss.toFixed(3)}`;
  // Only what was seen before can be learned by heart.
  return passes !== undefined && passes <= 1
    ? { stage: "getting worse", tone: "bad", why: `${why}, although no text was seen twice` }
    : { stage: "overfitting", tone: "bad", why };
}

/** The evaluation with the lowest loss. */
const bestOf = ({ evaluations }: RunRecord) => evaluations.reduce((a, b) => (b.loss < a.loss ? b : a));

/** The last evaluation before the last quarter of the updates. */
export function quarterBefore({ evaluations }: RunRecord): RunRecord["evaluations"][number] | undefined {
  const last = evaluations.at(-1);
  return evaluations.findLast(({ step }) => last !== undefined && step <= 0.75 * last.step);
}

/** What the last quarter of the updates brought, as a share of the gain so far; nothing where that is not known. */
export function lastQuarter(run: RunRecord): number | undefined {
  const last = run.evaluations.at(-1), before = quarterBefore(run), base = baseOf(run);
  if (last === undefined || before === undefined || base === undefined || base <= last.loss) return undefined;
  return Math.max(0, before.loss - last.loss) / (base - last.loss);
}

/** The loss that a gain is counted from: that of the model it began with, or of guessing. */
const baseOf = (run: RunRecord) => beforeAfter(run)?.before.loss ?? guessing(run)?.loss;

/** How often it has gone over its text; nothing in the records of older versions. */
function passesOf({ train }: RunRecord): number | undefined {
  const { epoch } = train.at(-1) ?? {};
  return typeof epoch === "number" && epoch > 0 ? epoch : undefined;
}

/** How much of the text it has seen, as a clause. */
export function seenText(run: RunRecord): string | undefined {
  const passes = passesOf(run), whose = run.config?.data.files === "practice" ? "the" : "your";
  if (passes === undefined) return undefined;
  if (passes < 0.995) return `it saw ${passes < 0.001 ? "less than 0.1%" : percent(passes)} of ${whose} text once`;
  return passes < 1.05 ? `it saw ${whose} text once` : `it went over ${whose} text ${passes.toFixed(1)} times`;
}

/** What to do next, and the command for it. */
export interface NextStep {
  text: string;
  command: string;
}

/**
 * The one thing to do next; nothing while the run goes on.
 *
 * @param shown the run's folder as a shell takes it.
 */
export function nextStep(run: RunRecord, shown: string): NextStep | undefined {
  const { end } = run, stage = stageOf(run)?.stage;
  if (end === undefined) return undefined;
  const resume = `${program()} pretrain --resume ${shown}`;
  if (end.interrupted) return { text: "go on with it", command: resume };
  const isEarly = stage === "not yet" || stage === "barely begun" || stage === "learning";
  const longer = isEarly ? longerFlag(run) : undefined;
  if (longer !== undefined) return { text: longer.text, command: `${resume} ${longer.flag}` };
  return taskOf(run).masks
    ? { text: advice(run, stage, "try it"), command: `${program()} predict --model ${shown}` }
    : {
      text: advice(run, stage, "measure it on other text"),
      command: `${program()} evaluate --model ${shown} --data FILE`,
    };
}

/** What can be done with a run at its end, and what would make another one better. */
function advice(run: RunRecord, stage: Stage | undefined, doing: string): string {
  if (stage === "levelling off") return `${doing}; more text or a larger --preset can go lower`;
  if (stage === "getting worse") return `${doing}; a new run with a lower --learning-rate does better`;
  if (stage !== "overfitting") return doing;
  const best = bestOf(run);
  const passes = Math.round((passesOf(run) ?? 0) * best.step / run.evaluations.at(-1)!.step);
  return `${doing}; more text${passes >= 1 ? `, or a new run with --epochs ${passes},` : ""} does better`;
}

/** A run is made longer by at most this factor at once, and to at most a day. */
const MOST_TIMES = 20, DAY_MS = 864e5;

/** The flag that makes a run longer: to a pass over its text, or twice as long. */
function longerFlag(run: RunRecord): { text: string; flag: string } | undefined {
  const passes = passesOf(run), { end } = run, { extent } = run.config?.training ?? {};
  if (passes === undefined || end === undefined || extent === undefined || end.step === 0) return undefined;
  const isRoom = passes < 0.9 && 1 / passes <= MOST_TIMES && end.elapsed_ms / passes <= DAY_MS;
  const times = isRoom ? 1 / passes : passes < 0.9 ? 4 : 2;
  const text = isRoom
    ? "train it until it has seen all of its text once"
    : `train it ${times === 2 ? "twice" : "four times"} as long`;
  if ("steps" in extent) return { text, flag: `--steps ${twoDigits(times * end.step)}` };
  if ("epochs" in extent) return { text, flag: `--epochs ${Math.ceil(times * passes)}` };
  return { text, flag: `--budget ${roundedTime(times * end.elapsed_ms)}` };
}

/** Rounded up to two digits. */
function twoDigits(n: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(n)) - 1);
  return Math.ceil(n / unit) * unit;
}
