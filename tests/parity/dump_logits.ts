/**
 * Prints, as JSON, for each folder the ids of lines from standard input and the logits that its model gives: of the [MASK]s
 * (of every token, left to right and where tokens are classified), and of the sequence where it has such a head. A tab in a line parts two segments.
 * Called by huggingface_roundtrip.py, weights.py and families.py.
 * usage: deno run -A tests/parity/dump_logits.ts [--engine=candle] [--dtype=bf16] [--as=FAMILY] FOLDER… < lines
 */

import { Engine } from "../../ffi/mod.ts";
import { longestText } from "../../model/families.ts";
import { openModelFolder } from "../../model/model_folder.ts";
import { engineHeads } from "../../model/model_heads.ts";

const lines = (await new Response(Deno.stdin.readable).text()).split("\n").filter((line) => line !== "");
const all = [];
const given = (name: string) => Deno.args.find((flag) => flag.startsWith(`--${name}=`))?.split("=")[1];
for (const folder of Deno.args.filter((word) => !word.startsWith("--"))) all.push(await logitsOf(folder));
console.log(JSON.stringify(all));

async function logitsOf(folder: string) {
  const { config, heads, tokenizer, weights } = await openModelFolder(folder, { as: given("as") });
  const { tokens, sequence, is_decoder } = engineHeads(heads);
  if (tokens === null && sequence === null) throw new Error("a bare encoder has no logits");
  using engine = await Engine.open({
    config,
    heads: engineHeads(heads),
    weights,
    engine: (given("engine") ?? "fused") as "fused" | "candle",
    device: "cpu",
    dtype: (given("dtype") ?? "f32") as "f32" | "bf16",
    threads: 2,
    seed: 0,
    max_tokens: 512,
    max_sequences: 1,
    max_masked: 512,
    max_sequence_length: Math.min(512, longestText(config)),
  });
  const { cls, sep, mask } = tokenizer.special;
  const out = [];
  for (const line of lines) {
    const segments = line.split("\t").map((part) => [...tokenizer.encode(part, { specials: "all" }).ids, sep]);
    segments[0].unshift(cls);
    const ids = Int32Array.from(segments.flat());
    const packed = {
      input_ids: ids,
      token_type_ids: Int32Array.from(segments.flatMap((part, segment) => part.map(() => segment))),
      position_ids: Int32Array.from(ids.keys()),
      cu_seqlens: Int32Array.of(0, ids.length),
    };
    const asked = (id: number) => is_decoder || id === mask || heads.token_classifier !== null;
    const batch = {
      ...packed,
      masked_positions: Int32Array.from(ids.keys()).filter((i) => asked(ids[i])),
      labels: new Int32Array(0),
      sequence_labels: new Int32Array(0),
    };
    out.push({
      ids: [...ids],
      logits: tokens !== null ? [...await engine.logits(batch)] : [],
      sequence_logits: sequence === null ? [] : [...await engine.sequenceLogits(batch, sequence.num_labels)],
    });
  }
  return out;
}
