import { assert, assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { bpeWords, learnBpe } from "./bpe/trainer.ts";
import { extenderOf } from "./extension.ts";
import { PipelineTokenizer } from "./pipeline/tokenizer.ts";
import { learnUnigram, unigramWords } from "./unigram/learn.ts";
import type { WordCounts } from "./word_counter.ts";
import { wordCounter, type WordSource } from "./word_source.ts";

const TEXT = "이 영화는 정말 재미있다\n정말 재미있는 영화였다\nthe film is really good\nreally a good film\n".repeat(5);
const NEW = "심근경색은 심장의 병이다\n심근경색이 온다\nmyocardial infarction\nthe myocardial tissue\n".repeat(3);
const OPTIONS = { lowercase: false, vocab_size: 300 };

const KINDS = [
  { name: "BPE", source: bpeWords, learn: learnBpe, mark: "Ġ" },
  { name: "Unigram", source: unigramWords, learn: learnUnigram, mark: "▁" },
];

function learned({ source, learn }: (typeof KINDS)[number]): PipelineTokenizer {
  return learn(counted(source(OPTIONS), TEXT), OPTIONS);
}

/** The words of a text's lines. */
function counted(source: WordSource, text: string): WordCounts {
  const counter = wordCounter(source);
  for (const line of text.split("\n")) counter.add(line);
  return counter.words;
}

for (const kind of KINDS) {
  const { name, mark } = kind;
  const tokenizer = learned(kind), extender = extenderOf(tokenizer);
  const tokens = (of: { encode: PipelineTokenizer["encode"]; tokenOf(id: number): string }, text: string) =>
    Array.from(of.encode(text).ids, (id) => of.tokenOf(id));

  Deno.test(`${name}: words that a person names become one token each, and others stay as they were`, () => {
    const names = ["myocardial", "##tissue", "심근경색", "film", `${mark}병`, "myocardial"];
    const { tokenizer: larger, pieces } = extender.named(names, (i) => `line ${i + 1}`);
    assertEquals(pieces.length, larger.size - tokenizer.size);
    assertEquals(tokens(larger, "myocardial").length, 1);
    assertEquals(tokens(larger, "the myocardial film"), [
      ...tokens(tokenizer, "the"),
      `${mark}myocardial`,
      `${mark}film`,
    ]);
    assertEquals([tokens(larger, "심근경색").length, tokens(larger, "병").length], [1, 1]);
    assertEquals(tokens(larger, "xtissue").at(-1), "tissue");
    for (const text of TEXT.split("\n")) assertEquals(tokens(larger, text), tokens(tokenizer, text));
    assertEquals(larger.decode(larger.encode("the myocardial tissue").ids).trimStart(), "the myocardial tissue");
    const id = larger.idOf(`${mark}myocardial`)! - tokenizer.size;
    assertEquals([...pieces[id]], [...tokenizer.encode("myocardial").ids]);
  });

  Deno.test(`${name}: what a text most needs is learned, at most so many, the same in any order`, () => {
    const learn = (text: string, add: number) =>
      extender.learn(counted(extender.words, text), { add, min_frequency: 2 });
    const { tokenizer: larger, pieces } = learn(NEW, 40);
    assertEquals([larger.size - tokenizer.size, pieces.length], [40, 40]);
    assert(larger.encode(NEW).ids.length < 0.8 * tokenizer.encode(NEW).ids.length);
    assertEquals(larger.decode(larger.encode("심근경색이 온다").ids).trimStart(), "심근경색이 온다");
    const backwards = learn(NEW.split("\n").reverse().join("\n"), 40);
    assertEquals(backwards.tokenizer.vocabulary, larger.vocabulary);
    assert(learn(NEW, 1000).tokenizer.size < tokenizer.size + 1000);
    for (const [i, ids] of pieces.entries()) assert(ids.every((id) => id < tokenizer.size), larger.vocabulary[i]);
  });

  Deno.test(`${name}: what no text gives is refused by its name and place, and what is there is passed over`, () => {
    const named = (token: string) => extender.named([token], (i) => `words.txt: line ${i + 1}`);
    for (const token of ["New York", "it-is", "<mask>"]) {
      if (name === "Unigram" && token !== "New York") continue; // punctuation belongs to its words
      const error = assertThrows(() => named(token), ClozeError);
      assert(error.message.startsWith(`words.txt: line 1: no text gives the token "${token}"`), error.message);
    }
    assertEquals(named("film").pieces, []);
    assertEquals(named("film").tokenizer.size, tokenizer.size);
  });

  Deno.test(`${name}: a larger tokenizer can grow once more, also behind special tokens of one's own`, () => {
    const place = () => "line 1";
    const once = extender.named(["myocardial"], place).tokenizer;
    const twice = extenderOf(once).named(["infarction"], place).tokenizer;
    assertEquals(tokens(twice as PipelineTokenizer, "myocardial infarction").length, 2);
    const special = once.withSpecial(["[URL]"]);
    if (name === "Unigram") return void assertThrows(() => extenderOf(special), ClozeError, '"[URL]" would become');
    const after = extenderOf(special).named(["infarction"], place).tokenizer;
    assertEquals(tokens(after as PipelineTokenizer, "infarction [URL]"), ["Ġinfarction", "Ġ", "[URL]"]);
  });
}

Deno.test("extenderOf refuses a tokenizer that cuts no words, and BPE over characters", () => {
  const { data } = learned(KINDS[1]);
  const whole = new PipelineTokenizer({
    ...data,
    pre_tokenizers: [{ type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: false }],
  });
  assertThrows(() => extenderOf(whole), ClozeError, "does not cut text into words");
  const bytes = learned(KINDS[0]).data;
  const characters = new PipelineTokenizer({
    ...bytes,
    pre_tokenizers: [{ type: "Split", pattern: { String: " " }, behavior: "MergedWithPrevious", invert: false }],
    model: { ...bytes.model, byte_level: false } as typeof bytes.model,
  });
  assertThrows(() => extenderOf(characters), ClozeError, "BPE over characters");
});
