/**
 * What the text decides of a run's recipe: whether its passes are so few that nothing is dropped, the learning rate of one that
 * goes on from a model, and the frequencies that a new model begins with. Called by the pretrain command.
 */

import type { Batch } from "../../../config/batch.ts";
import { presetTraining, rateShare } from "../../../config/from_defaults.ts";
import type { ModelConfig } from "../../../config/model_config.ts";
import { FEW_PASSES } from "../../../config/recipe.ts";
import type { PreparedData } from "../../../data/mod.ts";
import type { Engine, EngineOptions } from "../../../ffi/mod.ts";
import { evaluate, unigramBaseline } from "../../../tasks/token_evaluation.ts";
import { Unigram } from "../../../tasks/unigram.ts";
import { stepRate } from "../../../training/step_rate.ts";
import type { PretrainOptions } from "./flags.ts";
import type { DecidedPlan, Plan } from "./plan.ts";

/** How long steps are timed to tell how many a budget has, and how large they are then. */
const TIMED = { duration_ms: 500, batch_tokens: 1024 };

/** The plan with a dropout, if the text has to decide it. */
export async function withDropout(
  plan: Plan,
  { train }: PreparedData,
  model: ModelConfig,
  options: PretrainOptions & { threads: number },
): Promise<Plan> {
  if (plan.training.dropout !== null) return plan;
  const { tokens, documents } = train.header;
  const passes = await passesOf(plan, tokens + 2 * documents, model, options);
  const { dropout: _, ...asModel } = plan.training;
  const training = passes <= FEW_PASSES ? { ...asModel, dropout: 0 } : asModel;
  return { ...plan, training, run: { ...plan.run, training } as Plan["run"], passes };
}

/** About how many passes a run makes over a text of so many tokens; where a budget says how long it is, steps are timed. */
async function passesOf(
  { training, engine, dtype }: Plan,
  text_tokens: number,
  model: ModelConfig,
  { device = "cpu", threads }: PretrainOptions & { threads: number },
): Promise<number> {
  const { extent, batch_tokens, max_sequence_length } = training;
  if ("epochs" in extent) return extent.epochs;
  if ("steps" in extent) return extent.steps * batch_tokens / text_tokens;
  const { tokens_per_second } = await stepRate(model, {
    engine,
    device,
    dtype,
    threads,
    batch_tokens: Math.max(Math.min(TIMED.batch_tokens, batch_tokens), max_sequence_length),
    max_sequence_length,
    mlm_probability: (training.mlm_probability + (training.final_mlm_probability ?? training.mlm_probability)) / 2,
    duration_ms: TIMED.duration_ms,
    profile: false,
  });
  return extent.budget_ms / 1000 * tokens_per_second / text_tokens;
}

/** Held-out tokens whose loss says how well a model knows a text: their mean is off by less than a tenth of a nat. */
const ENOUGH = 1000;

/** What says how well a model knows a text. */
interface Known {
  engine: Engine;
  model: ModelConfig;
  heldOut: readonly Batch[];
  /** How often each token is to be predicted in the training text. */
  counts: Float64Array;
}

/** The plan with a learning rate: in a run that goes on from a model, unless it was asked for, what that knows of the text decides it. */
export async function withRate(plan: Plan, { engine, model, heldOut, counts }: Known): Promise<DecidedPlan> {
  if (plan.training.learning_rate !== null) return plan as DecidedPlan;
  let predicted = 0;
  const few = heldOut.filter(({ labels }) => (predicted += labels.length) - labels.length < ENOUGH);
  const loss = (await evaluate(engine, few))?.loss, guessing = unigramBaseline(counts, few).loss;
  const known = loss === undefined || guessing === null ? undefined : Math.max(0, 1 - loss / guessing);
  const share = rateShare(known);
  const training = {
    ...plan.training,
    learning_rate: Number((share * presetTraining(model).learning_rate).toPrecision(2)),
  };
  return {
    ...plan,
    training,
    run: { ...plan.run, training } as DecidedPlan["run"],
    ...(known === undefined ? {} : { rate: { share, known } }),
  };
}

/**
 * What a new model begins with: how large its matrices are, and frequencies, if the recipe says that it knows them. Its
 * vocabulary may be larger than the tokenizer's.
 */
export function startOf(
  { training, weights }: Plan,
  counts: Float64Array,
  vocab_size: number,
): Pick<EngineOptions, "decoder_bias" | "inner_initializer_range" | "neighbour_attention"> {
  if (weights !== undefined) return {};
  const { decoder_bias, inner_initializer_range, neighbour_attention } = training;
  const unigram = new Unigram(counts);
  return {
    ...(inner_initializer_range === undefined ? {} : { inner_initializer_range }),
    ...(neighbour_attention === undefined ? {} : { neighbour_attention }),
    ...(decoder_bias === undefined
      ? {}
      : { decoder_bias: Array.from({ length: vocab_size }, (_, id) => -unigram.loss(id)) }),
  };
}
