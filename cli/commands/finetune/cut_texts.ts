/** Labeled texts as sequences of the length that a run has. Called by the kinds of fine-tuning on texts. */

import type { FinetuneConfig } from "../../../config/run_config.ts";
import type { LabeledText, UnknownSample } from "../../../data/mod.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import { bothCounts, encodeSequence, NO_WORDS } from "../../../tokenizer/mod.ts";
import type { CutFile } from "./kind.ts";

/** @param right what is right for a record. */
export function cutTexts<T>(
  records: readonly LabeledText[],
  { tokenizer, config: { type_vocab_size } }: ModelFolder,
  { max_sequence_length }: Pick<FinetuneConfig, "max_sequence_length">,
  sample: UnknownSample,
  right: (record: LabeledText) => T,
): CutFile<{ ids: Int32Array; type_ids?: Int32Array } & T> {
  let counts = NO_WORDS, cut_off = 0;
  const sequences = records.map((record) => {
    const { ids, type_ids, ...found } = encodeSequence(tokenizer, record, max_sequence_length, type_vocab_size);
    for (const text of [record.text, record.pair]) {
      if (found.counts.unknown > 0 && text !== undefined) sample.addText(text, [tokenizer.special.unk], tokenizer);
    }
    counts = bothCounts(counts, found.counts);
    if (found.truncated) cut_off++;
    return { ids, ...(type_ids === undefined ? {} : { type_ids }), ...right(record) };
  });
  return { sequences, texts: records.length, cut_off, counts };
}
