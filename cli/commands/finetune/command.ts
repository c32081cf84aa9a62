/** `cloze finetune`: a pretrained model and labeled text in, a classifier out. */

import { program } from "../../../config/called.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import type { FinetuneRun, LabeledFile, PlannedFinetuning } from "../../../config/finetune_run.ts";
import { exists } from "../../../config/folder.ts";
import { regularFile } from "../../../config/regular_file.ts";
import { FINETUNE_DEFAULTS, type FinetuneConfig, finetuneRate, VERSION } from "../../../config/run_config.ts";
import { fileHash } from "../../../config/sha256.ts";
import { writeWhole } from "../../../config/whole_file.ts";
import { CorpusReport, type LabeledText, readLabeled, UnknownSample } from "../../../data/mod.ts";
import { Engine } from "../../../ffi/mod.ts";
import { type ModelFolder, openModelFolder } from "../../../model/model_folder.ts";
import { classifierHeads, modelConfigJson } from "../../../model/model_heads.ts";
import { saveCheckpoint, savingTime } from "../../../run/checkpoint.ts";
import { checkLabeledFile, withdrawFinetuning, writeFinetuning } from "../../../run/finetune_record.ts";
import { MetricsFile } from "../../../run/metrics_file.ts";
import { openRun } from "../../../run/run_folder.ts";
import {
  classificationLimits,
  classificationLine,
  type ClassifiedSequence,
  classifierMeasures,
  LabeledBatches,
  SEQUENCE_CLASSIFICATION,
  trainedHeads,
} from "../../../tasks/sequence_classification.ts";
import { optimizerOptions } from "../../../training/optimizer_options.ts";
import { bothCounts, tokenizerFiles, type UnknownCounts, unknownCounts } from "../../../tokenizer/mod.ts";
import { Schedule } from "../../../training/schedule.ts";
import { train } from "../../../training/train.ts";
import { quoted } from "../../command_line.ts";
import { checkTextFlags, corpusConfig, noteFindings, textColumn } from "../../corpus.ts";
import { noteDevice } from "../../device.ts";
import { resolve } from "../../paths.ts";
import { type Stop, stopSignals } from "../../stop_signals.ts";
import { bold, counted, grouped, note, warn } from "../../terminal.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import { checkUnknown, unknownLine } from "../../unknown_words.ts";
import type { Call } from "../registry.ts";
import {
  checkResumeFlags,
  finetuneHere,
  type FinetunePlan,
  type FinetuneStart,
  finetuningFinished,
  resumeCommand,
} from "./again.ts";
import type { FinetuneOptions } from "./flags.ts";
import { warnOfTexts } from "./text.ts";
import { FinetuneObserver } from "./view.ts";

/** Runs the command. */
export async function run(values: FinetuneOptions, call: Call): Promise<number> {
  const isResumed = values.resume !== undefined;
  const shown = values.resume ?? values.output;
  if (isResumed) checkResumeFlags(values);
  else if (values.model === undefined || values.train === undefined || values.valid === undefined) {
    throw new ClozeError("usage", "cloze finetune needs --model DIR, --train FILE, --valid FILE and --output DIR");
  }
  if (shown === undefined) throw new ClozeError("usage", "cloze finetune needs --output DIR");
  const output = resolve(shown);
  const isNew = !await exists(`${output}/finetune.json`);
  if (!isResumed) {
    checkTextFlags(values, [values.train!, values.valid!]);
    // Before a folder is made.
    noteTokenizer((await openModelFolder(resolve(values.model!))).tokenizer);
    for (const file of isNew ? [values.train!, values.valid!] : []) await regularFile(resolve(file));
  }
  using _lock = await openRun(output, "finetune.json", isResumed);
  const stop = stopSignals(call.isPart ? "the same command" : resumeCommand(values, shown));
  try {
    const plan = await finetuneHere(values, output, shown, call);
    if (plan.finished === undefined) await prepareAndTrain(plan, output, shown, stop);
    else finetuningFinished(plan.finished, output);
    await Deno.remove(`${output}/checkpoints`, { recursive: true }).catch(() => {}); // they were for going on
    if (call.isPart) return 0;
    note(bold("folder   ") + output);
    note(bold("report   ") + `${output}/report.html`);
    note(bold("next     ") + `${program()} predict --model ${quoted(shown)} < lines.txt`);
    return 0;
  } catch (error) {
    if (isNew && error instanceof ClozeError && (error.code === "input" || error.code === "usage")) {
      await withdrawFinetuning(output); // it will be called with other flags, or with other text
    }
    throw error;
  } finally {
    stop.dispose();
  }
}

