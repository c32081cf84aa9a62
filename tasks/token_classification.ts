/**
 * Token classification (Devlin et al., 2019, section 5.3): every word of a sentence gets one of several classes, which its
 * first piece tells; its other pieces are asked nothing, as the label −100 does in transformers.
 */

import { packMasked } from "../config/batch.ts";
import { EntityCounts, hasEntities } from "../config/entities.ts";
import { Confusion } from "./confusion.ts";
import { EVALUATION_SEQUENCES, type FinetuningTask, labeledLimits, rowAnswer } from "./finetuning_task.ts";

/** A sequence of words; a long sentence is several. */
export interface TaggedSequence {
  ids: Int32Array;
  /** Of each word's first piece. */
  positions: number[];
  /** Numbers of the words' classes. */
  labels: number[];
  /** The sentence that it is, or is a part of; parts follow each other. */
  sentence: number;
}

/** `BertForTokenClassification`. The loss is the mean over words. */
export const TOKEN_CLASSIFICATION: FinetuningTask<TaggedSequence> = {
  predicted: ({ labels }) => labels.length,
  sequenceWeight: () => 1,
  trained: ({ loss_sum, correct, masked }) => ({ loss: loss_sum / masked, accuracy: correct / masked }),
  limits(config) {
    const limits = labeledLimits(config);
    return { ...limits, max_masked: limits.max_tokens };
  },
  pack: packMasked,
  async evaluate(engine, sequences, classes, signal) {
    const k = classes.length, confusion = new Confusion(k);
    const counts = hasEntities(classes) ? new EntityCounts() : undefined;
    let sum = 0, words = 0, sentence = -1, truth: string[] = [], answers: string[] = [];
    const next = (number: number) => {
      if (number !== sentence) {
        counts?.add(truth, answers);
        [sentence, truth, answers] = [number, [], []];
      }
    };
    for (let from = 0; from < sequences.length; from += EVALUATION_SEQUENCES) {
      signal.throwIfAborted();
      const part = sequences.slice(from, from + EVALUATION_SEQUENCES);
      const logits = await engine.logits(packMasked(part));
      let row = 0;
      for (const { labels, sentence } of part) {
        next(sentence);
        for (const label of labels) {
          const { loss, answer } = rowAnswer(logits.subarray(row * k, (row + 1) * k), label);
          confusion.add(label, answer);
          truth.push(classes[label]);
          answers.push(classes[answer]);
          sum += loss;
          words++;
          row++;
        }
      }
    }
    next(-1);
    return { loss: sum / words, ...confusion.result, ...(counts === undefined ? {} : { entities: counts.result }) };
  },
};
