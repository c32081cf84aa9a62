/**
 * Tokenizer files of the BERT family → a tokenizer: `tokenizer.json` or `vocab.txt`, with what stands beside it. Ids are those
 * of transformers' `AutoTokenizer` for the same folder, and of `tokenizers` for a tokenizer.json alone. What would be
 * tokenized differently here is refused by name. Used by the commands and by `inference/`.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";
import { LONGEST_FILE, readTextIfThere, readWholeText } from "../config/regular_file.ts";
import { type AddedToken, SPECIAL_TOKENS } from "./added_tokens.ts";
import { AddedVocabulary } from "./added_vocabulary.ts";
import { boolean, type Json, object, parseJson, shown } from "./json_fields.ts";
import { namedTokens, type NamingFiles } from "./named_tokens.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { NormalizerOptions } from "./wordpiece/pre_tokenizer.ts";
import { type WordPieceOptions, WordPieceTokenizer } from "./wordpiece/tokenizer.ts";
import { checkFields, type Family, familyOf } from "./tokenizer_family.ts";
import { COMPAT_KEY } from "./wordpiece/files.ts";
import { type FileNormalizer, type FileToken, parseTokenizerJson, type TokenizerJson } from "./wordpiece/json.ts";
import { hasCapitals, parseVocabTxt } from "./wordpiece/vocab_txt.ts";

/** What `BertTokenizer` takes for the longest word, whatever a file says. */
const BERT_LONGEST_WORD = 100;

/** The files beside a tokenizer.json or vocab.txt. */
interface Beside extends NamingFiles {
  /** Whether there is no tokenizer_config.json. */
  isAlone: boolean;
  /** config.json, of a model folder. */
  model: Record<string, Json> | undefined;
}

/**
 * Loads a model folder (its `tokenizer.json`, else `vocab.txt` with `tokenizer_config.json`), or one of the two files.
 *
 * @param use `model` asks for what a model needs: `[CLS]` and `[SEP]` around a text, and `[MASK]` in it.
 * @throws {ClozeError} `io` or `input`, naming the file and the field.
 */
export async function loadTokenizer(path: string, use: "text" | "model" = "text"): Promise<Tokenizer> {
  const isFolder = await Deno.stat(path).then((info) => info.isDirectory, (error) => {
    throw ioError(error, "read the tokenizer", path);
  });
  if (isFolder) {
    for (const name of ["tokenizer.json", "vocab.txt"]) {
      const found = await Deno.stat(`${path}/${name}`).then(() => true, () => false);
      if (found) return loadTokenizer(`${path}/${name}`, use);
    }
    throw new ClozeError("input", `${path} has no tokenizer.json and no vocab.txt`, {
      hint: "give a model folder, a tokenizer.json or a vocab.txt",
    });
  }
  const text = await readText(path);
  const folder = path.replace(/[^/\\]*$/, "");
  const optional = async (name: string) => await beside(`${folder}${name}`) ?? {};
  const config = await beside(`${folder}tokenizer_config.json`);
  const files = {
    config: config ?? {},
    isAlone: config === undefined,
    specialTokensMap: await optional("special_tokens_map.json"),
    addedTokens: await optional("added_tokens.json"),
    model: await beside(`${folder}config.json`),
  };
  try {
    checkFields(files.config);
    const family = familyOf(files.config, files.model);
    return path.endsWith(".json") ? fromTokenizerJson(text, files, family, use) : fromVocabTxt(text, files);
  } catch (error) {
    if (!(error instanceof ClozeError)) throw error;
    throw new ClozeError(error.code, `${path}: ${error.message}`, { hint: error.hint });
  }
}

const readText = (path: string) => readWholeText(path, LONGEST_FILE.tokenizer, "read the tokenizer");

/** A JSON file with an object in it that need not be there. */
async function beside(path: string): Promise<Record<string, Json> | undefined> {
  const text = await readTextIfThere(path, LONGEST_FILE.tokenizer, "read the tokenizer");
  if (text === undefined) return undefined;
  try {
    return object(parseJson(text), "content");
  } catch (error) {
    throw new ClozeError("input", (error as ClozeError).message.replace(/^it(s content)? is/, `${path} is`));
  }
}

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

function fromVocabTxt(text: string, files: Beside): Tokenizer {
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

function fromTokenizerJson(text: string, files: Beside, family: Family, use: "text" | "model"): Tokenizer {
  const json = parseTokenizerJson(text);
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
  for (const token of namedTokens(files, inFile, isBert, added)) added.add(token);
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

function built(added: AddedVocabulary, notes: string[], options: WordPieceOptions): Tokenizer {
  const tokenizer = new WordPieceTokenizer(added.vocabulary, { ...options, added_tokens: added.tokens, notes });
  if (tokenizer.special.unk >= tokenizer.pieces) {
    throw new ClozeError("input", "its vocabulary lacks [UNK]", {
      hint: `a BERT vocabulary has ${SPECIAL_TOKENS.join(" ")}`,
    });
  }
  added.check(tokenizer.normalizer);
  return tokenizer;
}
