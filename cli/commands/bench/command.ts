/** `cloze bench`: what to expect of this machine before a long run is started. */

import { SAMPLING_DEFAULTS } from "../../../config/batch_config.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { type Preset, presetConfig, PRESETS } from "../../../config/model_config.ts";
import { PRESET_TRAINING } from "../../../config/run_config.ts";
import { gemmRate } from "../../../ffi/mod.ts";
import { vocabularyReport } from "../../../tokenizer/mod.ts";
import { type StepRate, stepRate } from "../../../training/step_rate.ts";
import { checkTextFlags, corpusConfig, corpusFindings, findFiles } from "../../corpus.ts";
import { noteDevice } from "../../device.ts";
import { learnTokenizer } from "../../learn_tokenizer.ts";
import { bold, clock, endProgress, grouped, note, progress, size, table, writeOut } from "../../terminal.ts";
import type { BenchOptions } from "./flags.ts";

/** Larger batches change the rate little, and take longer to measure. */
const MOST_TOKENS = 4096;
const VOCAB_SIZE = 8000;
const MAX_SEQUENCE_LENGTH = SAMPLING_DEFAULTS.max_sequence_length;
const DTYPES = ["f32", "bf16"] as const;

/** One line of the result. */
interface Row extends StepRate {
  preset: Preset;
  /** Weights, gradients and both moments, in bytes. */
  state_bytes: number;
  /** Wall clock of a pass over the corpus, if one was given. */
  epoch_ms?: number;
  /** Passes within the budget, if one was given. */
  epochs?: number;
}

/** Runs the command. */
export async function run({ positionals = [], ...values }: BenchOptions): Promise<number> {
  const data = [...(values.data ?? []), ...positionals];
  if (data.length === 0 && values.budget !== undefined) {
    throw new ClozeError("usage", "--budget says how many passes over a text fit into it: give the text with --data");
  }
  const threads = values.threads ?? navigator.hardwareConcurrency;
  if (data.length === 0) checkTextFlags(values, []);
  const corpus = data.length === 0 ? undefined : await corpusTokens(data, values, threads);
  progress("multiplying matrices");
  const gemm: Record<string, number> = {};
  for (const dtype of DTYPES) gemm[dtype] = Math.round(await gemmRate(dtype, threads)); // one at a time: each takes all cores
  const rows: Row[] = [];
  for (const preset of values.preset === undefined ? Object.keys(PRESETS) as Preset[] : [values.preset]) {
    for (const dtype of values.dtype === undefined ? DTYPES : [values.dtype]) {
      progress(`training steps of ${preset} in ${dtype}`);
      rows.push(await measure(preset, dtype, threads, values, corpus));
    }
  }
  endProgress();
  noteDevice(values.device, rows[0].device);
  const result = { threads, gemm_gflops: gemm, ...(corpus === undefined ? {} : { corpus }), presets: rows };
  await writeOut(values.json === true ? JSON.stringify(result) + "\n" : readable(result, values));
  return 0;
}

/**
 * Tokens of a pass over a corpus with the vocabulary that a run would learn from it: those of the text, and `[CLS]` and
 * `[SEP]` around about as many sequences as a run cuts it into.
 */
async function corpusTokens(data: readonly string[], values: BenchOptions, threads: number) {
  const files = await findFiles(data, values);
  checkTextFlags(values, files);
  const { tokenizer, counts, corpus } = await learnTokenizer({ files, config: corpusConfig(values) }, {
    ...(values["vocab-size"] === undefined ? {} : { vocab_size: values["vocab-size"] }),
    lowercase: false,
    threads,
  });
  note(`read ${corpusFindings(corpus)}`);
  const { tokens } = vocabularyReport(tokenizer, counts);
  const { documents } = corpus;
  const room = (values["max-sequence-length"] ?? MAX_SEQUENCE_LENGTH) - 2;
  const sequences = Math.max(documents, Math.round(tokens / room + documents / 2));
  return { tokens: tokens + 2 * sequences, vocab_size: tokenizer.size };
}

async function measure(
  preset: Preset,
  dtype: "f32" | "bf16",
  threads: number,
  values: BenchOptions,
  corpus: { tokens: number; vocab_size: number } | undefined,
): Promise<Row> {
  const config = presetConfig(preset, corpus?.vocab_size ?? values["vocab-size"] ?? VOCAB_SIZE);
  const rate = await stepRate(config, {
    device: values.device ?? "cpu",
    dtype,
    threads,
    batch_tokens: Math.min(MOST_TOKENS, PRESET_TRAINING[preset].batch_tokens),
    max_sequence_length: values["max-sequence-length"] ?? MAX_SEQUENCE_LENGTH,
    duration_ms: 2000,
    profile: values.profile ?? false,
  });
  const epoch_ms = corpus === undefined ? undefined : corpus.tokens / rate.tokens_per_second * 1000;
  return {
    preset,
    ...rate,
    state_bytes: 16 * rate.parameter_count,
    ...(epoch_ms === undefined ? {} : { epoch_ms }),
    ...(epoch_ms === undefined || values.budget === undefined ? {} : { epochs: values.budget / epoch_ms }),
  };
}

function readable(
  { threads, gemm_gflops, corpus, presets }: {
    threads: number;
    gemm_gflops: Record<string, number>;
    corpus?: { tokens: number; vocab_size: number };
    presets: Row[];
  },
  values: BenchOptions,
): string {
  const sets = [...new Set(presets.map(({ instruction_set }) => instruction_set))].join(", ");
  const lines = [
    bold("machine  ") + `${threads} ${threads === 1 ? "thread" : "threads"}, ${sets}`,
    bold("products ") +
    Object.entries(gemm_gflops).map(([dtype, rate]) => `${dtype} ${grouped(rate)} GFLOP/s`).join(", "),
  ];
  if (corpus !== undefined) {
    lines.push(
      bold("text     ") + `${grouped(corpus.tokens)} tokens a pass with a vocabulary of ${grouped(corpus.vocab_size)}`,
    );
  }
  const head = ["preset", "parameters", "dtype", "tokens/s", "update", "state"];
  if (corpus !== undefined) head.push("one epoch");
  if (values.budget !== undefined) head.push(`epochs in ${clock(values.budget)}`);
  const rows = presets.map((row) => [
    row.preset,
    grouped(row.parameter_count),
    row.dtype,
    grouped(row.tokens_per_second),
    `${row.step_ms.toFixed(row.step_ms < 10 ? 1 : 0)} ms`,
    size(row.state_bytes),
    ...(row.epoch_ms === undefined ? [] : [clock(row.epoch_ms)]),
    ...(row.epochs === undefined ? [] : [row.epochs.toFixed(row.epochs < 10 ? 2 : 0)]),
  ]);
  lines.push("", ...table([head, ...rows]));
  for (const row of presets.filter(({ profile }) => profile.length > 0)) lines.push("", ...profileOf(row));
  return [...lines, ""].join("\n");
}

/** Where the time of a step goes. */
function profileOf({ preset, dtype, step_ms, profile }: Row): string[] {
  const share = (ms: number) => `${(100 * ms / step_ms).toFixed(1)}%`;
  const rows = profile.map(({ operation, calls, ms }) => [operation, calls.toFixed(0), ms.toFixed(2), share(ms)]);
  return [`${preset} in ${dtype}, a step of ${step_ms.toFixed(1)} ms:`]
    .concat(table([["operation", "calls", "ms", "share"], ...rows]));
}
