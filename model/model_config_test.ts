import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { presetConfig } from "../config/model_config.ts";
import { parseModelConfig, parseUnsizedConfig } from "./model_config.ts";

const good = presetConfig("tiny", 100);
const read = (fields: object) => parseModelConfig(JSON.stringify({ ...good, ...fields }), "config.json");

Deno.test("parseModelConfig passes over what changes nothing", () => {
  const harmless = {
    model_type: "bert",
    chunk_size_feed_forward: 128,
    pruned_heads: {},
    add_cross_attention: false,
    is_encoder_decoder: false,
    quantization_config: null,
    pad_token_id: null,
    use_cache: true,
    transformers_version: "9",
    colour: { anything: [] },
  };
  assertEquals(read(harmless), good);
});

Deno.test("parseModelConfig refuses what would change the answer and is not honoured, by name", () => {
  for (
    const fields of [
      { hidden_act: "relu" },
      { hidden_act: "gelu_new" },
      { hidden_act: 3 },
      { position_embedding_type: "relative_key" },
      { add_cross_attention: true },
      { is_encoder_decoder: true },
      { is_decoder: "yes" },
      { pruned_heads: { "0": [1] } },
      { quantization_config: { bits: 4 } },
      { model_type: "roberta" },
    ]
  ) assertThrows(() => read(fields), ClozeError, Object.keys(fields)[0]);
});

Deno.test("parseModelConfig refuses numbers that are none, or that no model has, by name", () => {
  const sizes = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"];
  for (const field of [...sizes, "max_position_embeddings", "type_vocab_size"]) {
    for (const value of [0, -1, 1.5, 1e30, "12", true, [], {}]) {
      assertThrows(() => read({ [field]: value }), ClozeError, `${field} is`);
    }
  }
  for (const field of sizes) assertThrows(() => read({ [field]: null }), ClozeError, `${field} is missing`);
  for (const field of ["hidden_dropout_prob", "layer_norm_eps", "initializer_range", "pad_token_id"]) {
    for (const value of [-1, 1e30, "0.1", [0.1]]) assertThrows(() => read({ [field]: value }), ClozeError, field);
  }
  assertThrows(() => read({ hidden_size: 129 }), ClozeError, "multiple of num_attention_heads");
  assertThrows(() => read({ pad_token_id: 100 }), ClozeError, "pad_token_id is 100");
  assertThrows(() => parseModelConfig('{"__proto__": {"hidden_size": 128}}', "c"), ClozeError, "vocab_size is missing");
});

Deno.test("parseUnsizedConfig takes a config without vocab_size, and only that may be missing", () => {
  const { vocab_size: _, ...unsized } = presetConfig("tiny", 100);
  assertEquals(parseUnsizedConfig(JSON.stringify(unsized), "c"), { ...unsized, vocab_size: null });
  assertEquals(parseUnsizedConfig(JSON.stringify({ ...unsized, vocab_size: 7 }), "c").vocab_size, 7);
  assertThrows(() => parseUnsizedConfig("{}", "c"), ClozeError, "hidden_size is missing");
  assertThrows(() => parseUnsizedConfig('{"vocab_size": 0}', "c"), ClozeError, "vocab_size is 0");
});
