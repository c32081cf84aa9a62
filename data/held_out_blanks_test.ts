import { assert, assertEquals } from "@std/assert";
import { WordPieceTokenizer } from "../tokenizer/mod.ts";
import { heldOutBlanks } from "./held_out_blanks.ts";
import { practiceCorpus } from "./practice/practice_corpus.ts";
import { Shard } from "./shard.ts";
import { ShardWriter } from "./shard_writer.ts";

Deno.test("heldOutBlanks gives the same sentences each time, each with a word left out that is one token", async () => {
  const words = new Set<string>();
  const sentences = [...practiceCorpus(0, 60)].flat();
  for (const sentence of sentences) for (const word of sentence.match(/[\p{L}\p{N}]+|[^\s]/gu) ?? []) words.add(word);
  const tokenizer = new WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words]);
  const folder = await Deno.makeTempDir();
  try {
    const writer = new ShardWriter(`${folder}/text.shard`, tokenizer.size, "test");
    for (const sentence of sentences) {
      const ids: number[] = [];
      tokenizer.encodeIds(sentence, ids);
      writer.add([ids]);
    }
    writer.finish();
    using shard = Shard.open(`${folder}/text.shard`);
    const blanks = heldOutBlanks(shard, tokenizer, 5, 12);
    assertEquals(blanks.length, 5);
    assertEquals(heldOutBlanks(shard, tokenizer, 5, 12), blanks);
    assertEquals(new Set(blanks.map(({ text }) => text)).size, 5);
    for (const { text, answer } of blanks) {
      assertEquals(text.split("[MASK]").length, 2, text);
      assert(tokenizer.idOf(answer!) !== undefined && /^\p{L}+$/u.test(answer!), answer);
      const { ids } = tokenizer.encode(text);
      assert(ids.length <= 12 && text.match(/\p{L}+/gu)!.length >= 6, text);
      assert(sentences.includes(text.replace("[MASK]", answer!)), `${text} does not stand in the text`);
    }
    assertEquals(heldOutBlanks(shard, tokenizer, 5, 3), [], "nothing fits in three tokens");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("heldOutBlanks passes over sentences with [UNK] in them", async () => {
  const words = ["one", "two", "three", "four", "five", "six", "seven"];
  const tokenizer = new WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words]);
  const folder = await Deno.makeTempDir();
  try {
    const whole = words.map((word) => tokenizer.idOf(word)!);
    for (const [name, ids, count] of [["whole", whole, 1], ["unknown", [...whole, 1], 0]] as const) {
      const writer = new ShardWriter(`${folder}/${name}.shard`, tokenizer.size, "test");
      writer.add([ids]);
      writer.finish();
      using shard = Shard.open(`${folder}/${name}.shard`);
      assertEquals(heldOutBlanks(shard, tokenizer, 5, 12).length, count, name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
