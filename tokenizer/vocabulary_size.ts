/** How large a vocabulary suits a text. Used by the commands that learn one. */

const LEAST = 1000;
const MOST = 16_000;

/**
 * The size that a vocabulary has unless told otherwise. Large texts can afford, and fill, larger ones: 4·√characters, from
 * 1,000 to 16,000. Where an alphabet is large for its text, as those of Korean, Chinese and Japanese are, it comes on top
 * of half of that, so that there is always room for merges.
 *
 * @param characters of the text
 * @param alphabet tokens that are single characters, those with `##` among them
 */
export function suitableVocabSize(characters: number, alphabet: number): number {
  const size = Math.max(LEAST, Math.min(MOST, Math.round(4 * Math.sqrt(characters) / 500) * 500));
  return Math.max(size, alphabet + size / 2);
}
