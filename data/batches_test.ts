import { assert, assertEquals } from "@std/assert";
import type { MlmBatch } from "../config/mlm_batch.ts";
import { SPECIAL_TOKENS, Tokenizer } from "../tokenizer/mod.ts";
import { batchLimits, type BatchOptions, fixedEvalBatches, MlmBatches } from "./batches.ts";
import { Random } from "./rng.ts";
import { Sequences } from "./sequences.ts";
import { Shard, ShardWriter } from "./shards.ts";

const VOCABULARY = 500;
const tokenizer = new Tokenizer([...SPECIAL_TOKENS, ...Array.from({ length: VOCABULARY - 5 }, (_, i) => `w${i}`)]);
const OPTIONS: BatchOptions = { seed: 3, batch_tokens: 1024, max_sequence_length: 64, mlm_probability: 0.15 };

/** A shard of documents with one to six sentences of up to 40 tokens. */
async function withShard(documents: number, run: (shard: Shard) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const writer = await ShardWriter.create(`${folder}/a.shard`, VOCABULARY, "test");
    const random = new Random(1, 1);
    for (let i = 0; i < documents; i++) {
      random.at(0, i);
      writer.add(
        Array.from(
          { length: 1 + random.below(6) },
          () => Array.from({ length: 1 + random.below(40) }, () => 5 + random.below(VOCABULARY - 5)),
        ),
      );
    }
    await writer.finish();
    using shard = await Shard.open(`${folder}/a.shard`);
    await run(shard);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const copy = (batch: MlmBatch): MlmBatch =>
  Object.fromEntries(Object.entries(batch).map(([name, array]) => [name, array.slice()])) as unknown as MlmBatch;

/** The sequences of a batch as they were before masking. */
function originals(batch: MlmBatch): string[] {
  const ids = batch.input_ids.slice();
  batch.masked_positions.forEach((position, i) => ids[position] = batch.labels[i]);
  return Array.from(
    { length: batch.cu_seqlens.length - 1 },
    (_, b) => ids.slice(batch.cu_seqlens[b], batch.cu_seqlens[b + 1]).join(" "),
  );
}

/** Each sequence as it was, with its masked form. */
function masksBySequence(batches: MlmBatch[]): Map<string, string> {
  const masks = new Map<string, string>();
  for (const batch of batches) {
    originals(batch).forEach((original, b) => {
      masks.set(original, batch.input_ids.slice(batch.cu_seqlens[b], batch.cu_seqlens[b + 1]).join(" "));
    });
  }
  return masks;
}

function epochOf(batches: MlmBatches, epoch = 1): MlmBatch[] {
  const all = [];
  while (batches.epoch < epoch) all.push(copy(batches.next()));
  return all;
}

Deno.test("MlmBatches visits every sequence once an epoch, packed, within its limits", async () => {
  await withShard(3000, (shard) => {
    const sequences = new Sequences(shard, OPTIONS.max_sequence_length);
    const limits = batchLimits(OPTIONS);
    const epoch = epochOf(new MlmBatches(sequences, tokenizer, OPTIONS));
    const seen = epoch.flatMap(originals);
    assertEquals(seen.length, sequences.count);
    let tokens = 0;
    for (const batch of epoch) {
      const n = batch.input_ids.length;
      assert(n <= limits.max_tokens && batch.labels.length <= limits.max_masked);
      assert(batch.cu_seqlens.length - 1 <= limits.max_sequences);
      assertEquals(batch.cu_seqlens[batch.cu_seqlens.length - 1], n);
      for (let b = 0; b + 1 < batch.cu_seqlens.length; b++) {
        const [from, to] = [batch.cu_seqlens[b], batch.cu_seqlens[b + 1]];
        assert(to - from >= 3 && to - from <= OPTIONS.max_sequence_length);
        assertEquals(batch.input_ids[from], tokenizer.special.cls);
        assertEquals(batch.input_ids[to - 1], tokenizer.special.sep);
        assertEquals(batch.position_ids[from], 0);
        assertEquals(batch.position_ids[to - 1], to - from - 1);
      }
      tokens += n;
    }
    assertEquals(tokens, sequences.tokens);
    const fill = tokens / (epoch.length * OPTIONS.batch_tokens);
    assert(fill >= 0.98, `fill ${fill}`);
  });
});

Deno.test("masks do not depend on the batch size, and differ from epoch to epoch", async () => {
  await withShard(400, (shard) => {
    const sequences = new Sequences(shard, OPTIONS.max_sequence_length);
    const small = masksBySequence(epochOf(new MlmBatches(sequences, tokenizer, { ...OPTIONS, batch_tokens: 256 })));
    const stream = new MlmBatches(sequences, tokenizer, OPTIONS);
    const large = masksBySequence(epochOf(stream));
    assertEquals(small, large);
    const second = masksBySequence(epochOf(stream, 2));
    const same = [...large].filter(([original, masked]) =>
      original.length > 60 && second.get(original) === masked
    ).length;
    assert(same < large.size / 100, `${same} of ${large.size} sequences are masked as before`);
  });
});

Deno.test("a position that is gone back to gives the same batches", async () => {
  await withShard(900, (shard) => {
    const sequences = new Sequences(shard, OPTIONS.max_sequence_length);
    const options = { ...OPTIONS, batch_tokens: 128 };
    const stream = new MlmBatches(sequences, tokenizer, options);
    for (let i = 0; i < 100; i++) stream.next();
    const position = stream.position;
    const expected = Array.from({ length: 300 }, () => copy(stream.next()));
    const other = new MlmBatches(sequences, tokenizer, options);
    other.position = position;
    assertEquals(Array.from({ length: 300 }, () => copy(other.next())), expected);
  });
});

Deno.test("15% of tokens are chosen, of which 80% are masked, 10% random over the vocabulary, 10% kept", async () => {
  await withShard(6000, (shard) => {
    const sequences = new Sequences(shard, OPTIONS.max_sequence_length);
    let tokens = 0, chosen = 0, masked = 0, kept = 0;
    const replacements = new Array(VOCABULARY).fill(0);
    for (const batch of epochOf(new MlmBatches(sequences, tokenizer, OPTIONS))) {
      tokens += batch.input_ids.length - 2 * (batch.cu_seqlens.length - 1);
      chosen += batch.labels.length;
      batch.masked_positions.forEach((position, i) => {
        const id = batch.input_ids[position];
        if (id === tokenizer.special.mask) masked++;
        else if (id === batch.labels[i]) kept++;
        else replacements[id]++;
        assert(batch.labels[i] >= 5, "a special token was chosen");
      });
    }
    const random = replacements.reduce((a, b) => a + b, 0);
    const within = (count: number, n: number, share: number) => {
      const z = (count - n * share) / Math.sqrt(n * share * (1 - share));
      assert(Math.abs(z) < 4.5, `${count} of ${n}, expected ${share}: z = ${z}`);
    };
    within(chosen, tokens, 0.15);
    within(masked, chosen, 0.8);
    // One random token in 495 is the one that stood there.
    within(random, chosen, 0.1 * (1 - 1 / (VOCABULARY - 5)));
    within(kept, chosen, 0.1 + 0.1 / (VOCABULARY - 5));
    assertEquals(replacements.slice(0, 5), [0, 0, 0, 0, 0], "special tokens are no replacements");
    const mean = random / (VOCABULARY - 5);
    const chi = replacements.slice(5).reduce((sum: number, count: number) => sum + (count - mean) ** 2 / mean, 0);
    assert(chi > 370 && chi < 640, `chi-square ${chi} with 494 degrees of freedom`); // ±4 standard deviations
  });
});

Deno.test("fixedEvalBatches are the same for any seed of the run and end near the limit", async () => {
  await withShard(500, (shard) => {
    const sequences = new Sequences(shard, OPTIONS.max_sequence_length);
    const { seed: _, ...options } = OPTIONS;
    const once = fixedEvalBatches(sequences, tokenizer, options, 5000).map(copy);
    assertEquals(once, fixedEvalBatches(sequences, tokenizer, options, 5000));
    const tokens = once.reduce((sum, batch) => sum + batch.input_ids.length, 0);
    assert(tokens >= 5000 && tokens < 5000 + 64, `${tokens} tokens`);
  });
});

Deno.test("Sequences cuts documents between sentences and keeps every token", async () => {
  await withShard(300, (shard) => {
    const sequences = new Sequences(shard, 20);
    const total = sequences.lengths.reduce((a, b) => a + b, 0);
    assertEquals(total, shard.header.tokens);
    let at = 0;
    for (let i = 0; i < sequences.count; i++) {
      assertEquals(sequences.starts[i], at);
      assert(sequences.lengths[i] > 0 && sequences.lengths[i] <= 18);
      at += sequences.lengths[i];
    }
  });
});