/** Reads model and text, and trains. */
async function prepareAndTrain(
  { values, record, start }: FinetunePlan,
  output: string,
  shown: string,
  stop: Stop,
): Promise<void> {
  const folder = await openModelFolder(start?.folder ?? resolve(values.model!));
  const data = {
    train: await readRecords(values.train!, values),
    valid: await readRecords(values.valid!, values),
  };
  const labels = start?.run.labels ?? labelsOf(data, folder, values);
  const config = start?.run.finetuning ?? configOf(values, folder);
  await finetune({
    output,
    shown,
    folder,
    data,
    labels,
    config,
    values,
    record,
    stop,
    ...(start === undefined ? {} : { start }),
  });
}

/** The records of a file; says what was wrong with it. */
async function readRecords(file: string, values: FinetuneOptions): Promise<LabeledText[]> {
  const text = textColumn(values), label = values["label-column"];
  const columns = { ...(text === undefined ? {} : { text }), ...(label === undefined ? {} : { label }) };
  const report = new CorpusReport();
  const records = await readLabeled(resolve(file), columns, corpusConfig(values), report);
  noteFindings(report, file);
  return records;
}

/** A text, whether its end was cut off, and how many of all its words became `[UNK]`. */
type CutSequence = ClassifiedSequence & { isCut: boolean; counts: UnknownCounts };

/** What a run is about. */
interface Finetuning {
  output: string;
  folder: ModelFolder;
  data: { train: LabeledText[]; valid: LabeledText[] };
  labels: string[];
  config: FinetuneConfig;
  values: FinetuneOptions;
  record: PlannedFinetuning;
  stop: Stop;
  shown: string;
  /** Set when it goes on from a checkpoint. */
  start?: FinetuneStart;
}

/** The classes: those of a classifier that is trained further, or those of the training file. */
function labelsOf(
  data: { train: LabeledText[]; valid: LabeledText[] },
  folder: ModelFolder,
  values: FinetuneOptions,
): string[] {
  const found = [...new Set(data.train.map(({ label }) => label))].sort(byNumber);
  if (found.length < 2) {
    throw new ClozeError("input", `${values.train} has one class only, ${JSON.stringify(found[0])}`, {
      hint: "a classifier needs at least two; --label-column says where they are",
    });
  }
  if (found.length > Math.max(100, data.train.length / 10)) {
    throw new ClozeError(
      "input",
      `${values.train} has ${found.length} classes in ${counted(data.train.length, "record")}`,
      {
        hint: "--label-column says where the classes are",
      },
    );
  }
  const { heads } = folder;
  const labels = heads.classifier?.labels ?? found;
  for (const [name, records] of Object.entries(data)) {
    const other = records.find(({ label }) => !labels.includes(label));
    if (other === undefined) continue;
    const where = name === "train" ? values.train : values.valid;
    const whose = labels === found ? `${values.train} has` : `${folder.path} has`;
    throw new ClozeError(
      "input",
      `${where} has the class ${JSON.stringify(other.label)}, but ${whose} only ` +
        labels.map((label) => JSON.stringify(label)).join(", "),
    );
  }
  return labels;
}

/** Whole numbers by value, everything else by its characters. */
function byNumber(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) || difference === 0 ? (a < b ? -1 : 1) : difference;
}

