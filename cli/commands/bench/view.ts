/** What `bench` shows. */

import type { Preset } from "../../../config/model_config.ts";
import { clock, counted, grouped, percent, size } from "../../../config/numbers.ts";
import { FEW_PASSES } from "../../../config/recipe.ts";
import type { StepRate } from "../../../training/step_rate.ts";
import { FAMILIES } from "../../../model/families.ts";
import { bold, folded, outColumns, table } from "../../terminal.ts";

/** One line of the result. */
export interface Row extends StepRate {
  preset: Preset;
  /** Weights, gradients and both moments, in bytes. */
  state_bytes: number;
  /** Wall clock of a pass over the corpus, if one was given. */
  epoch_ms?: number;
  /** Passes within the budget, if one was given. */
  epochs?: number;
  /** What a run of that length drops by default. */
  dropout?: number;
  /** Held-out loss that a run of that length may come to, from and to, in nats a token; missing where none like it was measured. */
  foretold_loss?: [low: number, high: number];
}

/** What the command prints as JSON. */
export interface BenchResult {
  /** Of each process. */
  threads: number;
  /** Those that shared each step; missing where there is one. */
  processes?: number;
  /** `model_type` of the models. */
  architecture: string;
  /** Products of matrices, by the type of their operands. */
  gemm_gflops: Record<string, number>;
  /** The text, if one was given: tokens of a pass over it, of its vocabulary, and nats that guessing a token by frequency costs. */
  corpus?: { tokens: number; vocab_size: number; entropy: number };
  presets: Row[];
}

/** The result in lines; `budget`: wall clock that a person has, in milliseconds. */
export function readable(result: BenchResult, budget: number | undefined): string {
  const { threads, processes = 1, architecture, gemm_gflops, corpus, presets } = result;
  const sets = [...new Set(presets.map(({ instruction_set }) => instruction_set))].join(", ");
  const lines = [
    bold("machine  ") + `${processes === 1 ? "" : `${processes} processes of `}${counted(threads, "thread")}, ${sets}`,
    bold("products ") +
    Object.entries(gemm_gflops).map(([dtype, rate]) => `${dtype} ${grouped(rate)} GFLOP/s`).join(", "),
  ];
  if (architecture !== FAMILIES[0].model_type) lines.push(bold("model    ") + architecture);
  if (corpus !== undefined) {
    lines.push(
      bold("text     ") + `${grouped(corpus.tokens)} tokens a pass with a vocabulary of ${grouped(corpus.vocab_size)}`,
    );
  }
  const head = ["preset", "parameters", "dtype", "tokens/s", "update", "±", "state"];
  if (corpus !== undefined) head.push("one epoch");
  if (budget !== undefined) head.push(`epochs in ${clock(budget).replace(/ 0[sm]$/, "")}`, "dropout", "loss");
  const rows = presets.map((row) => [
    row.preset,
    grouped(row.parameter_count),
    row.dtype,
    grouped(row.tokens_per_second),
    `${row.step_ms.toFixed(row.step_ms < 10 ? 1 : 0)} ms`,
    `${(100 * row.spread).toFixed(0)}%`,
    size(row.state_bytes),
    ...(row.epoch_ms === undefined ? [] : [clock(row.epoch_ms)]),
    ...(row.epochs === undefined
      ? []
      : [row.epochs.toFixed(row.epochs < 10 ? 2 : 0), String(row.dropout), foretold(row)]),
  ]);
  lines.push("", ...table([head, ...rows], outColumns(), "state"), "");
  lines.push(...certainty(presets).flatMap((line) => folded(line, outColumns())));
  if (budget !== undefined) lines.push(...folded(howSure(corpus!.entropy), outColumns()));
  for (const row of presets.filter(({ profile }) => profile.length > 0)) lines.push("", ...profileOf(row));
  return [...lines, ""].join("\n");
}

function foretold({ foretold_loss }: Row): string {
  return foretold_loss === undefined ? "–" : foretold_loss.map((loss) => loss.toFixed(1)).join("–");
}

/** Where the foretold losses come from. */
function howSure(entropy: number): string {
  const guessing = entropy.toFixed(1);
  return `loss: what a held-out token may cost in the end, in nats, where guessing by frequency costs ${guessing}. ` +
    "Film reviews came to that with as many updates, Korean ones to the lower end and English ones to the higher; other " +
    "text may lie outside. – where no such run was measured: other presets or lengths, or more than " +
    `${FEW_PASSES} passes.`;
}

/** Below this share the threads have waited for others. */
const BUSY = 0.8;

/** What ± is, and whether the machine was busy. */
function certainty(rows: readonly Row[]): string[] {
  const steps = Math.min(...rows.map(({ steps }) => steps));
  const lines = [`± is how much single updates differ: half of what four fifths of them span, of ${steps} or more.`];
  const shares = rows.filter(({ device }) => device === "cpu").map(({ processor_share }) => processor_share);
  const least = Math.min(...shares);
  if (least < BUSY) {
    lines.push(
      `The machine is busy: its threads got ${
        percent(least)
      } of the processor's time at least once, so a quiet one is faster.`,
    );
  }
  return lines;
}

/** Where the time of a step goes. */
function profileOf({ preset, dtype, step_ms, profile }: Row): string[] {
  const share = (ms: number) => `${(100 * ms / step_ms).toFixed(1)}%`;
  const sends = profile.some(({ bytes }) => bytes > 0);
  const rows = profile.map(({ operation, calls, ms, bytes }) => [
    ...[operation, calls.toFixed(0), ms.toFixed(2), share(ms)],
    ...(sends ? [bytes === 0 ? "" : (bytes / 2 ** 20).toFixed(3)] : []),
  ]);
  return [`${preset} in ${dtype}, a step of ${step_ms.toFixed(1)} ms:`]
    .concat(table([["operation", "calls", "ms", "share", ...(sends ? ["MiB sent"] : [])], ...rows]));
}
