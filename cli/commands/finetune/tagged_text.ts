/** Tagged words as a fine-tuning takes them: read, with their classes, and cut into sequences. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { counted, percent } from "../../../config/numbers.ts";
import type { TaggedSentence } from "../../../data/mod.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import { tokenClassifierHeads } from "../../../model/model_heads.ts";
import { classificationLine } from "../../../tasks/sequence_classification.ts";
import { type TaggedSequence, TOKEN_CLASSIFICATION } from "../../../tasks/token_classification.ts";
import { SEEN_SHARE } from "../../../training/watchdogs.ts";
import { checkTags, type CutSentences, cutSentences, readSentences, sayCut } from "../../tagged_sentences.ts";
import { warn } from "../../terminal.ts";
import type { FinetuneOptions } from "./flags.ts";
import type { Both, Kind } from "./kind.ts";
import { sayData } from "./view.ts";

/** The classes: those of a token classifier that is trained further, or those of the training file. */
function labelsOf(data: Both<TaggedSentence[]>, folder: ModelFolder, values: FinetuneOptions): string[] {
  const { classifier, token_classifier, is_decoder } = folder.heads;
  if (is_decoder) {
    throw new ClozeError("input", `${folder.path} reads left to right, and a token classifier sees the whole text`, {
      hint: "use a model that was trained with mlm",
    });
  }
  if (classifier !== null) {
    throw new ClozeError("input", `${folder.path} classifies texts, and the files have a tag for each word`, {
      hint: "fine-tune the pretrained model that it was made from",
    });
  }
  const found = [...new Set(data.train.flatMap(({ tags }) => tags))].sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1);
  if (found.length < 2) {
    throw new ClozeError("input", `${values.train} has one tag only, ${JSON.stringify(found[0])}`, {
      hint: "a token classifier needs at least two; in a CoNLL file the tag stands in the last column",
    });
  }
  const words = data.train.reduce((sum, { tags }) => sum + tags.length, 0);
  if (found.length > Math.max(100, words / 10)) {
    throw new ClozeError("input", `${values.train} has ${found.length} different tags in ${counted(words, "word")}`, {
      hint: "in a CoNLL file the tag stands in the last column; of records, --label-column names the field",
    });
  }
  const labels = token_classifier?.labels ?? found;
  const whose = labels === found ? `${values.train} has` : `${folder.path} has`;
  checkTags(data.train, values.train!, labels, whose);
  checkTags(data.valid, values.valid!, labels, whose);
  return labels;
}

/** `O` first, then by type. */
function keyOf(tag: string): string {
  return tag === "O" ? "" : tag.replace(/^([BIES])-(.*)$/s, "$2-$1");
}

/** The words of a sentence get a class each. */
export const TAGGED: Kind<TaggedSentence, TaggedSequence, CutSentences> = {
  task: TOKEN_CLASSIFICATION,
  line: classificationLine,
  unit: "word",
  parts: ["pooler", "classifier"],
  read: (file, values) => readSentences(file, values),
  labels: labelsOf,
  heads: (labels, { config }) => tokenClassifierHeads({ labels, classifier_dropout: config.hidden_dropout_prob }),
  cut: (sentences, labels, { tokenizer }, { max_sequence_length }, sample) =>
    cutSentences(sentences, labels, tokenizer, max_sequence_length, sample),
  say(data, cut, labels, names, { max_sequence_length }) {
    sayData(counted(cut.train.texts, "sentence"), cut.valid.texts, labels);
    sayCut(cut.train, names.train, max_sequence_length);
    sayCut(cut.valid, names.valid, max_sequence_length);
    warnOfSentences(data, labels, names);
  },
  isTrainedFurther: ({ token_classifier }) => token_classifier !== null,
};

function warnOfSentences({ train, valid }: Both<TaggedSentence[]>, labels: readonly string[], names: Both<string>) {
  const measured = new Set(valid.flatMap(({ tags }) => tags));
  const missing = labels.filter((label) => !measured.has(label));
  if (missing.length > 0) warn(`${names.valid} has no word of the class ${missing.join(", ")}: it is not measured`);
  const key = ({ words }: TaggedSentence) => words.join(" "), trained = new Set(train.map(key));
  const seen = valid.filter((sentence) => trained.has(key(sentence))).length / valid.length;
  if (seen <= SEEN_SHARE) return;
  warn(
    `${percent(seen)} of the sentences of ${names.valid} are sentences of ${names.train}, too`,
    "the figures on valid flatter the model there: leave these sentences out of one of the two",
  );
}
