import { assert, assertEquals } from "@std/assert";
import { SPECIAL_TOKENS } from "./added_tokens.ts";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.ts";
import { vocabularyReport } from "./vocabulary_report.ts";
import { suitableVocabSize } from "./vocabulary_size.ts";
import { VocabularyTrainer } from "./wordpiece/vocabulary_trainer.ts";

Deno.test("suitableVocabSize follows the text where its alphabet is small, from 1,000 to 16,000", () => {
  assertEquals([0, 1e4, 1e6, 1e7, 1e8, 1e12].map((characters) => suitableVocabSize(characters, 120)), [
    1000,
    1000,
    4000,
    12_500,
    16_000,
    16_000,
  ]);
});

Deno.test("suitableVocabSize leaves room for merges on top of any alphabet", () => {
  assertEquals(suitableVocabSize(10_000, 1600), 2100);
  assertEquals(suitableVocabSize(1e9, 20_000), 28_000);
  for (let characters = 100; characters < 1e9; characters *= 2) {
    const alphabet = Math.min(12_000, Math.round(10 * characters ** 0.45));
    const size = suitableVocabSize(characters, alphabet);
    assert(size >= alphabet + 500 && size <= suitableVocabSize(2 * characters, alphabet), String(characters));
  }
});

/** Made-up Korean: syllables and words are drawn so that a few are frequent and most are rare, as in real text. */
function korean(lines: number): string {
  let seed = 7;
  const random = () => (seed = Math.imul(seed, 1664525) + 1013904223 >>> 0) / 2 ** 32;
  const syllable = () => String.fromCodePoint(0xAC00 + Math.floor(11_172 * random() ** 4));
  const words = Array.from(
    { length: 8 * lines },
    () => Array.from({ length: 1 + Math.floor(5 * random()) }, syllable).join(""),
  );
  const word = () => words[Math.floor(words.length * random() ** 3)];
  return Array.from({ length: lines }, () => Array.from({ length: 8 }, word).join(" ")).join("\n");
}

Deno.test("suitableVocabSize gives Korean text of any size a vocabulary that writes all of it", () => {
  for (const lines of [10, 100, 300, 1000, 2000, 5000]) {
    const text = korean(lines);
    const trainer = new VocabularyTrainer();
    trainer.add(text);
    const size = suitableVocabSize(Array.from(text).length, trainer.alphabet.tokens.length);
    const vocabulary = trainer.train(size);
    assert(vocabulary.length <= size, "it was not too small");
    assertEquals(vocabularyReport(new WordPieceTokenizer(vocabulary), trainer.counts).unk_rate, 0, `${lines} lines`);
    const merges = vocabulary.length - SPECIAL_TOKENS.length - trainer.alphabet.tokens.length;
    assert(lines < 300 || merges > 400, `${lines} lines: ${merges} merges`);
  }
});
