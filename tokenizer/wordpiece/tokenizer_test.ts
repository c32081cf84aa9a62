import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { loadTokenizer } from "../files.ts";
import { tokenizerFiles } from "../tokenizer_files.ts";
import { IdBuffer } from "../id_buffer.ts";
import type { NormalizerOptions } from "./pre_tokenizer.ts";
import { SPECIAL_TOKENS } from "../added_tokens.ts";
import { tokenizerFrom } from "../from_data.ts";
import { WordPieceTokenizer } from "./tokenizer.ts";

interface Golden {
  texts: string[];
  vocabulary: string[];
  cases: {
    normalizer: NormalizerOptions;
    encodings: { ids: number[]; offsets: number[]; words: number[] }[];
  }[];
  templates: {
    specials: "all" | "text";
    text: string;
    pair: string | null;
    ids: number[];
    type_ids: number[];
    offsets: [number, number][];
    words: (number | null)[];
    special_tokens_mask: number[];
  }[];
}

const golden: Golden = JSON.parse(
  Deno.readTextFileSync(new URL("../../tests/golden/tokenizer.json", import.meta.url)),
);

/** UTF-16 offset → offset in code points, which Hugging Face counts. */
function codePoints(text: string, offset: number): number {
  return Array.from(text.slice(0, offset)).length;
}

Deno.test("encode equals Hugging Face tokenizers on hostile strings under every option", () => {
  for (const { normalizer, encodings } of golden.cases) {
    const tokenizer = new WordPieceTokenizer(golden.vocabulary, { normalizer, added_tokens: [] });
    golden.texts.forEach((text, i) => {
      const expected = encodings[i], found = tokenizer.encode(text);
      const where = `${JSON.stringify(text)} with ${JSON.stringify(normalizer)}`;
      assertEquals([...found.ids], expected.ids, where);
      assertEquals(found.words, expected.words, where);
      // Of composed characters Hugging Face gives only a part of the source range; ours is the whole.
      const composes = normalizer.nfc && text.normalize("NFC") !== text;
      const offsets = composes ? expected.offsets : found.offsets.flat().map((offset) => codePoints(text, offset));
      assertEquals(offsets, expected.offsets, where);
      const fast: number[] = [];
      tokenizer.encodeIds(text, fast);
      assertEquals(fast, expected.ids, `${where}, encodeIds`);
    });
  }
});

Deno.test("encode with template, pair and special tokens equals Hugging Face's, word by word", () => {
  const tokenizer = new WordPieceTokenizer(golden.vocabulary, {
    normalizer: { lowercase: true, strip_accents: false, nfc: false },
    max_input_chars_per_word: 12,
  });
  for (const { specials: which, text, pair, ...expected } of golden.templates) {
    const specials = which === "all" ? "all" : "corpus";
    const found = tokenizer.encode(text, { specials, template: true, ...(pair === null ? {} : { pair }) });
    assertEquals({ ...found, ids: [...found.ids] }, expected, `${text} with ${specials}`);
  }
});

Deno.test("a tokenizer that was posted to another thread gives the same ids", () => {
  const tokenizer = new WordPieceTokenizer(golden.vocabulary, { normalizer: { lowercase: true } });
  const copy = tokenizerFrom(structuredClone(tokenizer.data));
  for (const text of golden.texts) assertEquals(copy.encode(text), tokenizer.encode(text));
});

Deno.test("encodeUtf8 appends, and remembers words of any length and number", () => {
  const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, "a", "##a", "b", "가", "##가"], {
    max_input_chars_per_word: 120,
  });
  const bytes = new TextEncoder().encode(`b ${"a".repeat(120)} ${"a".repeat(121)} ${"가".repeat(40)} b`);
  const ids = new IdBuffer();
  for (let round = 0; round < 2; round++) tokenizer.encodeUtf8(bytes, 0, bytes.length, ids);
  const once = [7, 5, ...Array(119).fill(6), tokenizer.special.unk, 8, ...Array(39).fill(9), 7];
  assertEquals([...ids.view()], [...once, ...once]);
});

Deno.test("a text that is longer than any before it is encoded whole", () => {
  const vocabulary = [...SPECIAL_TOKENS, "a", "b", "##b"];
  const long = "b ".repeat(5000), word = "b".repeat(9000);
  for (const text of [long, word]) {
    const tokenizer = new WordPieceTokenizer(vocabulary, { max_input_chars_per_word: 10_000 });
    const ids: number[] = [], expected = text === long ? Array(5000).fill(6) : [6, ...Array(8999).fill(7)];
    tokenizer.encodeIds("a", []);
    tokenizer.encodeIds(text, ids);
    assertEquals(ids, expected);
    assertEquals([...new WordPieceTokenizer(vocabulary, tokenizer.data).encode(text).ids], expected);
    if (text === word) assertEquals([...new WordPieceTokenizer(vocabulary, tokenizer.data).piecesOf(text)], expected);
  }
});

