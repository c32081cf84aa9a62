import { assert, assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { loadTokenizer } from "../files.ts";
import { IdBuffer } from "../id_buffer.ts";
import { tokenizerOf } from "../json.ts";
import { parseObject } from "../outer_fields.ts";
import type { PipelineTokenizer } from "../pipeline/tokenizer.ts";
import { tokenizerFiles } from "../tokenizer_files.ts";
import { wordCounter } from "../word_source.ts";
import { Bpe } from "./bpe.ts";
import { BYTE_CHARACTERS } from "./byte_alphabet.ts";
import { parseMergesTxt } from "./json.ts";
import { bpeWords, learnBpe } from "./trainer.ts";

const TEXT = [
  "In autumn the leaves fall from the trees, and the leaves are red.",
  "The cat's tail (and the dog's) fall in the autumn leaves.",
  "단순함을 좋아하는 한국어 영화",
];
const ALONE = { config: {}, specialTokensMap: {}, addedTokens: {}, isAlone: true, model: undefined };

function learned(vocab_size = 400): PipelineTokenizer {
  const counter = wordCounter(bpeWords({ lowercase: false }));
  for (let i = 0; i < 3; i++) for (const text of TEXT) counter.add(text);
  return learnBpe(counter.words, { lowercase: false, vocab_size });
}

/** The rule as it is written down: of all pairs that merge the one learned first, from the left. */
function merged(symbols: number[], merges: Int32Array): number[] {
  for (;;) {
    let best = merges.length / 3, at = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      for (let rank = 0; rank < best; rank++) {
        if (merges[3 * rank] === symbols[i] && merges[3 * rank + 1] === symbols[i + 1]) [best, at] = [rank, i];
      }
    }
    if (at < 0) return symbols;
    symbols = symbols.toSpliced(at, 2, merges[3 * best + 2]);
  }
}

Deno.test("Bpe.match merges words of any length by the rule", () => {
  const vocabulary = [...BYTE_CHARACTERS];
  const idOf = (token: string) => vocabulary.indexOf(token);
  const merges: number[] = [];
  let state = 7;
  const random = (n: number) => (state = Math.imul(state, 1664525) + 1013904223 >>> 0) % n;
  const letters = ["a", "b", "c"];
  while (merges.length < 3 * 60) {
    const [left, right] = [0, 1].map(() => letters[random(letters.length)]);
    if (vocabulary.includes(left + right)) continue;
    letters.push(left + right);
    merges.push(idOf(left), idOf(right), vocabulary.push(left + right) - 1);
  }
  const data = {
    type: "BPE",
    merges: Int32Array.from(merges),
    byte_level: true,
    unk_token: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
  } as const;
  const model = new Bpe(vocabulary, data, new Set());
  for (const length of [0, 1, 2, 7, 47, 48, 49, 50, 300]) {
    for (let round = 0; round < 20; round++) {
      const bytes = Uint8Array.from({ length }, () => 0x61 + random(3));
      const out = new IdBuffer(), ends: number[] = [];
      model.match(bytes, 0, length, out, ends);
      assertEquals([...out.view()], merged(Array.from(bytes, (byte) => idOf(BYTE_CHARACTERS[byte])), data.merges));
      let at = 0;
      assertEquals(ends, [...out.view()].map((id) => at += vocabulary[id].length));
    }
  }
});

Deno.test("a word of a million letters is cut at once", () => {
  const tokenizer = learned(), ids: number[] = [];
  tokenizer.encodeIds("leaves".repeat(170_000), ids);
  assertEquals(tokenizer.decode(ids), ` ${"leaves".repeat(170_000)}`);
});

Deno.test("every text comes back as it was, whatever it is made of", () => {
  const tokenizer = learned(261);
  for (const text of [...TEXT, "\0\u{1F469}\u200D\u{1F467} \uFFFF\u{10FFFF}", "a  b\t\r\n c"]) {
    assertEquals(tokenizer.decode(tokenizer.encode(text).ids), ` ${text}`);
  }
  assertEquals(tokenizer.decode(tokenizer.encode("\uD800x").ids), " \uFFFDx");
});

Deno.test("encodeSentence says where eojeols begin, however many spaces are between them", () => {
  const tokenizer = learned();
  const startsOf = (text: string) => {
    const bytes = new TextEncoder().encode(text), ids = new IdBuffer(), starts: number[] = [];
    tokenizer.encodeSentence(bytes, 0, bytes.length, ids, starts);
    const surface = (from: number, to?: number) => tokenizer.decode(ids.view().slice(from, to)).trim();
    return starts.map((start, i) => surface(start, starts[i + 1]));
  };
  assertEquals(startsOf("The cat's tail, (and) 한국어"), ["The", "cat's", "tail,", "(and)", "한국어"]);
  assertEquals(startsOf("the   leaves\tfall"), ["the", "leaves", "fall"]);
  assertEquals(startsOf("영화\u3000한국어"), ["영화", "한국어"]);
});

