/** `cloze pretrain`: text in, a masked language model out. The story of a run, from data to filled blanks. */

import { ClozeError } from "../../config/cloze_error.ts";
import type { ModelConfig } from "../../config/model_config.ts";
import { modelConfigJson, type PretrainingObjective } from "../../config/model_heads.ts";
import { PRACTICE_BLANKS, type PreparedData, prepareShards, Sequences } from "../../data/mod.ts";
import { Engine, NativeError } from "../../ffi/mod.ts";
import { FillMask } from "../../inference/fill_mask.ts";
import { loadTokenizer, type Tokenizer, tokenizerFiles } from "../../tokenizer/mod.ts";
import { checkpointSteps, saveCheckpoint } from "../../training/checkpoint.ts";
import { type Evaluation, unigramBaseline } from "../../training/evaluation.ts";
import { writeWhole } from "../../training/files.ts";
import { MetricsFile } from "../../training/metrics.ts";
import { heldOutBatches, objectiveLimits, predictedCounts, trainingBatches } from "../../training/objective_data.ts";
import { microBatches, train, type TrainResult } from "../../training/train.ts";
import { parseFlags, type Values } from "../flags/flag.ts";
import { PRETRAIN } from "../flags/tables.ts";
import { type Stop, stopSignals } from "../stop_signals.ts";
import { bold, clock, grouped, note, percent, progress } from "../terminal.ts";
import { learnTokenizer } from "./train_tokenizer.ts";
import { documentsOf, newRun, openRun, type Plan, planResumed, type PretrainValues } from "./pretrain_plan.ts";

/** Most held-out tokens that an evaluation looks at. */
const EVALUATION_TOKENS = 1 << 16;

/** Runs the command. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags(PRETRAIN, args);
  const resumed = values.resume === undefined ? undefined : await planResumed(values, positionals);
  const plan = resumed ?? await newRun(values, positionals);
  using _lock = await openRun(plan.output, resumed !== undefined);
  const stop = stopSignals();
  try {
    return await pretrain(plan, values, stop);
  } finally {
    stop.dispose();
  }
}

async function pretrain(plan: Plan, values: Values<PretrainValues>, stop: Stop): Promise<number> {
  note(
    bold("data     ") +
      (plan.files === "practice"
        ? "the embedded practice corpus (generated; for trying cloze out)"
        : plan.files.join(" ")),
  );
  const tokenizer = await tokenizerOf(plan, values);
  const data = await prepareShards(
    `${plan.output}/data`,
    () => documentsOf(plan.files),
    tokenizer,
    plan.documentsHash,
    (tokens) => progress(`tokenizing: ${grouped(tokens)} tokens`),
  );
  if (plan.source !== undefined && plan.source !== data.source) {
    throw new ClozeError("input", `the data files of ${plan.output} have changed since the run began`, {
      hint: "resume with the same files, or begin a new run",
    });
  }
  using train = data.train;
  using heldOut = data.heldOut;
  const model = plan.modelConfig(tokenizer.size);
  checkSizes(plan, model, tokenizer);
  return await trainOn(plan, values, { ...data, train, heldOut }, tokenizer, model, stop);
}

/** The run's own tokenizer if it has one, the one asked for, or a new one learned from the data. */
async function tokenizerOf(plan: Plan, values: Values<PretrainValues>): Promise<Tokenizer> {
  if (plan.start !== undefined) return await loadTokenizer(plan.output);
  if (plan.tokenizerPath !== undefined) return await loadTokenizer(plan.tokenizerPath);
  return await learnTokenizer(() => documentsOf(plan.files), {
    ...(values["vocab-size"] === undefined ? {} : { vocab_size: values["vocab-size"] }),
    lowercase: values.lowercase ?? false,
  });
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
  values: Values<PretrainValues>,
  data: PreparedData,
  tokenizer: Tokenizer,
  model: ModelConfig,
  stop: Stop,
): Promise<number> {
  const { training, output } = plan;
  const { max_sequence_length, objective } = training;
  if (new Sequences(data.train, max_sequence_length).count === 0) {
    throw new ClozeError("input", "there is not enough text to train on");
  }
  const options = { ...training, batch_tokens: microBatches(training.batch_tokens).tokens };
  options.batch_tokens = Math.max(options.batch_tokens, max_sequence_length);
  const heldOut = heldOutBatches(objective, data.heldOut, tokenizer, options, EVALUATION_TOKENS);
  const baseline = unigramBaseline(predictedCounts(objective, data.train, tokenizer, max_sequence_length), heldOut);
  const { header } = data.train;
  note(
    `         ${grouped(header.tokens)} tokens in ${grouped(header.documents)} documents for training, ` +
      `${grouped(data.heldOut.header.tokens)} held out${data.reused ? " (tokenized before)" : ""}`,
  );
  note(
    bold("tokens   ") +
      `a vocabulary of ${grouped(tokenizer.size)}; guessing by frequency costs ${
        baseline.entropy.toFixed(2)
      } nats a token`,
  );

  const files = {
    "config.json": modelConfigJson(model, { objective }),
    ...tokenizerFiles(tokenizer, model.max_position_embeddings),
  };
  if (plan.start === undefined) {
    for (const [name, text] of Object.entries(files)) await writeWhole(`${output}/${name}`, text);
    await writeWhole(`${output}/run.json`, JSON.stringify(plan.runConfig(model, data.source), null, 2) + "\n");
  }
  using engine = await Engine.open({
    config: model,
    objective,
    engine: plan.engine,
    device: "cpu",
    threads: values.threads ?? navigator.hardwareConcurrency,
    seed: training.seed,
    ...objectiveLimits(objective, options),
    training: true,
    ...plan.weights,
  });
  const about = engine.describe();
  note(
    bold("model    ") +
      `${model.num_hidden_layers} layers of ${model.hidden_size}, ${grouped(about.parameter_count)} parameters; ` +
      `${about.engine} engine, ${about.instruction_set}, ${about.threads} threads`,
  );
  if (plan.start !== undefined) note(bold("resume   ") + `after step ${grouped(plan.start.step)}`);

  const metrics = await MetricsFile.open(`${output}/metrics.jsonl`, plan.start?.step ?? 0);
  stop.arm();
  const result = await train({
    engine,
    batches: trainingBatches(objective, data.train, tokenizer, options),
    heldOut,
    training,
    start: plan.start ?? { step: 0, position: { window: 0, batch: 0 }, elapsed_ms: 0, tokens: 0 },
    metrics,
    ...(values["save-every"] === undefined ? {} : { saveEvery: values["save-every"] }),
    ...(values["evaluate-every"] === undefined ? {} : { evaluateEvery: values["evaluate-every"] }),
    save: async (state) => void await saveCheckpoint(output, engine, files, state, values["keep-checkpoints"]),
    signal: stop.signal,
    onMetric: (metric, done) => {
      if (metric.kind === "evaluation") {
        note(
          `step ${grouped(metric.step)}: held-out loss ${metric.loss.toFixed(3)} (guessing: ${
            baseline.loss.toFixed(3)
          }), ` +
            `accuracy ${percent(metric.accuracy)} (${metric.accuracy_interval.map(percent).join("–")})` +
            (metric.nsp_accuracy === undefined ? "" : `, next sentence ${percent(metric.nsp_accuracy)}`),
        );
        return;
      }
      if (metric.kind !== "train") return;
      const left = done > 0 ? metric.elapsed_ms * (1 - done) / done : 0;
      progress(
        `step ${grouped(metric.step)}  ${percent(done)}  loss ${metric.loss.toFixed(3)}  ` +
          `${grouped(metric.tokens_per_second)} tokens/s  ${clock(left)} left`,
      );
    },
  }).catch(async (error) => {
    throw await withLastCheckpoint(error, output);
  });
  return await conclude(plan, result, baseline);
}

