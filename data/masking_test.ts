import { assert, assertEquals } from "@std/assert";
import { MASKING_DEFAULTS, type MaskingConfig } from "../config/batch_config.ts";
import {
  bpeWords,
  IdBuffer,
  learnBpe,
  PipelineTokenizer,
  SPECIAL_TOKENS,
  wordCounter,
  WordPieceTokenizer,
} from "../tokenizer/mod.ts";
import { tokenKinds } from "./collator.ts";
import { LONGEST_WORD, Masker, maskRate, maxMasked } from "./masking.ts";
import { Random, STREAMS } from "./rng.ts";
import { WORD_START } from "./sequences.ts";

// Ids 0–4 are special, 5–104 begin words, 105–204 continue them.
const tokenizer = new WordPieceTokenizer([
  ...SPECIAL_TOKENS,
  ...Array.from({ length: 100 }, (_, i) => `w${i}`),
  ...Array.from({ length: 100 }, (_, i) => `##p${i}`),
]);
const VOCABULARY = tokenizer.size;
const { cls, sep, mask } = tokenizer.special;
const kinds = tokenKinds(tokenizer);

/** `[CLS] … [SEP]` of random words of one to four pieces; a third of the words follow the last one without white space. */
function sequence(index: number, length: number): Int32Array {
  const random = new Random(1, 9).at(0, index);
  const ids = [cls];
  while (ids.length < length - 1) {
    ids.push((5 + random.below(100)) | (random.uniform() < 2 / 3 ? WORD_START : 0));
    for (let more = random.below(4); more > 0; more--) ids.push(105 + random.below(100));
  }
  return Int32Array.from([...ids.slice(0, length - 1), sep]);
}

interface Masked {
  original: number[];
  starts: boolean[];
  ids: number[];
  positions: number[];
}

function masked(config: Partial<MaskingConfig>, count: number, length = 128, epoch = 0): Masked[] {
  const masker = new Masker({ ...MASKING_DEFAULTS, ...config }, kinds);
  const choose = new Random(7, STREAMS.mask), replace = new Random(7, STREAMS.replace);
  return Array.from({ length: count }, (_, i) => {
    const ids = sequence(i, length);
    const starts = Array.from(ids, (id) => (id & WORD_START) !== 0);
    const original = Array.from(ids, (id) => id & ~WORD_START);
    const positions: number[] = [];
    masker.mask(ids, 0, ids.length, choose.at(epoch, i), replace.at(epoch, i), (position, id) => {
      assertEquals(id, original[position]);
      positions.push(position);
    });
    assertEquals(positions, [...positions].sort((a, b) => a - b), "positions increase");
    for (let at = 0; at < length; at++) if (!positions.includes(at)) assertEquals(ids[at], original[at]);
    assert(positions.every((at) => original[at] >= 5), "a special token was chosen");
    return { original, starts, ids: [...ids], positions };
  });
}

/** Fails where a count is more than 4.5 standard deviations from what is expected. */
function assertShare(count: number, n: number, share: number, what: string): void {
  const z = (count - n * share) / Math.sqrt(n * share * (1 - share));
  assert(Math.abs(z) < 4.5, `${what}: ${count} of ${n}, expected ${share}: z = ${z}`);
}

/** What became of the chosen tokens. */
function outcomes(all: Masked[]) {
  const replacements = new Array(VOCABULARY).fill(0);
  let chosen = 0, masks = 0, kept = 0;
  for (const { original, ids, positions } of all) {
    for (const at of positions) {
      chosen++;
      if (ids[at] === mask) masks++;
      else if (ids[at] === original[at]) kept++;
      else replacements[ids[at]]++;
    }
  }
  return { chosen, masks, kept, replacements, replaced: replacements.reduce((a, b) => a + b, 0) };
}

