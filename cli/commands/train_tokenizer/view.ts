/** What `train-tokenizer` shows of a vocabulary that was learned. */

import { counted, grouped } from "../../../config/numbers.ts";
import type { VocabularyReport } from "../../../tokenizer/mod.ts";

/** How well the vocabulary fits its text, in lines. */
export function describe({ words, tokens, fertility, unk_rate, scripts }: VocabularyReport): string[] {
  const share = (value: number) => `${(100 * value).toFixed(3)}%`;
  return [
    `fertility ${fertility.toFixed(3)} tokens a word (${counted(tokens, "token")}, ${counted(words, "word")})`,
    `[UNK]     ${share(unk_rate)} of words (${grouped(Math.round(unk_rate * words))})`,
    "script           characters     kept",
    ...scripts.map(({ script, characters, coverage }) =>
      script.padEnd(13) + grouped(characters).padStart(14) + share(coverage).padStart(9)
    ),
  ];
}
