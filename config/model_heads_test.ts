import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "./cloze_error.ts";
import { parseModelConfig, presetConfig } from "./model_config.ts";
import { modelConfigJson, type ModelHeads, parseModelHeads } from "./model_heads.ts";

const read = (json: unknown) => parseModelHeads(JSON.stringify(json), "config.json");

Deno.test("modelConfigJson is read back by parseModelHeads and parseModelConfig", () => {
  const config = presetConfig("tiny", 100);
  const classifier = {
    objective: "sequence_classification" as const,
    labels: ["bad", "good"],
    classifier_dropout: 0.2,
  };
  const all: [ModelHeads, string][] = [
    [{ objective: "mlm" }, "BertForMaskedLM"],
    [{ objective: "mlm+nsp" }, "BertForPreTraining"],
    [{ objective: "clm" }, "BertLMHeadModel"],
    [{ objective: "none" }, "BertModel"],
    [{ ...classifier, left_to_right: false }, "BertForSequenceClassification"],
    [{ ...classifier, left_to_right: true }, "BertForSequenceClassification"],
  ];
  for (const [heads, architecture] of all) {
    const text = modelConfigJson(config, heads);
    assertEquals(JSON.parse(text).architectures, [architecture]);
    assertEquals(parseModelHeads(text, "config.json"), heads);
    assertEquals(parseModelConfig(text, "config.json"), config);
  }
});

Deno.test("parseModelHeads takes folders as transformers writes them", () => {
  assertEquals(read({}), { objective: "mlm" });
  assertEquals(read({ architectures: ["BertForMaskedLM"], is_decoder: true }), { objective: "clm" });
  const classifier = { architectures: ["BertForSequenceClassification"], hidden_dropout_prob: 0.1 };
  const heads = { objective: "sequence_classification", classifier_dropout: 0.1, left_to_right: false };
  assertEquals(read(classifier), { ...heads, labels: ["LABEL_0", "LABEL_1"] } as ModelHeads);
  const named = { ...classifier, id2label: { "1": "y", "0": "n", "2": "m" }, classifier_dropout: null };
  assertEquals(read(named), { ...heads, labels: ["n", "y", "m"] } as ModelHeads);
});

Deno.test("parseModelHeads refuses what it does not know", () => {
  const refuse = (json: unknown, message: string) => assertThrows(() => read(json), ClozeError, message);
  refuse({ architectures: ["BertForTokenClassification"] }, "BertForTokenClassification, which cloze does not know");
  refuse({ architectures: ["toString"] }, "toString");
  refuse({ architectures: ["BertForSequenceClassification"], id2label: { "0": "one" } }, "at least two");
  refuse({ architectures: ["BertForSequenceClassification"], id2label: { "1": "a", "2": "b" } }, "from 0 on");
  refuse([], "JSON object");
});
