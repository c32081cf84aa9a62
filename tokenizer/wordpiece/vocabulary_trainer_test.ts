import { assert, assertEquals } from "@std/assert";
import { SPECIAL_TOKENS } from "../added_tokens.ts";
import { WordPieceTokenizer } from "./tokenizer.ts";
import { learnExtension } from "./vocabulary_extension.ts";
import { vocabularyReport } from "../vocabulary_report.ts";
import { VocabularyTrainer } from "./vocabulary_trainer.ts";
import { wordCounter } from "../word_source.ts";

const LINES = [
  "low lower lowest",
  "new newer newest",
  "wide wider widest",
  "낮은 낮다 낮게",
  "넓은 넓다 넓게",
  "low low low new",
];

function train(lines: string[], vocab_size: number, options = {}): string[] {
  const trainer = new VocabularyTrainer(options);
  lines.forEach((line) => trainer.add(line));
  return trainer.train(vocab_size);
}

Deno.test("train merges the most frequent pair first and breaks ties by the smaller ids", () => {
  const vocabulary = train(["ab ab ab cd cd cd ef"], 100);
  assertEquals(vocabulary, [...SPECIAL_TOKENS, "a", "b", "c", "d", "e", "f", "##b", "##d", "##f", "ab", "cd"]);
});

Deno.test("train gives the same vocabulary in any order of the text", () => {
  const expected = train(LINES, 60);
  assertEquals(train(LINES.toReversed(), 60), expected);
  assertEquals(train(LINES.flatMap((line) => line.split(" ")).toSorted(), 60), expected);
  assertEquals(expected.slice(0, 5), [...SPECIAL_TOKENS]);
  assertEquals(new Set(expected).size, expected.length);
});

Deno.test("train keeps to its size, its minimum frequency and its alphabet", () => {
  assertEquals(train(LINES, 35).length, 35);
  assert(!train(LINES, 1000, { min_frequency: 3 }).includes("넓은"));
  const few = train(LINES, 1000, { limit_alphabet: 3 });
  assertEquals(few.filter((token) => token.length === 1).length, 3);
  const tokenizer = new WordPieceTokenizer(few);
  assertEquals([...tokenizer.encode("qqq").ids], [tokenizer.special.unk]);
});

Deno.test("train never cuts the alphabet: a smaller size gives specials and alphabet, and no merge", () => {
  const text = ["가나 나다 다가", "abc"];
  const alphabet = ["a", "b", "c", "가", "나", "다", "##b", "##c", "##가", "##나", "##다"];
  for (const size of [1, 8, 16]) assertEquals(train(text, size), [...SPECIAL_TOKENS, ...alphabet]);
  assertEquals(train(text, 1, { pad_to_multiple_of: 8 }).length, 16);
  assertEquals(train(text, 20, { pad_to_multiple_of: 20 }).length, 20);
});

Deno.test("train merges nothing for words that become [UNK] for their length, and keeps their characters", () => {
  const trainer = new VocabularyTrainer();
  trainer.add("가나가나가 가나가나가 ab ab cab");
  const alphabet = ["a", "b", "c", "가", "나", "##a", "##b", "##가", "##나"];
  assertEquals(trainer.train(100, 4), [...SPECIAL_TOKENS, ...alphabet, "ab"]);
  assert(trainer.train(100, 5).includes("가나가나가"), "a word of just that length is taken");
});

Deno.test("train sees words that were added after its alphabet was asked for", () => {
  const trainer = new VocabularyTrainer();
  trainer.add("ab");
  assertEquals(trainer.alphabet.tokens, ["a", "b", "##b"]);
  trainer.add("ca");
  assertEquals(trainer.train(1), [...SPECIAL_TOKENS, "a", "b", "c", "##a", "##b"]);
});

Deno.test("train covers its own text without [UNK]", () => {
  const tokenizer = new WordPieceTokenizer(train(LINES, 200));
  for (const line of LINES) assert(![...tokenizer.encode(line).ids].includes(tokenizer.special.unk));
  assert(tokenizer.encode("lowest").ids.length < 6, "common endings are merged");
});

Deno.test("train counts a pair that overlaps itself once", () => {
  const vocabulary = train(["aaaa aaaa aaaa"], 100);
  assert(vocabulary.includes("##aa") && vocabulary.includes("aaaa"), vocabulary.join(" "));
});

/** Numbers from 0 to `below`, always the same ones. */
function pseudoRandom(): (below: number) => number {
  let seed = 1;
  return (below) => Math.floor((seed = Math.imul(seed, 1664525) + 1013904223 >>> 0) / 2 ** 32 * below);
}