Deno.test("words begin behind white space and at punctuation, and a filling brings its own space", () => {
  const tokenizer = learned();
  const id = (token: string) => tokenizer.idOf(token)!;
  const [leaves, mark] = [id("Ġleaves"), id("Ċ")];
  assert(tokenizer.startsWord(leaves) && tokenizer.startsWord(id(",")) && tokenizer.endsWord(id("(")));
  assert(!tokenizer.startsWord(id("e")) && !tokenizer.endsWord(leaves) && tokenizer.startsWord(mark));
  assertEquals(tokenizer.surface(leaves), "leaves");
  assertEquals(tokenizer.shown(leaves), " leaves");
  assertEquals(tokenizer.join("the ", leaves), "the leaves");
  assertEquals(tokenizer.join("the tree ", id("s")), "the trees");
  assertEquals(tokenizer.join("", leaves), "leaves");
  assertEquals(tokenizer.join("the ", "red leaves"), "the red leaves");
  assertEquals([...tokenizer.wordIds("leaves", false)], [leaves]);
  const ids = [...tokenizer.encode("In the leaves fall").ids], blank = ids.indexOf(leaves);
  ids[blank] = tokenizer.special.mask;
  const text = tokenizer.blanked(ids, blank);
  assertEquals(text, "In the <mask> fall");
  assertEquals([...tokenizer.encode(text).ids], ids);
});

Deno.test("a corpus that says <mask> teaches nothing false", () => {
  const tokenizer = learned(), ids = new IdBuffer(), bytes = new TextEncoder().encode("the <mask> </s> fall");
  tokenizer.encodeUtf8(bytes, 0, bytes.length, ids);
  assert([...ids.view()].every((id) => !tokenizer.isSpecial(id)));
  assert(tokenizer.encode("the <mask>").ids.includes(tokenizer.special.mask));
});

Deno.test("a folder of vocab.json and merges.txt is RoBERTa's tokenizer", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const files = tokenizerFiles(learned(), 512);
    await Deno.writeTextFile(`${folder}/vocab.json`, files["vocab.json"]);
    await Deno.writeTextFile(`${folder}/merges.txt`, files["merges.txt"]);
    await Deno.writeTextFile(`${folder}/tokenizer_config.json`, '{"add_prefix_space":true}');
    await Deno.writeTextFile(`${folder}/config.json`, '{"model_type":"roberta"}');
    const tokenizer = await loadTokenizer(folder, "model");
    for (const text of TEXT) assertEquals(tokenizer.encode(text).ids, learned().encode(text).ids);
    const pair = tokenizer.encode("the", { template: true, pair: "leaves" });
    assertEquals(pair.type_ids, [0, 0, 0, 0, 0, 0]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tokenizer.json of a BPE that cloze does not follow is refused by the name of the field", () => {
  const json = parseObject(tokenizerFiles(learned(), 512)["tokenizer.json"]);
  const refuse = (change: object, message: string) =>
    assertThrows(() => tokenizerOf({ ...json, ...change }, ALONE, "file", "model"), ClozeError, message);
  const model = (change: object) => ({ model: { ...json.model, ...change } });
  refuse(model({ dropout: 0.1 }), "model.dropout");
  refuse(model({ continuing_subword_prefix: "##" }), "model.continuing_subword_prefix");
  refuse(model({ end_of_word_suffix: "</w>" }), "model.end_of_word_suffix");
  refuse(model({ merges: [["q", "\u2603"]] }), "model.merges[0]");
  refuse(model({ merges: ["a b c"] }), "model.merges[0]");
  refuse(model({ unk_token: "none" }), "model.unk_token");
  refuse(model({ type: "WordLevel" }), "WordLevel");
  refuse({ normalizer: { type: "BertNormalizer" } }, "BertNormalizer");
  refuse({ normalizer: { type: "Replace", pattern: { Regex: "[a-z]+" }, content: "" } }, "[a-z]+");
  const split = { type: "Split", pattern: { Regex: "\\w+" }, behavior: "Isolated", invert: false };
  refuse({ pre_tokenizer: { type: "Sequence", pretokenizers: [split, json.pre_tokenizer] } }, "Split, ByteLevel");
  refuse({ pre_tokenizer: { type: "Digits", individual_digits: true } }, "Digits");
  refuse({ post_processor: null }, "post_processor");
  refuse({ post_processor: { ...json.post_processor, cls: ["<s>", 7] } }, "the id 7");
  refuse({ decoder: { type: "CTC" } }, "CTC");
  assertThrows(() => tokenizerOf(json, ALONE, "bert", "model"), ClozeError, "BertTokenizer");
  assertThrows(() => parseMergesTxt("#version: 0.2\na b\nc\n"), ClozeError, "line 3");
});

Deno.test("a tokenizer that RobertaTokenizer makes anew is written with every field that tokenizers asks for", () => {
  const json = parseObject(tokenizerFiles(learned(), 512)["tokenizer.json"]);
  const anew = tokenizerOf({ ...json, decoder: null }, ALONE, "roberta", "model");
  const written = parseObject(tokenizerFiles(anew, 512)["tokenizer.json"]);
  for (const step of ["pre_tokenizer", "decoder"] as const) {
    assertEquals(Object.keys(written[step]).sort(), ["add_prefix_space", "trim_offsets", "type", "use_regex"]);
  }
});