Deno.test("every token is chosen with the same chance, in every place of the sequence and for every id", () => {
  const all = masked({}, 4000);
  const byPlace = new Array(128).fill(0), ofId = new Array(VOCABULARY).fill(0), seen = new Array(VOCABULARY).fill(0);
  for (const { original, positions } of all) {
    original.forEach((id) => seen[id]++);
    for (const at of positions) {
      byPlace[at]++;
      ofId[original[at]]++;
    }
  }
  assertEquals([byPlace[0], byPlace[127]], [0, 0]);
  for (let at = 1; at < 127; at++) assertShare(byPlace[at], 4000, 0.15, `place ${at}`);
  for (let id = 5; id < VOCABULARY; id++) assertShare(ofId[id], seen[id], 0.15, `id ${id}`);
});

Deno.test("80% are masked, 10% kept, 10% replaced: uniformly over the vocabulary, not over the ids of the text", () => {
  // A text of a few ids only: replacements drawn from the range or the set of its ids would show.
  const masker = new Masker(MASKING_DEFAULTS, kinds);
  const choose = new Random(3, STREAMS.mask), replace = new Random(3, STREAMS.replace);
  const all: Masked[] = [];
  for (let i = 0; i < 6000; i++) {
    const original = [cls, ...Array.from({ length: 100 }, (_, k) => 50 + (k + i) % 5), sep];
    const ids = Int32Array.from(original);
    const positions: number[] = [];
    masker.mask(ids, 0, ids.length, choose.at(0, i), replace.at(0, i), (position) => positions.push(position));
    all.push({ original, starts: [], ids: [...ids], positions });
  }
  const { chosen, masks, kept, replaced, replacements } = outcomes(all);
  assertShare(chosen, 600_000, 0.15, "chosen");
  assertShare(masks, chosen, 0.8, "masked");
  // One random token in 200 is the one that stood there.
  assertShare(replaced, chosen, 0.1 * (1 - 1 / 200), "replaced");
  assertShare(kept, chosen, 0.1 + 0.1 / 200, "kept");
  assertEquals(replacements.slice(0, 5), [0, 0, 0, 0, 0], "special tokens are no replacements");
  const others = replacements.filter((_, id) => id >= 5 && !(id >= 50 && id < 55));
  const mean = others.reduce((a, b) => a + b, 0) / others.length;
  const chi = others.reduce((sum: number, count: number) => sum + (count - mean) ** 2 / mean, 0);
  assert(chi > 118 && chi < 282, `chi-square ${chi} with 194 degrees of freedom`); // ±4 standard deviations
});

Deno.test("shares and rate are adjustable from nothing to everything", () => {
  const none = outcomes(masked({ mlm_probability: 0 }, 50));
  assertEquals(none.chosen, 0);
  for (const mask_count of ["bernoulli", "exact"] as const) {
    const all = masked({ mlm_probability: 1, mask_share: 1, random_share: 0, mask_count }, 50);
    const { chosen, masks } = outcomes(all);
    assertEquals([chosen, masks], [50 * 126, 50 * 126]);
  }
  const replaced = outcomes(masked({ mask_share: 0, random_share: 1 }, 400));
  assertEquals(replaced.masks, 0);
  assertShare(replaced.replaced, replaced.chosen, 1 - 1 / 200, "replaced");
  const kept = outcomes(masked({ mask_share: 0, random_share: 0 }, 50));
  assertEquals(kept.kept, kept.chosen);
  const half = outcomes(masked({ mask_share: 0.5, random_share: 0.25 }, 1000));
  assertShare(half.masks, half.chosen, 0.5, "half");
});

Deno.test("exact chooses what Google's script chooses: max(1, round(length × rate)), halves to even", () => {
  for (const [length, expected] of [[3, 1], [7, 1], [10, 2], [30, 4], [50, 8], [128, 19]]) {
    for (const { positions } of masked({ mask_count: "exact" }, 30, length)) assertEquals(positions.length, expected);
  }
  const uniform = new Array(128).fill(0);
  for (const { positions } of masked({ mask_count: "exact" }, 4000)) positions.forEach((at) => uniform[at]++);
  for (let at = 1; at < 127; at++) assertShare(uniform[at], 4000, 19 / 126, `place ${at}`);
});

