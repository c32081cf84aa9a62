import { assertThrows } from "@std/assert";
import { CORPUS_DEFAULTS } from "../config/batch_config.ts";
import { checkRun } from "./check_run.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { presetConfig } from "../config/model_config.ts";
import { type RunConfig, TRAINING_DEFAULTS } from "../config/run_config.ts";

const run = (): RunConfig => ({
  cloze_version: "0.1.0",
  created: "2026-01-01T00:00:00Z",
  model: presetConfig("tiny", 100),
  training: {
    ...TRAINING_DEFAULTS,
    objective: "mlm",
    seed: 0,
    extent: { steps: 3 },
    batch_tokens: 2048,
    learning_rate: 1e-3,
  },
  engine: "fused",
  dtype: "f32",
  tokenizer: { path: "/somewhere/tokenizer.json" },
  data: { files: ["/a.txt"], corpus: CORPUS_DEFAULTS, source: "0" },
});

Deno.test("checkRun takes runs, begun or planned, and of versions that wrote less", () => {
  checkRun(run(), "run.json");
  const { tokenizer: _, dtype: __, ...old } = run();
  checkRun({ ...old, data: { ...old.data, files: "practice" } }, "run.json");
  const planned = { ...run(), data: { ...run().data, source: null }, dtype: "auto" as const };
  checkRun({ ...planned, model: { ...planned.model, vocab_size: null } }, "run.json");
  checkRun({ ...run(), training: { ...run().training, extent: { epochs: 0.5 } } }, "run.json");
});

Deno.test("checkRun names the field that no run has", () => {
  const wrong: [path: string, values: unknown[]][] = [
    ["tokenizer", [-1, 2 ** 53, "x", []]],
    ["training.seed", [-1, 1.5, "1", null]],
    ["training.learning_rate", [-1, "x", null, 1e300]],
    ["training.adam_beta1", [1, -1, "0.9"]],
    ["training.masking", ["all", 3]],
    ["training.static_masking", ["no", 0]],
    ["training.batch_tokens", [0, 1e300, []]],
    ["training.extent", [{}, { steps: 0 }, { steps: "3" }, { steps: 1, epochs: 1 }, []]],
    ["data.files", ["others", [1], {}]],
    ["data.source", [1, {}]],
    ["engine", ["magic", null]],
    ["extensions", [{}, [3], [{ extent: 1 }], [{ extent: { years: 1 } }]]],
    ["model.hidden_size", [0, "128", null]],
    ["model.hidden_act", ["tanh", undefined]],
    ["model.layer_norm_eps", [undefined, null]],
  ];
  for (const [path, values] of wrong) {
    const names = path.split("."), last = names.pop()!;
    for (const value of values) {
      const spoiled = run();
      // deno-lint-ignore no-explicit-any
      names.reduce((inner: any, name) => inner[name], spoiled)[last] = value;
      assertThrows(() => checkRun(spoiled, "run.json"), ClozeError, "run.json: ", `${path} ${JSON.stringify(value)}`);
    }
  }
});
