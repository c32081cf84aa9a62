/** What `evaluate` prints: figures as JSON, or in lines and tables. */

import type { Evaluation, UnigramBaseline } from "../../../config/metric.ts";
import { counted, grouped, orDash, percent } from "../../../config/numbers.ts";
import type { Group } from "../../../tasks/breakdown.ts";
import type { PretrainingTask } from "../../../tasks/pretraining_task.ts";
import type { UNMEASURED } from "../../../tasks/token_evaluation.ts";
import { outColumns, table } from "../../terminal.ts";
import { unknownLine } from "../../unknown_words.ts";

/** Figures on tokens; `null` where none was predicted. */
type MeasuredTokens = Omit<Evaluation, `nsp_${string}`> | typeof UNMEASURED;

/** Next-sentence prediction. */
export interface MeasuredPairs
  extends Required<Pick<Evaluation, "nsp_loss" | "nsp_accuracy" | "nsp_accuracy_interval" | "nsp_pairs">> {
  /** What always giving the answer that is right more often gets. */
  nsp_majority: number;
  /** Blanks in sentence pairs, which a model with next-sentence prediction was trained on. */
  in_pairs: { loss: number; accuracy: number; masked: number };
}

/** What the command prints as JSON. */
export type Measured = MeasuredTokens & Partial<MeasuredPairs> & {
  model: string;
  objective: string;
  /** Words and tokens of the text, and how many of them became `[UNK]`: one of each for a word. */
  words: number;
  tokens: number;
  unknown_words: number;
  /** Guessing by the text's own frequencies, which no model has seen. */
  unigram: UnigramBaseline;
  /** Always answering the commonest token. */
  most_frequent: { token: string; accuracy: number | null } | null;
  by_script: Group[];
  by_frequency: Group[];
};

/** Said where there is nothing to measure. */
export const UNPREDICTED = "no token of the text is predicted";

/** The figures in lines. */
export function readable(result: Measured, { masks }: PretrainingTask): string {
  const unknown = `unknown     ${unknownLine({ ...result, unknown: result.unknown_words })}`;
  if (result.loss === null) return `measured    nothing: ${UNPREDICTED}\n${unknown}\n`;
  const { loss, perplexity, accuracy, accuracy_interval, top5_accuracy, masked, unigram, most_frequent } = result;
  const lines = [
    `loss        ${loss.toFixed(3)} nats (perplexity ${perplexity.toFixed(1)}); guessing by frequency: ` +
    orDash(unigram.loss, (n) => n.toFixed(3)),
    `accuracy    ${percent(accuracy)} (95% interval ${accuracy_interval.map(percent).join("–")})` +
    (most_frequent === null
      ? ""
      : `; always ${JSON.stringify(most_frequent.token)}: ${orDash(most_frequent.accuracy, percent)}`),
    `top 5       ${percent(top5_accuracy)}`,
    masks
      ? `masked      ${counted(masked, "token")}`
      : `predicted   ${counted(masked, "next token")}, left to right: not comparable with masked tokens, which have ` +
        "text on both sides",
    unknown,
  ];
  if (result.nsp_accuracy !== undefined) {
    const [low, high] = result.nsp_accuracy_interval!.map(percent);
    lines.push(
      `pairs       ${percent(result.nsp_accuracy)} of ${grouped(result.nsp_pairs!)} told right ` +
        `(95% interval ${low}–${high}); always the commoner answer: ${percent(result.nsp_majority!)}`,
      `            blanks in them: loss ${result.in_pairs!.loss.toFixed(3)}, accuracy ${
        percent(result.in_pairs!.accuracy)
      }`,
    );
  }
  lines.push(...groupTable("by script", result.by_script), ...groupTable("by frequency", result.by_frequency));
  lines.push("", "Guessing knows how often each token occurs in this text.");
  return lines.join("\n") + "\n";
}

function groupTable(title: string, groups: readonly Group[]): string[] {
  const rows = groups.map(({ name, model, unigram }) => [
    name,
    grouped(model.count),
    model.loss.toFixed(3),
    percent(model.accuracy),
    model.accuracy_interval.map(percent).join("–"),
    percent(model.top5_accuracy),
    unigram.loss.toFixed(3),
    percent(unigram.accuracy),
  ]);
  const head = [title, "tokens", "loss", "accuracy", "95% interval", "top 5", "guessing: loss", "accuracy"];
  return ["", ...table([head, ...rows], outColumns())];
}
