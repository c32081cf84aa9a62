import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CLAIMS } from "../experiments/claims.ts";
import type { ExperimentRecord } from "./experiment_record.ts";
import { experimentText } from "./experiment_text.ts";

/** Blanks filled by two kinds of models, two seeds each. */
function example(): ExperimentRecord {
  const { conditions, ...claim } = CLAIMS.blanks;
  const names = conditions.map(({ name }) => name);
  const each = <T>(value: T) => Object.fromEntries(names.map((name) => [name, value]));
  return {
    kind: "experiment",
    path: "/runs/blanks",
    experiment: "blanks",
    claim: { ...claim, conditions: conditions.map(({ name, label }) => ({ name, label, flags: [] })) },
    plan: { seeds: 2, steps: 1536 },
    steps: [768, 1536],
    accuracies: each([[0.05, 0.06], [0.1, 0.12]]),
    losses: each([[6.1, 6.2], [5.1, 5.2]].map((means) => means.map((mean) => ({ mean, variance: 1 })))),
    untrained: {},
    examples: 1000,
    commonest: 0.04,
    guessing_loss: 6.109,
    findings: [],
    verdict: undefined,
    command: "",
    folder: "",
    commands: [],
    versions: { cloze: "", deno: "", platform: "" },
  } as unknown as ExperimentRecord;
}

Deno.test("experimentText fits a terminal, and leaves the least and the most out where they would not", () => {
  for (const columns of [80, 100, 160]) {
    const text = experimentText(example(), columns);
    assert(text.split("\n").every((line) => line.length <= columns), text);
    assertStringIncludes(text, "6.109");
    assert(!text.includes("**") && !text.includes("| "), text);
  }
  assertEquals(experimentText(example(), 80).includes("(6.100–6.200)"), false);
  assertStringIncludes(experimentText(example(), 160), "6.150 (6.100–6.200)");
  assertStringIncludes(experimentText(example()), "| 6.150 (6.100–6.200)");
});
