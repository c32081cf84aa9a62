/**
 * Tokenizer files of the BERT family, in and out: `tokenizer.json`, `vocab.txt`, `tokenizer_config.json`,
 * `special_tokens_map.json`, `added_tokens.json`. What would be tokenized differently here is refused.
 */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import type { AddedToken } from "./added_tokens.ts";
import type { NormalizerOptions } from "./pre_tokenizer.ts";
import { Tokenizer } from "./tokenizer.ts";

/** The key of `tokenizer_config.json` that says whose rules a tokenizer follows; other programs pass over it. */
const COMPAT_KEY = "cloze_compat";

// deno-lint-ignore no-explicit-any
type Json = any;

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
  const folder = path.replace(/[^/\\]*$/, "");
  const config = await beside(`${folder}tokenizer_config.json`) ?? {};
  try {
    if (path.endsWith(".json")) return fromTokenizerJson(text, config);
    return fromVocabTxt(text, config, await beside(`${folder}added_tokens.json`) ?? {});
  } catch (error) {
    if (!(error instanceof ClozeError)) throw error;
    throw new ClozeError(error.code, `${path}: ${error.message}`, { hint: error.hint });
  }
}

/** A JSON file that need not be there. */
async function beside(path: string): Promise<Json | undefined> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw ioError(error, "read the tokenizer", path);
  });
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch (error) {
    throw new ClozeError("input", `${path} is not JSON: ${messageOf(error)}`);
  }
}

function readCompat(config: Json): Pick<NormalizerOptions, "compat"> {
  const compat = config[COMPAT_KEY] ?? "huggingface";
  if (compat === "huggingface" || compat === "google") return { compat };
  throw new ClozeError("input", `${COMPAT_KEY} in its tokenizer_config.json is ${JSON.stringify(compat)}`, {
    hint: "cloze knows google and huggingface",
  });
}

/** One token a line: the id is the number of the line. */
function fromVocabTxt(text: string, config: Json, added: Record<string, number>): Tokenizer {
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  while (lines.length > 0 && lines[lines.length - 1].trimEnd() === "") lines.pop();
  // White space at the end of a line is not part of its token, unless there is nothing else.
  const vocabulary = lines.map((line) => line.trimEnd() || line);
  for (const [token, id] of Object.entries(added)) {
    if (vocabulary[id] === token) continue;
    if (id !== vocabulary.length) {
      throw new ClozeError(
        "input",
        `added_tokens.json has ${JSON.stringify(token)} at ${id}, but the next id is ${vocabulary.length}`,
      );
    }
    vocabulary.push(token);
  }
  const { compat } = readCompat(config);
  return new Tokenizer(vocabulary, {
    normalizer: {
      nfc: false,
      // BertTokenizer lowercases unless told otherwise; a vocabulary with capitals was made for a cased model.
      lowercase: config.do_lower_case ?? !vocabulary.some((token) => /^[A-Z][a-z]/.test(token)),
      strip_accents: config.strip_accents ?? null,
      handle_chinese_chars: config.tokenize_chinese_chars ?? true,
      compat,
    },
    ...(compat === "google" ? { max_input_chars_per_word: 200 } : {}),
    added_tokens: Object.keys(added).map((content) => ({ ...PLAIN, content, special: /^\[.*\]$/.test(content) })),
  });
}

const PLAIN: Omit<AddedToken, "content"> = { special: true, lstrip: false, rstrip: false, single_word: false };

function fromTokenizerJson(text: string, config: Json): Tokenizer {
  let json: Json;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ClozeError("input", `it is not JSON: ${messageOf(error)}`);
  }
  const model = json?.model;
  if (
    model?.type !== undefined && model.type !== "WordPiece" || typeof model?.vocab !== "object" || model.vocab === null
  ) {
    throw new ClozeError("input", `its model is ${JSON.stringify(model?.type)}, but cloze reads "WordPiece"`);
  }
  expect(model.continuing_subword_prefix ?? "##", "##", "continuing_subword_prefix");
  expect(model.unk_token ?? "[UNK]", "[UNK]", "unk_token");
  const vocabulary = readVocabulary(model.vocab, json.added_tokens ?? []);
  const normalizer = readNormalizer(json.normalizer);
  checkSplitting(json.pre_tokenizer);
  checkTemplate(json.post_processor);
  return new Tokenizer(vocabulary, {
    normalizer: { ...normalizer, ...readCompat(config) },
    max_input_chars_per_word: model.max_input_chars_per_word ?? 100,
    added_tokens: readAdded(json.added_tokens ?? []),
    cleanup: json.decoder?.cleanup ?? true,
  });
}