/** Adds to a loss that is not finite where the last good weights are. */
async function withLastCheckpoint(error: unknown, output: string): Promise<unknown> {
  if (!(error instanceof NativeError) || error.native !== "NonFinite") return error;
  const [step] = await checkpointSteps(output);
  const kept = step === undefined ? "no checkpoint was saved before" : `the last checkpoint is step ${step}`;
  return new ClozeError("engine", `${error.message}; ${kept}`, { hint: error.hint, cause: error });
}

/** Says what came of it, in a few lines, and shows filled blanks where it knows sentences to try. */
async function conclude(
  plan: Plan,
  result: TrainResult,
  baseline: { loss: number; accuracy: number },
): Promise<number> {
  const { state, evaluation, interrupted } = result;
  if (interrupted) {
    throw new ClozeError(
      "interrupted",
      `stopped after step ${grouped(state.step)}; everything is saved in ${plan.output}`,
      {
        hint: `go on with: deno run pretrain --resume ${plan.shown}`,
      },
    );
  }
  note("");
  note(bold("trained  ") + `${grouped(state.step)} steps, ${grouped(state.tokens)} tokens, ${clock(state.elapsed_ms)}`);
  if (evaluation !== undefined) reportEvaluation(evaluation, baseline, plan.training.objective);
  note(bold("folder   ") + plan.output);
  if (plan.training.objective === "clm") {
    note(bold("next     ") + `deno run evaluate --model ${plan.shown} --data FILE`);
    return 0;
  }
  if (plan.files === "practice") {
    note("");
    using model = await FillMask.open(plan.output, { topK: 3 });
    for (const line of await model.fill(PRACTICE_BLANKS)) {
      const [answers] = line.masks;
      note(`  ${line.sequence}   ${answers.map((a) => `${a.token} ${percent(a.probability)}`).join(", ")}`);
    }
  }
  note("");
  note(bold("next     ") + `echo "In autumn the [MASK] fall from the trees." | deno run predict --model ${plan.shown}`);
  return 0;
}

function reportEvaluation(
  evaluation: Evaluation,
  baseline: { loss: number; accuracy: number },
  objective: PretrainingObjective,
): void {
  const [low, high] = evaluation.accuracy_interval.map(percent);
  const what = objective === "clm" ? "next tokens" : "blanks";
  note(
    bold("loss     ") +
      `${evaluation.loss.toFixed(3)} nats on held-out ${what} (perplexity ${evaluation.perplexity.toFixed(1)}); ` +
      `guessing by frequency: ${baseline.loss.toFixed(3)}`,
  );
  note(
    bold("accuracy ") + `${percent(evaluation.accuracy)} of ${grouped(evaluation.masked)} held-out ${what} right ` +
      `(95% interval ${low}–${high}); the commonest token: ${percent(baseline.accuracy)}`,
  );
  if (evaluation.nsp_accuracy !== undefined) {
    note(
      bold("pairs    ") +
        `${percent(evaluation.nsp_accuracy)} of ${grouped(evaluation.nsp_pairs!)} held-out pairs told right ` +
        `(95% interval ${evaluation.nsp_accuracy_interval!.map(percent).join("–")})`,
    );
  }
}