Deno.test("piecesOf tells what a new token was made of", () => {
  const tokenizer = new WordPieceTokenizer(VOCABULARY);
  const tokens = (token: string) => [...tokenizer.piecesOf(token)].map((id) => tokenizer.tokenOf(id));
  assertEquals(tokens("단순함을"), ["단순", "##함", "##을"]);
  assertEquals(tokens("##함을"), ["##함", "##을"]);
  assertEquals(tokens("##단순"), ["[UNK]"]);
});

const VOCABULARY = [
  ...SPECIAL_TOKENS,
  "In",
  "autumn",
  "the",
  "leaves",
  "fall",
  ".",
  "단순",
  "##함",
  "##을",
  "don",
  "'",
  "t",
];

Deno.test("decode joins pieces and takes out the space before punctuation", () => {
  const tokenizer = new WordPieceTokenizer(VOCABULARY);
  for (const text of ["In autumn the leaves fall.", "단순함을 단순"]) {
    assertEquals(tokenizer.decode(tokenizer.encode(text).ids), text);
  }
  const { cls, sep, mask } = tokenizer.special;
  const ids = [cls, 11, 12, mask, sep];
  assertEquals(tokenizer.decode(ids), "[CLS] 단순함 [MASK] [SEP]");
  assertEquals(tokenizer.decode(ids, { skipSpecial: true }), "단순함");
});

Deno.test("BERT's own special tokens are plain text in a corpus and special elsewhere", () => {
  const tokenizer = new WordPieceTokenizer(VOCABULARY);
  const { unk, mask, cls } = tokenizer.special;
  const text = "the [MASK] [CLS]";
  assertEquals([...tokenizer.encode(text, { specials: "corpus" }).ids], [7, unk, unk, unk, unk, unk, unk]);
  const found = tokenizer.encode(text);
  assertEquals([...found.ids], [7, mask, cls]);
  assertEquals(found.offsets[1], [4, 10]);
  for (const specials of ["corpus", "all"] as const) {
    const ids: number[] = [];
    tokenizer.encodeIds(text, ids, specials);
    assertEquals(ids, [...tokenizer.encode(text, { specials }).ids]);
  }
});

Deno.test("decomposed Korean is the same as composed", () => {
  const tokenizer = new WordPieceTokenizer(VOCABULARY);
  const composed = tokenizer.encode("단순함을");
  assertEquals(composed.ids.length, 3);
  assertEquals(tokenizer.encode("단순함을".normalize("NFD")).ids, composed.ids);
});

Deno.test("a saved tokenizer is loaded again from its folder, tokenizer.json and vocab.txt", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const tokenizer = new WordPieceTokenizer(VOCABULARY, { normalizer: { lowercase: false } });
    for (const [name, text] of Object.entries(tokenizerFiles(tokenizer, 128))) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    for (const path of [folder, `${folder}/tokenizer.json`, `${folder}/vocab.txt`]) {
      const loaded = await loadTokenizer(path);
      assertEquals(loaded.vocabulary, VOCABULARY);
      assertEquals(loaded.encode("In autumn 단순함을").ids, tokenizer.encode("In autumn 단순함을").ids);
    }
    assertEquals((await loadTokenizer(folder) as WordPieceTokenizer).normalizer, tokenizer.normalizer);
    const refuse = async (name: string, text: string, message: string) => {
      await Deno.writeTextFile(`${folder}/${name}`, text);
      const error = await assertRejects(() => loadTokenizer(`${folder}/${name}`), ClozeError, message);
      assert(error.message.includes(name));
    };
    await refuse("tokenizer.json", "{", "not JSON");
    await refuse("tokenizer.json", '{"model":{"type":"WordLevel","vocab":{}}}', "WordLevel");
    await refuse("tokenizer.json", '{"model":{"type":"WordPiece","vocab":{"a":0,"b":0}}}', "taken");
    await refuse("vocab.txt", "a\nb\n", "[UNK]");
    await refuse("vocab.txt", [...VOCABULARY, "the"].join("\n"), "twice");
    await assertRejects(() => loadTokenizer(`${folder}/none`), ClozeError, "does not exist");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("tokenOf names an id that is outside the vocabulary", () => {
  assertThrows(() => new WordPieceTokenizer(VOCABULARY).tokenOf(99), ClozeError, "no token 99");
});

Deno.test("marks that strip_accents keeps are put in canonical order, as in tokenizers 0.23.3", () => {
  const [hieut, tone, stem] = ["\u1112", "\u302E", "\u{1D165}"];
  const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, hieut, `##${stem}`, `##${tone}`], {
    normalizer: { lowercase: true, nfc: false },
  });
  // An accent between them goes away, a control character as well; a mark of class 0 keeps them apart.
  for (const between of ["", "\u0301", "\u200B"]) {
    const text = `${hieut}${tone}${between}${stem}`;
    assertEquals([...tokenizer.encode(text).ids], [5, 6, 7], between);
    const fast: number[] = [];
    tokenizer.encodeIds(`${text} ${hieut}${stem}${tone}`, fast);
    assertEquals(fast, [5, 6, 7, 5, 6, 7]);
  }
  assertEquals([...tokenizer.encode(`${hieut}${tone}\u034F${stem}`).ids], [5, 7, 6]);
});
