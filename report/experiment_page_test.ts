import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CLAIMS } from "../experiments/claims.ts";
import { decide, overall } from "../experiments/verdict.ts";
import { opened, testInChromium } from "./chromium.ts";
import { document } from "./document.ts";
import { experimentPage } from "./experiment_page.ts";
import type { ExperimentRecord } from "./experiment_record.ts";

const NOW = new Date("2026-02-03T04:05:06Z");

/** Convergence with three seeds: masked LM overtakes. */
function example(): ExperimentRecord {
  const around = (mean: number) => [mean - 0.001, mean, mean + 0.002];
  const measured = {
    accuracies: { mlm: [0.6, 0.65, 0.7, 0.75, 0.8].map(around), clm: [0.65, 0.66, 0.67, 0.68, 0.69].map(around) },
    untrained: { mlm: around(0.6), clm: around(0.61) },
    examples: 100_000,
  };
  const claim = CLAIMS.convergence;
  const findings = claim.expectations.map((expectation) => decide(expectation, measured));
  return {
    kind: "experiment",
    path: "/runs/convergence",
    experiment: "convergence",
    claim: {
      ...claim,
      conditions: claim.conditions.map(({ name, label }) => ({ name, label, flags: ["--objective", name] })),
    },
    plan: { seeds: 3, steps: 1600, train: "a.tsv", valid: "b.tsv" },
    steps: [100, 200, 400, 800, 1600],
    ...measured,
    findings,
    verdict: overall(findings),
    command: "deno run reproduce convergence --data text.txt",
    folder: "/somewhere",
    commands: ["cloze train-tokenizer --data text.txt", "cloze pretrain --data '<img src=x>'"],
    versions: { cloze: "0.1.0", deno: "2.9.6", platform: "linux x86_64" },
  };
}

/** The page's data, as its script reads it. */
function dataOf(page: string) {
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(json);
}

Deno.test("experimentPage has claim, verdict, curves from random weights up, and every command", () => {
  const page = document(experimentPage(example()), NOW);
  for (
    const part of ["Verdict: supported", "Masked LM converges slower", "Devlin et al., 2019", "0 (random)", "1,600"]
      .concat(["Difference +", "95% interval", "deno run reproduce convergence", "The 2 commands", "train-tokenizer"])
  ) {
    assertStringIncludes(page, part);
  }
  assert(!page.includes("<img"));
  const [mlm, clm] = dataOf(page).runs;
  assertEquals([mlm.name, clm.name], ["masked LM", "left to right"]);
  assertEquals(mlm.evaluation.step, [0, 100, 200, 400, 800, 1600]);
  assert(mlm.evaluation.accuracy_low[5] < 0.8 && 0.8 < mlm.evaluation.accuracy_high[5]);
  assertEquals(clm.dots.map(({ step }: { step: number[] }) => step.length), [6, 6, 6]);
});

Deno.test("experimentPage of one that goes on shows what is there and gives no verdict", () => {
  const { verdict: _, ...whole } = example();
  const some = { accuracies: { mlm: [[0.6], [0.61], [], [], []], clm: [[], [], [], [], []] }, untrained: {} };
  const page = document(experimentPage({ ...whole, ...some, findings: [] }), NOW);
  assertStringIncludes(page, "The experiment has not ended");
  assertEquals(dataOf(page).runs[0].evaluation.step, [100, 200]);
  assertEquals(dataOf(page).runs[0].evaluation.accuracy_low, [null, null], "one seed has no interval");
});

testInChromium("Chromium draws the curves of an experiment and has nothing to complain of", async () => {
  const { dom, complaints } = await opened(document(experimentPage(example()), NOW), 1280);
  assertEquals(complaints, []);
  assertEquals(dom.match(/<canvas/g)?.length, 1);
});
