/** The loop over a task that predicts one token a batch, with an engine that only notes what it is asked for. */

import { assertEquals, assertRejects } from "@std/assert";
import type { Batch } from "../config/batch.ts";
import { ClozeError } from "../config/cloze_error.ts";
import type { Metric } from "../config/metric.ts";
import { TRAINING_DEFAULTS } from "../config/run_config.ts";
import type { Engine } from "../ffi/mod.ts";
import type { BatchStream, Measure, Task } from "../tasks/task.ts";
import { MetricsFile } from "../run/metrics_file.ts";
import { Schedule } from "./schedule.ts";
import { train, type TrainOptions } from "./train.ts";

const NONE = new Int32Array(0);

/** Batch number n has the token n; a window has three. */
class Numbers implements BatchStream {
  #next = 0;
  readonly #predicts: boolean;

  constructor(predicts = true) {
    this.#predicts = predicts;
  }

  get position() {
    return { window: Math.floor(this.#next / 3), batch: this.#next % 3 };
  }

  set position({ window, batch }) {
    this.#next = 3 * window + batch;
  }

  get epoch(): number {
    return this.#next / 3;
  }

  next(): Batch {
    const ids = Int32Array.of(this.#next++), labels = this.#predicts ? ids : NONE;
    return {
      input_ids: ids,
      token_type_ids: NONE,
      position_ids: NONE,
      cu_seqlens: NONE,
      masked_positions: NONE,
      labels,
      sequence_labels: NONE,
    };
  }

  skip(): number {
    return this.next().input_ids.length;
  }

  [Symbol.dispose](): void {}
}

const TASK: Task = {
  predicted: ({ labels }) => labels.length,
  sequenceWeight: ({ tokens }) => tokens,
  trained: ({ loss_sum, masked }) => ({ loss: loss_sum / masked, accuracy: 0 }),
};

/** What an engine was asked for, in a word each. */
function noting() {
  const calls: string[] = [];
  let masked = 0;
  const engine = {
    forwardBackward: ({ input_ids: [id] }: Batch, step: number, micro: number, weight: number) => {
      calls.push(`${step}.${micro}:${id}×${weight}`);
      masked++;
      return Promise.resolve();
    },
    update: () => Promise.resolve(void calls.push("update")),
    report: () => {
      const sums = { loss_sum: 2 * masked, masked, grad_norm: 1 };
      masked = 0;
      return Promise.resolve(sums);
    },
  } as unknown as Engine;
  return { calls, engine };
}

/** Something that is measured: at each pause, or at the end. */
function measure(name: "valid" | "train", take: () => void = () => {}): Measure<{ loss: number }> {
  return {
    line: { kind: "classification", split: name },
    atEnd: name === "train",
    take: (_engine, signal) => {
      take();
      signal.throwIfAborted();
      return Promise.resolve({ loss: 7 });
    },
  };
}

/** Trains in a folder, four updates of two batches unless told otherwise, and tells what came of it. */
async function trained(path: string, options: Partial<TrainOptions<{ loss: number }>> = {}) {
  const { calls, engine } = noting();
  const start = options.start ?? { step: 0, position: { window: 0, batch: 0 }, elapsed_ms: 0, tokens: 0 };
  const metrics = await MetricsFile.open(path, start.step === 0 ? -1 : start.step);
  const lines: string[] = [], saved: Required<typeof start>[] = [];
  const result = await train({
    engine,
    task: TASK,
    batches: new Numbers(),
    microBatches: 2,
    measures: [measure("valid"), measure("train")],
    schedule: new Schedule({ ...TRAINING_DEFAULTS, learning_rate: 1, extent: { steps: 4 } }),
    start,
    metrics,
    milestones: 0,
    evaluateEvery: 2,
    save: (state) => Promise.resolve(void saved.push(state)),
    save_ms: 1e9, // never in between
    onMetric: (metric: Metric) => {
      lines.push("split" in metric ? `${metric.step} ${metric.split}` : `${metric.step} ${metric.kind}`);
    },
    signal: new AbortController().signal,
    ...options,
  });
  return { calls, lines, saved, ...result };
}

const temporary = async (run: (path: string) => Promise<void>) => {
  const path = await Deno.makeTempFile();
  try {
    await run(path);
  } finally {
    await Deno.remove(path);
  }
};

const WHOLE = [
  ...["0.0:0×2", "0.1:1×2", "update", "1.0:2×2", "1.1:3×2", "update"],
  ...["2.0:4×2", "2.1:5×2", "update", "3.0:6×2", "3.1:7×2", "update"],
];

Deno.test("train accumulates, measures at its pauses and at its end, and saves there", async () => {
  await temporary(async (path) => {
    const { calls, lines, saved, measured, state, interrupted } = await trained(path);
    assertEquals(calls, WHOLE);
    assertEquals(lines, ["1 train", "2 train", "2 valid", "4 train", "4 valid", "4 train"]);
    assertEquals(saved.map(({ step, position, done }) => ({ step, position, done })), [
      { step: 4, position: { window: 2, batch: 2 }, done: true },
    ]);
    assertEquals([measured, state.tokens, interrupted], [[{ loss: 7 }, { loss: 7 }], 8, false]);
  });
});

Deno.test("train that was stopped goes on with the next batch, and measures what it was stopped in", async () => {
  await temporary(async (path) => {
    const stop = new AbortController();
    const first = await trained(path, {
      signal: stop.signal,
      measures: [measure("valid", () => stop.abort()), measure("train")],
    });
    assertEquals([first.interrupted, first.measured], [true, [undefined, undefined]]);
    assertEquals(first.saved.map(({ step, done }) => [step, done]), [[2, false]]);
    const second = await trained(path, { start: first.saved[0] });
    assertEquals([...first.calls, ...second.calls], WHOLE);
    assertEquals(second.lines, ["2 valid", "4 train", "4 valid", "4 train"]);
    assertEquals([second.interrupted, second.state.tokens], [false, 8]);
  });
});

Deno.test("train measures nothing twice: neither at its end nor when a finished run is called again", async () => {
  await temporary(async (path) => {
    let count = 0;
    const stop = new AbortController();
    const measures = [measure("valid", () => count++), measure("train", () => stop.abort())];
    const first = await trained(path, { measures, signal: stop.signal });
    assertEquals([first.interrupted, first.saved.at(-1)?.done], [true, true]);
    const second = await trained(path, { measures: [measures[0], measure("train")], start: first.saved.at(-1)! });
    assertEquals([second.calls, second.lines, second.interrupted, count], [[], ["4 train"], false, 2]);
    assertEquals(second.measured.map((figures) => figures?.loss), [7, 7]);
  });
});

Deno.test("train gives up on what predicts nothing, as soon as it is known", async () => {
  await temporary(async (path) => {
    const batches = new Numbers(false);
    const error = await assertRejects(
      () => trained(path, { batches, microBatches: 1, epochsAreAlike: true, evaluateEvery: 99 }),
      ClozeError,
    );
    assertEquals(error.message, "nothing was learned: in 3 steps no token was chosen to be predicted");
  });
});
