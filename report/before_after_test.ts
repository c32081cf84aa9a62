import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Metric } from "../config/metric.ts";
import { beforeAfter, changes } from "./before_after.ts";
import { exampleConfig, exampleMetrics } from "./example_run.ts";
import { document } from "./document.ts";
import { runsPage } from "./page.ts";
import { runRecord } from "./run_record.ts";
import { verdict } from "./verdict.ts";

/** A run that goes on: its text falls from 6.5 to 5.7 nats, the reference rises from 4.2 by `forgotten`. */
function run(forgotten: number | undefined, from = true) {
  const heldOut = [{ loss: 6.2, accuracy: 0.2 }, { loss: 5.7, accuracy: 0.25 }];
  const metrics = exampleMetrics({ heldOut, answer: "Sonne" });
  const evaluations = metrics.filter((metric) => metric.kind === "evaluation");
  const first: Metric = { ...evaluations[0], step: 0, elapsed_ms: 0, loss: 6.5 };
  const blanks = metrics.find((metric) => metric.kind === "blanks")!;
  const old = [{ token: "Nacht", probability: 0.3 }];
  metrics.splice(1, 0, first, {
    ...blanks,
    step: 0,
    lines: blanks.lines.map((line) => ({ ...line, predictions: old })),
  });
  for (const metric of metrics) {
    if (metric.kind !== "evaluation") continue;
    metric.scripts = [{ name: "Latin", loss: metric.loss + 0.1, accuracy: 0.2, count: 300 }];
    const loss = metric.step === 0 ? 4.2 : 4.2 + (forgotten ?? 0);
    if (forgotten !== undefined) {
      metric.reference = { loss, accuracy: 0.4, accuracy_interval: [0.38, 0.42], masked: 99 };
    }
  }
  const config = { ...exampleConfig(), ...(from ? { from: { path: "/models/old", sha256: "f".repeat(64) } } : {}) };
  return runRecord("/runs/on", config, metrics);
}

Deno.test("changes says what a run did to its text and to the reference", () => {
  assertEquals(changes(beforeAfter(run(0.08))!), "your text −0.800 nats, the reference +0.080");
  assertEquals(changes(beforeAfter(run(undefined))!), "your text −0.800 nats");
  assertEquals(beforeAfter(run(0.08, false)), undefined, "a run from random weights has no model before it");
});

Deno.test("verdict of a run that goes on compares it with the model it began with, and warns of what was lost", () => {
  const kept = verdict(run(0.08)), lost = verdict(run(0.3));
  assertEquals(
    kept.headline,
    "It learned your text, and was still learning: your text −0.800 nats, the reference +0.080",
  );
  assertEquals(kept.tone, "good");
  assert(!kept.findings.some(({ hint }) => hint?.includes("--replay")));
  assert(lost.findings.some(({ tone, hint }) => tone === "bad" && hint?.includes("--replay")));
});

Deno.test("runsPage of a run that goes on has losses by script and the blanks of both models", () => {
  const page = document(runsPage([run(0.08)]), new Date(0));
  for (const part of ["Before and after", "/models/old", "of it, Latin", "reference", "Nacht 30.0%", "−0.800"]) {
    assertStringIncludes(page, part);
  }
  assert(!document(runsPage([run(0.08, false)]), new Date(0)).includes("Before and after"));
});
