/** The special tokens around a text and a pair of texts. Used by the tokenizer. */

/** A special token, or one of the texts, and the segment that it belongs to. */
export type TemplatePart = { token: number; type_id: number } | { text: 0 | 1; type_id: number };

/** What stands around texts. */
export interface Template {
  single: readonly TemplatePart[];
  pair: readonly TemplatePart[];
  /** Whether the offsets of tokens leave out the white space that the tokens have at their ends, as for byte-level BPE. */
  trim?: {
    /** Whether a space was put before the text, which is in none of its offsets. */
    add_prefix_space: boolean;
  };
}

/** BERT's: `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`. */
export function bertTemplate(cls: number, sep: number): Template {
  const single: TemplatePart[] = [{ token: cls, type_id: 0 }, { text: 0, type_id: 0 }, { token: sep, type_id: 0 }];
  return { single, pair: [...single, { text: 1, type_id: 1 }, { token: sep, type_id: 1 }] };
}
