/**
 * Predicts the time of a BERT training step on a GPU from what each kernel moves and computes: the larger of its bytes by the
 * memory's rate, its operations by the tensor cores' and its instructions by the schedulers'. Bytes follow from the shapes, and
 * instructions of a warp were counted in the code that NVRTC makes for sm_90a. How much of each rate is reached is
 * assumed, in EFFICIENCY; nothing of this was measured until `--measured` names a file of gpu_rate's lines.
 * usage: deno run -R bench/gpu/step_model.ts [base|small LENGTH SEQUENCES] [--vocabulary N] [--alignment N]
 *   [--measured results/rates.jsonl]
 */

import { parseArgs } from "@std/cli/parse-args";

/** An H200: SXM, dense, boost clock under load. */
const GPU = { bytes: 4.8e12, flop: 989e12, multiprocessors: 132, schedulers: 4, clock: 1.755e9 };
/**
 * Share of a rate that is reached. `narrow`: of what a product reaches otherwise, where rows begin at multiples of less than
 * 16 bytes, so that it cannot move them by the widest instructions.
 */
const EFFICIENCY = { bytes: 0.8, forward: 0.62, data: 0.58, weight: 0.48, issue: 0.5, elementwise: 0.8, narrow: 0.25 };
/** Seconds from the end of one node of a graph to the start of the next. */
const NODE = 1.1e-6;
/** Seconds that a warp waits for memory, and loads that it has under way at once where each adds to the same sum. */
const WAIT = { seconds: 0.7e-6, loads: 4 };
/**
 * Instructions of a warp: of attention on 16 × 64 scores with dropout and without masks, and before and after these for
 * each 16 rows; of the sums of its gradients' columns for each 16 rows of a head, and behind these; of GELU for four elements
 * of each lane; of dropout, residual and LayerNorm, and of LayerNorm's backward with dropout and three sums, for a row of 768.
 */
const INSTRUCTIONS = {
  attention: { scores: 712, rows: 600 },
  attentionBackward: { scores: 1638, rows: 605 },
  attentionSums: { rows: 14, end: 60 },
  gelu: 92,
  geluBackward: 100,
  residualNorm: 825,
  normBackward: 882,
};
/** Rows that a block sums at least, blocks of LayerNorm's backward at most, and partial sums at most otherwise, in the kernels. */
const SUMS = { rows: 64, normBlocks: 512, elements: 1 << 20 };
const VOCABULARY = 30_528;
/** Rows of logits and of their gradients begin at multiples of so many elements (backend/cuda/plan.rs). */
const LOGITS_ALIGNMENT = 64;
const SIZES: Record<string, { layers: number; hidden: number }> = {
  base: { layers: 12, hidden: 768 },
  small: { layers: 4, hidden: 512 },
};
const issue = GPU.multiprocessors * GPU.schedulers * GPU.clock;

/** What one launch of a kernel costs, and how often a step launches it. */
interface Cost {
  /** As a profile names it. */
  name: string;
  calls: number;
  seconds: number;
}

/** What a step is made of. */
export interface Shape {
  layers: number;
  hidden: number;
  length: number;
  sequences: number;
  vocabulary?: number;
  /** Elements that rows of logits begin at a multiple of. */
  alignment?: number;
}

