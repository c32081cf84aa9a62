import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import type { Batch } from "../config/batch.ts";
import { MASKED_LM, type SequenceHead } from "../config/engine.ts";
import { buildCandle, testWithCore } from "../tests/support.ts";
import { inspectMachine } from "./doctor.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import { NativeError } from "./native_error.ts";

const OPTIONS: EngineOptions = {
  config: {
    model_type: "bert",
    vocab_size: 40,
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 32,
    max_position_embeddings: 16,
    type_vocab_size: 2,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    layer_norm_eps: 1e-12,
    initializer_range: 0.1,
    hidden_act: "gelu",
    pad_token_id: 0,
    tie_word_embeddings: true,
  },
  heads: MASKED_LM,
  engine: "fused",
  device: "cpu",
  dtype: "f32",
  threads: 2,
  seed: 1,
  max_tokens: 32,
  max_sequences: 4,
  max_masked: 16,
  max_sequence_length: 16,
  optimizer: { name: "adamw", beta1: 0.9, beta2: 0.98, epsilon: 1e-6, weight_decay: 0.01, max_grad_norm: 1 },
};

const head = (kind: SequenceHead["kind"], num_labels: number) => ({
  kind,
  num_labels,
  problem_type: "single_label_classification" as const,
  classifier_dropout: 0,
  pools: "first" as const,
});

const RATE = 1e-2;

function batch(): Batch {
  return {
    input_ids: Int32Array.of(2, 10, 4, 12, 3, 2, 4, 21, 3),
    token_type_ids: new Int32Array(9),
    position_ids: Int32Array.of(0, 1, 2, 3, 4, 0, 1, 2, 3),
    cu_seqlens: Int32Array.of(0, 5, 9),
    masked_positions: Int32Array.of(2, 6),
    labels: Int32Array.of(11, 20),
    sequence_labels: new Int32Array(0),
  };
}

testWithCore("Engine.tokensThatFit is 0 on the CPU, and asks a GPU that there is", async () => {
  assertEquals(await Engine.tokensThatFit(OPTIONS), 0);
  const { cuda } = await inspectMachine();
  if (cuda.problem === null) {
    assertEquals(await Engine.tokensThatFit({ ...OPTIONS, device: "cuda" }), OPTIONS.max_tokens);
  } else {
    const error = await assertRejects(() => Engine.tokensThatFit({ ...OPTIONS, device: "cuda" }), NativeError);
    assert(error.message.includes("there is no CUDA device") && error.hint?.includes("--device cpu"), error.message);
  }
});

