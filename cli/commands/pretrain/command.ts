/** `cloze pretrain`: text in, a masked language model out. The story of a run, from data to filled blanks. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { exists } from "../../../config/folder.ts";
import type { Warning } from "../../../config/metric.ts";
import type { ModelConfig } from "../../../config/model_config.ts";
import { grouped } from "../../../config/numbers.ts";
import type { RunConfig } from "../../../config/run_config.ts";
import { writeWhole } from "../../../config/whole_file.ts";
import { type PreparedData, prepareShards } from "../../../data/mod.ts";
import { type Engine, NativeError } from "../../../ffi/mod.ts";
import { FillMask } from "../../../inference/fill_mask.ts";
import { checkpointSteps, saveCheckpoint, savingTime } from "../../../run/checkpoint.ts";
import { MetricsFile } from "../../../run/metrics_file.ts";
import { openRun } from "../../../run/run_folder.ts";
import { withdraw, writeRecord } from "../../../run/run_record.ts";
import { nspMajority } from "../../../tasks/mlm_nsp.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import { unigramBaseline } from "../../../tasks/token_evaluation.ts";
import { Crew } from "../../../training/crew.ts";
import { microBatches, train } from "../../../training/train.ts";
import { NON_FINITE_CAUSES } from "../../../training/watchdogs.ts";
import { batchOptions } from "../../batch_options.ts";
import { noteOnce } from "../../corpus.ts";
import { noteDevice } from "../../device.ts";
import { openLivePage } from "../../open_page.ts";
import { bytesPace } from "../../pace.ts";
import { resolve } from "../../paths.ts";
import { runBatches } from "../../run_batches.ts";
import { type Stop, stopSignals } from "../../stop_signals.ts";
import { bold, note } from "../../terminal.ts";
import type { Call } from "../registry.ts";
import {
  askedRun,
  finished,
  isFinished,
  lengthened,
  longerExtent,
  planHere,
  resumeCommand,
  resumeFlags,
  scheduleOf,
} from "./again.ts";
import { type Beginning, beginningOf } from "./beginning.ts";
import { blanksOf, toTry } from "./blanks.ts";
import { type Assignment, checkShares, evaluatedBatches, follow, readyWith, tell } from "./crew.ts";
import { openEngine, withMicroBatches } from "./engine.ts";
import type { PretrainOptions } from "./flags.ts";
import { PretrainObserver } from "./observer.ts";
import { measuring, OtherShards, referenceBatches, sayGone } from "./others.ts";
import type { Plan } from "./plan.ts";
import { startOf, withDropout, withRate } from "./recipe.ts";
import { type RunParts, runStart } from "./start.ts";
import { checkText, measuredBatches } from "./text.ts";
import { sayChange, sayEnd, sayFiles, sayFit, sayModel, sayRecipe, sayResult, sayText } from "./view.ts";

export { TABLE } from "./flags.ts";

/** Answers for each blank that is filled at an evaluation. */
const ANSWERS = 3;

/** Runs the command. */
export async function run({ positionals = [], ...values }: PretrainOptions, call: Call): Promise<number> {
  const crew = call.isPart ? undefined : await Crew.join(call.typed, tell);
  if (crew === undefined) return await runAlone(values, positionals, call);
  if (crew.rank > 0) return await follow(crew, values);
  try {
    await crew.greet();
    await crew.equip(values.device ?? "cpu");
    const code = await runAlone(values, positionals, call, crew);
    await crew.leave();
    return code;
  } catch (error) {
    if (!(error instanceof ClozeError)) return await crew.abort(error);
    await crew.leave(error);
    throw error;
  }
}

/** Runs it in this process, which leads the others if there are any. */
async function runAlone(
  values: PretrainOptions,
  positionals: readonly string[],
  call: Call,
  crew?: Crew,
): Promise<number> {
  const extent = values.resume === undefined ? undefined : resumeFlags(values, positionals);
  const asked = values.resume === undefined ? await askedRun(values, positionals) : undefined;
  const shown = values.resume ?? asked!.shown;
  const output = resolve(shown);
  using _lock = await openRun(output, "run.json", asked === undefined);
  const stop = stopSignals(call.isPart ? "the same command" : resumeCommand(values, shown));
  const isNew = !await exists(`${output}/run.json`);
  try {
    const plan = await planHere(asked, output, shown, crew?.size);
    if (crew !== undefined) checkShares(plan, crew);
    const longer = extent === undefined ? undefined : longerExtent(plan, extent);
    if (longer === undefined && await isFinished(plan)) return finished(plan, call);
    return await pretrain(longer === undefined ? plan : await lengthened(plan, longer), values, stop, call, crew);
  } catch (error) {
    if (isNew && error instanceof ClozeError && (error.code === "input" || error.code === "usage")) {
      await withdraw(output); // it will be called with other flags, or with other text
    }
    throw error;
  } finally {
    stop.dispose();
  }
}

