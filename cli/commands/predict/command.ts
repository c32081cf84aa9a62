/** `cloze predict`: lines in, answers out, each line as it comes: filled blanks, or classes where the model classifies. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { ClassifiedText, Classifier } from "../../../inference/classifier.ts";
import { type FilledLine, FillMask } from "../../../inference/fill_mask.ts";
import type { MeasuredText, Regressor } from "../../../inference/regressor.ts";
import { beginModelFolder } from "../../../model/model_folder.ts";
import { type Answerer, answerLines } from "../../answer_lines.ts";
import { inferenceOptions, noteDevice, noteTensors } from "../../device.ts";
import { newestRun, resolve } from "../../paths.ts";
import { note } from "../../terminal.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import type { PredictOptions } from "./flags.ts";
import { classes, filledLine, measuredLine } from "./view.ts";

/**
 * What is loaded for a model with such a head only. Deno reads what a written-out `import` leads to before a program starts,
 * so the paths are made here.
 */
const classifier = (): Promise<typeof import("../../../inference/classifier.ts")> => import(inference("classifier.ts"));
const regressor = (): Promise<typeof import("../../../inference/regressor.ts")> => import(inference("regressor.ts"));
const inference = (file: string) => new URL(`../../../inference/${file}`, import.meta.url).href;

/** Runs the command. */
export async function run({ positionals = [], ...values }: PredictOptions): Promise<number> {
  const path = values.model === undefined ? await newestRun() : resolve(values.model);
  if (values.model === undefined) note(`model: ${path}`);
  const folder = await beginModelFolder(path, values);
  const options = inferenceOptions(values);
  const asks = positionals.length === 0 && Deno.stdin.isTerminal();
  if (folder.heads.classifier !== null) {
    if (values.targets !== undefined) {
      throw new ClozeError("usage", `--targets is for blanks, and ${path} is a classifier`, { hint: "leave it out" });
    }
    if (folder.heads.classifier.problem_type === "regression") {
      refuseFlags(values, ["top-k"], `is for answers that have a probability, and ${path} predicts values`);
      const { Regressor } = await regressor();
      using model = await Regressor.open(folder, options);
      noteTokenizer(model.folder.tokenizer);
      noteDevice(values.device, model);
      noteTensors(model.unknownTensors);
      if (asks) note(`Type a line; it is told its ${model.labels.length > 1 ? model.labels.join(", ") : "value"}.`);
      return await answerLines(measures(model, values), positionals, values, false);
    }
    const { Classifier } = await classifier();
    using model = await Classifier.open(folder, options);
    noteTokenizer(model.folder.tokenizer);
    noteDevice(values.device, model);
    noteTensors(model.unknownTensors);
    if (asks) note(`Type a line; it is told which of these it is: ${model.labels.join(", ")}`);
    return await answerLines(classifies(model, values), positionals, values, false);
  }
  const { "top-k": topK, targets } = values;
  if (topK !== undefined && targets !== undefined) {
    throw new ClozeError("usage", "give either --top-k or --targets: of targets, all are shown");
  }
  using model = await FillMask.open(folder, {
    ...options,
    ...(topK === undefined ? {} : { topK }),
    ...(targets === undefined ? {} : { targets }),
  });
  noteTokenizer(model);
  noteDevice(values.device, model);
  noteTensors(model.unknownTensors);
  if (asks) note("Type a sentence with a [MASK] or ____ in it.");
  return await answerLines(fills(model, values), positionals, values, false);
}

function fills(model: FillMask, values: PredictOptions): Answerer<ReturnType<FillMask["prepare"]>> {
  const show = values.json === true ? (line: FilledLine) => JSON.stringify(line) + "\n" : filledLine;
  return {
    prepare: (text) => model.prepare(text),
    counts: ({ counts }) => counts,
    answer: async (prepared, inputs) => {
      const filled = await model.fillPrepared(prepared);
      return filled.map((line, i) => show({ ...line, input: inputs[i] }));
    },
  };
}

function classifies(model: Classifier, values: PredictOptions): Answerer<ReturnType<Classifier["prepare"]>> {
  const shown = values["top-k"] ?? (values.json === true || model.multiLabel ? model.labels.length : 1);
  const show = (text: ClassifiedText): string => {
    const labels = text.labels.slice(0, shown);
    if (values.json === true) return JSON.stringify({ ...text, labels }) + "\n";
    return classes({ ...text, labels });
  };
  return {
    prepare: (text) => model.prepare(text),
    counts: ({ counts }) => counts,
    answer: async (prepared, inputs) => {
      const classified = await model.classifyPrepared(prepared);
      return classified.map((result, i) => show({ input: inputs[i], ...result }));
    },
  };
}

function measures(model: Regressor, values: PredictOptions): Answerer<ReturnType<Regressor["prepare"]>> {
  const show = values.json === true ? (text: MeasuredText) => JSON.stringify(text) + "\n" : measuredLine;
  return {
    prepare: (text) => model.prepare(text),
    counts: ({ counts }) => counts,
    answer: async (prepared, inputs) => {
      const measured = await model.measurePrepared(prepared);
      return measured.map((result, i) => show({ input: inputs[i], ...result }));
    },
  };
}
