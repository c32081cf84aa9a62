/**
 * Prints, as JSON, the ids of lines from standard input and the logits of their [MASK]s, by the model in a folder.
 * Called by huggingface_roundtrip.py. usage: deno run -A tests/parity/dump_logits.ts FOLDER < lines
 */

import { Engine } from "../../ffi/mod.ts";
import { openModelFolder } from "../../inference/model_folder.ts";

const { config, tokenizer, weights } = await openModelFolder(Deno.args[0]);
using engine = await Engine.open({
  config,
  weights,
  objective: "mlm",
  engine: "fused",
  device: "cpu",
  threads: 2,
  seed: 0,
  max_tokens: 512,
  max_sequences: 1,
  max_masked: 512,
  max_sequence_length: Math.min(512, config.max_position_embeddings),
  training: false,
});
const { cls, sep, mask } = tokenizer.special;
const out = [];
for (const line of (await new Response(Deno.stdin.readable).text()).split("\n")) {
  if (line === "") continue;
  const ids = Int32Array.of(cls, ...tokenizer.encode(line, { specials: "all" }).ids, sep);
  const masked_positions = Int32Array.from(ids.keys()).filter((i) => ids[i] === mask);
  const logits = await engine.logits({
    input_ids: ids,
    token_type_ids: new Int32Array(ids.length),
    position_ids: Int32Array.from(ids.keys()),
    cu_seqlens: Int32Array.of(0, ids.length),
    masked_positions,
    labels: new Int32Array(0),
  });
  out.push({ ids: [...ids], logits: [...logits] });
}
console.log(JSON.stringify(out));