/** Reads the text, makes what the run needs of it, and trains. */
async function pretrain(
  plan: Plan,
  values: PretrainOptions,
  stop: Stop,
  call: Call,
  crew: Crew | undefined,
): Promise<number> {
  sayFiles(plan);
  const beginning = await beginningOf(plan, threadsOf(values));
  const data = await prepareShards(`${plan.output}/data`, plan.corpus, beginning.tokenizer, {
    threads: threadsOf(values),
    onProgress: bytesPace("tokenizing"),
    onNote: noteOnce,
    others: await neighbours(plan.output),
    ...(plan.source === undefined ? {} : { source: plan.source }),
    valid: plan.valid,
  });
  sayGone(data);
  using train = data.train;
  using heldOut = data.heldOut;
  using others = await OtherShards.open(plan, beginning.tokenizer, threadsOf(values));
  const dropping = await withDropout(plan, data, beginning.model, { ...values, threads: threadsOf(values) });
  const place = { device: values.device ?? "cpu", threads: threadsOf(values) };
  const decided = await withMicroBatches(dropping, beginning.model, place);
  return await trainOn(decided, values, { ...data, train, heldOut, others }, beginning, stop, call, crew);
}

/** The data folders of the runs beside this one: they may hold the same shards. */
async function neighbours(output: string): Promise<string[]> {
  const runs = output.replace(/\/[^/]*\/?$/, "");
  // A folder that cannot be listed has nothing to reuse: the shards are written again.
  const folders = await Array.fromAsync(Deno.readDir(runs)).catch(() => []);
  return folders.filter(({ isDirectory }) => isDirectory).map(({ name }) => `${runs}/${name}/data`)
    .filter((folder) => folder !== `${output}/data`).sort();
}

