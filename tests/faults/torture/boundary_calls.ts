/**
 * Random calls of the core, right and wrong, as a caller without this project's types might make them. Runs alone, because a
 * core that aborts takes its process with it: `boundary.ts` starts it and reads what it prints.
 * usage: deno run -A tests/faults/torture/boundary_calls.ts CALLS SEED FOLDER
 */

import { MASKED_LM } from "../../../config/engine.ts";
import { loadLibrary } from "../../../ffi/library.ts";
import { Draw } from "./random.ts";

/** What the process prints at its end, as JSON. */
export interface Counts {
  calls: number;
  /** By status, of each call of the core. */
  statuses: Record<string, number>;
  bad: string[];
}

const [calls, seed, folder] = [Number(Deno.args[0]), Number(Deno.args[1]), Deno.args[2]];
const { symbols } = loadLibrary("candle"); // which has both engines
/** Files of PyTorch, good and bad. */
const golden = new URL("../../golden/weights", import.meta.url).pathname;
const GOLDEN = ["archive.bin", "legacy.bin", "module.bin", "masked_lm/pytorch_model.bin.index.json"]
  .map((name) => `${golden}/${name}`);
const draw = new Draw(seed);
const counts: Counts = { calls: 0, statuses: {}, bad: [] };
const NAMES = ["ok", "InvalidArgument", "InvalidState", "Io", "Corrupt", "Mismatch", "NonFinite", "OutOfMemory"]
  .concat(["Panic", "Unsupported", "NoDevice"]);
const PANIC = 8;

/** V, C, longest sequence, tokens and sequences of the engines here. */
const [VOCABULARY, LONGEST, TOKENS, SEQUENCES, LABELS] = [40, 16, 48, 6, 3];
const optimizer = () => {
  const numbers = { beta1: 0.9, beta2: 0.999, epsilon: 1e-6, weight_decay: 0.01, max_grad_norm: 1 };
  if (draw.oneOf(20)) numbers[draw.pick(Object.keys(numbers) as (keyof typeof numbers)[])] = draw.pick(REALS);
  return draw.oneOf(2) ? { name: "adamw", ...numbers } : { name: "muon", momentum: 0.95, ...numbers };
};
const request = () => ({
  config: {
    vocab_size: VOCABULARY,
    hidden_size: 16,
    num_hidden_layers: 1 + draw.below(2),
    num_attention_heads: 2,
    intermediate_size: 32,
    max_position_embeddings: LONGEST,
    type_vocab_size: 2,
    hidden_dropout_prob: draw.pick([0, 0.1]),
    attention_probs_dropout_prob: draw.pick([0, 0.1]),
    layer_norm_eps: 1e-12,
    initializer_range: 0.1,
    hidden_act: "gelu",
    pad_token_id: 0,
    tie_word_embeddings: true,
  } as Record<string, unknown>,
  heads: {
    tokens: !draw.oneOf(3),
    sequence: draw.pick<unknown>([null, {
      ...draw.pick([{ kind: "next_sentence", num_labels: 2 }, { kind: "classification", num_labels: LABELS }]),
      problem_type: draw.pick(["single_label_classification", "multi_label_classification", "regression"]),
      classifier_dropout: draw.pick([0, 0.1]),
      pools: draw.pick(["first", "last"]),
    }]),
    is_decoder: draw.oneOf(3),
    freeze_encoder: draw.oneOf(3),
  },
  engine: draw.oneOf(6) ? "candle" : "fused",
  device: "cpu",
  dtype: draw.pick(["f32", "auto"]),
  threads: 1 + draw.below(3),
  seed: draw.below(1000),
  max_tokens: TOKENS,
  max_sequences: SEQUENCES,
  max_masked: 16,
  max_sequence_length: LONGEST,
  optimizer: draw.oneOf(3) ? null : optimizer(),
  ...(draw.oneOf(8) ? { profile: true } : {}),
  ...(draw.oneOf(6) ? { micro_batches: draw.pick([1, 1, 2, 3, 8]) } : {}),
} as Record<string, unknown>);

