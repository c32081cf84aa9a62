/** `cloze finetune`: a pretrained model and labeled text in, a classifier out. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { FinetuneRun, LabeledFile, PlannedFinetuning } from "../../../config/finetune_run.ts";
import { exists } from "../../../config/folder.ts";
import type { UnknownCauses } from "../../../config/metric.ts";
import { grouped } from "../../../config/numbers.ts";
import { FINETUNE_DEFAULTS, type FinetuneConfig, finetuneRate, VERSION } from "../../../config/run_config.ts";
import { writeWhole } from "../../../config/whole_file.ts";
import { UnknownSample } from "../../../data/mod.ts";
import { Engine, type EngineDescription } from "../../../ffi/mod.ts";
import { longestText } from "../../../model/families.ts";
import { type ModelFolder, openModelFolder } from "../../../model/model_folder.ts";
import { modelConfigJson } from "../../../model/written_config.ts";
import { saveCheckpoint, savingTime } from "../../../run/checkpoint.ts";
import {
  checkLabeledFile,
  recordedColumns,
  withdrawFinetuning,
  writeFinetuning,
} from "../../../run/finetune_record.ts";
import { MetricsFile } from "../../../run/metrics_file.ts";
import { openRun } from "../../../run/run_folder.ts";
import { finetuningMeasures, LabeledBatches, LastAnswers, trainedHeads } from "../../../tasks/finetuning_task.ts";
import { bothCounts, tokenizerFiles } from "../../../tokenizer/mod.ts";
import { optimizerOptions } from "../../../training/optimizer_options.ts";
import { Schedule } from "../../../training/schedule.ts";
import { train } from "../../../training/train.ts";
import { checkTextFlags } from "../../corpus.ts";
import { noteDevice, noteTensors } from "../../device.ts";
import { checkFile } from "../../labeled_file.ts";
import { resolve } from "../../paths.ts";
import { type Stop, stopSignals } from "../../stop_signals.ts";
import { bold, note, warn } from "../../terminal.ts";
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
import { type Both, type CutFile, type Kind, labeledFile } from "./kind.ts";
import { kindOf } from "./kinds.ts";
import { FinetuneObserver, newParts, sayEnd, sayModel } from "./view.ts";

export { TABLE } from "./flags.ts";

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
    noteTokenizer((await openModelFolder(resolve(values.model!), values)).tokenizer);
    if (isNew) {
      await checkFile("train", values.train!);
      await checkFile("valid", values.valid!);
    }
  }
  using _lock = await openRun(output, "finetune.json", isResumed);
  const stop = stopSignals(call.isPart ? "the same command" : resumeCommand(values, shown));
  try {
    const plan = await finetuneHere(values, output, shown, call);
    if (plan.finished === undefined) await prepareAndTrain(plan, output, shown, stop);
    else finetuningFinished(plan.finished, output);
    await Deno.remove(`${output}/checkpoints`, { recursive: true }).catch(() => {}); // they were for going on
    if (call.isPart) return 0;
    await sayEnd(output, shown, plan.values);
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
  const folder = start === undefined
    ? await openModelFolder(resolve(values.model!), values)
    : await openModelFolder(start.folder);
  const config = start?.run.finetuning ?? configOf(values, folder);
  const { "pair-column": pair } = start === undefined ? await recordedColumns(folder.path) : {};
  if (pair !== undefined && values["pair-column"] === undefined) {
    warn(
      "the model was fine-tuned on pairs of texts, and here each record is read as one",
      `for pairs: --pair-column ${pair}`,
    );
  }
  const asked = { output, shown, folder, config, values, record, stop, ...(start === undefined ? {} : { start }) };
  await finetune(asked, await kindOf(values));
}

/** What a run is about. */
interface Finetuning {
  output: string;
  folder: ModelFolder;
  config: FinetuneConfig;
  values: FinetuneOptions;
  record: PlannedFinetuning;
  stop: Stop;
  shown: string;
  /** Set when it goes on from a checkpoint. */
  start?: FinetuneStart;
}

