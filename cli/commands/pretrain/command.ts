/** `cloze pretrain`: text in, a masked language model out. The story of a run, from data to filled blanks. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { ModelConfig } from "../../../config/model_config.ts";
import type { PretrainingObjective } from "../../../config/objective.ts";
import { folderOf } from "../../../config/whole_file.ts";
import { type Blank, heldOutBlanks, PRACTICE_BLANKS, type PreparedData, prepareShards } from "../../../data/mod.ts";
import { Engine, NativeError } from "../../../ffi/mod.ts";
import { FillMask } from "../../../inference/fill_mask.ts";
import { modelConfigJson } from "../../../model/model_heads.ts";
import { type Tokenizer, tokenizerFiles } from "../../../tokenizer/mod.ts";
import { checkpointSteps, saveCheckpoint, savingTime } from "../../../training/checkpoint.ts";
import { type Evaluation, nspMajority, unigramBaseline } from "../../../training/evaluation.ts";
import { exists, writeWhole } from "../../../training/files.ts";
import { MetricsFile } from "../../../training/metrics.ts";
import { objectiveLimits, predictedCounts, trainingBatches } from "../../../training/objective_data.ts";
import { train, type TrainResult } from "../../../training/train.ts";
import { NON_FINITE_CAUSES } from "../../../training/watchdogs.ts";
import { checkedTokenizer } from "../../checked_tokenizer.ts";
import { quoted } from "../../command_line.ts";
import { noteOnce } from "../../corpus.ts";
import { noteDevice } from "../../device.ts";
import { bytesPace } from "../../pace.ts";
import { resolve } from "../../paths.ts";
import { type Stop, stopSignals } from "../../stop_signals.ts";
import { bold, clock, grouped, note, orDash, percent } from "../../terminal.ts";
import type { Call } from "../registry.ts";
import { openRun, withdraw, writeRecord } from "../run_folder.ts";
import { learnTokenizer } from "../train_tokenizer/command.ts";
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
import type { PretrainOptions } from "./flags.ts";
import { batchOptions, type Plan } from "./plan.ts";
import { runStart } from "./start.ts";
import { checkText, measuredBatches, sayFiles, sayText } from "./text.ts";
import { PretrainObserver } from "./view.ts";

/** Sentences that are filled at every evaluation, and answers for each. */
const WATCHED_BLANKS = 8, ANSWERS = 3;

/** Runs the command. */
export async function run({ positionals = [], ...values }: PretrainOptions, call: Call): Promise<number> {
  const extent = values.resume === undefined ? undefined : resumeFlags(values, positionals);
  const asked = values.resume === undefined ? await askedRun(values, positionals) : undefined;
  const shown = values.resume ?? asked!.shown;
  const output = resolve(shown);
  using _lock = await openRun(output, "run.json", asked === undefined);
  const stop = stopSignals(call.isPart ? "the same command" : resumeCommand(values, shown));
  const isNew = !await exists(`${output}/run.json`);
  try {
    const plan = await planHere(asked, output, shown);
    const longer = extent === undefined ? undefined : longerExtent(plan, extent);
    if (longer === undefined && await isFinished(plan)) return finished(plan, call);
    return await pretrain(longer === undefined ? plan : await lengthened(plan, longer), values, stop, call);
  } catch (error) {
    if (isNew && error instanceof ClozeError && (error.code === "input" || error.code === "usage")) {
      await withdraw(output); // it will be called with other flags, or with other text
    }
    throw error;
  } finally {
    stop.dispose();
  }
}

async function pretrain(plan: Plan, values: PretrainOptions, stop: Stop, call: Call): Promise<number> {
  sayFiles(plan);
  const tokenizer = await tokenizerOf(plan, values);
  const data = await prepareShards(
    `${plan.output}/data`,
    plan.corpus,
    tokenizer,
    {
      threads: values.threads ?? navigator.hardwareConcurrency,
      onProgress: bytesPace("tokenizing"),
      onNote: noteOnce,
      others: await neighbours(plan.output),
      ...(plan.source === undefined ? {} : { source: plan.source }),
      valid: plan.valid,
    },
  );
  if (data.gone !== undefined) {
    note(`         ${data.gone} is not there any more; the run goes on with the text as it was tokenized`);
  }
  using train = data.train;
  using heldOut = data.heldOut;
  const model = plan.modelConfig(tokenizer.size);
  checkSizes(plan, model, tokenizer);
  return await trainOn(plan, values, { ...data, train, heldOut }, tokenizer, model, stop, call);
}

/** The run's own tokenizer if it has one, the one asked for, or a new one learned from the data. */
async function tokenizerOf(plan: Plan, values: PretrainOptions): Promise<Tokenizer> {
  if (plan.weights !== undefined) return await checkedTokenizer(folderOf(plan.weights.weights));
  if (plan.tokenizerPath !== undefined) return await checkedTokenizer(plan.tokenizerPath);
  const { tokenizer } = await learnTokenizer(plan.corpus, {
    ...plan.vocabulary,
    threads: values.threads ?? navigator.hardwareConcurrency,
  });
  return tokenizer;
}