/** The kernels of a step, 15% of its tokens masked; activations bf16, gradients of rows and weights f32. */
export function costs(shape: Shape): Cost[] {
  const { layers, hidden: c, length, sequences, vocabulary: v = VOCABULARY, alignment = LOGITS_ALIGNMENT } = shape;
  const n = length * sequences, f = 4 * c, m = Math.round(n * 0.15), row = Math.ceil(v / alignment) * alignment;
  const parameters = layers * (4 * c * c + 2 * c * f + 13 * c) + (v + 514) * c + c * c + v + 5 * c;
  const product = (kind: "forward" | "data" | "weight", rows: number, inputs: number, outputs: number, bytes: number) =>
    Math.max(2 * rows * inputs * outputs / (GPU.flop * EFFICIENCY[kind]), bytes / (GPU.bytes * EFFICIENCY.bytes));
  /** Of the decoder: its f32 logits and their bf16 gradients are aligned, or not. */
  const decoder = (kind: "forward" | "data" | "weight", inputs: number, outputs: number, bytes: number) =>
    product(kind, m, inputs, outputs, bytes) / (row * (kind === "forward" ? 4 : 2) % 16 === 0 ? 1 : EFFICIENCY.narrow);
  /** The four dense layers of a block, [inputs, outputs]. */
  const dense = [[c, 3 * c], [c, c], [c, f], [f, c]];
  const sum = (cost: (inputs: number, outputs: number) => number) => dense.reduce((all, [i, o]) => all + cost(i, o), 0);
  const moved = (bytes: number) => bytes / (GPU.bytes * EFFICIENCY.bytes);
  const issued = (instructions: number, share: number) => instructions / (issue * share);
  const heads = c / 64, tile = 64, tiles = Math.ceil(length / tile), warps = 4;
  const attention = ({ scores, rows }: { scores: number; rows: number }) =>
    issued(sequences * heads * tiles * warps * (tiles * scores + rows), EFFICIENCY.issue);
  /** Of query, key and value, by the warps of a block. */
  const sums = ({ rows, end }: { rows: number; end: number }) =>
    issued(sequences * heads * 8 * 3 * (Math.ceil(length / 16) * rows + end), EFFICIENCY.issue);
  /** Partial sums of so many rows: written, and added up by 32 warps for each 32 columns. */
  const added = (rows: number, columns: number) =>
    moved(4 * rows * columns) +
    Math.max(moved(4 * rows * columns), Math.ceil(rows / 32 / WAIT.loads) * WAIT.seconds);
  const partials = (rows: number, columns: number) =>
    Math.min(Math.ceil(rows / SUMS.rows), Math.floor(SUMS.elements / columns));
  const gelu = (instructions: number, bytes: number) =>
    Math.max(moved(n * f * bytes), issued(n * f / 128 * instructions, EFFICIENCY.elementwise));
  const norm = (bytes: number, instructions: number) =>
    Math.max(moved(n * c * bytes), issued(n * c / 768 * instructions, EFFICIENCY.elementwise));
  const each = (name: string, calls: number, seconds: number): Cost => ({ name, calls, seconds });
  return [
    // A profile does not tell a block's products from the head's.
    each(
      "product: forward",
      4 * layers + 2,
      layers * sum((i, o) => product("forward", n, i, o, 2 * (n * i + n * o + i * o))) +
        product("forward", m, c, c, 4 * m * c) + decoder("forward", c, v, 4 * m * v),
    ),
    each(
      "product: data gradient",
      4 * layers + 2,
      layers * sum((i, o) => product("data", n, o, i, 2 * n * o + 2 * i * o + (i === c ? 8 : 2) * n * i)) +
        product("data", m, c, c, 6 * m * c) + decoder("data", v, c, 2 * m * v),
    ),
    each(
      "product: weight gradient",
      4 * layers + 2,
      layers * sum((i, o) => product("weight", n, i, o, 2 * n * (i + o) + 8 * i * o)) +
        product("weight", m, c, c, 8 * c * c) + decoder("weight", c, v, 2 * m * v + 8 * c * v),
    ),
    each("attention_forward_64", layers, layers * attention(INSTRUCTIONS.attention)),
    each(
      "attention_backward_64",
      layers,
      layers * (attention(INSTRUCTIONS.attentionBackward) + sums(INSTRUCTIONS.attentionSums)),
    ),
    each("attention_delta", layers, layers * moved(4 * n * c)),
    each("gelu_forward", layers + 1, layers * gelu(INSTRUCTIONS.gelu, 4)),
    each("gelu_backward", layers + 1, layers * gelu(INSTRUCTIONS.geluBackward, 6)),
    each("residual_norm", 2 * layers, 2 * layers * norm(8, INSTRUCTIONS.residualNorm)),
    each("norm_backward", 2 * layers + 2, 2 * layers * norm(12, INSTRUCTIONS.normBackward)),
    each("sum_activation_columns", 2, moved(2 * m * (c + row))),
    each(
      "add_columns",
      4 * layers + 4,
      layers * (2 * added(Math.min(Math.ceil(n / SUMS.rows), SUMS.normBlocks), 3 * c) + added(partials(n, f), f) +
            added(sequences, 3 * c)) + added(partials(m, row), v),
    ),
    each("cross_entropy", 1, moved(m * v * (4 + 4 + 2))),
    each("embeddings", 6, moved(n * c * (12 + 2 + 2 + 8))),
    each("clip and adamw", 4, moved(parameters * (4 + 4 * 4 + 3 * 4 + 2))),
  ];
}

