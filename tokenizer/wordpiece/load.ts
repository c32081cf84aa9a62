/**
 * Files of the BERT family → a tokenizer: vocab.txt, or tokenizer.json with a WordPiece model, with what stands beside it. What
 * would be tokenized differently here is refused by name. Used by `files.ts`.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { type AddedToken, SPECIAL_TOKENS } from "../added_tokens.ts";
import { AddedVocabulary } from "../added_vocabulary.ts";
import type { Beside } from "../beside.ts";
import { boolean, type Json, shown } from "../json_fields.ts";
import { BERT_DEFAULTS, namedTokens } from "../named_tokens.ts";
import type { Family } from "../tokenizer_family.ts";
import type { FileToken } from "../vocabulary_json.ts";
import { BertSplitter } from "./bert_splitter.ts";
import { type FileNormalizer, readWordPiece, type TokenizerJson } from "./json.ts";
import { COMPAT_KEY, type NormalizerOptions } from "./pre_tokenizer.ts";
import { type WordPieceOptions, WordPieceTokenizer } from "./tokenizer.ts";
import { hasCapitals, parseVocabTxt } from "./vocab_txt.ts";

/** What `BertTokenizer` takes for the longest word, whatever a file says. */
const BERT_LONGEST_WORD = 100;

function readCompat(config: Json): Pick<NormalizerOptions, "compat"> {
  const compat = config[COMPAT_KEY] ?? "huggingface";
  if (compat === "huggingface" || compat === "google") return { compat };
  throw new ClozeError("input", `${COMPAT_KEY} in its tokenizer_config.json is ${shown(compat)}`, {
    hint: "cloze knows google and huggingface",
  });
}

/** How `BertTokenizer` normalizes; `lowercase` is what applies where nothing is said. */
function bertNormalizer(config: Record<string, Json>, lowercase: boolean): FileNormalizer {
  const flag = (name: string, fallback: boolean) =>
    config[name] === undefined ? fallback : boolean(config[name], `${name} in tokenizer_config.json`);
  const accents = config.strip_accents ?? null;
  return {
    nfc: false,
    lowercase: flag("do_lower_case", lowercase),
    strip_accents: accents === null ? null : boolean(accents, "strip_accents in tokenizer_config.json"),
    clean_text: true,
    handle_chinese_chars: flag("tokenize_chinese_chars", true),
  };
}

/** The tokenizer of a vocab.txt. */
export function fromVocabTxt(text: string, files: Beside): WordPieceTokenizer {
  const { vocabulary: model, hasBlankLines } = parseVocabTxt(text);
  const ids = new Map(model.map((token, id) => [token, id]));
  const added = new AddedVocabulary(model, (token) => ids.get(token)), notes: string[] = [];
  addTokens(added, files, [], true, notes);
  if (hasBlankLines && added.vocabulary.length > model.length) {
    throw new ClozeError(
      "input",
      `it has blank lines, behind which ${shown(added.vocabulary.at(-1))} has no certain id`,
      {
        hint: "delete the blank lines at its end, or save the tokenizer with transformers as tokenizer.json",
      },
    );
  }
  const isCased = hasCapitals(model.filter((token) => !added.has(token)));
  const { isAlone } = files;
  const normalizer = bertNormalizer(files.config, !(isAlone && isCased));
  if (files.config.do_lower_case === undefined && isCased) {
    notes.push(
      isAlone
        ? "vocab.txt has capitals, so text is not lowercased; transformers lowercases it unless do_lower_case is false"
        : "vocab.txt has capitals, but text is lowercased, as in transformers: do_lower_case is not in tokenizer_config.json",
    );
  }
  const { compat } = readCompat(files.config);
  return built(added, notes, {
    normalizer: { ...normalizer, compat },
    ...(compat === "google" ? { max_input_chars_per_word: 200 } : {}),
    pieces: model.length,
  });
}

