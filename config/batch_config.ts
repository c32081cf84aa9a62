/** How text becomes batches: the choices of the data room that a run writes down, with the field's names and defaults. */

/** What becomes of a line that is not valid UTF-8: its bad bytes become U+FFFD, it is left out, or reading ends. */
export const ON_INVALID = ["replace", "skip", "fail"] as const;

/** Formats of text: plain, or of records. `jsonl` has a record a line, `json` also an array of them. */
export const FORMATS = ["text", "jsonl", "json", "csv", "tsv", "parquet"] as const;

/** Whether a quote at the beginning of a field of CSV or TSV opens it, or quotes are only text. Names of Python's csv. */
export const QUOTING = ["minimal", "none"] as const;

/** What a document is in a plain text file: a line, or what stands between blank lines. */
export const DOCUMENTS = ["lines", "blank-lines"] as const;

/** How files of text are read. */
export interface CorpusConfig {
  /**
   * Column of a table or field of a JSON record that has the text: by name, with dots for what is inside of others
   * (`a.b`), several with commas between them; of a CSV or TSV file without names by its number from 1.
   */
  text_column: string;
  /** What happens with text that is no UTF-8. */
  on_invalid: typeof ON_INVALID[number];
  /** Only in runs of version 0.1.0: the field of JSON records, where tables had another column. */
  text_field?: string;
  /** Format of the files whose names tell none. By default plain text. */
  format?: typeof FORMATS[number];
  /** What separates the fields of CSV and TSV files. By default what the first line has. */
  delimiter?: string;
  /** By default `minimal`; `none` for a TSV file whose quotes can only be text. */
  quoting?: typeof QUOTING[number];
  /** By default of each file `blank-lines` if it has any between lines with text. */
  documents?: typeof DOCUMENTS[number];
}

/** What is chosen as one: a token, a word of the pre-tokenizer, a word between white space, a span of words. */
export const MASKING = ["token", "word", "eojeol", "span"] as const;

/** How many are chosen: each with the same chance, as Hugging Face has it, or as many as the rate says, as Google has. */
export const MASK_COUNTS = ["bernoulli", "exact"] as const;

/** Which tokens are masked and what becomes of them. */
export interface MaskingConfig {
  /** Chance, or share, of a token to be chosen, 0 to 1. Special tokens never are. */
  mlm_probability: number;
  /** The same at the end of a run, if it changes: it moves there in a straight line. */
  final_mlm_probability?: number;
  /** Which tokens are chosen together. */
  masking: typeof MASKING[number];
  /** Spans are always `exact`. */
  mask_count: typeof MASK_COUNTS[number];
  /** Of the chosen tokens, this share becomes `[MASK]`, this one a random token; the rest stays. */
  mask_share: number;
  /** Share of the chosen tokens that become a random one; the rest stays as it is. */
  random_share: number;
}

/**
 * How documents become sequences: consecutive sentences of one document (DOC-SENTENCES of Liu et al., 2019), sentences
 * that go on in the next document after a `[SEP]` (FULL-SENTENCES), or pairs of segments for next-sentence prediction.
 */
export const SEQUENCES = ["document", "full", "pair"] as const;

/** How sequences are put into batches: as full as can be, or of like lengths, so that padding them costs little. */
export const BATCHING = ["packed", "bucketed"] as const;

/** How a shard's documents become sequences and batches. */
export interface SamplingConfig {
  /** Tokens of a sequence, special tokens included. */
  max_sequence_length: number;
  /** The same in the first part of a run, if they are shorter there, and how large a share of the run that part is. */
  warmup_sequence_length?: number;
  /** Share of the updates, from 0 to 1. */
  warmup_sequence_ratio?: number;
  /** What a sequence is made of. */
  sequences: typeof SEQUENCES[number];
  /** Share of the documents whose pairs are kept shorter, by a random length. */
  short_seq_prob: number;
  /** How sequences are put into batches. */
  batching: typeof BATCHING[number];
  /** Whether every epoch has the masks, and the pairs, of the first one. */
  static_masking: boolean;
}

/** What is not asked for. */
export const CORPUS_DEFAULTS: CorpusConfig = { text_column: "text", on_invalid: "fail" };

/** BERT's masking, as Hugging Face draws it (Devlin et al., 2019, section 3.1). */
export const MASKING_DEFAULTS: MaskingConfig = {
  mlm_probability: 0.15,
  masking: "token",
  mask_count: "bernoulli",
  mask_share: 0.8,
  random_share: 0.1,
};

/** What is not asked for. */
export const SAMPLING_DEFAULTS: SamplingConfig = {
  max_sequence_length: 128,
  sequences: "document",
  short_seq_prob: 0.1,
  batching: "packed",
  static_masking: false,
};
