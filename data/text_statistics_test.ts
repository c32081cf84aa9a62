import { assertAlmostEquals, assertEquals } from "@std/assert";
import type { Batch } from "../config/batch.ts";
import { WordPieceTokenizer } from "../tokenizer/mod.ts";
import { Shard } from "./shard.ts";
import { ShardWriter } from "./shard_writer.ts";
import { maskingStatistics, textStatistics } from "./text_statistics.ts";

const VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b", "c"];

Deno.test("textStatistics equals counts worked out by hand", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // "ab [UNK] a" twice, "b a" once: 10 tokens in 8 words.
    const writer = new ShardWriter(`${folder}/text.shard`, VOCABULARY.length, "test");
    writer.add([[5, 7, 1, 5]]);
    writer.add([[5, 7, 1, 5], [6, 5]]);
    writer.finish();
    using shard = Shard.open(`${folder}/text.shard`);
    const found = textStatistics(shard, new WordPieceTokenizer(VOCABULARY));
    assertEquals([found.tokens, found.sentences, found.documents], [10, 3, 2]);
    assertAlmostEquals(found.fertility!, 10 / 8, 1e-12);
    assertAlmostEquals(found.unknown_share!, 0.2, 1e-12);
    assertEquals([found.words, found.unknown_words], [8, 2]);
    assertEquals(found.vocabulary_used, 4);
    assertEquals(found.most_frequent[0], { token: "a", share: 0.5 });
    assertEquals(found.sha256.length, 64);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("maskingStatistics counts what became of the masked tokens", () => {
  const batch = {
    input_ids: Int32Array.of(2, 4, 6, 8, 3, 2, 4, 5, 3),
    cu_seqlens: Int32Array.of(0, 5, 9),
    masked_positions: Int32Array.of(1, 2, 3, 6),
    labels: Int32Array.of(5, 5, 8, 6),
  } as unknown as Batch;
  assertEquals(maskingStatistics([batch], new WordPieceTokenizer(VOCABULARY)), {
    sequences: 2,
    tokens: 5,
    masked: 4,
    mask_share: 0.5,
    random_share: 0.25,
    kept_share: 0.25,
  });
});
