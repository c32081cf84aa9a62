/**
 * More tokens for byte-level BPE: merges behind those that it has. A word is cut as before, and then the new merges are made,
 * so that what has no new token in it stays as it was. Used by the registry of models.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { BYTE_PIECES, learnMerges } from "../merging/merges.ts";
import { IdBuffer } from "../id_buffer.ts";
import type { Growth, GrowthContext } from "../pipeline/model_kind.ts";
import type { BpeData } from "./bpe.ts";
import { BYTE_CHARACTERS } from "./byte_alphabet.ts";
import { MergeTable, NEVER } from "./merge_table.ts";

/** @throws {ClozeError} `input` if the model can have no more tokens. */
export function growBpe(context: GrowthContext, data: BpeData): Growth<BpeData> {
  if (!data.byte_level) throw new ClozeError("input", "its tokenizer is BPE over characters, and not over bytes");
  if (data.ignore_merges && context.outside.length > 0) {
    const [token] = context.outside;
    throw new ClozeError("input", `its added token ${JSON.stringify(token)} would become a word (ignore_merges)`);
  }
  return {
    learn(words, { add, min_frequency }) {
      const tokens = [...context.vocabulary], ids = new IdBuffer();
      const merges = learnMerges(tokens, {
        words,
        pieces: BYTE_PIECES,
        vocab_size: tokens.length + add,
        min_frequency,
        onProgress: () => {},
        isTaken: (token) => context.taken.has(token),
        cut: (bytes, start, end, out) => {
          ids.truncate(0);
          context.match(bytes, start, end, ids);
          // Bytes without a token: their neighbours are none in the text.
          if (ids.length > end - start || ids.view().includes(context.unk)) return 0;
          out.set(ids.view());
          return ids.length;
        },
      });
      return grown(context, data, tokens, merges);
    },
    named(texts) {
      const merging = new Merging(context, data);
      for (const text of texts) merging.add(text);
      return grown(context, data, merging.tokens, merging.merges);
    },
  };
}

/** The result; each new token is made of what the pair that became it was made of. */
function grown({ vocabulary }: GrowthContext, data: BpeData, tokens: readonly string[], merges: readonly number[]) {
  const pieces: number[][] = [],
    partsOf = (id: number) => id < vocabulary.length ? [id] : pieces[id - vocabulary.length];
  for (let i = 0; i < merges.length; i += 3) {
    const [left, right, merged] = merges.slice(i, i + 3);
    if (merged >= vocabulary.length) pieces[merged - vocabulary.length] ??= [...partsOf(left), ...partsOf(right)];
  }
  return {
    tokens: tokens.slice(vocabulary.length),
    data: { ...data, merges: Int32Array.from([...data.merges, ...merges]) },
    pieces: pieces.map((ids) => Int32Array.from(ids)),
  };
}

const encoder = new TextEncoder();

/** A vocabulary to which words are added, one after the other. */
class Merging {
  readonly tokens: string[];
  /** Those that were added: three numbers each. */
  readonly merges: number[] = [];
  readonly #table: MergeTable;
  readonly #ranks: number;
  readonly #ids: Map<string, number>;
  readonly #taken: ReadonlySet<string>;
  /** The places in `merges` of the pairs that were added. */
  readonly #added = new Map<string, number>();

  constructor({ vocabulary, taken }: GrowthContext, { merges }: BpeData) {
    this.#taken = taken;
    this.tokens = [...vocabulary];
    this.#table = new MergeTable(merges);
    this.#ranks = merges.length / 3;
    this.#ids = new Map(vocabulary.map((token, id) => [token, id]));
  }

  /** Adds what makes one token of a word: a merge for each piece but one. */
  add(text: string): void {
    for (;;) {
      const ids = this.#cut(encoder.encode(text));
      if (ids.length < 2) return;
      const [left, right] = ids, token = this.tokens[left] + this.tokens[right];
      if (this.#taken.has(token)) return;
      const merged = this.#ids.get(token) ?? this.tokens.push(token) - 1;
      this.#ids.set(token, merged);
      this.#added.set(`${left} ${right}`, this.merges.length / 3);
      this.merges.push(left, right, merged);
    }
  }

  #cut(bytes: Uint8Array): number[] {
    const ids: number[] = [];
    for (const byte of bytes) {
      const id = this.#ids.get(BYTE_CHARACTERS[byte]);
      if (id !== undefined) ids.push(id);
    }
    for (;;) {
      let least = NEVER, at = -1;
      for (let i = 0; i + 1 < ids.length; i++) {
        const rank = this.#rank(ids[i], ids[i + 1]);
        if (rank < least) [least, at] = [rank, i];
      }
      if (at < 0) return ids;
      const merged = least < this.#ranks ? this.#table.result(least) : this.merges[3 * (least - this.#ranks) + 2];
      ids.splice(at, 2, merged);
    }
  }

  #rank(left: number, right: number): number {
    const added = this.#added.get(`${left} ${right}`);
    return added === undefined ? this.#table.rank(left, right) : this.#ranks + added;
  }
}
