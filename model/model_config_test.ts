import { assert, assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { presetConfig } from "../config/model_config.ts";
import { longestText } from "./families.ts";
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

/** What each field that changes the answer may say, and what it may not: transformers 5 and what it reads of older files. */
const FIELDS: [field: string, fine: unknown[], refused: unknown[]][] = [
  ["model_type", ["bert", "megatron-bert", "roberta", "xlm-roberta", "camembert", null], ["gpt2", 3, ["bert"]]],
  ["hidden_act", ["gelu", "relu2", "gelu_fast", "swish"], ["quick_gelu", "gelu_10", 3, ["gelu"]]],
  ["position_embedding_type", ["absolute", null], ["relative_key", "relative_key_query", "alibi"]],
  ["is_decoder", [true, false], ["yes", 1]],
  ["is_encoder_decoder", [false], [true]],
  ["add_cross_attention", [false], [true, "no"]],
  ["cross_attention_hidden_size", [null], [768]],
  ["tie_encoder_decoder", [false], [true]],
  ["tie_word_embeddings", [true, false], ["no", 0]],
  ["torchscript", [true, false], ["yes"]],
  ["pruned_heads", [{}, null], [{ "0": [1] }, [1]]],
  ["chunk_size_feed_forward", [0, 128], ["128"]],
  ["quantization_config", [null, {}], [{ bits: 4 }, "int8"]],
  ["adapters", [{}, { adapters: {}, config_map: { v: 1 } }], [{ adapters: { mine: {} } }, "mine"]],
  ["auto_map", [{ AutoConfig: "c.C" }, { AutoTokenizer: ["t.T", null] }], [{ AutoModelForMaskedLM: "m.M" }, "m.M"]],
  ["transformers_weights", ["model.safetensors"], ["other.safetensors", "../x.safetensors"]],
  ["per_layer_config", [{}, null], [{ "0": { hidden_size: 3 } }]],
  ["layer_types", [["full_attention", "full_attention"], []], [["sliding_attention"], "full_attention"]],
  ["fusion_config", [null], [{ a: 1 }]],
  ["embedding_size", [128], [64]],
  ["sliding_window", [null], [4096]],
  ["rope_theta", [null], [10000]],
  ["rope_scaling", [null], [{ type: "linear" }]],
  ["rope_parameters", [null], [{ rope_theta: 1 }]],
  ["directionality", ["bidi"], ["left_to_right"]],
  ["pooler_type", ["first_token_transform"], ["mean"]],
];

Deno.test("parseModelConfig refuses what would change the answer and is not honoured, by name and with a hint", () => {
  for (const [field, fine, refused] of FIELDS) {
    for (const value of fine) assertEquals(read({ ...good, [field]: value }).hidden_size, 128, field);
    for (const value of refused) {
      const error = assertThrows(() => read({ [field]: value }), ClozeError, `config.json: ${field} is`);
      assert(error.hint !== undefined, field);
    }
  }
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

Deno.test("parseModelConfig takes RoBERTa's defaults, and refuses it where padding leaves no position or it reads left to right", () => {
  const roberta = (fields: object) => {
    const { vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size } = good;
    const sizes = { vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size };
    return parseModelConfig(JSON.stringify({ ...sizes, model_type: "roberta", ...fields }), "config.json");
  };
  const { max_position_embeddings, type_vocab_size, layer_norm_eps, pad_token_id } = roberta({});
  assertEquals([max_position_embeddings, type_vocab_size, layer_norm_eps, pad_token_id], [512, 2, 1e-12, 1]);
  assertEquals(longestText(roberta({ max_position_embeddings: 514 })), 512);
  assertEquals(longestText(good), 512);
  assertThrows(() => roberta({ max_position_embeddings: 2 }), ClozeError, "max_position_embeddings is 2");
  assertThrows(() => roberta({ is_decoder: true }), ClozeError, "is_decoder is true");
});
