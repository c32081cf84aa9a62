/** A model that classifies texts, or predicts values of them, on labeled files: how good its answers are. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { ValueResult } from "../../../config/metric.ts";
import { FINETUNE_DEFAULTS } from "../../../config/run_config.ts";
import { visibleLine } from "../../../config/visible.ts";
import { type LabeledText, UnknownSample } from "../../../data/mod.ts";
import { openEngine } from "../../../inference/open_engine.ts";
import { longestText } from "../../../model/families.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import { engineHeads } from "../../../model/model_heads.ts";
import { recordedColumns } from "../../../run/finetune_record.ts";
import { labeledLimits } from "../../../tasks/finetuning_task.ts";
import { valueLine } from "../../../tasks/sequence_classification.ts";
import { inferenceOptions, noteDevice, noteTensors } from "../../device.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { checkFile } from "../../labeled_file.ts";
import { folded, note, outColumns, warn, writeOut } from "../../terminal.ts";
import { checkUnknown, unknownLine } from "../../unknown_words.ts";
import { kindOfTexts } from "../finetune/labeled_text.ts";
import { readTexts } from "../finetune/text.ts";
import type { EvaluateOptions } from "./flags.ts";

/** Measures the model on files of labeled texts, together, and prints it. */
export async function evaluateTexts(
  folder: ModelFolder,
  values: EvaluateOptions,
  files: readonly string[],
): Promise<void> {
  refuseFlags(
    values,
    ["exclude", "documents", "max-tokens"],
    `is for raw text, and ${folder.path} wants labeled texts`,
  );
  const { config, path, heads } = folder, { labels, problem_type } = heads.classifier!;
  if (problem_type === "single_label_classification" && labels.length < 2) {
    throw new ClozeError("input", `${path} has one class only, so that there is nothing to measure`, {
      hint: "predict tells its probability",
    });
  }
  const kind = kindOfTexts(problem_type), names = { train: files.join(", "), valid: files.join(", ") };
  const max_sequence_length = Math.min(
    values["max-sequence-length"] ?? FINETUNE_DEFAULTS.max_sequence_length,
    longestText(config),
  );
  const records: LabeledText[] = [], recorded = await recordedColumns(path);
  for (const file of files) await checkFile("data", file);
  for (const file of files) records.push(...await readTexts(file, values, folder, recorded));
  kind.check(records, labels, names.valid, path);
  const sample = new UnknownSample();
  const plan = { ...FINETUNE_DEFAULTS, max_sequence_length };
  const cut = kind.cut(records, labels, folder, plan, sample);
  const found = { counts: cut.counts, causes: sample.causes(folder.tokenizer) };
  const advice = checkUnknown(found, { from: "model", path: values.model ?? path }, values["allow-unknown"] === true);
  note(unknownLine(cut.counts));
  if (advice !== undefined) warn(advice.message, advice.hint);
  using engine = await openEngine(
    folder,
    engineHeads(heads),
    { ...labeledLimits(plan), max_masked: 1 },
    inferenceOptions(values),
  );
  const about = engine.describe();
  noteDevice(values.device, about);
  noteTensors(about.unknown);
  const evaluation = await kind.task.evaluate(engine, cut.sequences, labels, new AbortController().signal);
  const json = { model: path, labels, problem_type, ...evaluation };
  const each: string[] = (evaluation.by_value ?? []).map((value: ValueResult, k: number) =>
    `${visibleLine(labels[k])}: ${valueLine(value)}`
  );
  const lines = [kind.line(evaluation), ...each].flatMap((line) => folded(line, outColumns(), "  "));
  await writeOut(`${values.json === true ? JSON.stringify(json) : lines.join("\n")}\n`);
}
