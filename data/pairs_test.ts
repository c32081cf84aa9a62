import { assert, assertEquals } from "@std/assert";
import { type Sentence, sentencePairs } from "./pairs.ts";
import { Random } from "./rng.ts";

/** Documents whose ids say where they stood: document × 10,000 + position. */
function documents(count: number, sentences: number, longest: number): number[][][] {
  const random = new Random(9, 1);
  return Array.from({ length: count }, (_, d) => {
    let at = 0;
    random.at(0, d);
    return Array.from(
      { length: 1 + random.below(sentences) },
      () => Array.from({ length: 1 + random.below(longest) }, () => 10_000 * (d + 1) + at++),
    );
  });
}

const OPTIONS = { max_sequence_length: 32, short_seq_prob: 0 };

function pairsOf(all: number[][][], d: number, options = OPTIONS, seed = 4) {
  const other = (random: Random, enough: number): Sentence[] => {
    const document = all[(d + 1 + random.below(all.length - 1)) % all.length];
    const sentences = document.slice(random.below(document.length));
    let length = 0;
    return sentences.filter((sentence) => (length += sentence.length) - sentence.length < Math.max(1, enough));
  };
  return sentencePairs(all[d], options, new Random(seed, 7).at(0, d), other);
}

const documentOf = (id: number) => Math.floor(id / 10_000);

Deno.test("sentencePairs: label 0 continues the same document, label 1 comes from another one", () => {
  const all = documents(200, 30, 12);
  let random = 0, pairs = 0;
  for (let d = 0; d < all.length; d++) {
    for (const { first, second, next_sentence_label } of pairsOf(all, d)) {
      assert(first.length > 0 && second.length > 0 && first.length + second.length <= 29);
      assertEquals(new Set([...first].map(documentOf)), new Set([d + 1]));
      assertEquals(new Set(second.map(documentOf)).size, 1);
      if (next_sentence_label === 1) assert(documentOf(second[0]) !== d + 1);
      else assert(second[0] > first[first.length - 1] && documentOf(second[0]) === d + 1);
      pairs++;
      random += next_sentence_label;
    }
  }
  const share = random / pairs;
  assert(share > 0.48 && share < 0.6, `${share} of ${pairs} pairs are random`);
});

Deno.test("sentencePairs puts unused sentences back: every sentence of a document is used, in order", () => {
  const all = documents(60, 30, 5); // short enough that nothing is truncated
  const options = { ...OPTIONS, max_sequence_length: 64 };
  for (let d = 0; d < all.length; d++) {
    const pairs = pairsOf(all, d, options).filter(({ first, second }) => first.length + second.length < 61);
    const used = new Set(pairs.flatMap(({ first, second }) => [...first, ...second]));
    const whole = pairsOf(all, d, options);
    if (pairs.length === whole.length) {
      assertEquals(all[d].flat().filter((id) => !used.has(id)), [], `document ${d} lost sentences`);
    }
    const starts = whole.map(({ first }) => first[0]);
    assertEquals(starts, [...starts].sort((a, b) => a - b), "pairs follow the text");
  }
});

Deno.test("sentencePairs truncates at both ends, the longer segment first", () => {
  const long = [Array.from({ length: 50 }, (_, i) => 10_000 + i), Array.from({ length: 50 }, (_, i) => 10_050 + i)];
  const other = [Array.from({ length: 50 }, (_, i) => 20_000 + i)];
  let front = 0, back = 0;
  for (let seed = 0; seed < 50; seed++) {
    const pairs = sentencePairs(long, OPTIONS, new Random(seed, 7).at(0, 0), () => other);
    for (const { first, second } of pairs) {
      assertEquals([first.length, second.length], [15, 14], "the longer one gives way");
      front += first[0] % 50;
      back += 49 - first[first.length - 1] % 50;
    }
  }
  assert(front > 0 && back > 0 && Math.abs(front - back) < 0.2 * (front + back), `${front} ${back}`);
});

Deno.test("sentencePairs keeps the pairs of some documents short when asked to", () => {
  const all = documents(400, 30, 6);
  const longest = all.map((_, d) =>
    Math.max(...pairsOf(all, d, { ...OPTIONS, short_seq_prob: 0.5 }).map((p) => p.first.length + p.second.length))
  );
  const short = longest.filter((length) => length < 20).length / all.length;
  assert(short > 0.2 && short < 0.6, `${short} of the documents have short pairs`);
});