/** FLOP of a token, as gpu_rate counts them. */
export function flopOfToken({ layers, hidden: c, length, vocabulary = VOCABULARY }: Shape): number {
  return 72 * layers * c * c + 12 * layers * c * length + 6 * (c * vocabulary + c * c) * 0.15;
}

/** Milliseconds by kernel, from the profile that gpu_rate printed for these shapes. */
function profile(path: string, c: number, length: number, tokens: number): Map<string, number> {
  const lines = Deno.readTextFileSync(path).split("\n").filter((line) => line.startsWith("{"));
  const found = lines.map((line) => JSON.parse(line)).findLast((x) =>
    x.profile && x.hidden_size === c && x.sequence_length === length && x.tokens === tokens
  );
  return new Map((found?.profile ?? []).map(([name, , ms]: [string, number, number]) => [name, ms]));
}

if (import.meta.main) {
  const args = parseArgs(Deno.args, { string: ["measured", "vocabulary", "alignment", "_"] });
  const [size = "base", length, sequences] = args._.map(String);
  const shapes = length === undefined
    ? [[128, 128], [512, 32], [128, 512], [512, 128]]
    : [[Number(length), Number(sequences)]];
  const { layers, hidden } = SIZES[size] ?? {};
  const vocabulary = Number(args.vocabulary ?? VOCABULARY), alignment = Number(args.alignment ?? LOGITS_ALIGNMENT);
  if (layers === undefined || [...shapes.flat(), vocabulary, alignment].some((x) => !Number.isInteger(x) || x < 1)) {
    console.error(
      "usage: deno run -R bench/gpu/step_model.ts [base|small LENGTH SEQUENCES] [--vocabulary N] [--alignment N] [--measured FILE]",
    );
    Deno.exit(2);
  }
  for (const [t, b] of shapes) {
    const shape = { layers, hidden, length: t, sequences: b, vocabulary, alignment };
    const kernels = costs(shape), nodes = kernels.reduce((all, { calls }) => all + calls, 0);
    const total = kernels.reduce((all, { seconds }) => all + seconds, 0) + nodes * NODE;
    const measured = args.measured === undefined ? new Map() : profile(args.measured, hidden, t, t * b);
    const sumOf = (name: string) =>
      [...measured].reduce((all, [kernel, ms]) => kernel.startsWith(name) ? all + ms : all, 0);
    console.log(`${size}, ${b} sequences of ${t}: predicted ms by kernel${measured.size > 0 ? ", measured ms" : ""}`);
    for (const { name, calls, seconds } of kernels.toSorted((x, y) => y.seconds - x.seconds)) {
      const found = sumOf(name), ms = found > 0 ? found.toFixed(2).padStart(10) : "";
      console.log(`  ${name.padEnd(30)}${`${calls}`.padStart(4)} x${(seconds * 1e3).toFixed(2).padStart(8)}${ms}`);
    }
    const mfu = flopOfToken(shape) * t * b / total / GPU.flop;
    console.log(
      `  ${"between kernels".padEnd(30)}${`${nodes}`.padStart(4)} x${(nodes * NODE * 1e3).toFixed(2).padStart(8)}`,
    );
    console.log(`  sum ${(total * 1e3).toFixed(1)} ms, MFU ${(100 * mfu).toFixed(1)}%\n`);
  }
}
