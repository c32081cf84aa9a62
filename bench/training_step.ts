/**
 * cloze's training step against PyTorch's, at the same work, in one run, alternating; prints a table and writes
 * results/training_step-SIZES.json; both sides in the same dtype. Not part of the product. usage: deno run -A bench/training_step.ts [a b c] [--rounds 7]
 *
 * Sizes: a (C 128, 2 layers, 2 heads, F 512, V 8192, T 128, B 32), b (C 256, 4, 4, 1024, 8192, 128, 32), c (BERT-base,
 * V 30522, T 128, B 8). Random ids, 15% masked, dropout 0.1, clip 1.0, AdamW with no-decay groups; two threads a side.
 */

import type { MlmBatch } from "../config/mlm_batch.ts";
import { Engine } from "../ffi/engine.ts";
import { JsonLines, machine, median, peerPython } from "./peers.ts";

const SIZES = {
  a: size(128, 2, 2, 512, 8192, 32),
  b: size(256, 4, 4, 1024, 8192, 32),
  c: size(768, 12, 12, 3072, 30522, 8),
};
const MALLOC =
  "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=34359738368:glibc.malloc.top_pad=268435456";
const PEERS = [
  { name: "HF model, f32", variant: "huggingface", dtype: "f32", env: {} },
  { name: "HF model, bf16", variant: "huggingface", dtype: "bf16", env: {} },
  { name: "tuned, f32", variant: "tuned", dtype: "f32", env: { GLIBC_TUNABLES: MALLOC } },
  { name: "tuned, bf16", variant: "tuned", dtype: "bf16", env: { GLIBC_TUNABLES: MALLOC } },
] as const;
const THREADS = 2;

function size(hidden: number, layers: number, heads: number, intermediate: number, vocab: number, batch: number) {
  return {
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: intermediate,
    vocab_size: vocab,
    batch,
    sequence_length: 128,
  };
}
type Size = ReturnType<typeof size>;

function randomBatch(size: Size): MlmBatch {
  const tokens = size.batch * size.sequence_length;
  let state = 12345;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const input_ids = Int32Array.from({ length: tokens }, () => 5 + Math.floor(random() * (size.vocab_size - 5)));
  const masked_positions = Int32Array.from([...Array(tokens).keys()].filter(() => random() < 0.15));
  const labels = masked_positions.map((position) => input_ids[position]);
  for (const position of masked_positions) input_ids[position] = 4;
  return {
    input_ids,
    masked_positions,
    labels,
    token_type_ids: new Int32Array(tokens),
    position_ids: Int32Array.from({ length: tokens }, (_, i) => i % size.sequence_length),
    cu_seqlens: Int32Array.from({ length: size.batch + 1 }, (_, i) => i * size.sequence_length),
  };
}

const HYPER = {
  learning_rate: 1e-4,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weight_decay: 0.01,
  max_grad_norm: 1,
};

async function openCloze(size: Size, batch: MlmBatch, dtype: "f32" | "bf16") {
  const engine = await Engine.open({
    objective: "mlm",
    config: {
      ...size,
      max_position_embeddings: 512,
      type_vocab_size: 2,
      hidden_dropout_prob: 0.1,
      attention_probs_dropout_prob: 0.1,
      layer_norm_eps: 1e-12,
      initializer_range: 0.02,
      hidden_act: "gelu",
      pad_token_id: 0,
    },
    engine: "fused",
    device: "cpu",
    dtype,
    threads: THREADS,
    seed: 1,
    max_tokens: batch.input_ids.length,
    max_sequences: size.batch,
    max_masked: batch.masked_positions.length,
    max_sequence_length: size.sequence_length,
    training: true,
  });
  let step = 0;
  return {
    engine,
    async steps(count: number): Promise<number[]> {
      const times: number[] = [];
      for (let i = 0; i < count; i++, step++) {
        const start = performance.now();
        await engine.forwardBackward(batch, step, 0);
        await engine.update(HYPER, step);
        times.push(performance.now() - start);
      }
      return times;
    },
  };
}

async function compare(name: keyof typeof SIZES, rounds: number, python: string) {
  const size = SIZES[name];
  const batch = randomBatch(size);
  const tokens = batch.input_ids.length;
  const stepsOf = { a: 6, b: 3, c: 1 }[name];
  const rows = [];
  for (const peer of PEERS) {
    const cloze = await openCloze(size, batch, peer.dtype);
    const child = new JsonLines(python, [`${import.meta.dirname}/peers/training_step.py`, String(THREADS)], peer.env);
    await child.ask({ size, variant: peer.variant, dtype: peer.dtype });
    const ratios: number[] = [], ours: number[] = [], theirs: number[] = [];
    let peak_mb = 0;
    for (let round = -1; round < rounds; round++) {
      const mine = median(await cloze.steps(stepsOf));
      const answer = await child.ask<{ ms: number[]; peak_mb: number }>({ steps: stepsOf });
      if (round < 0) continue; // the first round warms both sides up
      ours.push(mine), theirs.push(median(answer.ms)), ratios.push(median(answer.ms) / mine);
      peak_mb = answer.peak_mb;
    }
    await child.close();
    const { dtype, instruction_set } = cloze.engine.describe();
    const memory_mb = Deno.memoryUsage().rss / 2 ** 20;
    cloze.engine.close();
    const perSecond = (ms: number[]) => Math.round(tokens / median(ms) * 1000);
    const row = {
      size: name,
      peer: peer.name,
      cloze: `${dtype}, ${instruction_set}`,
      cloze_tokens_per_second: perSecond(ours),
      peer_tokens_per_second: perSecond(theirs),
      median_ratio: Number(median(ratios).toFixed(2)),
      min_ratio: Number(Math.min(...ratios).toFixed(2)),
      max_ratio: Number(Math.max(...ratios).toFixed(2)),
      cloze_engine_mb: Math.round(memory_mb),
      peer_peak_mb: Math.round(peak_mb),
    };
    rows.push(row);
    console.log(row);
  }
  return rows;
}

if (import.meta.main) {
  const flag = Deno.args.indexOf("--rounds");
  const rounds = flag < 0 ? 7 : Number(Deno.args[flag + 1]);
  const chosen = Deno.args.filter((x) => x in SIZES) as (keyof typeof SIZES)[];
  const python = await peerPython();
  const rows = [];
  for (const name of chosen.length ? chosen : (Object.keys(SIZES) as (keyof typeof SIZES)[])) {
    rows.push(...await compare(name, rounds, python));
  }
  const versions = await new Deno.Command(python, {
    args: ["-c", "import torch,transformers;print(torch.__version__,transformers.__version__)"],
  }).output();
  const [torch, transformers] = new TextDecoder().decode(versions.stdout).trim().split(" ");
  const command = `deno run -A bench/training_step.ts ${Deno.args.join(" ")}`.trim();
  const result = { command, machine: await machine(), torch, transformers, threads: THREADS, rounds, rows };
  await Deno.writeTextFile(
    `${import.meta.dirname}/results/training_step-${(chosen.length ? chosen : ["a", "b", "c"]).join("")}.json`,
    JSON.stringify(result, null, 2) + "\n",
  );
  console.table(rows);
}
