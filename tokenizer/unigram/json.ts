/** `model` of tokenizer.json for Unigram. Used by the registry of models. */

import { ClozeError } from "../../config/cloze_error.ts";
import { boolean, isObject, type Json, list, refusal, shown, string } from "../json_fields.ts";
import type { ModelKind } from "../pipeline/model_kind.ts";
import { growUnigram } from "./growth.ts";
import { type UnigramData, UnigramModel } from "./model.ts";
import { serdeNumber } from "./score.ts";

/** Unigram in tokenizer.json. */
export const UNIGRAM: ModelKind<UnigramData> = {
  read(json, byte_level) {
    if (byte_level) throw refusal("pre_tokenizer", "ByteLevel", "one of a Unigram tokenizer");
    const vocab = list(json.vocab, "model.vocab"), scores = new Float64Array(vocab.length);
    const vocabulary = vocab.map((value, id) => {
      const name = `model.vocab[${id}]`, pair = list(value, name);
      if (pair.length !== 2 || !Number.isFinite(pair[1])) throw refusal(name, value, "a piece and its score");
      scores[id] = pair[1];
      return string(pair[0], name);
    });
    const { unk_id } = json;
    if (!Number.isInteger(unk_id) || unk_id < 0 || unk_id >= vocab.length) {
      throw new ClozeError("input", `its model.unk_id is ${shown(unk_id)}, not an id of model.vocab`, {
        hint: "a text with an unknown character could not be encoded",
      });
    }
    const byte_fallback = json.byte_fallback === undefined ? false : boolean(json.byte_fallback, "model.byte_fallback");
    return { vocabulary, data: { type: "Unigram", scores, unk_id, byte_fallback } };
  },
  write(vocabulary, { scores, unk_id, byte_fallback }) {
    return { type: "Unigram", unk_id, vocab: vocabulary.map((piece, id) => [piece, scores[id]]), byte_fallback };
  },
  build({ vocabulary, own }, { scores, unk_id, byte_fallback }) {
    return new UnigramModel(vocabulary, scores, unk_id, byte_fallback, own);
  },
  grow: growUnigram,
};

/** A number with so many digits that serde_json may read another one. */
const LONG_NUMBER = /\d\.\d{15}/;

/**
 * A tokenizer.json as `tokenizers` reads it, whose scores are not always the nearest numbers.
 *
 * @param json what `JSON.parse` makes of the text.
 */
export function asRustReads(text: string, json: Record<string, Json>): Record<string, Json> {
  if (!isObject(json.model) || json.model.type !== "Unigram" || !LONG_NUMBER.test(text)) return json;
  type Reviver = (key: string, value: unknown, context: { source: string }) => unknown;
  const revive: Reviver = (_, value, { source }) => typeof value === "number" ? serdeNumber(source) : value;
  return (JSON.parse as (text: string, reviver: Reviver) => Record<string, Json>)(text, revive);
}
