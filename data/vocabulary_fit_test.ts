import { assertEquals } from "@std/assert";
import { WordPieceTokenizer } from "../tokenizer/mod.ts";
import { Shard } from "./shard.ts";
import { ShardWriter } from "./shard_writer.ts";
import { vocabularyFit } from "./vocabulary_fit.ts";

Deno.test("vocabularyFit equals counts worked out by hand", async () => {
  const tokenizer = new WordPieceTokenizer([
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "##b",
    "영",
    "##화",
    ".",
  ]);
  const folder = await Deno.makeTempDir();
  try {
    const writer = new ShardWriter(`${folder}/text.shard`, tokenizer.size, "test");
    writer.add([[5, 6, 6, 6, 1, 9], [7, 8, 8, 8, 8, 7, 8, 9]]); // abbb [UNK] . / 영화화화화 영화 .
    writer.add([[5], [1, 5, 6]]);
    writer.finish();
    using shard = Shard.open(`${folder}/text.shard`);
    assertEquals(vocabularyFit(shard, tokenizer), {
      words: 9,
      tokens: 18,
      long: 2,
      unknown: 2,
      scripts: [
        { script: "Latin", words: 3, tokens: 7, long: 1 },
        { script: "Hangul", words: 2, tokens: 7, long: 1 },
        { script: "punctuation", words: 2, tokens: 2, long: 0 },
      ],
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