testWithCore("Engine learns a batch, saves it, and another engine answers the same", async () => {
  using engine = await Engine.open(OPTIONS);
  await engine.forwardBackward(batch(), 0, 0);
  const first = await engine.report();
  assertEquals(first.masked, 2);
  for (let step = 0; step < 80; step++) {
    if (step > 0) await engine.forwardBackward(batch(), step, 0);
    await engine.update(RATE, step);
    const { grad_norm, units, masked } = await engine.report();
    assert(grad_norm > 0 && units === 2 && masked === (step > 0 ? 2 : 0));
  }
  const { row_loss, row_rank } = await engine.evaluate(batch());
  assertEquals([...row_rank], [0, 0]);
  assert(row_loss[0] + row_loss[1] < 0.1 * first.loss_sum);

  const folder = await Deno.makeTempDir();
  try {
    const weights = `${folder}/model.safetensors`, training_state = `${folder}/state.safetensors`;
    await engine.save({ weights, training_state });
    using other = await Engine.open({ ...OPTIONS, seed: 9, weights, training_state });
    assertEquals(await other.logits(batch()), await engine.logits(batch()));
    const [a, b] = [await engine.topK(batch(), 3), await other.topK(batch(), 3)];
    assertEquals(a, b);
    assertEquals([a.ids[0], a.ids[3]], [11, 20]);
    await assertRejects(() => engine.save({ weights }), NativeError, "could not be written");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

testWithCore("Engine runs calls one after the other in the order they were made", async () => {
  using engine = await Engine.open(OPTIONS);
  const calls = Array.from({ length: 20 }, (_, i) => engine.forwardBackward(batch(), 0, i));
  const update = engine.update(RATE, 0);
  await Promise.all([...calls, update]);
  const { masked, units } = await engine.report();
  assertEquals([masked, units], [40, 40]);
});

testWithCore("Engine turns the core's refusals into errors that say what is wrong", async () => {
  await assertRejects(() => Engine.open({ ...OPTIONS, threads: 0 }), NativeError, "threads");
  await assertRejects(() => Engine.open({ ...OPTIONS, device: "tpu" as "cpu" }), NativeError, "tpu");
  await assertRejects(() => Engine.open({ ...OPTIONS, weights: "/none" }), NativeError, "/none");
  using engine = await Engine.open(OPTIONS);
  const bad = (change: (b: Batch) => void) => {
    const b = batch();
    change(b);
    return engine.forwardBackward(b, 0, 0);
  };
  await assertRejects(() => bad((b) => b.input_ids[0] = 40), NativeError, "input_ids[0] is 40");
  await assertRejects(() => bad((b) => b.cu_seqlens[1] = 99), NativeError, "outside");
  await assertRejects(() => bad((b) => b.labels = Int32Array.of(1)), NativeError, "labels has 1");
  await assertRejects(async () => await bad((b) => b.position_ids = new Int32Array(2)), ClozeError, "position_ids");
  await assertRejects(() => engine.update(RATE, 0), NativeError, "no gradient has been accumulated");
  await engine.forwardBackward(batch(), 0, 0);
  assertEquals((await engine.report()).masked, 2);
});

testWithCore("Engine survives random batches: an answer or an error, never a crash", async () => {
  const { optimizer: _, ...untrained } = OPTIONS;
  using engine = await Engine.open(untrained);
  let seed = 7;
  const random = (n: number) => (seed = (Math.imul(seed, 48271) >>> 0) % 0x7fffffff) % n;
  let answered = 0;
  for (let i = 0; i < 400; i++) {
    const array = (length: number, below: number) =>
      Int32Array.from({ length }, () => random(below) - (random(20) === 0 ? 5 : 0));
    const n = 1 + random(34), m = random(6);
    const length = 1 + random(n);
    const input: Batch = {
      input_ids: array(n, 41),
      token_type_ids: array(n, 2),
      position_ids: array(n, 16),
      cu_seqlens: random(3) > 0 ? Int32Array.of(0, length, n) : array(1 + random(5), 40),
      masked_positions: array(m, n).sort(),
      labels: array(m, 40),
      sequence_labels: new Int32Array(0),
    };
    try {
      await engine.evaluate(input);
      answered++;
    } catch (error) {
      assert(error instanceof NativeError && error.native === "InvalidArgument", String(error));
    }
  }
  assert(answered > 0 && answered < 400, `${answered} answered`);
});

testWithCore("Engine learns pairs beside tokens, and sequences without them", async () => {
  const pairs = { ...batch(), sequence_labels: Int32Array.of(0, 1) };
  using both = await Engine.open({ ...OPTIONS, heads: { ...MASKED_LM, sequence: head("next_sentence", 2) } });
  for (let step = 0; step < 60; step++) {
    await both.forwardBackward(pairs, step, 0, 1);
    const sums = await both.report();
    assertEquals([sums.masked, sums.sequences], [2, 2]);
    await both.update(RATE, step);
  }
  const { row_rank, sequence_rank, sequence_loss } = await both.evaluate(pairs);
  assertEquals([...row_rank, ...sequence_rank], [0, 0, 0, 0]);
  const logits = await both.sequenceLogits(pairs, 2);
  sequence_loss.forEach((loss, b) => {
    const [next, random] = logits.subarray(2 * b, 2 * b + 2);
    assert(Math.abs(Math.log(1 + Math.exp(b === 0 ? random - next : next - random)) - loss) < 1e-4);
  });
  await assertRejects(() => both.forwardBackward(batch(), 0, 0), NativeError, "sequence_labels has 0 entries");
  await assertRejects(() => both.sequenceLogits(pairs, 3), NativeError, "out has 6 entries, but needs 4");

  const classifies = (num_labels: number) => ({
    ...MASKED_LM,
    tokens: null,
    sequence: head("classification", num_labels),
  });
  using classifier = await Engine.open({ ...OPTIONS, heads: classifies(3) });
  const none = new Int32Array(0);
  const labeled = { ...batch(), masked_positions: none, labels: none, sequence_labels: Int32Array.of(2, 0) };
  for (let step = 0; step < 60; step++) {
    await classifier.forwardBackward(labeled, step, 0);
    await classifier.update(RATE, step);
    assertEquals((await classifier.report()).units, 2, "divided by the sequences");
  }
  assertEquals([...(await classifier.evaluate(labeled)).sequence_rank], [0, 0]);
  await assertRejects(() => classifier.topK(batch(), 1), NativeError, "no head on tokens");
  await assertRejects(() => Engine.open({ ...OPTIONS, heads: classifies(1) }), NativeError, "num_labels is 1");
});

testWithCore("a closed Engine says so", async () => {
  const engine = await Engine.open(OPTIONS);
  const running = engine.forwardBackward(batch(), 0, 0);
  engine.close();
  engine.close();
  await running; // a call in progress is finished
  assertThrows(() => engine.describe(), ClozeError, "closed");
});

testWithCore("Engine refuses arrays and numbers of another kind before the core sees them", async () => {
  const open = (options: object) => Engine.open({ ...OPTIONS, ...options } as EngineOptions);
  for (const bad of [NaN, -1, 1.5, Infinity, 2 ** 60, "2", null]) {
    await assertRejects(() => open({ threads: bad }), ClozeError, "threads is");
    await assertRejects(() => open({ seed: bad }), ClozeError, "seed is");
  }
  for (const [name, bad] of [["threads", 2 ** 31], ["max_sequences", 2 ** 52], ["max_tokens", 2 ** 40]] as const) {
    await assertRejects(() => open({ [name]: bad }), NativeError, `${name} is ${bad}`);
  }
  const error = await assertRejects(() => open({ max_tokens: 2 ** 31 - 1 }), NativeError, "are free");
  assertEquals([error.native, error.hint?.includes("--batch-tokens")], ["OutOfMemory", true]);
  using engine = await open({});
  // deno-lint-ignore no-explicit-any
  const wrong = (value: unknown) => value as any;
  for (const name of Object.keys(batch())) {
    for (const array of [new Int8Array(9), new Float64Array(9), [2, 10], undefined]) {
      const bad = wrong({ ...batch(), [name]: array });
      await assertRejects(() => engine.forwardBackward(bad, 0, 0), ClozeError, `${name} is`);
    }
  }
  for (const step of [-1, 0.5, NaN, 2 ** 53]) {
    await assertRejects(() => engine.forwardBackward(batch(), step, 0), ClozeError, "step is");
    await assertRejects(() => engine.update(RATE, step), ClozeError, "step is");
  }
  await assertRejects(() => engine.forwardBackward(batch(), 0, 2 ** 32), ClozeError, "microStep is");
  const broken = { ...OPTIONS, optimizer: { ...OPTIONS.optimizer!, beta1: 1 } };
  await assertRejects(() => Engine.open(broken), NativeError, "beta1 is 1");
  for (const k of [0, 41, 1e12, NaN]) await assertRejects(() => engine.topK(batch(), k), ClozeError, "k is");
  await engine.forwardBackward(batch(), 0, 0);
  await assertRejects(() => engine.update(NaN, 0), NativeError, "learning_rate is NaN");
  await engine.update(RATE, 0);
});

testWithCore("Engine.open begins with inner matrices of the size that it is given, and refuses none", async () => {
  const { initializer_range } = OPTIONS.config;
  const logits = async (inner_initializer_range?: number) => {
    using engine = await Engine.open({ ...OPTIONS, ...(inner_initializer_range ? { inner_initializer_range } : {}) });
    return await engine.logits(batch());
  };
  const plain = await logits();
  assertEquals(await logits(initializer_range), plain, "that of the config");
  const wide = await logits(10 * initializer_range);
  assert(wide.some((value, i) => Math.abs(value - plain[i]) > 1e-3), "larger matrices make another model");
  for (const inner_initializer_range of [0, -1]) {
    await assertRejects(() => Engine.open({ ...OPTIONS, inner_initializer_range }), NativeError, "above 0");
  }
});

testWithCore(
  "Engine.open begins with the decoder's bias that it is given, in both engines, and refuses another length",
  async () => {
    await buildCandle();
    const decoder_bias = Array.from({ length: OPTIONS.config.vocab_size }, (_, id) => -id / 8);
    const logits = async (options: EngineOptions) => {
      using engine = await Engine.open(options);
      return await engine.logits(batch());
    };
    for (const engine of ["fused", "candle"] as const) {
      const [plain, biased] = [
        await logits({ ...OPTIONS, engine }),
        await logits({ ...OPTIONS, engine, decoder_bias }),
      ];
      biased.forEach((value, i) => {
        const expected = plain[i] + decoder_bias[i % decoder_bias.length];
        assert(Math.abs(value - expected) < 1e-5, `${engine}: logit ${i} is ${value}, not ${expected}`);
      });
    }
    for (const wrong of [decoder_bias.slice(1), decoder_bias.with(3, 1e300)]) {
      await assertRejects(() => Engine.open({ ...OPTIONS, decoder_bias: wrong }), NativeError, "decoder_bias");
    }
  },
  { sanitizeResources: false }, // the candle engine's library stays
);
