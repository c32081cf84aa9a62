/**
 * Compares cloze's encodings with those in the file that fuzz.py made.
 * usage: deno run -A tests/parity/fuzz.ts cases.json
 */

import {
  type AddedToken,
  type Encoding,
  IdBuffer,
  type NormalizerOptions,
  SPECIAL,
  SPECIAL_TOKENS,
  WordPieceTokenizer,
} from "../../tokenizer/mod.ts";

interface Cases {
  texts: string[];
  vocabulary: string[];
  added_tokens: AddedToken[];
  cases: {
    normalizer: Partial<NormalizerOptions>;
    max_input_chars_per_word?: number;
    plain: (Pick<Encoding, "ids"> & Partial<Encoding>)[];
    special?: number[][];
    added?: Pick<Encoding, "ids" | "offsets">[];
  }[];
}

const { texts, vocabulary, added_tokens, cases }: Cases = JSON.parse(await Deno.readTextFile(Deno.args[0]));
const differences = new Map<string, number>();
let compared = 0;

function compare(what: string, text: string, normalizer: unknown, found: unknown, expected: unknown): void {
  if (expected === undefined) return; // Google's code gives ids alone
  compared++;
  if (JSON.stringify(found) === JSON.stringify(expected)) return;
  const seen = differences.get(what) ?? 0;
  differences.set(what, seen + 1);
  if (seen >= 3) return;
  const codes = Array.from(text, (c) => c.codePointAt(0)!.toString(16)).join(" ");
  console.log(`${what}: ${codes}\n  ${JSON.stringify(normalizer)}`);
  console.log(`  here  ${JSON.stringify(found)}\n  there ${JSON.stringify(expected)}`);
}

/** UTF-16 offset → offset in code points, which Hugging Face counts, for each offset into a text. */
function codePoints(text: string): number[] {
  const at: number[] = [];
  let count = 0;
  for (const character of text) {
    for (let unit = 0; unit < character.length; unit++) at.push(count);
    count++;
  }
  return [...at, count];
}

const PLAIN = { special: false, lstrip: false, rstrip: false, single_word: false };
const SPECIALS = SPECIAL_TOKENS.map((content) => ({ content, ...SPECIAL }));

for (const { normalizer, plain, special, added, ...options } of cases) {
  const tokenizer = new WordPieceTokenizer(vocabulary, { normalizer, added_tokens: [], ...options });
  const withSpecials = new WordPieceTokenizer(vocabulary, { normalizer, ...options });
  const extended = new WordPieceTokenizer(vocabulary, {
    normalizer,
    added_tokens: [...SPECIALS, ...added_tokens.map((token) => ({ ...PLAIN, ...token }))],
  });
  texts.forEach((text, i) => {
    const { ids, offsets, words, special_tokens_mask } = tokenizer.encode(text, { template: true });
    compare("ids", text, normalizer, [...ids], plain[i].ids);
    compare("words", text, normalizer, words, plain[i].words);
    compare("special_tokens_mask", text, normalizer, special_tokens_mask, plain[i].special_tokens_mask);
    const withAdded = extended.encode(text, { template: true });
    compare("ids with added tokens", text, normalizer, [...withAdded.ids], added?.[i].ids);
    // Of characters that NFC composes Hugging Face gives a part of the source range, ours is the whole; of a mark that goes
    // before another one where accents are stripped it gives the other one's place.
    const strips = normalizer.strip_accents ?? normalizer.lowercase ?? false;
    const keepsOrder = Array.from(text, (c) => c.normalize("NFD")).join("") === text.normalize("NFD");
    if ((!normalizer.nfc || text.normalize("NFC") === text) && (!strips || keepsOrder)) {
      const at = codePoints(text);
      const inCodePoints = (offsets: [number, number][]) => offsets.map(([start, end]) => [at[start], at[end]]);
      compare("offsets", text, normalizer, inCodePoints(offsets), plain[i].offsets);
      compare("offsets with added tokens", text, normalizer, inCodePoints(withAdded.offsets), added?.[i].offsets);
    }
    const fast = new IdBuffer(), utf8 = new TextEncoder().encode(text);
    tokenizer.encodeUtf8(utf8, 0, utf8.length, fast);
    compare("encodeUtf8", text, normalizer, [...fast.view()], plain[i].ids.slice(1, -1));
    compare("with special tokens", text, normalizer, [
      ...withSpecials.encode(text, { template: true }).ids,
    ], special?.[i]);
  });
}
console.log(`${compared} comparisons, ${[...differences.values()].reduce((a, b) => a + b, 0)} differences`, [
  ...differences,
]);
if (differences.size > 0) Deno.exit(1);