/** The merge rule, word for word: count all pairs, merge the first, begin anew. */
function trainSlowly(text: string, vocab_size: number): string[] {
  const counts = new Map<string, number>();
  for (const word of text.split(" ")) counts.set(word, (counts.get(word) ?? 0) + 1);
  const characters = [...new Set(text.replaceAll(" ", ""))].sort();
  const inside = new Set([...counts.keys()].flatMap((word) => Array.from(word).slice(1)));
  const tokens: string[] = [...SPECIAL_TOKENS, ...characters, ...[...inside].sort().map((c) => `##${c}`)];
  const idOf = (token: string) => tokens.indexOf(token) < 0 ? tokens.push(token) - 1 : tokens.indexOf(token);
  let words = [...counts].map(([word, count]) => ({
    pieces: Array.from(word, (c, i) => idOf(i === 0 ? c : `##${c}`)),
    count,
  }));
  while (tokens.length < vocab_size) {
    const pairs = new Map<string, { left: number; right: number; count: number }>();
    for (const { pieces, count } of words) {
      for (let i = 0; i + 1 < pieces.length; i++) {
        const [left, right] = [pieces[i], pieces[i + 1]];
        const pair = pairs.get(`${left} ${right}`) ?? { left, right, count: 0 };
        pairs.set(`${left} ${right}`, { ...pair, count: pair.count + count });
      }
    }
    const [best] = [...pairs.values()].sort((a, b) => b.count - a.count || a.left - b.left || a.right - b.right);
    if (best === undefined || best.count < 2) break;
    const merged = idOf(tokens[best.left] + tokens[best.right].slice(2));
    words = words.map(({ pieces, count }) => {
      const out: number[] = [];
      for (let i = 0; i < pieces.length; i++) {
        const found = pieces[i] === best.left && pieces[i + 1] === best.right;
        out.push(found ? merged : pieces[i]);
        if (found) i++;
      }
      return { pieces: out, count };
    });
  }
  return tokens;
}

Deno.test("train does what the merge rule says, on random words of few letters", () => {
  const random = pseudoRandom();
  for (let round = 0; round < 40; round++) {
    const letters = Array.from("abcde가나").slice(0, 2 + random(6));
    const words = Array.from(
      { length: 5 + random(40) },
      () => Array.from({ length: 1 + random(9) }, () => letters[random(letters.length)]).join(""),
    );
    const text = Array.from({ length: 150 }, () => words[random(words.length)]).join(" ");
    const size = 20 + random(120);
    assertEquals(train([text], size), trainSlowly(text, size));
  }
});

Deno.test("train keeps its tables whole as they grow: every token is a part of a word", () => {
  const random = pseudoRandom();
  const letters = Array.from({ length: 300 }, (_, i) => String.fromCodePoint(0xAC00 + i));
  const words = Array.from(
    { length: 20_000 },
    () => Array.from({ length: 2 + random(6) }, () => letters[random(300)]).join(""),
  );
  const text = words.join(" ");
  const vocabulary = train([text, text], 10_000);
  assertEquals(vocabulary.length, 10_000);
  assertEquals(new Set(vocabulary).size, 10_000);
  for (const token of vocabulary.slice(SPECIAL_TOKENS.length)) assert(text.includes(token.replace(/^##/, "")), token);
});

Deno.test("train counts in 64 bits: pairs beyond 2^32 keep their order", () => {
  const trainer = new VocabularyTrainer();
  const counter = wordCounter();
  counter.add("ab cd ef");
  const { bytes, ends } = structuredClone(counter.words);
  trainer.merge({ bytes, ends, counts: Float64Array.of(2 ** 33, 2 ** 33 + 1, 5) });
  assertEquals(trainer.train(100).slice(-3), ["cd", "ab", "ef"]);
});

Deno.test("train pads a vocabulary with placeholders that no text is encoded as", () => {
  const vocabulary = train(LINES, 40, { pad_to_multiple_of: 16 });
  assertEquals(vocabulary.length, 48);
  assertEquals(vocabulary.slice(-2), ["[unused6]", "[unused7]"]);
  const tokenizer = new WordPieceTokenizer(vocabulary);
  assert(tokenizer.isSpecial(47) && !tokenizer.isSpecial(39));
  assert(![...tokenizer.encode("[unused7] unused7", { specials: "all" }).ids].some((id) => id >= 40));
});

Deno.test("vocabularyReport counts tokens, [UNK] and the characters of each script", () => {
  const counter = wordCounter();
  counter.add("낮은 낮은 낮다 low qq , 1");
  const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, "낮", "##은", "low", ",", "1"]);
  const report = vocabularyReport(tokenizer, counter.words);
  assertEquals([report.words, report.tokens, report.unk_rate], [7, 9, 2 / 7]);
  assertEquals(report.scripts.map(({ script, characters, coverage }) => [script, characters, coverage]), [
    ["Hangul", 6, 4 / 6],
    ["Latin", 5, 3 / 5],
    ["digits", 1, 1],
    ["punctuation", 1, 1],
  ]);
});

Deno.test("learnExtension adds unknown characters, then merges of the tokenizer's own pieces", () => {
  const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, "un", "##happy", "##ness", "a"]);
  const counter = wordCounter();
  counter.add("unhappyness unhappyness unhappyness a가 a가 b");
  const learn = (add: number) => learnExtension(tokenizer, counter.words, { add, min_frequency: 2 });
  assertEquals(learn(10), ["##가", "unhappy", "unhappyness", "a가"]);
  assertEquals(learn(2), ["##가", "unhappy"]);
});
