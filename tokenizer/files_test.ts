import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { loadTokenizer } from "./files.ts";
import { tokenizerFiles } from "./tokenizer_files.ts";
import { SPECIAL_TOKENS } from "./added_tokens.ts";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

/** A folder with files, which goes away. */
async function withFiles(files: Record<string, unknown>, run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, typeof content === "string" ? content : JSON.stringify(content));
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const numbered = (tokens: string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]));

const bert = (change: Record<string, unknown> = {}) => ({
  type: "BertNormalizer",
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
  ...change,
});

/** As google-bert/bert-base-uncased has it: unused tokens between [PAD] and [UNK], a TemplateProcessing. */
function googleBert() {
  const tokens = [
    "[PAD]",
    "[unused0]",
    "[unused1]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "fall",
    "##s",
    "cafe",
    ".",
  ];
  const id = numbered(tokens);
  const special = (content: string) => ({
    id: id[content],
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  return {
    version: "1.0",
    truncation: { direction: "Right", max_length: 512, strategy: "LongestFirst", stride: 0 },
    padding: null,
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(special),
    normalizer: bert(),
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [
        { SpecialToken: { id: "[CLS]", type_id: 0 } },
        { Sequence: { id: "A", type_id: 0 } },
        { SpecialToken: { id: "[SEP]", type_id: 0 } },
      ],
      pair: [
        { SpecialToken: { id: "[CLS]", type_id: 0 } },
        { Sequence: { id: "A", type_id: 0 } },
        { SpecialToken: { id: "[SEP]", type_id: 0 } },
        { Sequence: { id: "B", type_id: 1 } },
        { SpecialToken: { id: "[SEP]", type_id: 1 } },
      ],
      special_tokens: {
        "[CLS]": { id: "[CLS]", ids: [id["[CLS]"]], tokens: ["[CLS]"] },
        "[SEP]": { id: "[SEP]", ids: [id["[SEP]"]], tokens: ["[SEP]"] },
      },
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: id,
    },
  };
}

/** As klue/bert-base has it: cased, a BertProcessing, no decoder, unused tokens at the end. */
function klue() {
  const tokens = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "단순",
    "##함",
    "##을",
    "얻기",
    "BERT",
    "[unused0]",
    "[unused1]",
  ];
  const id = numbered(tokens);
  const json = googleBert();
  return {
    ...json,
    added_tokens: json.added_tokens.map((token) => ({ ...token, id: id[token.content] })),
    normalizer: { type: "Sequence", normalizers: [bert({ lowercase: false })] },
    post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
    decoder: null,
    model: { ...json.model, type: undefined, vocab: id },
  };
}

Deno.test("a tokenizer.json in google-bert's style lowercases, strips accents and finds [MASK]", async () => {
  await withFiles({ "tokenizer.json": googleBert() }, async (folder) => {
    const tokenizer = await loadTokenizer(folder);
    assertEquals(tokenizer.special, { pad: 0, unk: 3, cls: 4, sep: 5, mask: 6 });
    assertEquals([...tokenizer.encode("The CAFÉ falls.").ids], [7, 10, 8, 9, 11]);
    assertEquals([...tokenizer.encode("the [MASK].", { specials: "all", template: true }).ids], [4, 7, 6, 11, 5]);
    assertEquals([1, 2].map((id) => tokenizer.isSpecial(id)), [true, true]);
    assertEquals(
      [...tokenizer.encode("[unused0]", { specials: "all" }).ids],
      [3, 3, 3],
      "placeholders are never found",
    );
  });
});

Deno.test("a tokenizer.json in KLUE's style is cased; both styles survive being written", async () => {
  await withFiles({ "tokenizer.json": klue() }, async (folder) => {
    const tokenizer = await loadTokenizer(`${folder}/tokenizer.json`);
    assertEquals([...tokenizer.encode("BERT 단순함을 얻기").ids], [9, 5, 6, 7, 8]);
    assertEquals(tokenizer.decode([9, 5, 6, 7, 8]), "BERT 단순함을 얻기");
    await withFiles(tokenizerFiles(tokenizer, 512), async (copy) => {
      assertEquals((await loadTokenizer(copy)).data, tokenizer.data);
    });
  });
});

Deno.test("a vocab.txt in KoELECTRA's style takes its options from tokenizer_config.json", async () => {
  const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "단순", "##함", "the", "The", "[unused0]"];
  await withFiles(
    {
      "vocab.txt": vocabulary.join("\r\n") + "\n",
      "tokenizer_config.json": { do_lower_case: false, model_max_length: 512 },
      "added_tokens.json": { "뽀로로": 10 },
    },
    async (folder) => {
      const tokenizer = await loadTokenizer(folder);
      assertEquals(tokenizer.vocabulary, [...vocabulary, "뽀로로"]);
      assertEquals([...tokenizer.encode("The 단순함뽀로로").ids], [8, 5, 6, 10]);
      const ids: number[] = [];
      tokenizer.encodeIds("the뽀로로단순", ids, "corpus");
      assertEquals(ids, [7, 10, 5], "an added token that is not special is found in a corpus, too");
    },
  );
});

