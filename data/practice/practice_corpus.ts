/**
 * The embedded practice corpus: a few megabytes of English and Korean sentences about everyday things, made by a small
 * grammar. It is for trying cloze out and for tests. It is no natural language: a model trained on it knows nothing else.
 */

import type { Document } from "../corpus.ts";
import { Random, STREAMS } from "../rng.ts";
import { englishDocument } from "./english.ts";
import { koreanDocument } from "./korean.ts";

/** Documents of the default corpus, about 3 MB of text. */
export const PRACTICE_DOCUMENTS = 10_000;

/** The documents, half English and half Korean, the same for a seed. */
export function* practiceCorpus(seed = 0, documents = PRACTICE_DOCUMENTS): Generator<Document> {
  const random = new Random(seed, STREAMS.practice);
  for (let i = 0; i < documents; i++) {
    yield (i % 2 === 0 ? englishDocument : koreanDocument)(random.at(0, i));
  }
}

/** Sentences whose blanks such a model should fill. */
export const PRACTICE_BLANKS = [
  "In autumn the [MASK] fall from the trees.",
  "단순함을 얻기란 [MASK] 얻기보다 어렵다.",
  "In winter the weather is [MASK].",
  "The baker makes [MASK].",
  "The cow gives us [MASK].",
  "Many [MASK] make light work.",
  "겨울에는 [MASK] 내린다.",
  "농부는 [MASK] 키운다.",
  "고양이는 [MASK] 먹는다.",
  "원숭이도 [MASK] 떨어진다.",
];
