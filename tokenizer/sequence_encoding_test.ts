import { assertEquals } from "@std/assert";
import { SPECIAL_TOKENS } from "./added_tokens.ts";
import { encodeSequence } from "./sequence_encoding.ts";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, "a", "b", "c", "##c"], {
  normalizer: { lowercase: false, strip_accents: false, nfc: false },
  added_tokens: [],
});
const encoded = (text: string, pair: string | undefined, longest: number, segments = 2) => {
  const { ids, type_ids, truncated } = encodeSequence(tokenizer, { text, pair }, longest, segments);
  return { tokens: Array.from(ids, (id) => tokenizer.tokenOf(id)).join(" "), type_ids: type_ids?.join(""), truncated };
};

Deno.test("encodeSequence puts special tokens around a text and a pair, with the segments of BERT", () => {
  assertEquals(encoded("a bc", undefined, 9), { tokens: "[CLS] a b ##c [SEP]", type_ids: undefined, truncated: false });
  const pair = { tokens: "[CLS] a b [SEP] c [SEP]", type_ids: "000011", truncated: false };
  assertEquals(encoded("a b", "c", 9), pair);
  assertEquals(encoded("a b", "c", 9, 1), { ...pair, type_ids: undefined }, "a model of one segment");
});

Deno.test("encodeSequence cuts pairs as longest_first of Hugging Face's tokenizers does", () => {
  const lengths = (first: number, second: number, longest: number) => {
    const { tokens, truncated } = encoded("a ".repeat(first), "b ".repeat(second), longest);
    const count = (token: string) => tokens.split(" ").filter((found) => found === token).length;
    return [count("a"), count("b"), truncated];
  };
  // tokenizers 0.23.3: encode(…, …) with enable_truncation(longest, strategy="longest_first").
  assertEquals(lengths(3, 3, 9), [3, 3, false]);
  assertEquals(lengths(2, 9, 9), [2, 4, true]);
  assertEquals(lengths(9, 2, 9), [4, 2, true]);
  assertEquals(lengths(9, 9, 9), [3, 3, true]);
  assertEquals(lengths(9, 9, 8), [2, 3, true]);
  assertEquals(lengths(10, 9, 8), [3, 2, true]);
  assertEquals(lengths(0, 9, 8), [0, 5, true]);
  assertEquals(encoded("a a a", undefined, 4), { tokens: "[CLS] a a [SEP]", type_ids: undefined, truncated: true });
});
