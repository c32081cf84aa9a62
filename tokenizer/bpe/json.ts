/** `model` of tokenizer.json for BPE, and vocab.json with merges.txt. Used by the registry of models. */

import { ClozeError } from "../../config/cloze_error.ts";
import { boolean, isObject, type Json, list, object, refusal, shown, string } from "../json_fields.ts";
import type { ModelKind } from "../pipeline/model_kind.ts";
import { readVocabulary } from "../vocabulary_json.ts";
import { Bpe, type BpeData } from "./bpe.ts";
import { growBpe } from "./growth.ts";

/** A pair as files have it: a list of two tokens, or both with a space between them. */
function pairOf(merge: unknown, i: number): [string, string] {
  const name = `model.merges[${i}]`;
  const parts = typeof merge === "string" ? merge.split(" ") : list(merge, name);
  if (parts.length !== 2) throw refusal(name, merge, "two tokens");
  return [string(parts[0], name), string(parts[1], name)];
}

/** Pairs of tokens → three ids a merge: the pair, and what it becomes. */
export function mergeIds(
  pairs: readonly unknown[],
  idOf: (token: string) => number | undefined,
): Int32Array<ArrayBuffer> {
  const merges = new Int32Array(3 * pairs.length);
  pairs.forEach((pair, i) => {
    const [left, right] = pairOf(pair, i);
    [left, right, left + right].forEach((token, k) => {
      const id = idOf(token);
      if (id === undefined) {
        throw new ClozeError("input", `its model.merges[${i}] has the token ${shown(token)}, which model.vocab lacks`);
      }
      merges[3 * i + k] = id;
    });
  });
  return merges;
}

/** Fields that have to be as they usually are, or missing: null, or what means the same. */
function nothing(json: Record<string, Json>, name: string, meansNothing: unknown): void {
  const value = json[name];
  if (value === undefined || value === null || value === meansNothing) return;
  throw refusal(`model.${name}`, value, "null", "cloze reads BPE without dropout, prefixes and suffixes");
}

/** BPE in tokenizer.json. */
export const BPE: ModelKind<BpeData> = {
  read(json, byte_level) {
    const vocab = object(json.vocab, "model.vocab");
    const vocabulary = readVocabulary(vocab);
    const idOf = (token: string): number | undefined => Object.hasOwn(vocab, token) ? vocab[token] : undefined;
    nothing(json, "dropout", 0);
    nothing(json, "continuing_subword_prefix", "");
    nothing(json, "end_of_word_suffix", "");
    const flag = (name: string) => json[name] === undefined ? false : boolean(json[name], `model.${name}`);
    const unk_token = json.unk_token === undefined || json.unk_token === null
      ? null
      : string(json.unk_token, "model.unk_token");
    if (unk_token !== null && idOf(unk_token) === undefined) {
      throw new ClozeError("input", `its model.unk_token ${shown(unk_token)} is not in model.vocab`);
    }
    const byte_fallback = flag("byte_fallback");
    if (byte_fallback && !byte_level) checkBytes(idOf);
    return {
      vocabulary,
      data: {
        type: "BPE",
        merges: mergeIds(list(json.merges, "model.merges"), idOf),
        byte_level,
        unk_token,
        fuse_unk: flag("fuse_unk"),
        byte_fallback,
        ignore_merges: flag("ignore_merges"),
      },
    };
  },
  write(vocabulary, { merges, unk_token, fuse_unk, byte_fallback, ignore_merges }) {
    const pairs = Array.from({ length: merges.length / 3 }, (_, i) => [
      vocabulary[merges[3 * i]],
      vocabulary[merges[3 * i + 1]],
    ]);
    return {
      type: "BPE",
      dropout: null,
      unk_token,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk,
      byte_fallback,
      ignore_merges,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
      merges: pairs,
    };
  },
  /** A pair of files is what RoBERTa's older tokenizer reads; a token with a space in it would be two of them. */
  files(vocabulary, { merges, byte_level }): Record<string, string> {
    if (!byte_level) return {};
    const lines = Array.from(
      { length: merges.length / 3 },
      (_, i) => `${vocabulary[merges[3 * i]]} ${vocabulary[merges[3 * i + 1]]}\n`,
    );
    return {
      "vocab.json": JSON.stringify(Object.fromEntries(vocabulary.map((token, id) => [token, id]))) + "\n",
      "merges.txt": `#version: 0.2\n${lines.join("")}`,
    };
  },
  build({ vocabulary, own }, data) {
    return new Bpe(vocabulary, data, own);
  },
  grow: growBpe,
};

/** @throws {ClozeError} if a byte has no token: what became of its neighbours would be no one's intention. */
function checkBytes(idOf: (token: string) => number | undefined): void {
  for (let byte = 0; byte < 256; byte++) {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
    if (idOf(name) === undefined) {
      throw new ClozeError("input", `its model has byte_fallback, but model.vocab lacks ${name}`);
    }
  }
}

/**
 * The merges of a merges.txt.
 *
 * @throws {ClozeError} `input` naming the line.
 */
export function parseMergesTxt(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines.at(-1) === "") lines.pop();
  const merges = lines.filter((line) => !line.startsWith("#version"));
  const wrong = merges.find((line) => line.split(" ").length !== 2);
  if (wrong === undefined) return merges;
  throw new ClozeError(
    "input",
    `its line ${lines.indexOf(wrong) + 1} is ${shown(wrong)}, not two tokens with a space between`,
  );
}

/** The vocabulary of a vocab.json, as `model` of tokenizer.json. */
export function modelOfFiles(vocab: Json, merges: string[], unk_token: string | null): Record<string, Json> {
  if (!isObject(vocab)) throw refusal("content", vocab, "an object");
  return { type: "BPE", vocab, merges, unk_token };
}
