/** What bench/tokenizer.ts measures: three models, how each learns from a text, and the file that its peer reads. */

import {
  bpeWords,
  learnBpe,
  learnUnigram,
  type Tokenizer,
  tokenizerFiles,
  unigramWords,
  VocabularyTrainer,
  type WordCounter,
  wordCounter,
  type WordCounts,
  WordPieceTokenizer,
} from "../tokenizer/mod.ts";

/** Counts the words of a text, then learns. */
export interface Learner {
  addUtf8(bytes: Uint8Array, from?: number, to?: number): void;
  readonly words: WordCounts;
  learn(vocab_size: number): Tokenizer;
}

/** One of them. */
export interface BenchModel {
  learner(): Learner;
  /** What the peer builds the same tokenizer from: a vocab.txt or a tokenizer.json. */
  saved(tokenizer: Tokenizer): string;
  /** Sizes that are learned. */
  sizes: readonly number[];
}

/** What is measured. */
export interface Measurement {
  model: string;
  texts: Record<string, Uint8Array<ArrayBuffer>>;
  rounds: number;
  python: string;
  /** The peer's program. */
  peer: string;
  /** A folder for files. */
  scratch: string;
}

/** As `train-tokenizer` has them without flags. */
const TEXT = { lowercase: false };

const json = (tokenizer: Tokenizer) => tokenizerFiles(tokenizer, 512)["tokenizer.json"];

/** As the data workers count: line by line. To BPE each begins with a space, whatever stands before it. */
function addLines(counter: WordCounter, bytes: Uint8Array, from = 0, to: number = bytes.length): void {
  for (let start = from; start < to;) {
    const newline = bytes.indexOf(10, start), end = newline < 0 || newline > to ? to : newline;
    counter.addUtf8(bytes, start, end);
    start = end + 1;
  }
}

/** By the name that `--model` takes. */
export const MODELS: Record<string, BenchModel> = {
  wordpiece: {
    learner() {
      const trainer = new VocabularyTrainer();
      return {
        addUtf8: (bytes, from, to) => trainer.addUtf8(bytes, from, to),
        get words() {
          return trainer.counts;
        },
        learn: (vocab_size) => new WordPieceTokenizer(trainer.train(vocab_size)),
      };
    },
    saved: ({ vocabulary }) => vocabulary.join("\n") + "\n",
    sizes: [8000, 30_000],
  },
  bpe: {
    learner() {
      const counter = wordCounter(bpeWords(TEXT));
      return {
        addUtf8: (bytes, from, to) => addLines(counter, bytes, from, to),
        get words() {
          return counter.words;
        },
        learn: (vocab_size) => learnBpe(counter.words, { ...TEXT, vocab_size }),
      };
    },
    saved: json,
    sizes: [8000, 30_000],
  },
  unigram: {
    learner() {
      const counter = wordCounter(unigramWords(TEXT));
      return {
        addUtf8: (bytes, from, to) => addLines(counter, bytes, from, to),
        get words() {
          return counter.words;
        },
        learn: (vocab_size) => learnUnigram(counter.words, { ...TEXT, vocab_size }),
      };
    },
    saved: json,
    sizes: [4000, 16_000],
  },
};

/** The texts by language: Korean film reviews; the Brown corpus and English film reviews. */
export async function texts(folder: string): Promise<Record<"ko" | "en", Uint8Array<ArrayBuffer>>> {
  const zipped = (await Deno.open(`${folder}/ko/nsmc.train.txt.gz`)).readable;
  const ko = await new Response(zipped.pipeThrough(new DecompressionStream("gzip"))).bytes();
  const files = ["brown.txt", "movie_reviews.train.txt"].map((name) => Deno.readFileSync(`${folder}/en/${name}`));
  return { ko, en: new Uint8Array(await new Blob(files).arrayBuffer()) };
}
