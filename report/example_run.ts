/** A made-up run for the tests of this room: every kind of metric, and figures that a test may bend. Used by tests only. */

import type { RunConfig } from "../config/run_config.ts";
import type { Metric, RunStart } from "../config/metric.ts";
import { type RunRecord, runRecord } from "./run_record.ts";

/** What a test may choose. */
export interface ExampleOptions {
  name?: string;
  /** Held-out loss and accuracy at each evaluation, 100 updates apart. */
  heldOut?: { loss: number; accuracy: number }[];
  /** Training loss at an update. */
  training?: (step: number) => number;
  unigram?: { loss: number; accuracy: number };
  ended?: boolean;
  interrupted?: boolean;
  warnings?: Extract<Metric, { kind: "warning" }>[];
  text?: string;
  answer?: string;
  tokenizer?: string;
  files?: string[] | "practice";
}

/** 95% interval in the examples: this much to either side. */
export const HALF_INTERVAL = 0.02;

const TEXT = {
  tokens: 120_000,
  sentences: 9000,
  documents: 800,
  sha256: "a".repeat(64),
  fertility: 1.31,
  words: 91_603,
  unknown_words: 48,
  unknown_share: 0.0004,
  vocabulary_used: 2900,
  most_frequent: [{ token: ".", share: 0.07 }, { token: "the", share: 0.05 }],
};

/** Falls from 6.5 to 4.7 over 1,000 updates. */
const HELD_OUT = Array.from({ length: 10 }, (_, i) => ({ loss: 6.5 - 0.2 * i, accuracy: 0.1 + 0.02 * i }));

/** The lines of its metrics.jsonl. */
export function exampleMetrics(options: ExampleOptions = {}): Metric[] {
  const { heldOut = HELD_OUT, training = (step) => 7 - step / 500, answer } = options;
  const text = options.text ?? "Die [MASK] scheint.";
  const { loss, accuracy } = options.unigram ?? { loss: 7, accuracy: 0.05 };
  const start: RunStart = {
    kind: "start",
    step: 0,
    elapsed_ms: 0,
    time: "2026-01-02T03:04:05.000Z",
    command: `deno run pretrain --data '${text}' --steps ${100 * heldOut.length}`,
    folder: "/somewhere",
    versions: { cloze: "0.1.0", deno: "2.9.6", platform: "linux x86_64" },
    engine: { engine: "fused", instruction_set: "avx2", threads: 2, parameter_count: 1_234_567 },
    tokenizer: { size: 3000, lowercase: false, sha256: options.tokenizer ?? "b".repeat(64) },
    train: TEXT,
    held_out: { ...TEXT, tokens: 2400, sha256: "c".repeat(64) },
    duplicate_share: 0.031,
    masking: { sequences: 100, tokens: 2400, masked: 360, mask_share: 0.8, random_share: 0.11, kept_share: 0.09 },
    unigram: { entropy: loss, loss, accuracy },
  };
  const metrics: Metric[] = [start, ...(options.warnings ?? [])];
  heldOut.forEach(({ loss, accuracy }, i) => {
    for (let step = 100 * i + 10; step <= 100 * (i + 1); step += 10) {
      metrics.push({
        kind: "train",
        step,
        epoch: step / 1000,
        loss: training(step),
        accuracy: accuracy / 2,
        learning_rate: 1e-3,
        grad_norm: 1.5,
        tokens: 1000 * step,
        tokens_per_second: 20_000,
        elapsed_ms: 50 * step,
        data_wait_ms: 0,
      });
    }
    const at = { step: 100 * (i + 1), elapsed_ms: 5000 * (i + 1) };
    metrics.push({
      kind: "evaluation",
      ...at,
      loss,
      perplexity: Math.exp(loss),
      accuracy,
      accuracy_interval: [accuracy - HALF_INTERVAL, accuracy + HALF_INTERVAL],
      top5_accuracy: 1.5 * accuracy,
      masked: 360,
    });
    const predictions = [{ token: answer ?? "Sonne", probability: 0.4 }, { token: "Zeit", probability: 0.1 }];
    metrics.push({
      kind: "blanks",
      ...at,
      lines: [{ text, ...(answer === undefined ? {} : { answer }), predictions }],
    });
  });
  const { ended = true, interrupted = false } = options;
  const step = 100 * heldOut.length;
  if (ended) metrics.push({ kind: "end", step, elapsed_ms: 50 * step, interrupted });
  return metrics;
}

/** Its run.json. */
export function exampleConfig(options: ExampleOptions = {}): RunConfig {
  return {
    cloze_version: "0.1.0",
    created: "2026-01-02T03:04:05.000Z",
    model: { num_hidden_layers: 2, hidden_size: 128 } as RunConfig["model"],
    training: { seed: 0, extent: { steps: 1000 }, mlm_probability: 0.15 } as RunConfig["training"],
    engine: "fused",
    data: {
      files: options.files ?? ["/somewhere/text.txt"],
      corpus: {} as RunConfig["data"]["corpus"],
      source: "d".repeat(64),
    },
  };
}

/** The run. */
export function exampleRun(options: ExampleOptions = {}): RunRecord {
  return runRecord(`/runs/${options.name ?? "example"}`, exampleConfig(options), exampleMetrics(options));
}
