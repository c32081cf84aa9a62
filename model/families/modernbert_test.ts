import { assert, assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { parseModelConfig } from "../model_config.ts";
import { headsOf } from "../model_heads.ts";
import { modelConfigJson } from "../written_config.ts";

/** What transformers 5 writes. */
const SAVED = {
  model_type: "modernbert",
  architectures: ["ModernBertForMaskedLM"],
  vocab_size: 100,
  hidden_size: 64,
  num_hidden_layers: 5,
  num_attention_heads: 2,
  intermediate_size: 96,
  pad_token_id: 3,
  hidden_activation: "silu",
  norm_eps: 1e-3,
  attention_dropout: 0.2,
  local_attention: 32,
  layer_types: ["full_attention", "sliding_attention", "full_attention", "sliding_attention", "full_attention"],
  rope_parameters: {
    full_attention: { rope_type: "default", rope_theta: 5000 },
    sliding_attention: { rope_type: "default", rope_theta: 70 },
  },
  reference_compile: null,
  sparse_prediction: false,
};
const read = (fields: object) => parseModelConfig(JSON.stringify({ ...SAVED, ...fields }), "config.json");

Deno.test("modernbert is read from what transformers 5 writes and from what 4 did", () => {
  const { layer_types: _, rope_parameters: __, ...rest } = SAVED;
  const older = { ...rest, global_attn_every_n_layers: 2, global_rope_theta: 5000, local_rope_theta: 70 };
  const config = read({});
  assertEquals([config.hidden_act, config.layer_norm_eps, config.attention_probs_dropout_prob], ["silu", 1e-3, 0.2]);
  assertEquals(config.modernbert?.global_attn_every_n_layers, 2);
  assertEquals([config.modernbert?.global_rope_theta, config.modernbert?.local_rope_theta], [5000, 70]);
  assertEquals(parseModelConfig(JSON.stringify(older), "config.json"), config);
});

Deno.test("modernbert is written under the names of transformers 4, which 5 reads too, and reads itself", () => {
  const config = read({});
  const text = modelConfigJson(config, headsOf("mlm"), { cls: 1, sep: 2 });
  const json = JSON.parse(text);
  const names = [
    "global_attn_every_n_layers",
    "global_rope_theta",
    "local_rope_theta",
    "hidden_activation",
    "norm_eps",
  ];
  assertEquals(names.map((name) => json[name]), [2, 5000, 70, "silu", 1e-3]);
  assertEquals([json.cls_token_id, json.bos_token_id, json.sep_token_id, json.eos_token_id], [1, 1, 2, 2]);
  assert(text.includes(`"initializer_cutoff_factor": 2.0,`), "transformers takes no whole number there");
  for (const name of ["modernbert", "hidden_act", "layer_norm_eps", "type_vocab_size", "hidden_dropout_prob"]) {
    assert(!(name in json), name);
  }
  assertEquals(parseModelConfig(text, "config.json"), config);
});

Deno.test("modernbert refuses what changes its answer and is not honoured, by name", () => {
  const layers = (word: string) => word.split("").map((kind) => kind === "f" ? "full_attention" : "sliding_attention");
  for (const types of ["fssfs", "fffff", "fssss"]) read({ layer_types: layers(types) });
  const refused: [field: string, value: unknown][] = [
    ["layer_types", layers("sffff")],
    ["layer_types", layers("fsffs")],
    ["layer_types", ["chunked_attention"]],
    ["rope_parameters", { full_attention: { rope_type: "yarn", rope_theta: 1e4 } }],
    ["rope_parameters", { full_attention: { rope_theta: 1e4, factor: 2 } }],
    ["rope_parameters", { rope_theta: 1e4 }],
    ["rope_scaling", { type: "linear", factor: 2 }],
    ["decoder_bias", false],
    ["head_dim", 16],
    ["hidden_activation", "quick_gelu"],
    ["classifier_activation", "tanh"],
    ["classifier_pooling", "max"],
    ["local_attention", 1.5],
    ["norm_bias", "no"],
    ["mlp_dropout", 1],
    ["initializer_cutoff_factor", 0],
    ["attention_dropout", -1],
    ["norm_eps", "small"],
    ["is_decoder", true],
  ];
  for (const [field, value] of refused) {
    const error = assertThrows(() => read({ [field]: value }), ClozeError, `config.json: ${field} is`);
    assert(error.hint !== undefined, field);
  }
  for (const [kind, theta] of [["full_attention", 0], ["sliding_attention", "x"]]) {
    const rope_parameters = { [kind]: { rope_theta: theta } };
    assertThrows(() => read({ rope_parameters }), ClozeError, "_rope_theta is");
  }
});