/** The tokenizer of a tokenizer.json with a WordPiece model. */
export function wordPieceFrom(
  file: Record<string, Json>,
  files: Beside,
  family: Family,
  use: "text" | "model",
): WordPieceTokenizer {
  if (family !== "bert" && family !== "bert-file" && family !== "file") {
    throw new ClozeError("input", `its model is "WordPiece", which a ${family} tokenizer has not`, {
      hint: "name the right tokenizer_class in tokenizer_config.json",
    });
  }
  const json = readWordPiece(file);
  const isBert = family !== "file", notes: string[] = [];
  const { compat } = readCompat(files.config);
  const said = family === "bert" ? saidByConfig(json, files.config, notes) : json;
  const added = new AddedVocabulary(json.vocabulary, json.idOf);
  if (family !== "bert") json.added_tokens.forEach((token) => added.add(fields(token)));
  const pad = isBert || json.pad_token === undefined ? {} : { pad_token: json.pad_token };
  addTokens(added, { ...files, config: { ...pad, ...files.config } }, json.added_tokens, isBert, notes);
  for (const { content, id } of json.added_tokens) {
    const given = added.idOf(content);
    if (given === undefined || given === id) continue;
    notes.push(`tokenizer.json gives ${shown(content)} the id ${id}, but as in Hugging Face it has ${given}`);
  }
  checkTemplate(json, isBert, added, use);
  if (use === "model" && !added.has("[MASK]")) {
    throw new ClozeError("input", "its added_tokens lack [MASK], so that a text cannot have a blank", {
      hint: "save the tokenizer with mask_token",
    });
  }
  return built(added, notes, {
    normalizer: { ...said.normalizer, compat, pre_tokenizer: said.pre_tokenizer },
    max_input_chars_per_word: said.max_input_chars_per_word,
    cleanup: said.cleanup,
    pieces: json.vocabulary.length,
    idOf: (token) => added.idOf(token),
  });
}

/** What `BertTokenizer` makes of a tokenizer.json: it takes its vocabulary, and the rest from tokenizer_config.json. */
function saidByConfig(json: TokenizerJson, config: Record<string, Json>, notes: string[]): TokenizerJson {
  const normalizer = bertNormalizer(config, true);
  const said = {
    ...json,
    normalizer,
    pre_tokenizer: "bert" as const,
    // cloze's own files say what Google's rules are.
    max_input_chars_per_word: config[COMPAT_KEY] === "google" ? json.max_input_chars_per_word : BERT_LONGEST_WORD,
    cleanup: true,
  };
  const fieldsOf = ({ normalizer, pre_tokenizer, max_input_chars_per_word }: TokenizerJson) => {
    const { strip_accents, lowercase } = normalizer;
    return { ...normalizer, strip_accents: strip_accents ?? lowercase, pre_tokenizer, max_input_chars_per_word };
  };
  const here = fieldsOf(said), there: Record<string, unknown> = fieldsOf(json);
  const other = Object.entries(here).filter(([name, value]) => there[name] !== value);
  if (other.length > 0) {
    const list = (pairs: [string, unknown][]) => pairs.map(([name, value]) => `${name} ${shown(value)}`).join(", ");
    notes.push(
      `tokenizer.json says ${list(other.map(([name]) => [name, there[name]]))}; as in transformers, BertTokenizer ` +
        `follows tokenizer_config.json: ${list(other)}`,
    );
  }
  return said;
}

/** Adds what the files beside name. */
function addTokens(added: AddedVocabulary, files: Beside, inFile: FileToken[], isBert: boolean, notes: string[]): void {
  const { tokens } = namedTokens(files, inFile, isBert ? BERT_DEFAULTS : {}, BERT_DEFAULTS, added);
  for (const token of tokens) added.add(token);
  for (const [content, id] of Object.entries(files.addedTokens)) {
    const given = added.idOf(content);
    if (given === undefined || given === id) continue;
    notes.push(`added_tokens.json gives ${shown(content)} the id ${id}, but as in transformers it has ${given}`);
  }
}

function fields({ id: _, ...token }: FileToken): AddedToken {
  return token;
}

/** Whether [CLS] and [SEP] go around a text, with the ids that they have; cloze puts them there all the same. */
function checkTemplate({ template }: TokenizerJson, isBert: boolean, added: AddedVocabulary, use: string): void {
  if (isBert) return; // BertTokenizer brings its own
  if (template === undefined) {
    if (use === "text") return;
    throw new ClozeError(
      "input",
      "its post_processor puts no [CLS] and no [SEP] around a text, as this model's needs",
      {
        hint: "save the tokenizer with TemplateProcessing: [CLS] $A [SEP]",
      },
    );
  }
  for (const [token, id] of Object.entries(template)) {
    if (id === added.idOf(token)) continue;
    throw new ClozeError(
      "input",
      `its post_processor gives ${token} the id ${shown(id)}, but it has ${added.idOf(token)}`,
    );
  }
}

function built(added: AddedVocabulary, notes: string[], options: WordPieceOptions): WordPieceTokenizer {
  const tokenizer = new WordPieceTokenizer(added.vocabulary, { ...options, added_tokens: added.tokens, notes });
  if (tokenizer.special.unk >= tokenizer.pieces) {
    throw new ClozeError("input", "its vocabulary lacks [UNK]", {
      hint: `a BERT vocabulary has ${SPECIAL_TOKENS.join(" ")}`,
    });
  }
  added.check(new BertSplitter(tokenizer.normalizer));
  return tokenizer;
}