function configOf(values: FinetuneOptions, folder: ModelFolder): FinetuneConfig {
  const probe = values.probe ?? false;
  const most = folder.config.max_position_embeddings;
  if (values["max-sequence-length"] !== undefined && values["max-sequence-length"] > most) {
    throw new ClozeError(
      "usage",
      `--max-sequence-length is ${values["max-sequence-length"]}, but the model has only ${most} positions`,
    );
  }
  return {
    ...FINETUNE_DEFAULTS,
    seed: values.seed ?? 0,
    epochs: values.epochs ?? FINETUNE_DEFAULTS.epochs,
    batch_size: values["batch-size"] ?? FINETUNE_DEFAULTS.batch_size,
    max_sequence_length: Math.min(values["max-sequence-length"] ?? FINETUNE_DEFAULTS.max_sequence_length, most),
    learning_rate: values["learning-rate"] ?? finetuneRate(folder.config.hidden_size, probe),
    probe,
  };
}

async function finetune(
  { output, shown, folder, data, labels, config, values, record, stop, start }: Finetuning,
): Promise<void> {
  const { tokenizer } = folder;
  const { cls, sep } = tokenizer.special;
  const most = config.max_sequence_length - 2;
  const sample = new UnknownSample();
  const sequences = (records: LabeledText[]): CutSequence[] =>
    records.map(({ text, label }) => {
      const { ids } = tokenizer.encode(text);
      sample.addText(text, ids, tokenizer);
      const kept = Int32Array.of(cls, ...ids.subarray(0, most), sep);
      return {
        ids: kept,
        label: labels.indexOf(label),
        isCut: ids.length > most,
        counts: unknownCounts(ids, tokenizer),
      };
    });
  const trainSet = sequences(data.train), validSet = sequences(data.valid);
  note(
    bold("data     ") + `${counted(trainSet.length, "text")} to train on, ${grouped(validSet.length)} to measure on; ` +
      `classes ${labels.length > 10 ? `${labels.length}` : labels.join(", ")}`,
  );
  warnOfTexts(data, labels, { train: values.train!, valid: values.valid! });
  const counts = sumOf([...trainSet, ...validSet]), causes = sample.causes(tokenizer);
  const vocabulary = { from: "model" as const, path: values.model! };
  const advice = checkUnknown({ counts, causes }, vocabulary, values["allow-unknown"] === true || start !== undefined);
  note(`         ${unknownLine(counts)}`);
  if (advice !== undefined) warn(advice.message, advice.hint);
  // What transformers takes for BertForSequenceClassification: the encoder's own dropout.
  const classifier_dropout = folder.config.hidden_dropout_prob;
  const heads = classifierHeads({ labels, classifier_dropout, multi_label: false }, folder.heads.is_decoder);
  const files = {
    "config.json": modelConfigJson(folder.config, heads),
    ...tokenizerFiles(tokenizer, folder.config.max_position_embeddings),
  };
  using engine = await Engine.open({
    config: folder.config,
    heads: trainedHeads(heads, config),
    engine: "fused",
    device: values.device ?? "cpu",
    dtype: (start?.run.engine.dtype ?? values.dtype ?? "auto") as "f32" | "bf16" | "auto",
    threads: values.threads ?? navigator.hardwareConcurrency,
    seed: config.seed,
    ...classificationLimits(config),
    optimizer: optimizerOptions(config),
    ...(start !== undefined
      ? { weights: folder.weights, training_state: start.training_state }
      : values["from-scratch"] === true
      ? {}
      : weightsOf(folder)),
  });
  folder.watch.check(); // it has read them
  const about = engine.describe();
  noteDevice(values.device, about.device);
  const fresh = start !== undefined
    ? `after step ${grouped(start.state.step)}`
    : values["from-scratch"] === true
    ? "everything starts at random"
    : newParts(about.initialized);
  note(
    bold("model    ") +
      `${counted(folder.config.num_hidden_layers, "layer")} of ${folder.config.hidden_size}, ` +
      `${grouped(about.parameter_count)} parameters; ${fresh}${config.probe ? "; the encoder stays as it is" : ""}; ` +
      `${about.dtype}, ${about.instruction_set}, ${counted(about.threads, "thread")}`,
  );
  if (heads.is_decoder) {
    note(
      "         left to right: attention sees what stands before, and the last token is pooled; for comparison, and not for transformers",
    );
  }
  const read = {
    train: await labeledFile(resolve(values.train!), trainSet),
    valid: await labeledFile(resolve(values.valid!), validSet),
  };
  if (start === undefined) {
    const run: FinetuneRun = {
      ...record,
      versions: { cloze: VERSION, deno: Deno.version.deno, platform: `${Deno.build.os} ${Deno.build.arch}` },
      engine: {
        dtype: about.dtype,
        instruction_set: about.instruction_set,
        threads: about.threads,
        parameter_count: about.parameter_count,
      },
      model: folder.path,
      from_scratch: values["from-scratch"] ?? false,
      labels,
      ...read,
      ...(causes === undefined ? {} : { unknown: causes }),
      finetuning: config,
    };
    await writeFinetuning(output, run);
    for (const [name, text] of Object.entries(files)) await writeWhole(`${output}/${name}`, text);
  } else {
    checkLabeledFile(read.train, start.run.train);
    checkLabeledFile(read.valid, start.run.valid);
  }
  const metrics = await MetricsFile.open(`${output}/metrics.jsonl`, start?.state.step ?? -1);
  for (const damage of metrics.lacks(start?.state.lines)) note(`note: ${output}: ${damage}`);
  const observer = new FinetuneObserver(output, values.chart ?? false, metrics.earlier);
  stop.arm();
  using batches = new LabeledBatches(trainSet, config);
  const steps = Math.max(1, Math.round(config.epochs * batches.perEpoch));
  const { step, elapsed_ms, tokens, done } = start?.state ?? { step: 0, elapsed_ms: 0, tokens: 0, done: false };
  const { measured: [onValid, onTrain], state, interrupted } = await train({
    engine,
    task: SEQUENCE_CLASSIFICATION,
    batches,
    microBatches: 1,
    measures: classifierMeasures({ train: trainSet, valid: validSet }, labels.length),
    schedule: new Schedule({ ...config, extent: { steps } }),
    // Records of earlier versions do not say the position.
    start: { step, position: batches.positionOf(step), elapsed_ms, tokens, done },
    metrics,
    milestones: 0,
    evaluateEvery: batches.perEpoch,
    save: async (state) => void await saveCheckpoint(output, engine, files, { ...state, lines: metrics.count }),
    save_ms: savingTime(about.parameter_count),
    onMetric: (metric, done) => observer.see(metric, done),
    signal: stop.signal,
  });
  await metrics.write({ kind: "end", step: state.step, elapsed_ms: state.elapsed_ms, interrupted });
  await observer.report();
  if (interrupted || onTrain === undefined || onValid === undefined) {
    throw new ClozeError(
      "interrupted",
      `stopped after step ${grouped(state.step)} of ${
        grouped(steps)
      }; everything is saved in ${output}, and predicts already`,
      { hint: resumeCommand(values, shown) },
    );
  }
  note("");
  note(bold("train    ") + classificationLine(onTrain));
  note(bold("valid    ") + classificationLine(onValid));
}

/** The model's file, and which parts of a classifier it may lack. */
function weightsOf({ weights, heads }: ModelFolder): { weights: string; may_be_missing: string[] } {
  return { weights, may_be_missing: heads.classifier !== null ? [] : ["bert.pooler.", "classifier."] };
}

function newParts(names: readonly string[]): string {
  const modules = [...new Set(names.map((name) => name.replace(/(\.dense)?\.(weight|bias)$/, "")))];
  return modules.length === 0 ? "all of them from the model" : `new: ${modules.join(", ")}`;
}

/** What is recorded of a file of labeled text. */
async function labeledFile(path: string, sequences: readonly CutSequence[]): Promise<LabeledFile> {
  const cut_off = sequences.filter(({ isCut }) => isCut).length;
  const { words, unknown } = sumOf(sequences);
  return { path, sha256: await fileHash(path), texts: sequences.length, cut_off, words, unknown_words: unknown };
}

/** Words and tokens of all texts. */
function sumOf(sequences: readonly CutSequence[]): UnknownCounts {
  return sequences.reduce((sum, { counts }) => bothCounts(sum, counts), { words: 0, tokens: 0, unknown: 0 });
}
