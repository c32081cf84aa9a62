/**
 * `tokenizer.json` with a WordPiece model: what it says, as far as it is of the BERT family. A field that would make other ids than here is refused
 * by its name. Used by `files.ts`.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { type FileToken, readAdded, readVocabulary } from "../vocabulary_json.ts";
import { boolean, isObject, type Json, list, object, only, refusal, shown, string } from "../json_fields.ts";
import { stepsOf } from "../pipeline/steps.ts";
import { type NormalizerOptions, PRE_TOKENIZER_JSON, type PreTokenizerName } from "./pre_tokenizer.ts";

/** How text is normalized, as far as Hugging Face's files say it. */
export type FileNormalizer = Omit<NormalizerOptions, "compat" | "pre_tokenizer">;

/** What a tokenizer.json says. */
export interface TokenizerJson {
  /** The model's tokens by id. */
  vocabulary: string[];
  /** The id of a token of it. */
  idOf: (token: string) => number | undefined;
  max_input_chars_per_word: number;
  normalizer: FileNormalizer;
  pre_tokenizer: PreTokenizerName;
  added_tokens: FileToken[];
  /** The ids of [CLS] and [SEP], which it puts around a text; without them it puts nothing there. */
  template: { "[CLS]": unknown; "[SEP]": unknown } | undefined;
  cleanup: boolean;
  /** What `padding` calls [PAD], which makes it special where nothing else does. */
  pad_token: string | undefined;
}

/** @throws {ClozeError} naming the field. */
export function readWordPiece(json: Record<string, Json>): TokenizerJson {
  const model = object(json.model, "model"), vocab = object(model.vocab, "model.vocab");
  const vocabulary = readVocabulary(vocab);
  only(model.continuing_subword_prefix, "##", "model.continuing_subword_prefix");
  only(model.unk_token, "[UNK]", "model.unk_token");
  return {
    vocabulary,
    idOf: (token) => Object.hasOwn(vocab, token) ? vocab[token] : undefined,
    max_input_chars_per_word: readLongest(model.max_input_chars_per_word),
    normalizer: readNormalizer(json.normalizer),
    pre_tokenizer: readPreTokenizer(json.pre_tokenizer),
    added_tokens: readAdded(json.added_tokens ?? []),
    template: readTemplate(json.post_processor),
    pad_token: isObject(json.padding) ? string(json.padding.pad_token, "padding.pad_token") : undefined,
    cleanup: isObject(json.decoder) && json.decoder.cleanup !== undefined
      ? boolean(json.decoder.cleanup, "decoder.cleanup")
      : true,
  };
}

/** Characters of the longest word that is not [UNK]. */
function readLongest(value: unknown): number {
  if (Number.isInteger(value) && value as number >= 0 && value as number <= 2 ** 64) {
    return Math.min(value as number, Number.MAX_SAFE_INTEGER);
  }
  throw refusal("model.max_input_chars_per_word", value, "a whole number");
}

/** Nothing, NFC, BertNormalizer, or NFC and then BertNormalizer; sequences of these. */
function readNormalizer(json: unknown): FileNormalizer {
  const options: FileNormalizer = {
    nfc: false,
    lowercase: false,
    strip_accents: false,
    clean_text: false,
    handle_chinese_chars: false,
  };
  const steps = stepsOf(json, "normalizer", "normalizers");
  steps.forEach((step, i) => {
    const isLast = i === steps.length - 1;
    if (step.type === "NFC" && i === 0) options.nfc = true;
    else if (step.type === "BertNormalizer" && isLast) {
      const flag = (field: string) => boolean(step[field], `normalizer.${field}`);
      const strip_accents = step.strip_accents ?? null;
      options.lowercase = flag("lowercase");
      options.clean_text = flag("clean_text");
      options.handle_chinese_chars = flag("handle_chinese_chars");
      options.strip_accents = strip_accents === null ? null : boolean(strip_accents, "normalizer.strip_accents");
    } else {
      throw new ClozeError("input", `its normalizer ${shown(step.type)} is not one that BERT tokenizers have`, {
        hint: "cloze reads BertNormalizer, alone or after NFC",
      });
    }
  });
  return options;
}

function readPreTokenizer(json: unknown): PreTokenizerName {
  const steps = stepsOf(json, "pre_tokenizer", "pretokenizers");
  for (const [name, known] of Object.entries(PRE_TOKENIZER_JSON)) {
    const expected = stepsOf(known, "pre_tokenizer", "pretokenizers");
    if (steps.length === expected.length && steps.every((step, i) => holds(step, expected[i]))) {
      return name as PreTokenizerName;
    }
  }
  const found = steps.map(({ type }) => typeof type === "string" ? type.slice(0, 40) : shown(type)).join(", ");
  throw refusal(
    "pre_tokenizer",
    found,
    '"BertPreTokenizer"',
    "cloze reads what train-tokenizer --pre-tokenizer writes",
  );
}

/** Whether an object has the fields of another, which are texts, booleans, or objects of these. */
function holds(found: Record<string, Json>, expected: Record<string, Json>): boolean {
  return Object.entries(expected).every(([key, value]) =>
    isObject(value) ? isObject(found[key]) && holds(found[key], value) : found[key] === value
  );
}

/** The ids of [CLS] and [SEP], if it puts them where BERT has them, or nothing anywhere. */
function readTemplate(json: unknown): TokenizerJson["template"] {
  const [step, second] = stepsOf(json, "post_processor", "processors");
  if (step === undefined) return undefined;
  if (second !== undefined) throw refusal("post_processor", "a sequence", "one step");
  if (step.type === "BertProcessing") {
    const idOf = (name: string, token: string): unknown => {
      const pair = list(step[name], `post_processor.${name}`);
      only(pair[0], token, `post_processor.${name}`);
      return pair[1];
    };
    return { "[CLS]": idOf("cls", "[CLS]"), "[SEP]": idOf("sep", "[SEP]") };
  }
  only(step.type, "TemplateProcessing", "post_processor");
  only(templateText(step.single, "single"), "[CLS]:0 $A:0 [SEP]:0", "post_processor.single");
  only(templateText(step.pair, "pair"), "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", "post_processor.pair");
  const specials = object(step.special_tokens, "post_processor.special_tokens");
  const idOf = (token: string): unknown => {
    const name = `post_processor.special_tokens.${token}`;
    const ids = list(object(specials[token], name).ids, `${name}.ids`);
    if (ids.length !== 1) throw refusal(`${name}.ids`, ids, "a list of one id");
    return ids[0];
  };
  return { "[CLS]": idOf("[CLS]"), "[SEP]": idOf("[SEP]") };
}

function templateText(json: unknown, name: string): string {
  return list(json, `post_processor.${name}`).map((value) => {
    const part = object(value, `post_processor.${name}`);
    const { id, type_id } = object(part.SpecialToken ?? part.Sequence, `post_processor.${name}`);
    return `${part.SpecialToken === undefined ? "$" : ""}${string(id, `post_processor.${name}`)}:${shown(type_id)}`;
  }).join(" ");
}
