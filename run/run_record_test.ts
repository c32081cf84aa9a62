import { assertEquals } from "@std/assert";
import { presetConfig } from "../config/model_config.ts";
import { TRAINING_DEFAULTS } from "../config/run_config.ts";
import { readRecord } from "./run_record.ts";

Deno.test("readRecord reads how the text of a run of version 0.1.0 was read, which had a name for JSON and one for tables", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const corpusOf = async (corpus: object) => {
      const run = {
        model: presetConfig("tiny", 100),
        training: { ...TRAINING_DEFAULTS, seed: 0, extent: { steps: 1 }, batch_tokens: 2048, learning_rate: 1e-3 },
        engine: "fused",
        data: { files: ["a"], corpus, source: "x" },
      };
      await Deno.writeTextFile(`${folder}/run.json`, JSON.stringify(run));
      return (await readRecord(folder)).data.corpus;
    };
    const same = { text_field: "text", text_column: "text", on_invalid: "skip" };
    assertEquals(await corpusOf(same), { text_column: "text", on_invalid: "skip" });
    const other = { text_field: "body", text_column: "text", on_invalid: "fail" } as const;
    assertEquals(await corpusOf(other), other);
    assertEquals(await corpusOf({}), { text_column: "text", on_invalid: "fail" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
