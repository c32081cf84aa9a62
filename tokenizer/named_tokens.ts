/**
 * The added tokens that a folder's configuration names, in the order in which transformers adds them: what
 * `added_tokens_decoder` lists (in older folders special_tokens_map.json, added_tokens.json and tokenizer.json), then the named
 * special tokens, then the extra ones. Used by `files.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { AddedToken } from "./added_tokens.ts";
import type { AddedVocabulary } from "./added_vocabulary.ts";
import { boolean, isObject, type Json, list, object, refusal, shown, string } from "./json_fields.ts";
import type { FileToken } from "./vocabulary_json.ts";

/** The files beside tokenizer.json, as they are. */
export interface NamingFiles {
  config: Record<string, Json>;
  specialTokensMap: Record<string, Json>;
  addedTokens: Record<string, Json>;
}

/** The names that transformers knows, in its order. */
const NAMES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] as const;

/** What a class of transformers has for the names that nothing is said of; in none are all of them. */
export type DefaultNames = Partial<Record<typeof NAMES[number], string>>;

/** BERT's. */
export const BERT_DEFAULTS: DefaultNames = {
  unk_token: "[UNK]",
  sep_token: "[SEP]",
  pad_token: "[PAD]",
  cls_token: "[CLS]",
  mask_token: "[MASK]",
};

/** What is added, and what tokens are called. */
export interface NamedTokens {
  /** In order. */
  tokens: AddedToken[];
  /** Contents by name, such as `mask_token`. */
  names: ReadonlyMap<string, string>;
}

/** What transformers calls special tokens without a name of their own, and what it called them once. */
const EXTRA = "extra_special_tokens", OLDER_EXTRA = "additional_special_tokens";

/** Where names are read from, for errors. */
const CONFIG = "tokenizer_config.json", MAP = "special_tokens_map.json";

/**
 * The tokens to add.
 *
 * @param inFile those of tokenizer.json.
 * @param defaults what the tokenizer's class has for the names that nothing is said of.
 * @param expected names that cannot mean anything else than this.
 * @param known what the tokenizer has already.
 */
export function namedTokens(
  files: NamingFiles,
  inFile: readonly FileToken[],
  defaults: DefaultNames,
  expected: DefaultNames,
  known: AddedVocabulary,
): NamedTokens {
  const names = new Names(files.config, defaults, expected);
  const listed = files.config.added_tokens_decoder === undefined
    ? listedBefore(files, inFile, names)
    : [...Object.entries(object(files.config.added_tokens_decoder, `added_tokens_decoder in ${CONFIG}`))].map(
      ([id, value]) => [Number(id), tokenOf(value, `added_tokens_decoder in ${CONFIG}`)] as const,
    );
  const byId = [...new Map(listed)].sort(([a], [b]) => a - b).map(([, token]) => token);
  const contents = new Set(byId.map(({ content }) => content));
  const isKnown = (content: string) => known.has(content) || contents.has(content);
  const { extra } = names;
  // A listed token says more than its name does, even where another one took its id.
  const byContent = new Map(listed.map(([, token]) => [token.content, token]));
  const named = names.inOrder.map((token) => byContent.get(token.content) ?? token);
  const isNamed = new Set(named.map(({ content }) => content));
  const tokens = [...byId, ...[...named, ...extra].filter(({ content }) => !isKnown(content))].map((token) => {
    const special = token.special || isNamed.has(token.content);
    return { ...token, special };
  });
  return { tokens, names: new Map([...names.named].map(([name, { content }]) => [name, content])) };
}

/** What a folder without `added_tokens_decoder` lists, by the ids in its files. */
function listedBefore(files: NamingFiles, inFile: readonly FileToken[], names: Names): [number, AddedToken][] {
  for (const [name, value] of Object.entries(files.specialTokensMap)) names.set(name, value, MAP);
  const listed: [number, AddedToken][] = [];
  for (const [content, id] of Object.entries(files.addedTokens)) {
    if (!Number.isInteger(id)) throw refusal(`added_tokens.json's ${shown(content)}`, id, "an id");
    const special = names.isSaid(content);
    const normalized = special ? {} : { normalized: true };
    listed.push([id, { content, special, lstrip: false, rstrip: false, single_word: false, ...normalized }]);
  }
  return [...listed, ...inFile.map(({ id, ...token }) => [id, token] as [number, AddedToken])];
}

/** The special tokens that the configuration names. */
class Names {
  readonly named = new Map<string, AddedToken>();
  extra: AddedToken[] = [];
  readonly #defaults: DefaultNames;
  readonly #expected: DefaultNames;
  /** Whether the extra ones are settled, so that the older name for them means nothing. */
  #hasExtra = false;
  /** Contents that make a token of added_tokens.json special. */
  readonly #said = new Set<string>();

