import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { presetConfig } from "../config/model_config.ts";
import { checkKind, FAMILIES } from "./families.ts";
import type { HeadKind } from "./head_kinds.ts";
import { parseModelConfig } from "./model_config.ts";
import { classifierHeads, headsOf, type ModelHeads, parseModelHeads, type ProblemType } from "./model_heads.ts";
import { modelConfigJson } from "./written_config.ts";

const IDS = { cls: 2, sep: 3 };
const read = (json: unknown) => parseModelHeads(JSON.stringify(json), "config.json");

Deno.test("modelConfigJson is read back by parseModelHeads and parseModelConfig", () => {
  const config = presetConfig("tiny", 100);
  const classifier = {
    labels: ["bad", "good"],
    classifier_dropout: 0.2,
    problem_type: "single_label_classification" as const,
  };
  const all: [ModelHeads, string][] = [
    [headsOf("mlm"), "BertForMaskedLM"],
    [headsOf("mlm+nsp"), "BertForPreTraining"],
    [headsOf("next_sentence_prediction"), "BertForNextSentencePrediction"],
    [headsOf("clm"), "BertLMHeadModel"],
    [headsOf("none"), "BertModel"],
    [classifierHeads(classifier, false), "BertForSequenceClassification"],
    [classifierHeads(classifier, true), "BertForSequenceClassification"],
    ...(["multi_label_classification", "regression"] as const).map((problem_type): [ModelHeads, string] => [
      classifierHeads({ ...classifier, problem_type }, false),
      "BertForSequenceClassification",
    ]),
  ];
  for (const [heads, architecture] of all) {
    const text = modelConfigJson(config, heads, IDS);
    assertEquals(JSON.parse(text).architectures, [architecture]);
    assertEquals(parseModelHeads(text, "config.json"), heads);
    assertEquals(parseModelConfig(text, "config.json"), config);
  }
});

Deno.test("every family reads back what it writes, and refuses kinds of heads that it has no class for", () => {
  const classifier = {
    labels: ["bad", "good"],
    classifier_dropout: 0.2,
    problem_type: "single_label_classification" as const,
  };
  const kinds: [ModelHeads, HeadKind][] = [
    ...(["mlm", "mlm+nsp", "next_sentence_prediction", "clm", "none"] as const).map((
      kind,
    ): [ModelHeads, HeadKind] => [headsOf(kind), kind]),
    [classifierHeads(classifier, false), "sequence_classification"],
    [classifierHeads(classifier, true), "sequence_classification"],
  ];
  for (const { model_type, defaults, architectures, left_to_right_classifier } of FAMILIES) {
    const config = { ...presetConfig("tiny", 100, defaults), hidden_act: "relu2", pad_token_id: 1 };
    assertEquals(config.model_type, model_type);
    for (const [heads, kind] of kinds) {
      const has = Object.values(architectures).includes(kind);
      if (has) checkKind(config, kind);
      else assertThrows(() => checkKind(config, kind), ClozeError, `${model_type} cannot be trained for ${kind}`);
      if (!has || (heads.is_decoder && left_to_right_classifier === undefined)) continue;
      const text = modelConfigJson(config, heads, IDS);
      const [architecture] = JSON.parse(text).architectures;
      assertEquals(architectures[architecture], kind);
      assertEquals(parseModelHeads(text, "config.json"), heads);
      assertEquals(parseModelConfig(text, "config.json"), config);
    }
  }
  assertThrows(
    () => read({ model_type: "megatron-bert", architectures: ["BertForMaskedLM"] }),
    ClozeError,
    `"BertForMaskedLM", which cloze does not know`,
  );
});

Deno.test("parseModelHeads takes folders as transformers writes them", () => {
  assertEquals(read({}), headsOf("mlm"));
  assertEquals(read({ architectures: ["BertForMaskedLM"], is_decoder: true }), headsOf("clm"));
  const classifier = { architectures: ["BertForSequenceClassification"], hidden_dropout_prob: 0.1 };
  const labeled = (labels: string[], problem_type: ProblemType = "single_label_classification") =>
    classifierHeads({ labels, classifier_dropout: 0.1, problem_type }, false);
  assertEquals(read(classifier), labeled(["LABEL_0", "LABEL_1"]));
  const named = { ...classifier, id2label: { "1": "y", "0": "n", "2": "m" }, classifier_dropout: null };
  assertEquals(read(named), labeled(["n", "y", "m"]));
  const counted = { ...classifier, num_labels: 3, problem_type: "multi_label_classification" };
  assertEquals(read(counted), labeled(["LABEL_0", "LABEL_1", "LABEL_2"], "multi_label_classification"));
  const { tie_word_embeddings: _, ...sizes } = presetConfig("tiny", 100);
  // Whether the decoder is tied is the encoder's configuration to say.
  for (const architecture of ["BertForMaskedLM", "BertForPreTraining", "BertModel"]) {
    const untied = JSON.stringify({
      ...presetConfig("tiny", 100),
      architectures: [architecture],
      tie_word_embeddings: false,
    });
    const parsed = parseModelConfig(untied, "config.json");
    assertEquals(parsed.tie_word_embeddings, false);
    const written = modelConfigJson(parsed, parseModelHeads(untied, "config.json"), IDS);
    assertEquals(parseModelConfig(written, "config.json"), parsed);
  }
  assertEquals(parseModelConfig(JSON.stringify(sizes), "config.json").tie_word_embeddings, true);
  const odd = JSON.stringify({ ...sizes, tie_word_embeddings: "no" });
  assertThrows(() => parseModelConfig(odd, "config.json"), ClozeError, "tie_word_embeddings");
});

Deno.test("parseModelHeads refuses what it does not know", () => {
  const refuse = (json: unknown, message: string) => assertThrows(() => read(json), ClozeError, message);
  refuse({ architectures: ["BertForQuestionAnswering"] }, '"BertForQuestionAnswering", which cloze does not know');
  refuse({ architectures: ["toString"] }, "toString");
  refuse({ architectures: ["BertForSequenceClassification"], id2label: {} }, "it has 0");
  refuse({ architectures: ["BertForSequenceClassification"], id2label: { "1": "a", "2": "b" } }, "from 0 on");
  refuse([], "JSON object");
  const classifier = { architectures: ["BertForSequenceClassification"] };
  const two = { "0": "a", "1": "b" };
  for (
    const [fields, message] of [
      [{ problem_type: "ranking" }, "problem_type"],
      [{ problem_type: ["multi_label_classification"] }, "problem_type"],
      [{ is_decoder: true }, "is_decoder"],
      [{ classifier_dropout: "0.1" }, "classifier_dropout"],
      [{ classifier_dropout: 1 }, "classifier_dropout"],
      [{ num_labels: 1e9 }, "num_labels"],
      [{ num_labels: 0 }, "num_labels"],
      [{ num_labels: 3, id2label: two }, "num_labels is 3"],
      [{ id2label: ["a", "b"] }, "an array"],
      [{ id2label: { "0": "a", "1": 2 } }, "the name of 1 is 2"],
      [{ id2label: { "0": "a", toString: "b" } }, "the name of 1 is missing"],
    ] as [object, string][]
  ) refuse({ ...classifier, ...fields }, message);
  refuse({ architectures: "BertForMaskedLM" }, "architectures");
  refuse({ architectures: [null] }, "architectures");
  refuse({ model_type: "cloze_left_to_right_classifier" }, "architectures");
});