function expect(found: unknown, expected: string, what: string): void {
  if (found === expected) return;
  throw new ClozeError("input", `its ${what} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`, {
    hint: "cloze reads tokenizers of the BERT family",
  });
}

/** Tokens by id. Visits names one by one: making lists of 30,000 of them takes as long as parsing the file. */
function readVocabulary(vocab: Record<string, number>, added: { content: string; id: number }[]): string[] {
  const vocabulary: string[] = [], refused: [token: string, id: number][] = [];
  let size = 0;
  const place = (token: string, id: number) => {
    size++;
    const isId = Number.isInteger(id) && id >= 0 && id < 2 ** 31; // the engine takes them as Int32
    if (isId && vocabulary[id] === undefined) vocabulary[id] = token;
    else refused.push([token, id]);
  };
  for (const token in vocab) place(token, vocab[token]);
  for (const { content, id } of added) if (!Object.hasOwn(vocab, content)) place(content, id);
  if (vocabulary.length > size) refused.push([vocabulary[vocabulary.length - 1], vocabulary.length - 1]);
  if (refused.length > 0) {
    const [[token, id]] = refused;
    throw new ClozeError("input", `the id ${id} of ${JSON.stringify(token)} is taken or outside 0..${size}`, {
      hint: "a vocabulary has every id from 0 on once",
    });
  }
  return vocabulary;
}

function readAdded(added: Json[]): AddedToken[] {
  return added.map(
    ({ content, special = false, lstrip = false, rstrip = false, single_word = false, normalized = !special }) => ({
      content,
      special,
      lstrip,
      rstrip,
      single_word,
      ...(normalized ? { normalized } : {}),
    }),
  );
}

/** Nothing, NFC, BertNormalizer, or NFC and then BertNormalizer; sequences of these. */
function readNormalizer(json: Json): NormalizerOptions {
  const options: NormalizerOptions = {
    nfc: false,
    lowercase: false,
    strip_accents: false,
    clean_text: false,
    handle_chinese_chars: false,
    compat: "huggingface",
  };
  flatten(json, "normalizers").forEach((step, i) => {
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

/** The steps of a component, which may be nothing, one, or a sequence of sequences. */
function flatten(json: Json, key: string): Json[] {
  if (json === null || json === undefined) return [];
  return json.type === "Sequence" ? (json[key] ?? []).flatMap((step: Json) => flatten(step, key)) : [json];
}

function checkSplitting(json: Json): void {
  const types = flatten(json, "pretokenizers").map((step) => step.type);
  expect(types.join(", "), "BertPreTokenizer", "pre_tokenizer");
}

/** Whether [CLS] and [SEP] go where BERT has them; without a post-processor cloze puts them there all the same. */
function checkTemplate(json: Json): void {
  for (const step of flatten(json, "processors")) {
    if (step.type === "BertProcessing") {
      expect(`${step.cls?.[0]} $A ${step.sep?.[0]}`, "[CLS] $A [SEP]", "post_processor");
    } else if (step.type === "TemplateProcessing") {
      const shown = (step.single ?? []).map((part: Json) => part.SpecialToken?.id ?? `$${part.Sequence?.id}`);
      expect(shown.join(" "), "[CLS] $A [SEP]", "post_processor");
    } else {
      expect(step.type, "TemplateProcessing", "post_processor");
    }
  }
}

/** Contents of the four files, by name. AutoTokenizer loads a folder that holds them and gives the same ids. */
export function tokenizerFiles(tokenizer: Tokenizer, max_length: number): Record<string, string> {
  const { nfc, compat, ...bert } = tokenizer.normalizer;
  const normalizer = { type: "BertNormalizer", ...bert };
  const id = (token: string) => tokenizer.idOf(token)!;
  const special = (token: string) => ({ SpecialToken: { id: token, type_id: 0 } });
  const tokenizerJson = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: tokenizer.added_tokens.map((
      { content, single_word, lstrip, rstrip, special, normalized = false },
    ) => ({
      id: id(content),
      content,
      single_word,
      lstrip,
      rstrip,
      normalized,
      special,
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
    decoder: { type: "WordPiece", prefix: "##", cleanup: tokenizer.cleanup },
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
    ...(compat === "google" ? { [COMPAT_KEY]: compat } : {}),
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