  constructor(config: Record<string, Json>, defaults: DefaultNames, expected: DefaultNames) {
    this.#defaults = defaults;
    this.#expected = expected;
    for (const name of NAMES) {
      const content = defaults[name];
      if (content !== undefined && config[name] === undefined) this.named.set(name, plain(content));
      if (config[name] !== undefined) this.set(name, config[name], CONFIG);
    }
    const extra = config[EXTRA], older = config[OLDER_EXTRA];
    // What the older name lists is taken unless the newer one lists something, too: that may give names instead.
    const listed = older === undefined
      ? [extra]
      : isEmpty(extra)
      ? [older]
      : isObject(extra)
      ? [extra, older]
      : [extra];
    for (const value of listed) if (value !== undefined) this.set(EXTRA, value, CONFIG);
    for (const [name, value] of Object.entries(config)) {
      if (name.endsWith("_token") && !isKnownName(name) && typeof value === "string") {
        this.set(name, value, CONFIG);
      }
    }
  }

  /** Those that transformers has a name for, in its order, then others. */
  get inOrder(): AddedToken[] {
    const first = NAMES.map((name) => this.named.get(name)).filter((token) => token !== undefined);
    return [...first, ...[...this.named].filter(([name]) => !isKnownName(name)).map(([, token]) => token)];
  }

  /** Takes what a file says of a name. */
  set(name: string, value: Json, where: string): void {
    const field = `${name} in ${where}`;
    if (name === EXTRA || name === OLDER_EXTRA) return this.#setExtra(name, value, field, where);
    const known = isKnownName(name) ? name : undefined;
    // null is no token, and a class cannot do without its own.
    if (value === null && (known === undefined || this.#defaults[known] === undefined)) return;
    if (!name.endsWith("_token")) {
      throw new ClozeError("input", `its ${field} is ${shown(value)}, which cloze does not do`);
    }
    const token = named(value, field, where === MAP);
    const expected = known && this.#expected[known];
    if (expected !== undefined && token.content !== expected) {
      throw refusal(field, token.content, JSON.stringify(expected), "cloze reads tokenizers of the BERT family");
    }
    this.named.set(name, token);
    if (known !== undefined) this.#said.add(token.content);
  }

  #setExtra(name: string, value: Json, field: string, where: string): void {
    if (name === OLDER_EXTRA && this.#hasExtra) return;
    if (isObject(value) && name === EXTRA) {
      for (const [key, token] of Object.entries(value)) this.named.set(key, named(token, `${field}.${key}`, false));
      return;
    }
    if (name === EXTRA) this.#hasExtra = true;
    if (value === null) return;
    const tokens = list(value, field).map((token) => named(token, field, where === MAP && name === EXTRA));
    this.extra = [...this.extra, ...tokens];
    if (name === EXTRA) { for (const { content } of tokens) this.#said.add(content); }
  }

  /** Whether a file names it as special. */
  isSaid(content: string): boolean {
    return this.#said.has(content);
  }
}

function isKnownName(name: string): name is typeof NAMES[number] {
  return (NAMES as readonly string[]).includes(name);
}

function isEmpty(value: Json): boolean {
  return value === undefined || value === null || (Array.isArray(value) ? value : Object.keys(value)).length === 0;
}

function plain(content: string): AddedToken {
  return { content, special: true, lstrip: false, rstrip: false, single_word: false };
}

/** A text, or an object that says that it is a token; `anyObject` takes one that does not say so. */
function named(value: Json, field: string, anyObject: boolean): AddedToken {
  if (typeof value === "string") return plain(string(value, field));
  if (!isObject(value) || (!anyObject && value.__type !== "AddedToken")) {
    throw refusal(field, value, "a text or an AddedToken");
  }
  const { __type: _, ...fields } = value;
  return tokenOf(anyObject ? { ...fields, special: true } : fields, field);
}

const FIELDS = ["content", "lstrip", "rstrip", "single_word", "normalized", "special"];

/** As Python's `AddedToken(**value)`. */
function tokenOf(value: Json, field: string): AddedToken {
  const json = object(value, field);
  const other = Object.keys(json).find((key) => !FIELDS.includes(key));
  if (other !== undefined) {
    throw new ClozeError("input", `its ${field} has ${shown(other)}, which is no field of a token`);
  }
  const flag = (name: string, fallback: boolean) =>
    json[name] === undefined ? fallback : boolean(json[name], `${field}: ${name}`);
  const special = flag("special", false);
  return {
    content: string(json.content, `${field}: content`),
    special,
    lstrip: flag("lstrip", false),
    rstrip: flag("rstrip", false),
    single_word: flag("single_word", false),
    ...(flag("normalized", !special) ? { normalized: true } : {}),
  };
}
