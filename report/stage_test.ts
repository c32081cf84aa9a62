import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Metric } from "../config/metric.ts";
import { exampleConfig, exampleMetrics, type ExampleOptions, exampleRun, HALF_INTERVAL } from "./example_run.ts";
import { type RunRecord, runRecord } from "./run_record.ts";
import { nextStep, seenText, stageOf } from "./stage.ts";
import { verdict } from "./verdict.ts";

/** A run with these held-out losses, an accuracy, and passes over its text; guessing costs 7 nats and gets 5%. */
function run(losses: number[], { accuracy = 0.3, passes = 3, ...options }: ExampleOptions & {
  accuracy?: number;
  passes?: number;
} = {}): RunRecord {
  const made = exampleRun({ heldOut: losses.map((loss) => ({ loss, accuracy })), ...options });
  const end = made.train.at(-1)!.step;
  return { ...made, train: made.train.map((line) => ({ ...line, epoch: passes * line.step / end })) };
}

Deno.test("stageOf grades a run by its gain, what the last quarter brought, and whether anything was seen twice", () => {
  const cases: [string, RunRecord][] = [
    ["not yet", run([7.3, 7.2, 7.1, 7.05], { accuracy: 0.05 })],
    ["not yet", run([6.9, 6.6, 6.3, 6.0], { accuracy: 0.05 + HALF_INTERVAL - 0.001 })], // only "." again and again
    ["barely begun", run([7.4, 7.3, 7.2, 7.1])],
    ["barely begun", run([7, 6.9, 6.8, 6.5])],
    ["learning", run([6, 5.5, 5.2, 5])],
    ["learning", run([5])], // one evaluation says nothing of the trend
    ["levelling off", run([6, 5, 4.21, 4.2])],
    ["levelling off", run([3, 0.13, 0.117, 0.1185])], // a rise of 1% of a small loss is nothing beside what was gained
    ["overfitting", run([6, 4, 4.4, 4.8])],
    ["overfitting", run([6, 5, 7, 8])], // worse than guessing now, but it had been better
    ["barely begun", run([6.98, 7.1, 7.1, 7.1])], // what it lost was little more than chance
    ["getting worse", run([6, 4, 4.4, 4.8], { passes: 0.5 })],
  ];
  for (const [stage, record] of cases) assertEquals(stageOf(record)?.stage, stage, JSON.stringify(record.evaluations));
});

Deno.test("stageOf says nothing where nothing was measured, or where guessing is not recorded", () => {
  assertEquals(stageOf(runRecord("/runs/new", exampleConfig(), exampleMetrics().slice(0, 1))), undefined);
  const older = exampleMetrics().filter(({ kind }) => kind === "train" || kind === "evaluation");
  assertEquals(stageOf(runRecord("/runs/older", undefined, older)), undefined);
  assertEquals(nextStep(runRecord("/runs/older", undefined, older), "x"), undefined);
});

Deno.test("the headline says of every stage what is true of it, while it goes on and at its end", () => {
  const headline = (losses: number[], ended: boolean) => verdict(run(losses, { ended })).headline;
  assertMatch(headline([7, 6.9, 6.8, 6.5], true), /^It has barely begun to learn: 30\.0%/);
  assertMatch(headline([6, 5.5, 5.2, 5], false), /^It is learning: /);
  assertMatch(headline([6, 5, 4.21, 4.2], true), /^It learned, and levelled off: /);
  assertMatch(headline([6, 4, 4.4, 4.8], true), /^It learned, and then overfitted: /);
  assertEquals(verdict(run([6, 4, 4.4, 4.8])).tone, "bad");
});

Deno.test("seenText says which share of the text was seen, or how often all of it", () => {
  const seen = (passes: number, files?: "practice") => seenText(run([6, 5], { passes, ...(files ? { files } : {}) }));
  assertEquals(seen(0.09), "it saw 9.0% of your text once");
  assertEquals(seen(0.0001), "it saw less than 0.1% of your text once");
  assertEquals(seen(1), "it saw your text once");
  assertEquals(seen(31.46, "practice"), "it went over the text 31.5 times");
});

Deno.test("nextStep is one command: a longer run where that brings something, else to try the model", () => {
  const extent = (record: RunRecord, extent: object): RunRecord => {
    const config = exampleConfig();
    return { ...record, config: { ...config, training: { ...config.training, extent } } as RunRecord["config"] };
  };
  const losses = [6, 5.5, 5.2, 5]; // 400 updates in 20 seconds
  const command = (record: RunRecord) => nextStep(record, "runs/x")?.command.replace(/^.*?(?=pretrain|predict)/, "");
  assertEquals(command(run(losses)), "pretrain --resume runs/x --steps 800");
  assertEquals(command(run(losses, { passes: 0.09 })), "pretrain --resume runs/x --steps 4500");
  assertStringIncludes(nextStep(run(losses, { passes: 0.09 }), "x")!.text, "seen all of its text once");
  assertEquals(command(run(losses, { passes: 0.001 })), "pretrain --resume runs/x --steps 1600");
  const byTime = (passes: number) => command(extent(run(losses, { passes }), { budget_ms: 20_000 }));
  assertEquals(byTime(3), "pretrain --resume runs/x --budget 40s");
  assertEquals(byTime(0.07), "pretrain --resume runs/x --budget 5m");
  assertEquals(command(extent(run(losses), { epochs: 3 })), "pretrain --resume runs/x --epochs 6");
  assertEquals(command(run([6, 5, 4.21, 4.2])), "predict --model runs/x");
  assertStringIncludes(nextStep(run([6, 4, 4.4, 4.8], { passes: 4 }), "x")!.text, "a new run with --epochs 2");
  assertEquals(command(run(losses, { interrupted: true })), "pretrain --resume runs/x");
  assertEquals(nextStep(run(losses, { ended: false }), "x"), undefined, "it still goes on");
});

Deno.test("nextStep of a left-to-right model is nothing that fills blanks", () => {
  const made = run([6, 5, 4.21, 4.2]), config = exampleConfig();
  const training = { ...config.training, objective: "clm" };
  const next = nextStep({ ...made, config: { ...config, training } as RunRecord["config"] }, "x")!;
  assert(next.command.endsWith("evaluate --model x --data FILE"), next.command);
});

Deno.test("stageOf of a run that goes on from a model compares with that model", () => {
  const before = exampleMetrics({ heldOut: [{ loss: 5, accuracy: 0.3 }] }).filter(({ kind }) => kind === "evaluation")
    .map((metric) => ({ ...metric, step: 0 }) as Metric);
  const config = { ...exampleConfig(), from: { path: "/models/old", sha256: "f".repeat(64) } };
  const on = (...losses: number[]) => {
    const [start, ...rest] = exampleMetrics({ heldOut: losses.map((loss) => ({ loss, accuracy: 0.3 })) });
    return runRecord("/runs/on", config as never, [start, ...before, ...rest]);
  };
  assertEquals(stageOf(on(5.1, 5.2))?.stage, "not yet");
  assertEquals(stageOf(on(4.99, 4.98))?.stage, "barely begun");
  assertEquals(stageOf(on(4.5, 4.2))?.stage, "learning");
  assertMatch(verdict(on(4.99, 4.98)).headline, /^It hardly changed on your text: your text −0\.020/);
});
