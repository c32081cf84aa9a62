import { assert, assertEquals } from "@std/assert";
import { IdBuffer } from "../id_buffer.ts";
import { wordCounter } from "../word_source.ts";
import { learnUnigram, unigramWords } from "./learn.ts";

const TEXT = "이 영화는 정말 재미있다\n정말 재미있는 영화였다\nthe film is really good\nreally a good film [u0n]\n"
  .repeat(5);

function learned(options: Partial<Parameters<typeof learnUnigram>[1]> = {}) {
  const counter = wordCounter(unigramWords({ lowercase: false, ...options }));
  counter.add(TEXT);
  return learnUnigram(counter.words, { lowercase: false, vocab_size: 70, ...options });
}

function corpusIds(tokenizer: ReturnType<typeof learned>, text: string): number[] {
  const ids = new IdBuffer(), utf8 = new TextEncoder().encode(text);
  tokenizer.encodeUtf8(utf8, 0, utf8.length, ids);
  return [...ids.view()];
}

Deno.test("learnUnigram puts special tokens first and the special tokens around a text", () => {
  const tokenizer = learned({ special_tokens: ["[URL]"] });
  assertEquals(tokenizer.vocabulary.slice(0, 6), ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "[URL]"]);
  assert(tokenizer.size <= 70, `${tokenizer.size} tokens`);
  const { ids } = tokenizer.encode("정말 <mask>", { template: true });
  assertEquals([ids[0], ids.at(-2), ids.at(-1)], [0, 4, 2]);
  assertEquals(tokenizer.decode(tokenizer.encode("정말 재미있다").ids), "정말 재미있다");
});

Deno.test("learnUnigram: its special tokens are plain text in a corpus, and no text of known characters is a placeholder", () => {
  const tokenizer = learned({ pad_to_multiple_of: 32 });
  assertEquals(tokenizer.size % 32, 0);
  const special = new Set([0, 1, 2, 4]);
  for (const text of ["the <s> film", "<mask>", "<pad></s>"]) {
    assert(corpusIds(tokenizer, text).every((id) => !special.has(id)), text);
  }
  assert(corpusIds(tokenizer, "[unused0] film").every((id) => !tokenizer.isSpecial(id)));
});

Deno.test("learnUnigram: a token alone is shown with the space before it", () => {
  const tokenizer = learned(), id = tokenizer.idOf("▁정말")!, mark = tokenizer.idOf("▁")!;
  assertEquals([tokenizer.shown(id), tokenizer.surface(id), tokenizer.shown(mark)], [" 정말", "정말", " "]);
  assertEquals([tokenizer.startsWord(id), tokenizer.join("이 영화는", id)], [true, "이 영화는 정말"]);
});

Deno.test("learnUnigram: eojeols begin where white space does", () => {
  const tokenizer = learned(), ids = new IdBuffer(), starts: number[] = [];
  const utf8 = new TextEncoder().encode("정말  재미있는 film");
  tokenizer.encodeSentence(utf8, 0, utf8.length, ids, starts);
  assertEquals(starts.map((at) => tokenizer.tokenOf(ids.at(at))[0]), ["▁", "▁", "▁"]);
});
