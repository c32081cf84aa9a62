/**
 * Compares cloze's encodings with those in the file that bpe.py made.
 * usage: deno run -A tests/parity/bpe.ts cases.jsonl
 */

import { tokenizerOf } from "../../tokenizer/json.ts";
import { parseObject } from "../../tokenizer/outer_fields.ts";
import { stepsOf } from "../../tokenizer/pipeline/steps.ts";
import { ClozeError } from "../../config/cloze_error.ts";
import { IdBuffer } from "../../tokenizer/mod.ts";

interface Row {
  ids: number[];
  offsets: [number, number][];
  words: (number | null)[];
  special_tokens_mask: number[];
  decoded: string;
  skipped: string;
  pair?: { text: string; ids: number[]; type_ids: number[] };
}

const [first, ...cases] = (await Deno.readTextFile(Deno.args[0])).trimEnd().split("\n");
const texts: string[] = JSON.parse(first);
const differences = new Map<string, number>();
let compared = 0, refused = 0;

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

for (const line of cases) {
  const { tokenizer: json, rows }: { tokenizer: Record<string, unknown>; rows: Row[] } = JSON.parse(line);
  const { model: _, added_tokens: __, ...options } = json;
  const steps = stepsOf(json.normalizer, "normalizer", "normalizers").map(({ type }) => type);
  const beside = { config: {}, specialTokensMap: {}, addedTokens: {}, isAlone: true, model: undefined };
  let tokenizer;
  try {
    tokenizer = tokenizerOf(parseObject(JSON.stringify(json)), beside, "file", "text");
  } catch (error) {
    if (!(error instanceof ClozeError)) throw error;
    console.log(`refused: ${error.message}`);
    refused++;
    continue;
  }
  const { unk_token, byte_fallback, vocab } = json.model as {
    unk_token: unknown;
    byte_fallback: boolean;
    vocab: object;
  };
  const leavesOut = unk_token === null && !byte_fallback && !("Ā" in vocab && "Ń" in vocab);
  const compare = (what: string, text: string, found: unknown, expected: unknown) => {
    compared++;
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    const kind = `${what}, ${steps.join(" ")}`, seen = differences.get(kind) ?? 0;
    differences.set(kind, seen + 1);
    if (seen >= 3) return;
    console.log(`${what}: ${JSON.stringify(text)}\n  ${JSON.stringify(options)}`);
    console.log(`  here  ${JSON.stringify(found)}\n  there ${JSON.stringify(expected)}`);
  };
  const template = json.post_processor !== null;
  texts.forEach((text, i) => {
    const row = rows[i], found = tokenizer.encode(text, { template });
    compare("ids", text, [...found.ids], row.ids);
    compare("words", text, found.words, row.words);
    compare("special_tokens_mask", text, found.special_tokens_mask, row.special_tokens_mask);
    const at = codePoints(text);
    // Where a vocabulary lacks characters and has no unk_token, they are left out, and Hugging Face's offsets stay behind.
    if (!leavesOut) compare("offsets", text, found.offsets.map(([start, end]) => [at[start], at[end]]), row.offsets);
    compare("decoded", text, tokenizer.decode(row.ids), row.decoded);
    compare("decoded without special tokens", text, tokenizer.decode(row.ids, { skipSpecial: true }), row.skipped);
    const plain: number[] = [];
    tokenizer.encodeIds(text, plain);
    compare("encodeIds", text, plain, [...tokenizer.encode(text).ids]);
    const bytes = new TextEncoder().encode(text),
      fast = new IdBuffer(),
      sentence = new IdBuffer(),
      starts: number[] = [];
    tokenizer.encodeUtf8(bytes, 0, bytes.length, fast);
    const corpus = [...tokenizer.encode(text, { specials: "corpus" }).ids];
    compare("encodeUtf8", text, [...fast.view()], corpus);
    tokenizer.encodeSentence(bytes, 0, bytes.length, sentence, starts);
    compare("encodeSentence", text, [...sentence.view()], corpus);
    if (row.pair !== undefined) {
      const both = tokenizer.encode(text, { template, pair: row.pair.text });
      compare("pair", text, [[...both.ids], both.type_ids], [row.pair.ids, row.pair.type_ids]);
    }
  });
}
console.log(
  `${compared} comparisons, ${[...differences.values()].reduce((a, b) => a + b, 0)} differences, ${refused} refused`,
  [...differences],
);
if (differences.size > 0) Deno.exit(1);