Deno.test("added tokens take white space and keep to word ends as they say", async () => {
  const json = googleBert();
  const add = (content: string, change: object) => ({ ...json.added_tokens[0], content, special: false, ...change });
  json.added_tokens.push(add("<x>", { id: 12, lstrip: true, rstrip: true }), add("yy", { id: 13, single_word: true }));
  await withFiles({ "tokenizer.json": json }, async (folder) => {
    const tokenizer = await loadTokenizer(folder);
    const { ids, offsets, words } = tokenizer.encode("the <x>  fall yyy yy.");
    assertEquals([...ids], [7, 12, 8, 3, 13, 11]);
    assertEquals(offsets, [[0, 3], [3, 9], [9, 13], [14, 17], [18, 20], [20, 21]]);
    assertEquals(words, [0, 1, 2, 3, 4, 5]);
  });
});

Deno.test("Google's rules are written to tokenizer_config.json and read again", async () => {
  const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, "a"], {
    normalizer: { compat: "google", nfc: false },
    max_input_chars_per_word: 200,
  });
  const files = tokenizerFiles(tokenizer, 512);
  assertEquals("compat" in JSON.parse(files["tokenizer.json"]).normalizer, false);
  await withFiles(files, async (folder) => {
    for (const path of [folder, `${folder}/vocab.txt`]) {
      const { normalizer, max_input_chars_per_word } = await loadTokenizer(path) as WordPieceTokenizer;
      assertEquals([normalizer.compat, max_input_chars_per_word], ["google", 200]);
    }
  });
});

Deno.test("what would be tokenized differently is refused, with the reason", async () => {
  const refuse = async (change: (json: ReturnType<typeof googleBert>) => unknown, message: string) => {
    await withFiles({ "tokenizer.json": change(googleBert()) }, async (folder) => {
      const error = await assertRejects(() => loadTokenizer(folder), ClozeError, message);
      assert(error.message.includes("tokenizer.json"), error.message);
    });
  };
  await refuse((json) => ({ ...json, pre_tokenizer: { type: "Whitespace" } }), "pre_tokenizer");
  await refuse((json) => ({ ...json, pre_tokenizer: null }), "pre_tokenizer");
  await refuse((json) => ({ ...json, normalizer: { type: "NFKC" } }), "NFKC");
  await refuse((json) => ({ ...json, post_processor: { type: "RobertaProcessing" } }), "post_processor");
  await refuse((json) => ({ ...json, model: { ...json.model, unk_token: "<unk>" } }), "unk_token");
  await refuse((json) => ({ ...json, model: { ...json.model, continuing_subword_prefix: "@@" } }), "@@");
  await refuse(
    (json) => ({ ...json, added_tokens: [{ ...json.added_tokens[0], special: undefined }] }),
    "added_tokens[0].special",
  );
  for (const id of [3, 13, -1, 1.5, 2 ** 40, "12"]) {
    const vocab = (json: ReturnType<typeof googleBert>) => ({ ...json.model.vocab, far: id });
    const message = `the id ${id} of "far" is taken or outside 0..12`;
    await refuse((json) => ({ ...json, model: { ...json.model, vocab: vocab(json) } }), message);
  }
  const roberta = { tokenizer_class: "RobertaTokenizer" };
  await withFiles({ "vocab.txt": "[PAD]\n", "tokenizer_config.json": roberta }, async (folder) => {
    await assertRejects(
      () => loadTokenizer(folder),
      ClozeError,
      "its tokenizer is roberta's, which is not made of a vocab.txt",
    );
  });
  await withFiles({ "vocab.txt": "[PAD]\n", "tokenizer_config.json": "{" }, async (folder) => {
    await assertRejects(() => loadTokenizer(folder), ClozeError, "tokenizer_config.json is not JSON");
  });
  await withFiles({ "vocab.txt": "[PAD]\n", "tokenizer_config.json": { cloze_compat: "x" } }, async (folder) => {
    await assertRejects(() => loadTokenizer(folder), ClozeError, "cloze_compat");
  });
});

Deno.test("added tokens that are normalized, and the decoder's cleanup, are as in tokenizers 0.23.3, and are written again", async () => {
  const json = googleBert();
  const tokens = [...Object.keys(json.model.vocab), "a", "##b", "!", "covid 19", "Na"];
  const { [tokens.length - 2]: covid, [tokens.length - 1]: sodium } = tokens;
  const added = (content: string, normalized: boolean) => ({
    ...{ id: tokens.indexOf(content), content, lstrip: false, rstrip: false, special: false },
    ...{ normalized, single_word: !normalized },
  });
  const changed = {
    ...json,
    added_tokens: [...json.added_tokens, added(covid, true), added(sodium, false)],
    decoder: { type: "WordPiece", prefix: "##", cleanup: false },
    model: { ...json.model, vocab: numbered(tokens) },
  };
  await withFiles({ "tokenizer.json": changed }, async (folder) => {
    const first = await loadTokenizer(folder);
    await Deno.writeTextFile(`${folder}/tokenizer.json`, tokenizerFiles(first, 512)["tokenizer.json"]);
    for (const tokenizer of [first, await loadTokenizer(folder)]) {
      const { ids, offsets, words } = tokenizer.encode("a CÓVID\t19b Na NaCl");
      assertEquals([...ids].map((id) => tokenizer.tokenOf(id)), ["a", "covid 19", "[UNK]", "Na", "[UNK]"]);
      assertEquals(offsets, [[0, 1], [2, 10], [10, 11], [12, 14], [15, 19]]);
      assertEquals(words, [0, 1, 2, 3, 4]);
      const fast: number[] = [];
      tokenizer.encodeIds("a CÓVID\t19b Na NaCl", fast);
      assertEquals(fast, [...ids]);
      assertEquals(tokenizer.decode(["a", "!", "cafe", "##s"].map((token) => tokenizer.idOf(token)!)), "a ! cafes");
    }
  });
});