/** The data folders of the runs beside this one: they may hold the same shards. */
async function neighbours(output: string): Promise<string[]> {
  const runs = output.replace(/\/[^/]*\/?$/, "");
  const folders = await Array.fromAsync(Deno.readDir(runs)).catch(() => []);
  return folders.filter(({ isDirectory }) => isDirectory).map(({ name }) => `${runs}/${name}/data`)
    .filter((folder) => folder !== `${output}/data`).sort();
}

function checkSizes(plan: Plan, model: ModelConfig, tokenizer: Tokenizer): void {
  if (model.vocab_size < tokenizer.size) {
    throw new ClozeError(
      "input",
      `the config has vocab_size ${model.vocab_size}, but the tokenizer has ${tokenizer.size} tokens`,
      { hint: "leave vocab_size out of the config, or make it at least as large" },
    );
  }
  if (plan.training.max_sequence_length > model.max_position_embeddings) {
    throw new ClozeError(
      "usage",
      `--max-sequence-length is ${plan.training.max_sequence_length}, but the model has only ` +
        `${model.max_position_embeddings} positions`,
    );
  }
  if (plan.training.batch_tokens < plan.training.max_sequence_length) {
    throw new ClozeError(
      "usage",
      `--batch-tokens is ${plan.training.batch_tokens}, less than one sequence of ${plan.training.max_sequence_length}`,
    );
  }
}

async function trainOn(
  plan: Plan,
  values: PretrainOptions,
  data: PreparedData,
  tokenizer: Tokenizer,
  model: ModelConfig,
  stop: Stop,
  call: Call,
): Promise<number> {
  const { training, output } = plan;
  const { objective } = training;
  const options = batchOptions(training);
  const warnings = checkText(plan, data, tokenizer, values["allow-unknown"] === true || plan.start !== undefined);
  using batches = trainingBatches(objective, data.train, tokenizer, options);
  const { heldOut, warnings: unmeasured } = measuredBatches(plan, data, tokenizer);
  const schedule = await scheduleOf(plan, batches);
  const baseline = unigramBaseline(predictedCounts(objective, data.train, tokenizer, heldOut), heldOut);
  sayText(plan, data, tokenizer, baseline);

  const files = {
    "config.json": modelConfigJson(model, { objective }),
    ...tokenizerFiles(tokenizer, model.max_position_embeddings),
  };
  using engine = await Engine.open({
    config: model,
    objective,
    engine: plan.engine,
    device: values.device ?? "cpu",
    dtype: plan.dtype,
    threads: values.threads ?? navigator.hardwareConcurrency,
    seed: training.seed,
    ...objectiveLimits(objective, options),
    training: true,
    ...plan.weights,
  });
  const about = engine.describe();
  noteDevice(values.device, about.device);
  if (plan.start === undefined) {
    await writeRecord(output, {
      ...plan.run,
      model,
      dtype: about.dtype,
      data: { ...plan.run.data, source: data.source },
    });
    for (const [name, text] of Object.entries(files)) await writeWhole(`${output}/${name}`, text);
  }
  note(
    bold("model    ") +
      `${model.num_hidden_layers} layers of ${model.hidden_size}, ${grouped(about.parameter_count)} parameters; ` +
      `${about.engine} engine, ${about.dtype}, ${about.instruction_set}, ${about.threads} threads`,
  );
  if (plan.start !== undefined) note(bold("resume   ") + `after step ${grouped(plan.start.step)}`);

  const metrics = await MetricsFile.open(`${output}/metrics.jsonl`, plan.start?.step ?? -1);
  for (const damage of metrics.lacks(plan.lines)) note(`note: ${output}: ${damage}`);
  const start = { step: 0, position: { window: 0, batch: 0 }, elapsed_ms: 0, tokens: 0, done: false, ...plan.start };
  if (plan.extent !== undefined) start.done = false; // it has just been made longer
  // A left-to-right model does not see what follows a blank.
  const blanks = objective === "clm"
    ? []
    : plan.corpus === "practice"
    ? PRACTICE_BLANKS.map((text) => ({ text }))
    : heldOutBlanks(data.heldOut, tokenizer, WATCHED_BLANKS, training.max_sequence_length - 2);
  const observer = new PretrainObserver({
    output,
    metrics,
    start: runStart({ ...start, command: call.typed, engine: about, data, tokenizer, heldOut, unigram: baseline }),
    warnings: [...warnings, ...unmeasured],
    blanks,
    model: FillMask.over(
      engine,
      { config: model, tokenizer },
      { ...options, max_tokens: options.batch_tokens },
      ANSWERS,
    ),
    chart: values.chart ?? false,
  });
  await observer.begin();
  const keeping = { kept: values["keep-checkpoints"], every: values["save-every"] };
  stop.arm();
  const result = await train({
    engine,
    batches,
    heldOut,
    training,
    start,
    metrics,
    ...(values["save-every"] === undefined ? {} : { saveEvery: values["save-every"] }),
    ...(values["evaluate-every"] === undefined ? {} : { evaluateEvery: values["evaluate-every"] }),
    save: async (state) =>
      void await saveCheckpoint(output, engine, files, { ...state, lines: metrics.count }, keeping),
    save_ms: savingTime(about.parameter_count),
    schedule,
    signal: stop.signal,
    onMetric: (metric, done) => observer.see(metric, done),
  }).catch(async (error) => {
    if (!(error instanceof NativeError) || error.native !== "NonFinite") throw error;
    await observer.diverged(error.message);
    throw await withLastCheckpoint(error, output);
  });
  await observer.end({ ...result.state, interrupted: result.interrupted });
  return await conclude(plan, result, { ...baseline, nsp: nspMajority(heldOut) }, toTry(blanks), values, call);
}

