/**
 * Compares cloze's encodings with those in the folder that unigram.py made.
 * usage: deno run -A tests/parity/unigram.ts FOLDER
 */

import { IdBuffer, loadTokenizer } from "../../tokenizer/mod.ts";

interface Cases {
  texts: string[];
  cases: {
    name: string;
    rows: {
      ids: number[];
      offsets: [number, number][];
      words: (number | null)[];
      special_tokens_mask: number[];
      decoded: string;
      pair: number[] | null;
    }[];
  }[];
}

const [folder] = Deno.args;
const { texts, cases }: Cases = JSON.parse(await Deno.readTextFile(`${folder}/cases.json`));
const differences = new Map<string, number>();
let compared = 0;

function compare(what: string, name: string, text: string, found: unknown, expected: unknown): void {
  compared++;
  if (JSON.stringify(found) === JSON.stringify(expected)) return;
  const seen = differences.get(what) ?? 0;
  differences.set(what, seen + 1);
  if (seen >= 3) return;
  console.log(`${what}, ${name}: ${Array.from(text, (c) => c.codePointAt(0)!.toString(16)).join(" ")}`);
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

for (const [i, { name, rows }] of cases.entries()) {
  const tokenizer = await loadTokenizer(`${folder}/${i}`);
  texts.forEach((text, k) => {
    const { ids, offsets, words, special_tokens_mask, decoded, pair } = rows[k];
    const at = codePoints(text), found = tokenizer.encode(text, { template: true });
    compare("ids", name, text, [...found.ids], ids);
    compare("offsets", name, text, found.offsets.map(([start, end]) => [at[start], at[end]]), offsets);
    compare("words", name, text, found.words, words);
    compare("special_tokens_mask", name, text, found.special_tokens_mask, special_tokens_mask);
    const plain = ids.slice(1, -1), fast: number[] = [];
    tokenizer.encodeIds(text, fast);
    compare("encodeIds", name, text, fast, plain);
    compare("decoded", name, text, tokenizer.decode(plain), decoded);
    if (pair !== null) {
      compare("pair", name, text, [...tokenizer.encode(text, { template: true, pair: texts[0] }).ids], pair);
    }
    // The tokenizer's own special tokens are plain text in a corpus.
    if (/<(s|\/s|pad|unk|mask)>/i.test(text)) return;
    const corpus = new IdBuffer(), utf8 = new TextEncoder().encode(text), sentence = new IdBuffer();
    tokenizer.encodeUtf8(utf8, 0, utf8.length, corpus);
    compare("encodeUtf8", name, text, [...corpus.view()], plain);
    tokenizer.encodeSentence(utf8, 0, utf8.length, sentence, []);
    compare("encodeSentence", name, text, [...sentence.view()], plain);
  });
}
console.log(`${compared} comparisons, ${[...differences.values()].reduce((a, b) => a + b, 0)} differences`, [
  ...differences,
]);
if (differences.size > 0) Deno.exit(1);
