/**
 * Which tokenizer a folder's files mean, by the rules of transformers' `AutoTokenizer`: `tokenizer_class`, and without it the
 * model's type. What is of another family is refused by its name. Used by `files.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { isObject, type Json, list, shown, string } from "./json_fields.ts";

/**
 * `bert` is made anew from the vocabulary and `tokenizer_config.json`, whatever else tokenizer.json says; `file` is what
 * tokenizer.json says; `bert-file` is that with BERT's special tokens, as transformers' `ConvBertTokenizer` is. `roberta` and
 * `gpt-neox` are made anew from vocabulary, merges and `tokenizer_config.json`, `xlm-roberta` and `camembert` from vocabulary,
 * charsmap and `tokenizer_config.json`.
 */
export type Family = "bert" | "bert-file" | "file" | "roberta" | "gpt-neox" | "xlm-roberta" | "camembert";

/** transformers' `BertTokenizer`, the names that mean it, and a subclass that is made in the same way (5.24). */
const BERT_CLASSES = new Set([
  "BertTokenizer",
  "DistilBertTokenizer",
  "ElectraTokenizer",
  "LayoutLMTokenizer",
  "LxmertTokenizer",
  "MobileBertTokenizer",
  "SqueezeBertTokenizer",
]);

/** What follows tokenizer.json. */
const FILE_CLASSES = new Set(["PreTrainedTokenizer", "PreTrainedTokenizerFast", "PythonBackend", "TokenizersBackend"]);

/** Types of models whose tokenizer is `BertTokenizer`, and that have a text encoder. */
const BERT_MODELS = new Set([
  "bert",
  "bros",
  "convbert",
  "distilbert",
  "electra",
  "ernie",
  "layoutlm",
  "megatron-bert",
  "mobilebert",
  "nezha",
  "nomic_bert",
  "qdqbert",
  "realm",
  "retribert",
  "squeezebert",
]);

/** Types whose tokenizer is what tokenizer.json says, whatever `tokenizer_class` says. */
const FILE_MODELS = new Set(["modernbert", "modernbert-decoder", "nystromformer"]);

/** Other classes that are made anew, by name. */
const OTHER_CLASSES: Record<string, Family> = {
  CamembertTokenizer: "camembert",
  ConvBertTokenizer: "bert-file",
  GPTNeoXTokenizer: "gpt-neox",
  LongformerTokenizer: "roberta",
  RobertaTokenizer: "roberta",
  XLMRobertaTokenizer: "xlm-roberta",
};

/** Types of models whose tokenizer is one of these, where nothing else says so. */
const OTHER_MODELS: Record<string, Family> = {
  camembert: "camembert",
  longformer: "roberta",
  roberta: "roberta",
  "xlm-roberta": "xlm-roberta",
};

const HINT = `cloze reads BertTokenizer and its like, ${
  Object.keys(OTHER_CLASSES).join(", ")
}, and PreTrainedTokenizerFast`;

/**
 * The family of a folder's tokenizer.
 *
 * @param config what tokenizer_config.json says.
 * @param model what config.json says, if there is one.
 * @throws {ClozeError} naming the field that says that it is of another family.
 */
export function familyOf(config: Record<string, Json>, model: Record<string, Json> | undefined): Family {
  const type = model?.model_type;
  if (FILE_MODELS.has(type)) return "file";
  for (const [where, json] of [["tokenizer_config.json", config], ["config.json", model]] as const) {
    const name = json?.tokenizer_class;
    if (name === undefined || name === null) continue;
    const plain = string(name, `tokenizer_class in ${where}`).replace(/Fast$/, "");
    if (BERT_CLASSES.has(plain)) return "bert";
    if (Object.hasOwn(OTHER_CLASSES, plain)) return OTHER_CLASSES[plain];
    if (FILE_CLASSES.has(plain) || FILE_CLASSES.has(`${plain}Fast`)) return "file";
    throw new ClozeError("input", `its tokenizer_class in ${where} is ${shown(name)}, which cloze does not read`, {
      hint: HINT,
    });
  }
  if (type === undefined || type === null) return "file";
  if (BERT_MODELS.has(type)) return "bert";
  if (Object.hasOwn(OTHER_MODELS, type)) return OTHER_MODELS[type];
  throw new ClozeError(
    "input",
    `its model_type in config.json is ${shown(type)}, whose tokenizer cloze does not read`,
    {
      hint: HINT,
    },
  );
}

/**
 * Checks that a family's tokenizer can be made of a `vocab.txt`, which is a list of WordPiece tokens. transformers makes one
 * without these words where the family's has other files.
 *
 * @throws {ClozeError} naming the family.
 */
export function checkWordPiece(family: Family): void {
  if (family === "bert" || family === "bert-file" || family === "file") return;
  throw new ClozeError("input", `its tokenizer is ${family}'s, which is not made of a vocab.txt`, {
    hint:
      "add its tokenizer.json, or, if these are WordPiece tokens, say tokenizer_class BertTokenizer in tokenizer_config.json",
  });
}

/** Fields of tokenizer_config.json that change ids where they are not as here. */
const REFUSED: Record<string, (value: Json) => boolean> = {
  auto_map: (value) => Array.isArray(value) || (isObject(value) && "AutoTokenizer" in value),
  do_basic_tokenize: (value) => value === false,
  never_split: (value) => Array.isArray(value) ? value.length > 0 : value !== null,
  word_tokenizer_type: isGiven,
  subword_tokenizer_type: isGiven,
  mecab_kwargs: isGiven,
  sudachi_kwargs: isGiven,
  jumanpp_kwargs: isGiven,
  split_special_tokens: (value) => value !== false,
  init_inputs: (value) => !Array.isArray(value) || value.length > 0,
  fast_tokenizer_files: (value) => list(value, "fast_tokenizer_files").some((name) => name !== "tokenizer.json"),
};

function isGiven(value: Json): boolean {
  return value !== null;
}

/** @throws {ClozeError} naming the field of tokenizer_config.json that asks for what cloze does not do. */
export function checkFields(config: Record<string, Json>): void {
  for (const [name, isRefused] of Object.entries(REFUSED)) {
    if (config[name] === undefined || !isRefused(config[name])) continue;
    throw new ClozeError(
      "input",
      `its ${name} in tokenizer_config.json is ${shown(config[name])}, which cloze does not do`,
      {
        hint: HINT,
      },
    );
  }
}
