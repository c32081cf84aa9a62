/** Sequences laid end to end without padding: what every batch begins with. */
export interface PackedSequences {
  /** `[N]` token ids. */
  input_ids: Int32Array;
  /** `[N]` segment ids. */
  token_type_ids: Int32Array;
  /** `[N]` positions, from 0 in each sequence. */
  position_ids: Int32Array;
  /** `[B + 1]` offsets of the sequences, from 0 to N. */
  cu_seqlens: Int32Array;
}

/** Packs sequences of one segment each; their `[CLS]` and `[SEP]` are among the ids. */
export function packSequences(sequences: readonly ArrayLike<number>[]): PackedSequences {
  const tokens = sequences.reduce((sum, ids) => sum + ids.length, 0);
  const input_ids = new Int32Array(tokens), position_ids = new Int32Array(tokens);
  const cu_seqlens = new Int32Array(sequences.length + 1);
  let at = 0;
  sequences.forEach((ids, b) => {
    input_ids.set(ids, at);
    for (let i = 0; i < ids.length; i++) position_ids[at + i] = i;
    cu_seqlens[b + 1] = at += ids.length;
  });
  return { input_ids, token_type_ids: new Int32Array(tokens), position_ids, cu_seqlens };
}

/** Groups of neighbours of at most `most` tokens together; one that is longer stands alone. */
export function* groupsByTokens<T>(items: Iterable<T>, tokensOf: (item: T) => number, most: number): Generator<T[]> {
  let group: T[] = [], tokens = 0;
  for (const item of items) {
    const count = tokensOf(item);
    if (group.length > 0 && tokens + count > most) {
      yield group;
      [group, tokens] = [[], 0];
    }
    group.push(item);
    tokens += count;
  }
  if (group.length > 0) yield group;
}
