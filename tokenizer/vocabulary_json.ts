/** `vocab` and `added_tokens` of tokenizer.json. Used by the readers of every model. */

import { ClozeError } from "../config/cloze_error.ts";
import type { AddedToken } from "./added_tokens.ts";
import { boolean, type Json, list, object, refusal, shown, string } from "./json_fields.ts";

/** An added token with the id that a file gives it, which is not always the one that it has. */
export interface FileToken extends AddedToken {
  id: number;
}

/**
 * Tokens by id. The first answer of `predict` waits for this in a process whose code is not compiled yet: so as little as
 * can be is done for each token, and what is wrong is looked for where something is.
 */
export function readVocabulary(vocab: Record<string, Json>): string[] {
  const tokens = Object.keys(vocab), size = tokens.length;
  const vocabulary = new Array<string>(size);
  for (let i = 0; i < size; i++) {
    const token = tokens[i], id = vocab[token];
    if (typeof id === "number") vocabulary[id] = token;
  }
  // As many ids as there are places, and no place empty: each is taken once. Half a character, which a token must not hold,
  // stays half of one between line feeds.
  const isRight = vocabulary.length === size && !vocabulary.includes(undefined as unknown as string) &&
    tokens.join("\n").isWellFormed();
  if (!isRight) refuseVocabulary(vocab, tokens);
  return vocabulary;
}

/** @throws {ClozeError} naming the first token whose id cannot be. */
function refuseVocabulary(vocab: Record<string, Json>, tokens: readonly string[]): never {
  const taken = new Set<number>();
  const isFine = (token: string) => {
    const id = vocab[token];
    if (!isId(id) || taken.has(id) || !token.isWellFormed()) return false;
    taken.add(id);
    return true;
  };
  const wrong = tokens.find((token) => !isFine(token)) ?? tokens.find((token) => vocab[token] >= tokens.length)!;
  throw new ClozeError(
    "input",
    `the id ${idShown(vocab[wrong])} of ${shown(wrong)} is taken or outside 0..${tokens.length - 1}`,
    { hint: "a vocabulary has every id from 0 on once" },
  );
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
