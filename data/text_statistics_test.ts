import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { MlmBatch } from "../config/mlm_batch.ts";
import { Tokenizer } from "../tokenizer/mod.ts";
import { Shard, ShardWriter } from "./shards.ts";
import { maskingStatistics, repeatedShare, textStatistics } from "./text_statistics.ts";

const VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b", "c"];

async function withShard(documents: number[][][], run: (shard: Shard) => void, vocab_size = VOCABULARY.length) {
  const folder = await Deno.makeTempDir();
  try {
    const writer = await ShardWriter.create(`${folder}/text.shard`, vocab_size, "test");
    for (const document of documents) writer.add(document);
    await writer.finish();
    using shard = await Shard.open(`${folder}/text.shard`);
    run(shard);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("textStatistics equals counts worked out by hand", async () => {
  // "ab [UNK] a" twice, "b a" once: 10 tokens in 8 words; the second copy has 4 of them.
  const copy = [5, 7, 1, 5];
  await withShard([[copy], [copy, [6, 5]]], (shard) => {
    const found = textStatistics(shard, new Tokenizer(VOCABULARY));
    assertEquals([found.tokens, found.sentences, found.documents], [10, 3, 2]);
    assertAlmostEquals(found.fertility, 10 / 8, 1e-12);
    assertAlmostEquals(found.unknown_share, 0.2, 1e-12);
    assertEquals(found.vocabulary_used, 4);
    assertAlmostEquals(found.repeated_share, 0.4, 1e-12);
    assertEquals(found.most_frequent[0], { token: "a", share: 0.5 });
    assertEquals(found.sha256.length, 64);
  });
});

Deno.test("repeatedShare tells sentences apart that differ in one token, in order or in length", async () => {
  const different = [[5, 6], [6, 5], [5, 6, 6], [5], [6], [5, 5, 6], [5, 8]];
  await withShard([different], (shard) => assertEquals(repeatedShare(shard), 0));
  await withShard([different, different], (shard) => assertAlmostEquals(repeatedShare(shard), 0.5, 1e-12));
});

Deno.test("repeatedShare of a sample is near that of all sentences", async () => {
  // 20,000 sentences of 3 tokens: every fourth is a copy of the one before, and the second half one of the first.
  const sentences = Array.from({ length: 20_000 }, (_, i) => {
    const n = i % 4 === 3 ? i - 1 : i;
    return [n % 100, Math.floor(n / 100) % 100, 7];
  });
  await withShard([sentences], (shard) => {
    assertAlmostEquals(repeatedShare(shard), repeatedShare(shard, 1 << 20), 1e-12);
    const all = repeatedShare(shard), sampled = repeatedShare(shard, 1000);
    assert(all > 0.6, `${all}: most of these 10,000 different sentences occur twice`);
    assert(Math.abs(all - sampled) < 0.05, `${sampled} of a sample, ${all} of all`);
  }, 100);
});

Deno.test("maskingStatistics counts what became of the masked tokens", () => {
  const batch = {
    input_ids: Int32Array.of(2, 4, 6, 8, 3, 2, 4, 5, 3),
    cu_seqlens: Int32Array.of(0, 5, 9),
    masked_positions: Int32Array.of(1, 2, 3, 6),
    labels: Int32Array.of(5, 5, 8, 6),
  } as unknown as MlmBatch;
  assertEquals(maskingStatistics([batch], 4), {
    sequences: 2,
    tokens: 9,
    masked: 4,
    mask_share: 0.5,
    random_share: 0.25,
    kept_share: 0.25,
  });
});