/** Values that no field should have; none of them is a size that a machine could really be asked for. */
const WRONG: readonly unknown[] = [
  ...[-1, 0, 1.5, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 1e300, -1e300, 1e-300],
  ...[null, true, "", "x", "\0", "\u202e", [], [1], {}, { a: [] }, "x".repeat(5000)],
];
const HANDLES = [0, 2 ** 31, 2 ** 32 - 1];
const REALS = [0, -1, 1, 0.5, NaN, Infinity, -Infinity, 1e300, 2 ** 53, 5e-324];

/** Engines that are open; closed ones are asked again, too. */
let open: number[] = [];
const closed: number[] = [];

const handle = (): number => {
  if (draw.oneOf(30)) return draw.pick(HANDLES);
  if (draw.oneOf(30) && closed.length > 0) return draw.pick(closed);
  return open.length === 0 ? 0 : draw.pick(open);
};

/** Most often as it should be. */
const array = (length: number, below: number): Int32Array<ArrayBuffer> =>
  Int32Array.from({ length }, () => draw.below(below));

/** Some wrong numbers, another length, or bytes at an odd place. */
function spoiled(values: Int32Array<ArrayBuffer>): BufferSource | null {
  if (!draw.oneOf(25)) return values;
  const what = draw.below(3);
  if (what === 0) return null;
  if (what === 1) {
    for (let n = draw.below(3); n >= 0; n--) {
      const at = draw.below(values.length + 1);
      if (at < values.length) values[at] = draw.pick([-1, 2 ** 31 - 1, -(2 ** 31), VOCABULARY, LONGEST, 1000]);
    }
    return values;
  }
  const odd = new Uint8Array(values.byteLength + 1).subarray(1);
  odd.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return odd;
}

/** A length that is at most the real one: more would be the caller's lie. */
const shorter = (length: number): number => draw.oneOf(30) ? draw.below(length + 1) : length;

function batch() {
  const lengths = Array.from(
    { length: 1 + draw.below(SEQUENCES + (draw.oneOf(20) ? 3 : 0)) },
    () => 1 + draw.below(draw.oneOf(40) ? LONGEST + 4 : 9),
  );
  const bounds = Int32Array.of(0, ...lengths);
  for (let b = 1; b < bounds.length; b++) bounds[b] += bounds[b - 1];
  const n = bounds[bounds.length - 1];
  if (draw.oneOf(40)) bounds.reverse();
  const masked = Int32Array.from([...array(n, n).keys()].filter(() => draw.oneOf(4)));
  const positions = Int32Array.from(lengths.flatMap((length) => [...Array(length).keys()]));
  return { n, bounds, masked, ids: array(n, VOCABULARY), types: array(n, 2), positions };
}

/** The arguments that calls on a batch begin with. */
function arguments_(made: ReturnType<typeof batch>) {
  const { n, bounds, masked, ids, types, positions } = made;
  return [
    spoiled(ids),
    spoiled(types),
    spoiled(positions),
    shorter(n),
    spoiled(bounds),
    shorter(bounds.length),
    spoiled(masked),
    shorter(masked.length),
  ] as const;
}

type Status = number | Promise<number>;
type Caller = (error: Uint8Array<ArrayBuffer>, length: number) => Status;

/** Makes a call and looks at what it says. */
async function called(name: string, caller: Caller): Promise<number> {
  const error = new Uint8Array(draw.oneOf(20) ? draw.below(60) : 4096);
  const status = await caller(error, error.length);
  counts.calls++;
  const code = NAMES[status] ?? `status ${status}`;
  counts.statuses[code] = (counts.statuses[code] ?? 0) + 1;
  const text = new TextDecoder().decode(error.subarray(0, error.indexOf(0) < 0 ? undefined : error.indexOf(0)));
  const complain = (what: string) => counts.bad.push(`seed ${seed}, call ${counts.calls}, ${name}: ${what}: ${text}`);
  if (status < 0 || status >= NAMES.length) complain(`status ${status}`);
  if (status === PANIC) complain("a panic");
  if (status === 0 || error.length < 4096) return status;
  try {
    const { code: said, message } = JSON.parse(text);
    if (said !== code || message === "" || /\ba bug\b|panicked at/.test(text)) complain(`${code} says`);
  } catch {
    complain("no JSON");
  }
  return status;
}

