/** `vocab` and `added_tokens` of tokenizer.json. Used by the readers of every model. */

import { ClozeError } from "../config/cloze_error.ts";
import type { AddedToken } from "./added_tokens.ts";
import { boolean, type Json, list, object, refusal, shown, string } from "./json_fields.ts";

/** An added token with the id that a file gives it, which is not always the one that it has. */
export interface FileToken extends AddedToken {
  id: number;
}

/** Tokens by id. A list of names is made first: visiting those of an object one by one takes longer by half. */
export function readVocabulary(vocab: Record<string, Json>): string[] {
  const vocabulary: string[] = [], refused: [token: string, id: unknown][] = [];
  const tokens = Object.keys(vocab), size = tokens.length;
  for (const token of tokens) {
    const id = vocab[token];
    if (isId(id) && vocabulary[id] === undefined && token.isWellFormed()) vocabulary[id] = token;
    else refused.push([token, id]);
  }
  if (vocabulary.length > size) refused.push([vocabulary[vocabulary.length - 1], vocabulary.length - 1]);
  if (refused.length > 0) {
    const [[token, id]] = refused;
    throw new ClozeError("input", `the id ${idShown(id)} of ${shown(token)} is taken or outside 0..${size - 1}`, {
      hint: "a vocabulary has every id from 0 on once",
    });
  }
  return vocabulary;
}

function idShown(id: unknown): string {
  return typeof id === "string" ? id.slice(0, 20) : shown(id);
}

/** Whether it can be an id: the engine takes them as Int32. */
function isId(id: unknown): id is number {
  return Number.isInteger(id) && id as number >= 0 && id as number < 2 ** 31;
}

/** `added_tokens`. */
export function readAdded(added: unknown): FileToken[] {
  return list(added, "added_tokens").map((value, i) => {
    const name = `added_tokens[${i}]`, token = object(value, name);
    const flag = (field: string) => boolean(token[field], `${name}.${field}`);
    if (!isId(token.id)) throw refusal(`${name}.id`, token.id, "an id");
    return {
      id: token.id,
      content: string(token.content, `${name}.content`),
      special: flag("special"),
      lstrip: flag("lstrip"),
      rstrip: flag("rstrip"),
      single_word: flag("single_word"),
      ...(flag("normalized") ? { normalized: true } : {}),
    };
  });
}
