/** Tokenizer files: `tokenizer.json`, `vocab.txt`, `tokenizer_config.json`, `special_tokens_map.json`, in and out. */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import type { NormalizerOptions } from "./pre_tokenizer.ts";
import { SPECIAL_TOKENS, Tokenizer } from "./tokenizer.ts";

/**
 * Loads a model folder (its `tokenizer.json`, else `vocab.txt` with `tokenizer_config.json`), or one of the two files.
 *
 * @throws {ClozeError} `io` or `input`, naming the file.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  const isFolder = await Deno.stat(path).then((info) => info.isDirectory, (error) => {
    throw ioError(error, "read the tokenizer", path);
  });
  if (isFolder) {
    for (const name of ["tokenizer.json", "vocab.txt"]) {
      const found = await Deno.stat(`${path}/${name}`).then(() => true, () => false);
      if (found) return loadTokenizer(`${path}/${name}`);
    }
    throw new ClozeError("input", `${path} has no tokenizer.json and no vocab.txt`, {
      hint: "give a model folder, a tokenizer.json or a vocab.txt",
    });
  }
  const text = await Deno.readTextFile(path).catch((error) => {
    throw ioError(error, "read the tokenizer", path);
  });
  try {
    return path.endsWith(".json") ? fromTokenizerJson(text) : await fromVocabTxt(text, path);
  } catch (error) {
    if (!(error instanceof ClozeError)) throw error;
    throw new ClozeError(error.code, `${path}: ${error.message}`, { hint: error.hint });
  }
}

async function fromVocabTxt(text: string, path: string): Promise<Tokenizer> {
  const vocabulary = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  while (vocabulary.length > 0 && vocabulary[vocabulary.length - 1] === "") vocabulary.pop();
  const folder = path.replace(/[^/\\]*$/, "");
  const config = await Deno.readTextFile(`${folder}tokenizer_config.json`).then(JSON.parse, () => ({}));
  return new Tokenizer(vocabulary, {
    normalizer: {
      nfc: false,
      // BertTokenizer lowercases unless told otherwise; a vocabulary with capitals was made for a cased model.
      lowercase: config.do_lower_case ?? !vocabulary.some((token) => /^[A-Z][a-z]/.test(token)),
      strip_accents: config.strip_accents ?? null,
      handle_chinese_chars: config.tokenize_chinese_chars ?? true,
    },
  });
}

interface JsonNormalizer extends Partial<NormalizerOptions> {
  type: string;
  normalizers?: JsonNormalizer[];
}

function fromTokenizerJson(text: string): Tokenizer {
  let json;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ClozeError("input", `it is not JSON: ${messageOf(error)}`);
  }
  const model = json?.model;
  if (model?.type !== undefined && model.type !== "WordPiece" || typeof model?.vocab !== "object") {
    throw new ClozeError("input", `its model is ${JSON.stringify(model?.type)}, but cloze reads "WordPiece"`);
  }
  if ((model.continuing_subword_prefix ?? "##") !== "##") {
    throw new ClozeError("input", `its continuing_subword_prefix is ${model.continuing_subword_prefix}, not ##`);
  }
  const entries: [string, number][] = Object.entries(model.vocab as Record<string, number>);
  for (const { content, id } of json.added_tokens ?? []) if (!(content in model.vocab)) entries.push([content, id]);
  const vocabulary = new Array<string>(entries.length);
  for (const [token, id] of entries) {
    if (!Number.isInteger(id) || id < 0 || id >= entries.length || vocabulary[id] !== undefined) {
      throw new ClozeError(
        "input",
        `the id ${id} of ${JSON.stringify(token)} is taken or outside 0..${entries.length}`,
        { hint: "a vocabulary has every id from 0 on once" },
      );
    }
    vocabulary[id] = token;
  }
  return new Tokenizer(vocabulary, {
    normalizer: readNormalizer(json.normalizer),
    max_input_chars_per_word: model.max_input_chars_per_word ?? 100,
  });
}

/** Nothing, NFC, BertNormalizer, or NFC and then BertNormalizer. */
function readNormalizer(json: JsonNormalizer | null): Partial<NormalizerOptions> {
  const steps = json === null || json === undefined ? [] : json.type === "Sequence" ? json.normalizers ?? [] : [json];
  const options: NormalizerOptions = {
    nfc: false,
    lowercase: false,
    strip_accents: false,
    clean_text: false,
    handle_chinese_chars: false,
  };
  steps.forEach((step, i) => {
    if (step.type === "NFC" && i === 0) options.nfc = true;
    else if (step.type === "BertNormalizer") {
      options.lowercase = step.lowercase ?? true;
      options.strip_accents = step.strip_accents ?? null;
      options.clean_text = step.clean_text ?? true;
      options.handle_chinese_chars = step.handle_chinese_chars ?? true;
    } else {
      throw new ClozeError("input", `its normalizer ${step.type} is not one that BERT tokenizers have`, {
        hint: "cloze reads BertNormalizer, alone or after NFC",
      });
    }
  });
  return options;
}

/** Contents of the four files, by name. AutoTokenizer loads a folder that holds them and gives the same ids. */
export function tokenizerFiles(tokenizer: Tokenizer, max_length: number): Record<string, string> {
  const { nfc, ...bert } = tokenizer.normalizer;
  const normalizer = { type: "BertNormalizer", ...bert };
  const id = (token: string) => tokenizer.idOf(token)!;
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  const tokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content) => ({
      id: id(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })).sort((a, b) => a.id - b.id),
    normalizer: nfc ? { type: "Sequence", normalizers: [{ type: "NFC" }, normalizer] } : normalizer,
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [special("[CLS]"), { Sequence: { id: "A", type_id: 0 } }, special("[SEP]")],
      pair: [
        special("[CLS]"),
        { Sequence: { id: "A", type_id: 0 } },
        special("[SEP]"),
        { Sequence: { id: "B", type_id: 1 } },
        { SpecialToken: { id: "[SEP]", type_id: 1 } },
      ],
      special_tokens: Object.fromEntries(
        ["[CLS]", "[SEP]"].map((token) => [token, { id: token, ids: [id(token)], tokens: [token] }]),
      ),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: tokenizer.max_input_chars_per_word,
      vocab: Object.fromEntries(tokenizer.vocabulary.map((token, id) => [token, id])),
    },
  };
  const names = {
    unk_token: "[UNK]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
    cls_token: "[CLS]",
    mask_token: "[MASK]",
  };
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    // Without it, transformers would tell a model nothing of which segment a token is in.
    model_input_names: ["input_ids", "token_type_ids", "attention_mask"],
    model_max_length: max_length,
    do_lower_case: tokenizer.normalizer.lowercase,
    strip_accents: tokenizer.normalizer.strip_accents,
    tokenize_chinese_chars: tokenizer.normalizer.handle_chinese_chars,
    ...names,
  };
  const pretty = (value: unknown) => JSON.stringify(value, null, 2) + "\n";
  return {
    "tokenizer.json": pretty(tokenizerJson),
    "vocab.txt": tokenizer.vocabulary.join("\n") + "\n",
    "tokenizer_config.json": pretty(config),
    "special_tokens_map.json": pretty(names),
  };
}
