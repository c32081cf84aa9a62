import { assertEquals } from "@std/assert";
import { DEFAULT_NORMALIZER, type NormalizerOptions, PreTokenizer } from "./pre_tokenizer.ts";
import { WordScanner } from "./word_scanner.ts";
import { EMPTY_HASH, nextHash } from "../word_table.ts";

/** The scanner's words; checks the hash that comes with each. */
function scan(text: string, options: Partial<NormalizerOptions> = {}): string[] {
  const words: string[] = [];
  const bytes = new TextEncoder().encode(`before ${text} after`);
  new WordScanner({ ...DEFAULT_NORMALIZER, ...options }).scan(bytes, 7, bytes.length - 6, {
    word(bytes, start, end, hash) {
      const word = new TextDecoder().decode(bytes.slice(start, end));
      let expected = EMPTY_HASH;
      for (const character of word) expected = nextHash(expected, character.codePointAt(0)!);
      assertEquals(hash, expected, word);
      words.push(word);
    },
  });
  return words;
}

const locate = (text: string, options: Partial<NormalizerOptions> = {}) =>
  new PreTokenizer({ ...DEFAULT_NORMALIZER, ...options }).words(text).map((word) => word.text);

Deno.test("scan splits at white space, punctuation and ideographs", () => {
  assertEquals(scan(" In autumn, the\tleaves…fall.\r\n"), ["In", "autumn", ",", "the", "leaves", "…", "fall", "."]);
  assertEquals(scan("漢字 kanji漢x"), ["漢", "字", "kanji", "漢", "x"]);
  assertEquals(scan("漢字", { handle_chinese_chars: false }), ["漢字"]);
  assertEquals(scan("가나\u3000다"), ["가나", "다"]);
  assertEquals(scan(""), []);
});

Deno.test("scan drops control characters inside words, and none where clean_text is off", () => {
  assertEquals(scan("a\0b\uFFFDc\u200Dd"), ["abcd"]);
  assertEquals(scan("a\vb\u200Dd", { clean_text: false }), ["a", "b\u200Dd"]);
});

Deno.test("scan composes across what does not separate, and nothing else", () => {
  const nfd = "한국어".normalize("NFD");
  assertEquals(scan(nfd), ["한국어"]);
  assertEquals(scan(`(${nfd})e\u0301,=\u0338=`), ["(", "한국어", ")", "é", ",", "≠", "="]);
  assertEquals(scan("e\v\u0301x"), ["e\u0301x"], "a control character stands between when it composes");
  assertEquals(scan("\v\u0301a \x1F\u0301\v"), ["\u0301a", "\u0301"], "what is dropped does not stop it for good");
  assertEquals(scan(nfd, { nfc: false }), [nfd]);
});

Deno.test("scan folds, also into what separates or stands alone", () => {
  assertEquals(scan("ÀB İx", { lowercase: true }), ["ab", "ix"]);
  assertEquals(scan("ÀB", { lowercase: true, strip_accents: false }), ["àb"]);
  assertEquals(scan("a\u1FEFb≠c", { strip_accents: true, nfc: false }), ["a", "`", "b", "=", "c"]);
  assertEquals(scan("\uF900x", { strip_accents: true }), ["豈", "x"]);
});

Deno.test("the final sigma is Google's alone", () => {
  const google = { lowercase: true, strip_accents: false, nfc: false, compat: "google" } as const;
  assertEquals(scan("ΟΔΟΣ ΣΑΣ.Σ Σ", google), ["οδος", "σασ", ".", "ς", "σ"]);
  assertEquals(scan("ΟΔΟΣ", { ...google, compat: "huggingface" }), ["οδοσ"]);
  for (const text of ["ΟΔΟΣ ΣΑΣ.Σ Σ", "aΣ\u0301Σ 'Σ", "Σ\0"]) assertEquals(scan(text, google), locate(text, google));
});

Deno.test("scan and PreTokenizer.words give the same words for every pair of hard characters", () => {
  const hard = Array.from(
    "aé한漢=Σ.\v\0\u0301\u0338\u1161\u11A8\u1112\u200D \u{1D165}\u{11935}\u{11930}\u2000\uF900≠İ\u302E",
  );
  const text = hard.flatMap((a) => hard.map((b) => `x${a}${b}y`)).join(" ");
  for (const nfc of [true, false]) {
    for (const clean_text of [true, false]) {
      for (const lowercase of [true, false]) {
        for (const compat of ["huggingface", "google"] as const) {
          const options = { nfc, clean_text, lowercase, compat };
          assertEquals(scan(text, options), locate(text, options), JSON.stringify(options));
        }
      }
    }
  }
});

Deno.test("a long text without white space takes time in proportion to its length", () => {
  // Composing begins anew only behind the next white space: quadratic work would not end here.
  for (const text of ["e\u0301,".repeat(100_000), "\u0301".repeat(300_000), "Σ".repeat(200_000)]) {
    scan(text);
    scan(text, { lowercase: true, nfc: false, compat: "google" });
  }
});
