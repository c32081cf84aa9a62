import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Metric } from "../config/metric.ts";
import { repeatedText, Watchdogs } from "./watchdogs.ts";

const UNIGRAM = 7;

/** Lines of a run with a loss for each update: every `every` updates, warm for the first `warmup`. */
function run(lossAt: (step: number) => number, options: { steps: number; every?: number; warmup?: number }) {
  const { steps, every = 20, warmup = 100 } = options;
  const lines: Metric[] = [];
  for (let step = every; step <= steps; step += every) {
    lines.push({
      kind: "train",
      step,
      epoch: 0,
      loss: lossAt(step),
      accuracy: 0,
      learning_rate: step <= warmup ? step / warmup : 1 - step / steps / 2,
      grad_norm: 1,
      tokens: 1000 * step,
      tokens_per_second: 10_000,
      elapsed_ms: 100 * step,
      data_wait_ms: 0,
    });
  }
  return lines;
}

const warnings = (lines: readonly Metric[], unigram = UNIGRAM) => {
  const watchdogs = new Watchdogs(unigram);
  return lines.flatMap((line) => watchdogs.see(line));
};

/** Pseudo-noise of about that size. */
const noise = (step: number, size: number) => size * Math.sin(step * 12.9898) * Math.sin(step * 78.233);

Deno.test("a run that stays at the unigram loss is said to be stuck, once, after a thousand updates", () => {
  const found = warnings(run((step) => UNIGRAM - 0.2 + noise(step, 0.1), { steps: 10_000 }));
  assertEquals(found.map(({ rule, step }) => [rule, step]), [["plateau", 1000]]);
  assertStringIncludes(found[0].message, "guessing by word frequency costs (7.00)");
  assertStringIncludes(found[0].hint, "learning rate");
});

Deno.test("a run that gets stuck above the unigram loss after a good start is noticed too", () => {
  const found = warnings(run((step) => (step < 400 ? UNIGRAM - step / 400 : UNIGRAM + 0.5), { steps: 3000 }));
  assertEquals(found.map(({ rule }) => rule), ["plateau"]);
});

Deno.test("runs that are not stuck give no alarm", () => {
  const cases: Record<string, Metric[]> = {
    "a healthy run": run((step) => Math.max(3, UNIGRAM + 2 - step / 300), { steps: 5000 }),
    "a slow run that still falls": run((step) => UNIGRAM - 0.2 - step / 3000 + noise(step, 0.05), { steps: 2000 }),
    "a short run": run(() => UNIGRAM, { steps: 900 }),
    "a long warmup": run(() => UNIGRAM, { steps: 3000, warmup: 2900 }),
    "a loss that is flat, but below what frequencies can give": run(() => 0.94 * UNIGRAM, { steps: 5000 }),
    "a loss that is flat and low": run(() => 0.5 * UNIGRAM, { steps: 5000 }),
    "a plateau that was left, and a flat end above it": run(
      (step) => (step < 600 ? UNIGRAM : step < 3000 ? 4 : 5.5),
      { steps: 9000 },
    ),
  };
  for (const [name, lines] of Object.entries(cases)) assertEquals(warnings(lines), [], name);
});

Deno.test("the recorded runs on natural text, of which one begins slowly, give no alarm", async () => {
  for (const [name, unigram] of [["en-mini", 6.94], ["ko-mini", 6.64]] as const) {
    const url = new URL(`../docs/experiments/${name}.csv`, import.meta.url);
    const [head, ...rows] = (await Deno.readTextFile(url)).trim().split("\n").map((row) => row.split(","));
    const at = (column: string, row: string[]) => Number(row[head.indexOf(column)]);
    const known = [[0, 9], ...rows.map((row) => [at("step", row), at("train_loss", row)])];
    const steps = known[known.length - 1][0];
    const lossAt = (step: number) => {
      const i = known.findIndex(([end]) => end >= step);
      const [[x0, y0], [x1, y1]] = [known[i - 1], known[i]];
      return y0 + (y1 - y0) * (step - x0) / (x1 - x0);
    };
    assertEquals(warnings(run(lossAt, { steps, warmup: 0.06 * steps }), unigram), [], name);
  }
});

Deno.test("a resumed run that is shown its earlier lines does not warn again", () => {
  const lines = run(() => UNIGRAM, { steps: 2000 });
  const watchdogs = new Watchdogs(UNIGRAM);
  const [first] = lines.flatMap((line) => watchdogs.see(line));
  const resumed = new Watchdogs(UNIGRAM);
  const again = [...lines.slice(0, 60), first, ...lines.slice(60)].flatMap((line) => resumed.see(line));
  assertEquals(again.filter(({ step }) => step > first.step), []);
});

/** A run whose engine waits for this share of the time. */
const waiting = (share: (step: number) => number, steps: number) =>
  run(() => 4, { steps }).map((line) => ({ ...line, data_wait_ms: 2000 * share(line.step) }));

Deno.test("an engine that waits for a third of half a minute is said to starve, once", () => {
  const found = warnings(waiting(() => 0.33, 2000));
  assertEquals(found.map(({ rule, step }) => [rule, step]), [["data_stall", 300]]); // 300 updates at ten a second
  assertStringIncludes(found[0].message, "33%");
});

Deno.test("a data stall that begins late is noticed, and a short one is none", () => {
  const late = warnings(waiting((step) => (step > 1500 ? 0.9 : 0), 3000));
  assertEquals(late.length, 1);
  assertEquals(late[0].step <= 1700, true, `noticed at ${late[0].step}`);
  assertEquals(warnings(waiting((step) => (step > 1500 && step <= 1540 ? 0.9 : 0.05), 3000)), []);
  assertEquals(warnings(waiting(() => 0.2, 3000)), []);
});

Deno.test("repeatedText warns of copies and not of the repetitions of natural text", () => {
  // Measured: reviews 3.1%, a novel 0.9%, newspapers 1.6%, an encyclopedia 5.8%.
  for (const share of [0, 0.031, 0.058, 0.2]) assertEquals(repeatedText(share), undefined);
  assertEquals(repeatedText(0.5)?.rule, "repeated_text");
  assertStringIncludes(repeatedText(0.5)!.message, "50%");
});
