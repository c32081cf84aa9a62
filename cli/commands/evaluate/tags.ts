/** A token classifier on tagged sentences: how good its tags are. */

import { FINETUNE_DEFAULTS } from "../../../config/run_config.ts";
import { type TaggedSentence, UnknownSample } from "../../../data/mod.ts";
import { openEngine } from "../../../inference/open_engine.ts";
import { longestText } from "../../../model/families.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import { engineHeads } from "../../../model/model_heads.ts";
import { recordedColumns } from "../../../run/finetune_record.ts";
import { labeledLimits } from "../../../tasks/finetuning_task.ts";
import { classificationLine } from "../../../tasks/sequence_classification.ts";
import { TOKEN_CLASSIFICATION } from "../../../tasks/token_classification.ts";
import { inferenceOptions, noteDevice, noteTensors } from "../../device.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { checkFile } from "../../labeled_file.ts";
import { checkTags, cutSentences, readSentences, sayCut } from "../../tagged_sentences.ts";
import { folded, note, outColumns, warn, writeOut } from "../../terminal.ts";
import { checkUnknown, unknownLine } from "../../unknown_words.ts";
import type { EvaluateOptions } from "./flags.ts";

/** Measures the model on files of tagged sentences, together, and prints it. */
export async function evaluateTags(
  folder: ModelFolder,
  labels: readonly string[],
  values: EvaluateOptions,
  files: readonly string[],
): Promise<void> {
  refuseFlags(values, ["exclude", "documents", "max-tokens"], `is for raw text, and ${folder.path} tags words`);
  const { config, tokenizer, path } = folder;
  const longest = Math.min(values["max-sequence-length"] ?? FINETUNE_DEFAULTS.max_sequence_length, longestText(config));
  const sentences: TaggedSentence[] = [], recorded = await recordedColumns(path);
  for (const file of files) await checkFile("data", file);
  for (const file of files) {
    const read = await readSentences(file, values, recorded);
    checkTags(read, file, labels, `${path} has`);
    sentences.push(...read);
  }
  const sample = new UnknownSample();
  const cut = cutSentences(sentences, labels, tokenizer, longest, sample);
  sayCut(cut, files.join(", "), longest);
  const found = { counts: cut.counts, causes: sample.causes(tokenizer) };
  const advice = checkUnknown(found, { from: "model", path: values.model ?? path }, values["allow-unknown"] === true);
  note(unknownLine(cut.counts));
  if (advice !== undefined) warn(advice.message, advice.hint);
  const limits = labeledLimits({ ...FINETUNE_DEFAULTS, max_sequence_length: longest });
  const most = { ...limits, max_masked: limits.max_tokens };
  using engine = await openEngine(folder, engineHeads(folder.heads), most, inferenceOptions(values));
  const about = engine.describe();
  noteDevice(values.device, about);
  noteTensors(about.unknown);
  const { signal } = new AbortController();
  const evaluation = await TOKEN_CLASSIFICATION.evaluate(engine, cut.sequences, labels, signal);
  const json = { model: path, labels, ...evaluation };
  const lines = folded(classificationLine(evaluation), outColumns(), "  ");
  await writeOut(`${values.json === true ? JSON.stringify(json) : lines.join("\n")}\n`);
}