/** Adds to a loss that is not finite where the last good weights are, and what is usually behind it. */
async function withLastCheckpoint(error: NativeError, output: string): Promise<ClozeError> {
  const [step] = await checkpointSteps(output);
  const kept = step === undefined ? "no checkpoint was saved before" : `the last checkpoint is step ${step}`;
  const hint = error.hint === undefined ? NON_FINITE_CAUSES : `${error.hint}; ${NON_FINITE_CAUSES}`;
  return new ClozeError("engine", `${error.message}; ${kept}`, { hint, cause: error });
}

/** A sentence to type: one that a shell takes as it is, if there is one. */
function toTry(blanks: readonly Blank[]): string | undefined {
  return (blanks.find(({ text }) => !/["'`\\]/.test(text)) ?? blanks[0])?.text;
}

/** What guessing gets: loss and accuracy on tokens, accuracy on pairs if there are any. */
interface Guessing {
  loss: number | null;
  accuracy: number | null;
  nsp: number | undefined;
}

/** Says what came of it, in a few lines, and shows filled blanks where it knows sentences to try. */
async function conclude(
  plan: Plan,
  result: TrainResult,
  baseline: Guessing,
  blank: string | undefined,
  values: PretrainOptions,
  call: Call,
): Promise<number> {
  const { state, evaluation, interrupted } = result;
  if (interrupted) {
    throw new ClozeError(
      "interrupted",
      `stopped after step ${grouped(state.step)}; everything is saved in ${plan.output}`,
      { hint: resumeCommand(values, plan.shown) },
    );
  }
  note("");
  note(bold("trained  ") + `${grouped(state.step)} steps, ${grouped(state.tokens)} tokens, ${clock(state.elapsed_ms)}`);
  if (evaluation === undefined) note(bold("measured ") + "nothing: no token of the held-out text is predicted");
  else reportEvaluation(evaluation, baseline, plan.training.objective);
  if (call.isPart) return 0;
  note(bold("folder   ") + plan.output);
  note(bold("report   ") + `${plan.output}/report.html`);
  if (plan.training.objective === "clm") {
    note(bold("next     ") + `deno run evaluate --model ${plan.shown} --data FILE`);
    return 0;
  }
  if (plan.corpus === "practice") {
    note("");
    using model = await FillMask.open(plan.output, { topK: 3 });
    for (const line of await model.fill(PRACTICE_BLANKS)) {
      const [answers] = line.masks;
      note(`  ${line.sequence}   ${answers.map((a) => `${a.token} ${percent(a.probability)}`).join(", ")}`);
    }
  }
  note("");
  const predict = `deno run predict --model ${quoted(plan.shown)}`;
  note(bold("next     ") + (blank === undefined ? predict : `echo ${quoted(blank)} | ${predict}`));
  return 0;
}

function reportEvaluation(
  evaluation: Evaluation,
  baseline: Guessing,
  objective: PretrainingObjective,
): void {
  const [low, high] = evaluation.accuracy_interval.map(percent);
  const what = objective === "clm" ? "next tokens" : "blanks";
  note(
    bold("loss     ") +
      `${evaluation.loss.toFixed(3)} nats on held-out ${what} (perplexity ${evaluation.perplexity.toFixed(1)}); ` +
      `guessing by frequency: ${orDash(baseline.loss, (n) => n.toFixed(3))}`,
  );
  note(
    bold("accuracy ") + `${percent(evaluation.accuracy)} of ${grouped(evaluation.masked)} held-out ${what} right ` +
      `(95% interval ${low}–${high}); the commonest token: ${orDash(baseline.accuracy, percent)}`,
  );
  if (evaluation.nsp_accuracy !== undefined) {
    note(
      bold("pairs    ") +
        `${percent(evaluation.nsp_accuracy)} of ${grouped(evaluation.nsp_pairs!)} held-out pairs told right ` +
        `(95% interval ${evaluation.nsp_accuracy_interval!.map(percent).join("–")}); the commoner answer: ` +
        orDash(baseline.nsp, percent),
    );
  }
}