function configOf(values: FinetuneOptions, folder: ModelFolder): FinetuneConfig {
  const probe = values.probe ?? false;
  const most = longestText(folder.config);
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

async function finetune<R, S extends { ids: Int32Array }, C extends CutFile<S>, E extends { loss: number }>(
  asked: Finetuning,
  of: Kind<R, S, C, E>,
): Promise<void> {
  const { output, shown, folder, config, values, stop, start } = asked;
  const { tokenizer } = folder;
  const names = { train: values.train!, valid: values.valid! };
  const data: Both<R[]> = {
    train: await of.read(names.train, values, folder),
    valid: await of.read(names.valid, values, folder),
  };
  const kind: Kind<R, S, C, E> = of.refine?.(data, folder, values) ?? of;
  const labels = start?.run.labels ?? kind.labels(data, folder, values);
  const sample = new UnknownSample();
  const sequences = (records: R[]) => kind.cut(records, labels, folder, config, sample);
  const trainSet = sequences(data.train), validSet = sequences(data.valid);
  kind.say(data, { train: trainSet, valid: validSet }, labels, names, config);
  const counts = bothCounts(trainSet.counts, validSet.counts), causes = sample.causes(tokenizer);
  const vocabulary = { from: "model" as const, path: values.model! };
  const advice = checkUnknown({ counts, causes }, vocabulary, values["allow-unknown"] === true || start !== undefined);
  note(`         ${unknownLine(counts)}`);
  if (advice !== undefined) warn(advice.message, advice.hint);
  const heads = kind.heads(labels, folder);
  const files = {
    "config.json": modelConfigJson(folder.config, heads, tokenizer.special),
    ...tokenizerFiles(tokenizer, longestText(folder.config)),
  };
  using engine = await Engine.open({
    config: folder.config,
    heads: trainedHeads(heads, config),
    engine: "fused",
    device: values.device ?? "cpu",
    dtype: (start?.run.engine.dtype ?? values.dtype ?? "auto") as "f32" | "bf16" | "auto",
    threads: values.threads ?? navigator.hardwareConcurrency,
    seed: config.seed,
    ...kind.task.limits(config),
    optimizer: optimizerOptions(config),
    ...(start !== undefined
      ? { weights: folder.weights, training_state: start.training_state }
      : values["from-scratch"] === true
      ? {}
      : { weights: folder.weights, may_be_missing: kind.isTrainedFurther(folder.heads) ? [] : [...kind.parts] }),
  });
  folder.watch.check(); // it has read them
  const about = engine.describe();
  noteDevice(values.device, about);
  noteTensors(about.unknown);
  const fresh = start !== undefined
    ? `after step ${grouped(start.state.step)}`
    : values["from-scratch"] === true
    ? "everything starts at random"
    : newParts(about.initialized);
  sayModel(folder.config, about, config.probe ? `${fresh}; the encoder stays as it is` : fresh, heads.is_decoder);
  const told = { labels, unit: kind.unit, ...(kind.problem_type && { problem_type: kind.problem_type }) };
  await keepRecord(asked, told, about, causes, {
    train: await labeledFile(resolve(values.train!), trainSet),
    valid: await labeledFile(resolve(values.valid!), validSet),
  });
  if (start === undefined) {
    for (const [name, text] of Object.entries(files)) await writeWhole(`${output}/${name}`, text);
  }
  const metrics = await MetricsFile.open(`${output}/metrics.jsonl`, start?.state.step ?? -1);
  for (const damage of metrics.lacks(start?.state.lines)) note(`note: ${output}: ${damage}`);
  const observer = new FinetuneObserver(output, values.chart ?? false, metrics.earlier);
  stop.arm();
  using batches = new LabeledBatches(kind.task, trainSet.sequences, config);
  const answers = new LastAnswers();
  const steps = Math.max(1, Math.round(config.epochs * batches.perEpoch));
  const { step, elapsed_ms, tokens, done } = start?.state ?? { step: 0, elapsed_ms: 0, tokens: 0, done: false };
  const { measured: [onValid, onTrain], state, interrupted } = await train({
    engine,
    task: kind.task,
    batches,
    microBatches: 1,
    measures: finetuningMeasures(kind.task, { train: trainSet.sequences, valid: validSet.sequences }, labels, answers),
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
  if (!interrupted && kind.mistakes !== undefined) {
    const wrong = kind.mistakes(answers.orOf(engine), data.valid, validSet.sequences, labels, stop.signal);
    const lines = await wrong.catch((error) => {
      if (stop.signal.aborted) return []; // all else is done
      throw error;
    });
    if (lines.length > 0) {
      await metrics.write({ kind: "mistakes", step: state.step, elapsed_ms: state.elapsed_ms, lines });
    }
  }
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
  note(bold("train    ") + kind.line(onTrain));
  note(bold("valid    ") + kind.line(onValid));
}

/** Writes down what defines a run that begins; one that goes on has to have the same texts as before. */
async function keepRecord(
  { output, record, folder, values, config, start }: Finetuning,
  told: Pick<FinetuneRun, "labels" | "unit" | "problem_type">,
  { dtype, instruction_set, threads, parameter_count }: EngineDescription,
  unknown: UnknownCauses | undefined,
  read: { train: LabeledFile; valid: LabeledFile },
): Promise<void> {
  if (start !== undefined) {
    checkLabeledFile(read.train, start.run.train);
    checkLabeledFile(read.valid, start.run.valid);
    return;
  }
  await writeFinetuning(output, {
    ...record,
    versions: { cloze: VERSION, deno: Deno.version.deno, platform: `${Deno.build.os} ${Deno.build.arch}` },
    engine: { dtype, instruction_set, threads, parameter_count },
    model: folder.path,
    from_scratch: values["from-scratch"] ?? false,
    ...told,
    ...read,
    ...(unknown === undefined ? {} : { unknown }),
    finetuning: config,
  });
}