Deno.test("word masks words of the vocabulary whole, eojeol all between white space", () => {
  for (const masking of ["word", "eojeol"] as const) {
    for (const mask_count of ["bernoulli", "exact"] as const) {
      const all = masked({ masking, mask_count }, 3000);
      let chosen = 0;
      for (const { original, starts, positions } of all) {
        const set = new Set(positions);
        chosen += set.size;
        for (let at = 2; at < original.length - 1; at++) {
          const together = masking === "word" ? original[at] >= 105 : !starts[at];
          if (!together || set.has(at) === set.has(at - 1)) continue;
          // Words that are too long are cut: there the unit has to be as long as it may be.
          let begin = at - 1;
          while (begin > 1 && (masking === "word" ? original[begin] >= 105 : !starts[begin])) begin--;
          assert((at - begin) % LONGEST_WORD === 0, `${masking} ${mask_count}: cut at ${at}, begun at ${begin}`);
        }
      }
      const share = chosen / (3000 * 126);
      assert(Math.abs(share - 0.15) < 0.004, `${masking} ${mask_count}: ${share}`);
    }
  }
});

/** Lengths of spans until ten words are chosen, by throwing dice: geometric with p = 0.2, thrown again if over ten. */
function spanLengths(sequences: number): number[] {
  const random = new Random(11, 9);
  const counts = new Array(11).fill(0);
  for (let i = 0; i < sequences; i++) {
    random.at(0, i);
    for (let left = 10; left > 0;) {
      let length = 1;
      while (random.uniform() >= 0.2) length++;
      if (length > 10) continue;
      counts[Math.min(length, left)]++;
      left -= length;
    }
  }
  return counts;
}

Deno.test("span masks spans of words whose length is geometric, at most ten, each with one outcome", () => {
  const config = { masking: "span" as const, mlm_probability: 10 / 2048, mask_share: 0.5, random_share: 0.5 };
  const masker = new Masker({ ...MASKING_DEFAULTS, ...config }, kinds);
  const choose = new Random(5, STREAMS.mask), replace = new Random(5, STREAMS.replace);
  const counts = new Array(11).fill(0);
  let neighbours = 0, alike = 0;
  for (let i = 0; i < 4000; i++) {
    const ids = Int32Array.from({ length: 2048 }, (_, at) => at === 0 ? cls : at === 2047 ? sep : 5 + at % 100);
    const positions: number[] = [];
    masker.mask(ids, 0, ids.length, choose.at(0, i), replace.at(0, i), (position) => positions.push(position));
    assertEquals(positions.length, 10);
    let run = 0;
    positions.forEach((at, k) => {
      const goesOn = k > 0 && positions[k - 1] === at - 1;
      if (goesOn) {
        neighbours++;
        if ((ids[at] === mask) === (ids[at - 1] === mask)) alike++;
      } else if (k > 0) counts[run]++;
      run = goesOn ? run + 1 : 1;
    });
    counts[run]++;
  }
  // Two spans touch in one sequence in a hundred; the budget cuts the last span of each.
  assert(alike / neighbours > 0.99, `${alike / neighbours} of neighbours have the same outcome`);
  const expected = spanLengths(40_000);
  const [found, all] = [counts, expected].map((list) => list.reduce((a, b) => a + b, 0));
  for (let n = 1; n <= 10; n++) {
    const [share, wanted] = [counts[n] / found, expected[n] / all];
    assert(Math.abs(share - wanted) < 0.015, `${n} words: ${share}, expected ${wanted}`);
  }
  // Words stay whole: only the one that spends the budget may be cut.
  let cut = 0;
  for (const { original, positions } of masked({ masking: "span" }, 500)) {
    const set = new Set(positions);
    assertEquals(set.size, 19);
    for (let at = 2; at < 127; at++) if (original[at] >= 105 && set.has(at) !== set.has(at - 1)) cut++;
  }
  assert(cut <= 2 * 500, `${cut} words of 500 sequences are cut`);
});