async function trainOn(
  planned: Plan,
  values: PretrainOptions,
  data: PreparedData & { others: OtherShards },
  beginning: Beginning,
  stop: Stop,
  call: Call,
  crew: Crew | undefined,
): Promise<number> {
  const { output } = planned;
  const { tokenizer, model, files } = beginning;
  const task = pretrainingTask(planned.training.objective);
  const warnings = checkText(planned, data, tokenizer, values["allow-unknown"] === true || planned.start !== undefined);
  using batches = runBatches(planned.run, data.train, data.others.replay?.train, tokenizer);
  const { heldOut, warnings: unmeasured } = measuredBatches(planned, data, tokenizer);
  const counts = task.predictedCounts(data.train, tokenizer, heldOut);
  const unigram = unigramBaseline(counts, heldOut);
  sayText(planned, data, tokenizer, unigram);
  if (planned.run.from !== undefined && planned.start === undefined) sayFit(planned.run.from, data.train, tokenizer);

  const weights = { ...beginning.weights, ...startOf(planned, counts, model.vocab_size) };
  const threads = values.threads ?? crew?.threads ?? navigator.hardwareConcurrency;
  using engine = await openEngine(planned, model, weights, {
    ...(crew?.on ?? { device: values.device ?? "cpu" }),
    threads,
  });
  const plan = await withRate(planned, { engine, model, heldOut, counts });
  const { training } = plan;
  const schedule = await scheduleOf(plan, batches);
  const about = engine.describe();
  noteDevice(values.device, about);
  if (plan.start === undefined) {
    const { run } = plan;
    const texts = { ...run.data, ...data.others.recordOf(run.data), source: data.source };
    await writeRecord(output, { ...run, model, dtype: about.dtype, data: texts } as RunConfig);
    for (const [name, text] of Object.entries(files)) await writeWhole(`${output}/${name}`, text);
  }
  sayModel(plan, model, about);
  sayRecipe(plan, model);
  if (crew !== undefined) note(bold("share    ") + crew.about);

  const { metrics, observer, start, blanks } = await observe(plan, values, {
    engine,
    model,
    start: { command: call.typed, engine: about, data, tokenizer, heldOut, unigram },
    warnings: [...warnings, ...unmeasured],
  });
  const reference = referenceBatches(training, data.others.reference?.train, tokenizer);
  const evaluated = evaluatedBatches(heldOut, reference);
  const keeping = { kept: values["keep-checkpoints"], every: values["save-every"] };
  if (crew !== undefined) {
    const { extensions } = schedule;
    const assignment: Assignment = {
      ...{ output, run: plan.run, model, weights, start, extensions, source: data.source, dtype: about.dtype },
      clock: { elapsed_ms: start.elapsed_ms, reserved_ms: 0 },
    };
    await crew.assign(assignment);
    await crew.ready(await readyWith(engine, tokenizer, batches, evaluated, assignment));
  }
  await using _page = values.open === true ? await openLivePage(output) : undefined;
  stop.arm();
  const result = await train({
    engine,
    task,
    batches,
    microBatches: microBatches(training).count,
    cut: training.micro_batches !== undefined,
    ...(crew === undefined ? {} : { crew, evaluated }),
    ...measuring(plan, tokenizer, { heldOut, reference, counts }),
    epochsAreAlike: training.static_masking,
    start,
    metrics,
    ...(values["save-every"] === undefined ? {} : { saveEvery: values["save-every"] }),
    ...(values["evaluate-every"] === undefined ? {} : { evaluateEvery: values["evaluate-every"] }),
    save: async (state) =>
      void await saveCheckpoint(output, engine, files, { ...state, lines: metrics.count }, keeping),
    save_ms: savingTime(about.parameter_count),
    schedule,
    signal: crew === undefined ? stop.signal : AbortSignal.any([stop.signal, crew.asked]),
    onMetric: (metric, done) => observer.see(metric, done),
  }).catch(async (error) => {
    if (!(error instanceof NativeError) || error.native !== "NonFinite") throw error;
    await observer.diverged(error.message);
    throw await withLastCheckpoint(error, output);
  });
  const { state, interrupted } = result;
  await observer.end({ ...state, interrupted });
  if (interrupted) {
    throw new ClozeError("interrupted", `stopped after step ${grouped(state.step)}; everything is saved in ${output}`, {
      hint: resumeCommand(values, plan.shown),
    });
  }
  sayResult(plan, result, { ...unigram, nsp: nspMajority(heldOut) });
  await sayChange(plan);
  if (call.isPart !== true) await sayEnd(plan, toTry(blanks));
  return 0;
}

/** Opens the record of metrics, and begins to watch the run from where it stands. */
async function observe(
  plan: Plan,
  values: PretrainOptions,
  { engine, model, start: parts, warnings }: {
    engine: Engine;
    model: ModelConfig;
    start: Omit<RunParts, "step" | "elapsed_ms">;
    warnings: readonly Warning[];
  },
) {
  const { output } = plan;
  const { data, tokenizer } = parts;
  const metrics = await MetricsFile.open(`${output}/metrics.jsonl`, plan.start?.step ?? -1);
  for (const damage of metrics.lacks(plan.lines)) note(`note: ${output}: ${damage}`);
  const start = { step: 0, position: { window: 0, batch: 0 }, elapsed_ms: 0, tokens: 0, done: false, ...plan.start };
  if (plan.extent !== undefined) start.done = false; // it has just been made longer
  const blanks = blanksOf(plan, data, tokenizer);
  const options = batchOptions(plan.training);
  const limits = { ...options, max_tokens: options.batch_tokens };
  const observer = new PretrainObserver({
    output,
    metrics,
    start: runStart({ ...start, ...parts }),
    warnings,
    blanks,
    model: FillMask.over(engine, { config: model, tokenizer }, limits, ANSWERS),
    chart: values.chart ?? false,
  });
  await observer.begin();
  return { metrics, observer, start, blanks };
}

const threadsOf = ({ threads }: PretrainOptions): number => threads ?? navigator.hardwareConcurrency;

/** Adds to a loss that is not finite where the last good weights are, and what is usually behind it. */
async function withLastCheckpoint(error: NativeError, output: string): Promise<ClozeError> {
  const [step] = await checkpointSteps(output);
  const kept = step === undefined ? "no checkpoint was saved before" : `the last checkpoint is step ${step}`;
  const hint = error.hint === undefined ? NON_FINITE_CAUSES : `${error.hint}; ${NON_FINITE_CAUSES}`;
  return new ClozeError("engine", `${error.message}; ${kept}`, { hint, cause: error });
}