async function openOne(): Promise<void> {
  const json = request();
  if (draw.oneOf(2)) {
    const part = draw.pick([json.config, json, json.optimizer ?? json]) as Record<string, unknown>;
    const name = draw.oneOf(20) ? "colour" : draw.pick(Object.keys(part));
    part[name] = draw.pick(WRONG);
  }
  if (draw.oneOf(10)) {
    json.weights = draw.pick([folder, `${folder}/none`, `${folder}/fifo`, "/dev/zero", "a\0b"].concat(GOLDEN));
  }
  if (draw.oneOf(20)) json.training_state = draw.pick([folder, `${folder}/none`, `${folder}/text`]);
  let bytes = new TextEncoder().encode(JSON.stringify(json));
  if (draw.oneOf(15)) bytes = bytes.slice(0, draw.below(bytes.length));
  if (draw.oneOf(15) && bytes.length > 0) bytes[draw.below(bytes.length)] = draw.below(256);
  if (draw.oneOf(40)) bytes = new TextEncoder().encode("[".repeat(draw.below(5000)));
  const found = draw.oneOf(50) ? null : new Uint32Array(1);
  const name = `cloze_open ${new TextDecoder().decode(bytes.subarray(0, 2000))}`;
  const status = await called(name, (e, l) => symbols.cloze_open(bytes, bytes.length, found, e, l));
  if (status === 0 && found !== null) open.push(found[0]);
}

async function close(of: number): Promise<void> {
  await called("cloze_close", (e, l) => symbols.cloze_close(of, e, l));
  if (open.includes(of)) closed.push(of);
  open = open.filter((other) => other !== of);
  if (closed.length > 50) closed.shift();
}

