import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { checkFields, familyOf } from "./tokenizer_family.ts";

Deno.test("familyOf follows tokenizer_class, then config.json, then the model's type", () => {
  assertEquals(familyOf({ tokenizer_class: "BertTokenizerFast" }, undefined), "bert");
  assertEquals(familyOf({ tokenizer_class: "ElectraTokenizer" }, { model_type: "electra" }), "bert");
  assertEquals(familyOf({ tokenizer_class: "PreTrainedTokenizerFast" }, { model_type: "bert" }), "file");
  assertEquals(familyOf({}, { model_type: "bert", tokenizer_class: "TokenizersBackend" }), "file");
  assertEquals(familyOf({}, { model_type: "distilbert" }), "bert");
  assertEquals(familyOf({ tokenizer_class: "BertTokenizer" }, { model_type: "modernbert" }), "file");
  assertEquals(familyOf({}, {}), "file");
  assertEquals(familyOf({}, undefined), "file");
  assertEquals(familyOf({ tokenizer_class: "RobertaTokenizerFast" }, undefined), "roberta");
  assertEquals(familyOf({}, { model_type: "roberta" }), "roberta");
  assertEquals(familyOf({ tokenizer_class: "XLMRobertaTokenizerFast" }, undefined), "xlm-roberta");
  assertEquals(familyOf({}, { model_type: "camembert" }), "camembert");
  assertEquals(familyOf({ tokenizer_class: "BertTokenizer" }, { model_type: "roberta" }), "bert");
});

Deno.test("familyOf refuses other families by name", () => {
  for (
    const name of [
      "BertJapaneseTokenizer",
      "DebertaV2Tokenizer",
      "XLMProphetNetTokenizer",
      "AlbertTokenizer",
      "MPNetTokenizer",
    ]
  ) {
    assertThrows(() => familyOf({ tokenizer_class: name }, undefined), ClozeError, `"${name}"`);
    assertThrows(() => familyOf({}, { tokenizer_class: name }), ClozeError, "in config.json");
  }
  assertThrows(() => familyOf({}, { model_type: "albert" }), ClozeError, "model_type");
  assertThrows(() => familyOf({ tokenizer_class: 7 }, undefined), ClozeError, "tokenizer_class");
});

Deno.test("checkFields names what would cut text otherwise", () => {
  const refused = {
    word_tokenizer_type: "mecab",
    subword_tokenizer_type: "character",
    never_split: ["[URL]"],
    do_basic_tokenize: false,
    split_special_tokens: true,
    auto_map: { AutoTokenizer: ["a.B", null] },
  };
  for (const [name, value] of Object.entries(refused)) {
    assertThrows(() => checkFields({ [name]: value }), ClozeError, `its ${name} in tokenizer_config.json`);
  }
  checkFields({ word_tokenizer_type: null, never_split: null, do_basic_tokenize: true, split_special_tokens: false });
});