Deno.test("masks differ from epoch to epoch and are the same for an epoch", () => {
  for (const config of [{}, { mask_count: "exact" }, { masking: "span" }] as Partial<MaskingConfig>[]) {
    const first = masked(config, 50), again = masked(config, 50), second = masked(config, 50, 128, 1);
    assertEquals(first, again);
    assert(first.every(({ positions }, i) => positions.join() !== second[i].positions.join()));
  }
});

Deno.test("maxMasked is never exceeded", () => {
  const configs: Partial<MaskingConfig>[] = [{}, { masking: "word" }, { masking: "eojeol" }, { masking: "span" }];
  for (const config of [...configs, { mask_count: "exact" as const }, { mlm_probability: 1 }]) {
    for (const length of [3, 4, 8, 64]) {
      const most = maxMasked({ ...MASKING_DEFAULTS, ...config }, 2048, 64);
      const perBatch = Math.floor(2048 / length);
      const all = masked(config, 20 * perBatch, length);
      for (let b = 0; b < 20; b++) {
        const chosen = all.slice(b * perBatch, (b + 1) * perBatch).reduce(
          (sum, { positions }) => sum + positions.length,
          0,
        );
        assert(chosen <= most, `${JSON.stringify(config)} length ${length}: ${chosen} > ${most}`);
      }
    }
  }
});

Deno.test("words of byte-level BPE are masked as a whole, also the first one of a sentence, which has no space", () => {
  const text = "leaves are (falling) from the trees, and the cats' tails";
  const counter = wordCounter(bpeWords({ lowercase: false }));
  counter.add("are the and from cat leave fall tree tail");
  const spaced = learnBpe(counter.words, { lowercase: false, vocab_size: 300, min_frequency: 1 });
  // As RoBERTa's own: no space is put before a text.
  const bpe = new PipelineTokenizer({
    ...spaced.data,
    pre_tokenizers: [{ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true }],
  });
  const bytes = new TextEncoder().encode(text), sentence = new IdBuffer(), places: number[] = [];
  for (let i = 0; i < 2; i++) bpe.encodeSentence(bytes, 0, bytes.length, sentence, places);
  const once = bpe.encode(text), { cls, sep } = bpe.special;
  const words = [...once.words, ...once.words.map((word) => word! + 100)];
  assert(words.some((word, i) => word === words[i - 1]) && sentence.length === words.length);
  const starts = new Set(places), lengths = new Set<number>();
  const masker = new Masker({ ...MASKING_DEFAULTS, masking: "word", mlm_probability: 0.3 }, tokenKinds(bpe));
  for (let index = 0; index < 200; index++) {
    const ids = Int32Array.of(cls, ...sentence.view().map((id, i) => starts.has(i) ? id | WORD_START : id), sep);
    const chosen = new Set<number>();
    const choose = new Random(7, STREAMS.mask).at(0, index), replace = new Random(7, STREAMS.replace).at(0, index);
    masker.mask(ids, 0, ids.length, choose, replace, (position) => chosen.add(position - 1));
    words.forEach((word, i) => {
      if (i > 0 && word === words[i - 1]) assertEquals(chosen.has(i), chosen.has(i - 1), `token ${i} of ${index}`);
    });
    lengths.add(chosen.size);
  }
  assert(lengths.size > 3, "words are chosen one by one");
});

Deno.test("maskRate moves in a straight line, and maxMasked is of its highest", () => {
  const falling = { ...MASKING_DEFAULTS, mlm_probability: 0.4, final_mlm_probability: 0.2 };
  assertEquals([0, 0.5, 1].map((done) => maskRate(falling, done)), [0.4, 0.30000000000000004, 0.2]);
  assertEquals([0, 0.3, 1].map((done) => maskRate(MASKING_DEFAULTS, done)), [0.15, 0.15, 0.15]);
  const rising = { ...falling, mlm_probability: 0.2, final_mlm_probability: 0.4 };
  const most = maxMasked({ ...falling, final_mlm_probability: 0.4 }, 4096, 128);
  assertEquals([maxMasked(falling, 4096, 128), maxMasked(rising, 4096, 128)], [most, most]);
});