const CALLS: Record<string, [weight: number, call: () => Promise<unknown>]> = {
  // No launcher has started this process: it has nobody to join, and no library to join them with.
  join: [1, () => {
    const search = {
      names: draw.pick([[], ["libnothing.so.9"], ["../..", "\0"]]),
      library: draw.pick([`${folder}/text`, ""]),
    };
    const request = {
      search,
      patience_ms: draw.pick<unknown>([1, 0, -1, null]),
      size: draw.pick<unknown>([2, 0, "x"]),
    };
    const text = draw.pick(["{", "[]", "{}", JSON.stringify({ search }), JSON.stringify(request)]);
    const bytes = new TextEncoder().encode(text), out = new Uint8Array(draw.below(100));
    const written = draw.oneOf(10) ? null : new Uint32Array(1);
    const [a, b] = [bytes.length, out.length];
    return called(`cloze_join ${text}`, (e, l) => symbols.cloze_join(bytes, a, out, b, written, e, l));
  }],
  gather: [1, () => {
    const [own, all] = [new Uint8Array(draw.below(9)), draw.oneOf(9) ? null : new Uint8Array(draw.below(30))];
    return called(
      "cloze_gather",
      (e, l) => symbols.cloze_gather(own, own.length, all, all?.length ?? 0, draw.below(3), e, l),
    );
  }],
  leave: [1, () => called("cloze_leave", (e, l) => symbols.cloze_leave(draw.pick([0, 1, 2 ** 31]), e, l))],
  collect: [2, () => {
    const of = handle();
    return called("cloze_collect", (e, l) => symbols.cloze_collect(of, e, l));
  }],
  open: [1, openOne],
  close: [1, () => open.length > 3 || draw.oneOf(10) ? close(handle()) : openOne()],
  describe: [3, () => {
    const out = new Uint8Array(draw.oneOf(4) ? draw.below(50) : 1 << 13);
    const written = draw.oneOf(30) ? null : new Uint32Array(1), of = handle();
    return called("cloze_describe", (e, l) => symbols.cloze_describe(of, out, out.length, written, e, l));
  }],
  save: [1, () => {
    const text = draw.pick([
      ...["{", "[]", "{}", '{"colour":1}', `{"weights":"${folder}/none/w"}`, `{"weights":"${folder}"}`],
      ...[`{"training_state":"${folder}/text"}`, '{"weights":"/dev/full"}', '{"weights":3}', '{"weights":""}'],
    ]);
    const bytes = new TextEncoder().encode(text), of = handle();
    return called(`cloze_save ${text}`, (e, l) => symbols.cloze_save(of, bytes, bytes.length, e, l));
  }],
  extend_weights: [1, () => {
    const json: Record<string, unknown> = {
      weights: draw.pick([`${golden}/masked_lm/pytorch_model.bin.index.json`, `${golden}/archive.bin`, folder]),
      to: draw.pick([`${folder}/none/w`, "/dev/full", ""]),
      rows: 16,
      new_rows: 17,
      first: 15,
      pieces: [[0, 1], []],
    };
    if (draw.oneOf(2)) json[draw.pick(Object.keys(json))] = draw.pick(WRONG);
    const text = JSON.stringify(json), bytes = new TextEncoder().encode(text);
    return called(`cloze_extend_weights ${text}`, (e, l) => symbols.cloze_extend_weights(bytes, bytes.length, e, l));
  }],
  file_sha256: [1, () => {
    const path = draw.pick([`${golden}/archive.bin`, folder, `${folder}/none`, "", "\0"]);
    const text = draw.oneOf(5) ? draw.pick(["{", "3", "null"]) : JSON.stringify(path);
    const bytes = new TextEncoder().encode(text),
      hash = draw.oneOf(10) ? null : new Uint8Array(draw.pick([32, 32, 31]));
    return called(
      `cloze_file_sha256 ${text}`,
      (e, l) => symbols.cloze_file_sha256(bytes, bytes.length, hash, hash?.length ?? 32, e, l),
    );
  }],
  forward_backward: [30, () => {
    const made = batch(), given = arguments_(made), of = handle();
    const labels = array(made.masked.length, VOCABULARY), sequences = array(made.bounds.length - 1, 2);
    const withLabels = draw.oneOf(2) ? sequences.length : 0;
    const [weight, step] = [draw.oneOf(20) ? draw.pick(REALS) : 1, draw.oneOf(20) ? draw.pick(REALS) : draw.below(100)];
    const l1 = spoiled(labels), l2 = shorter(labels.length), s1 = spoiled(sequences), s2 = shorter(withLabels);
    const micro = draw.pick([0, 1, 2 ** 32 - 1]);
    const targets = Float32Array.from(
      { length: sequences.length * draw.pick([2, LABELS]) },
      () => draw.oneOf(40) ? draw.pick(REALS) : draw.pick([0, 1]),
    );
    const t2 = shorter(draw.oneOf(2) ? targets.length : 0);
    return called(
      "cloze_forward_backward",
      (e, l) => symbols.cloze_forward_backward(of, ...given, l1, l2, s1, s2, targets, t2, weight, step, micro, e, l),
    );
  }],
  update: [15, () => {
    const rate = draw.oneOf(20) ? draw.pick(REALS) : 1e-3, of = handle();
    const step = draw.oneOf(10) ? draw.pick(REALS) : draw.below(100);
    return called("cloze_update", (e, l) => symbols.cloze_update(of, rate, step, e, l));
  }],
  trainRows: [3, () => {
    const [first, count] = [draw.pick([0, 1, 5, 2 ** 32 - 1]), draw.pick([0, 0, 1, 3, 2 ** 32 - 1])], of = handle();
    return called("cloze_train_rows", (e, l) => Promise.resolve(symbols.cloze_train_rows(of, first, count, e, l)));
  }],
  report: [8, () => {
    const out = draw.oneOf(40) ? null : new Float64Array(8), of = handle();
    return called("cloze_report", (e, l) => symbols.cloze_report(of, out, e, l));
  }],
  evaluate: [15, () => {
    const made = batch(), given = arguments_(made), of = handle();
    const labels = array(made.masked.length, VOCABULARY), sequences = array(made.bounds.length - 1, 2);
    const [loss, rank] = [new Float32Array(labels.length), new Int32Array(labels.length)];
    const [loss2, rank2] = [new Float32Array(sequences.length), new Int32Array(sequences.length)];
    const l1 = spoiled(labels), l2 = shorter(labels.length), s1 = spoiled(sequences);
    const s2 = shorter(draw.oneOf(2) ? sequences.length : 0), out = spoiled(rank);
    return called(
      "cloze_evaluate",
      (e, l) => symbols.cloze_evaluate(of, ...given, l1, l2, s1, s2, loss, out, loss2, rank2, e, l),
    );
  }],
  top_k: [10, () => {
    const made = batch(), given = arguments_(made), of = handle();
    const k = draw.oneOf(10) ? draw.pick([0, VOCABULARY + 1, 2 ** 32 - 1]) : 1 + draw.below(5);
    const length = Math.min(1000, made.masked.length * k);
    const ids = new Int32Array(length), probabilities = new Float32Array(length), said = shorter(length);
    return called("cloze_top_k", (e, l) => symbols.cloze_top_k(of, ...given, k, ids, probabilities, said, e, l));
  }],
  logits: [8, () => {
    const made = batch(), given = arguments_(made), of = handle();
    const out = new Float32Array(made.masked.length * VOCABULARY), said = shorter(out.length);
    return called("cloze_logits", (e, l) => symbols.cloze_logits(of, ...given, out, said, e, l));
  }],
  sequence_logits: [8, () => {
    const made = batch(), of = handle();
    const [ids, types, positions, n, bounds, b] = arguments_(made);
    const out = new Float32Array((made.bounds.length - 1) * draw.pick([2, LABELS])), said = shorter(out.length);
    return called(
      "cloze_sequence_logits",
      (e, l) => symbols.cloze_sequence_logits(of, ids, types, positions, n, bounds, b, out, said, e, l),
    );
  }],
};

