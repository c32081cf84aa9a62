import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { exampleMetrics, exampleRun, HALF_INTERVAL } from "./example_run.ts";
import { runRecord } from "./run_record.ts";
import { bestOf, incomparable, verdict } from "./verdict.ts";

const all = (run: Parameters<typeof verdict>[0]) => verdict(run).findings.map(({ text }) => text).join("\n");

Deno.test("verdict of a run that learns gives what it reached against guessing, and that it still falls", () => {
  const { headline, tone } = verdict(exampleRun());
  assertEquals(tone, "good");
  assertStringIncludes(headline, "28.0% of the held-out blanks right; always saying the commonest token gets 5.0%");
  const text = all(exampleRun());
  assertStringIncludes(text, "Held-out loss 4.700 nats a token (perplexity 110): 2.300 below guessing");
  assertStringIncludes(text, "(95% interval 26.0% to 30.0%): the interval lies above");
  assertStringIncludes(text, "was still falling, since update 700 (5.300 to 4.700)");
  assertStringIncludes(text, "1,000 updates, 1,000,000 tokens in 50s. It ran to its end.");
});

Deno.test("verdict calls an accuracy no better whose interval contains that of the commonest token", () => {
  const heldOut = (accuracy: number) => [{ loss: 6.9, accuracy }];
  const unigram = { loss: 7, accuracy: 0.1 };
  const just = verdict(exampleRun({ heldOut: heldOut(0.1 + HALF_INTERVAL + 0.001), unigram }));
  assertEquals(just.tone, "neutral");
  assertStringIncludes(just.headline, "It has barely begun");
  const notQuite = verdict(exampleRun({ heldOut: heldOut(0.1 + HALF_INTERVAL - 0.001), unigram }));
  assertEquals(notQuite.tone, "bad");
  assertStringIncludes(notQuite.headline, "Not better than guessing");
  assertStringIncludes(notQuite.findings.map(({ text }) => text).join(), "the interval contains");
  // Right more often than the commonest token, but at a loss above that of guessing: confidently wrong elsewhere.
  const mixed = verdict(exampleRun({ heldOut: [{ loss: 7.1, accuracy: 0.3 }], unigram }));
  assertEquals(mixed.tone, "bad");
  assertStringIncludes(mixed.headline, "It has barely begun to learn: 30.0%");
});

Deno.test("verdict tells falling, flat and rising held-out loss apart", () => {
  const losses = (...values: number[]) => values.map((loss) => ({ loss, accuracy: 0.3 }));
  assertStringIncludes(all(exampleRun({ heldOut: losses(6, 5, 4.5, 4.2) })), "was still falling, since update 300");
  assertStringIncludes(
    all(exampleRun({ heldOut: losses(6, 5, 4.21, 4.2) })),
    "hardly changes any more, since update 300",
  );
  assertStringIncludes(
    all(exampleRun({ heldOut: losses(6, 4, 4.4, 4.8) })),
    "rises: it was lowest, 4.000, at update 200",
  );
  assertStringIncludes(all(exampleRun({ heldOut: losses(6) })), "too few evaluations");
});

Deno.test("verdict calls it overfitting when training text is predicted much better than held-out text", () => {
  const heldOut = [6, 5, 4.5, 4.4].map((loss) => ({ loss, accuracy: 0.3 }));
  assertStringIncludes(all(exampleRun({ heldOut, training: () => 4.6 })), "No sign of overfitting");
  assertStringIncludes(all(exampleRun({ heldOut, training: () => 4 })), "No sign of overfitting");
  assertStringIncludes(all(exampleRun({ heldOut, training: () => 2 })), "overfits: the loss is 2.400 lower");
});

Deno.test("verdict says how a run ended: by itself, stopped, diverged, or not known", () => {
  assertStringIncludes(all(exampleRun({ interrupted: true })), "stopped before its end and can be resumed");
  assertStringIncludes(all(exampleRun({ ended: false })), "or it was killed");
  const warnings = [{ kind: "warning", step: 5, elapsed_ms: 1, rule: "non_finite", message: "x is NaN", hint: "y" }];
  const diverged = verdict(exampleRun({ ended: false, warnings: warnings as never }));
  assertStringIncludes(diverged.headline, "no longer finite");
  assertStringIncludes(diverged.findings.map(({ text }) => text).join(), "Warning at update 5: x is NaN.");
});

Deno.test("verdict makes do with the metrics of a version that recorded less, and with a run that only began", () => {
  const older = exampleMetrics().filter(({ kind }) => kind === "train" || kind === "evaluation");
  assertStringIncludes(all(runRecord("/runs/older", undefined, older)), "guessing by frequency costs is not recorded");
  const [start] = exampleMetrics();
  assertStringIncludes(verdict(runRecord("/runs/new", undefined, [start])).headline, "Nothing has been measured");
});

Deno.test("verdict holds next-sentence prediction against the commoner answer", () => {
  const run = (low: number, nsp_majority?: number) => {
    const interval: [number, number] = [low, low + 0.1];
    const nsp = { nsp_accuracy: low + 0.05, nsp_accuracy_interval: interval, nsp_pairs: 300 };
    const metrics = exampleMetrics().map((line) => {
      if (line.kind === "start") return { ...line, ...(nsp_majority === undefined ? {} : { nsp_majority }) };
      return line.kind === "evaluation" ? { ...line, ...nsp } : line;
    });
    return runRecord("/runs/nsp", undefined, metrics);
  };
  assertStringIncludes(all(run(0.61, 0.6)), "Next-sentence prediction 66.0% on 300 pairs");
  assertStringIncludes(
    all(run(0.61, 0.6)),
    "the interval lies above what always giving the commoner answer gets, 60.0%",
  );
  // More than half, and yet what a model gets that looks at no sentence.
  assertStringIncludes(all(run(0.55, 0.6)), "the interval does not lie above");
  assertStringIncludes(all(run(0.55)), "(95% interval 55.0% to 65.0%).");
  assert(!all(exampleRun()).includes("Next-sentence"));
});

Deno.test("incomparable says why losses of runs cannot be compared", () => {
  const run = exampleRun();
  assertEquals(incomparable([run]), []);
  assertEquals(incomparable([run, exampleRun({ name: "b" })]), []);
  assertStringIncludes(incomparable([run, exampleRun({ tokenizer: "e".repeat(64) })])[0], "different tokenizers");
  const older = runRecord("/runs/older", undefined, exampleMetrics().slice(1));
  assert(incomparable([run, older])[0].includes("does not record"));
});

Deno.test("bestOf names the run with the lowest loss, and says whether accuracies are told apart", () => {
  const at = (name: string, loss: number, accuracy: number) => exampleRun({ name, heldOut: [{ loss, accuracy }] });
  const clear = bestOf([at("a", 5, 0.2), at("b", 4, 0.3), at("c", 6, 0.1)])!;
  assertStringIncludes(clear.text + clear.findings[0].text, "that of b, 4.000; next is a, 5.000");
  assertStringIncludes(clear.text + clear.findings[0].text, "(30.0% and 20.0%) do not overlap");
  const close = bestOf([at("a", 5, 0.3 - HALF_INTERVAL), at("b", 4, 0.3)])!;
  assertStringIncludes(close.findings[0].text, "overlap, so that another seed");
  assert(!close.findings[0].text.includes("do not"));
  assertEquals(bestOf([at("a", 5, 0.2)]), undefined);
  assertStringIncludes(bestOf([at("a", 4, 0.3), at("b", 4, 0.3)])!.text, "have the same held-out loss, 4.000");
});