const names = Object.entries(CALLS).flatMap(([name, [weight]]) => Array<string>(weight).fill(name));

/** An engine that nothing else is asked of: what it answers must never change. */
const witness = new Uint32Array(1);
const still = { ...request(), heads: MASKED_LM, engine: "fused", dtype: "f32", optimizer: null };
const stillBytes = new TextEncoder().encode(JSON.stringify(still));
await called("the witness", (e, l) => symbols.cloze_open(stillBytes, stillBytes.length, witness, e, l));
async function testimony(): Promise<string> {
  const out = new Float32Array(2 * VOCABULARY), three = Int32Array.of(0, 1, 2);
  const [of, types, bounds, masked] = [witness[0], new Int32Array(3), Int32Array.of(0, 3), Int32Array.of(0, 2)];
  const status = await called(
    "the witness",
    (e, l) => symbols.cloze_logits(of, three, types, three, 3, bounds, 2, masked, 2, out, out.length, e, l),
  );
  return `${status} ${out.join()}`;
}

// Several at a time, so that calls meet on an engine, and one is closed under another.
const before = await testimony();
while (counts.calls < calls) {
  await Promise.all(Array.from({ length: 8 }, () => CALLS[draw.pick(names)][1]()));
  if (counts.calls % 5000 < 8 && await testimony() !== before) counts.bad.push(`seed ${seed}: the witness has changed`);
}
if (await testimony() !== before) counts.bad.push(`seed ${seed}: the witness has changed`);
for (const of of [...open]) await close(of);
console.log(JSON.stringify(counts));
Deno.exit(0);
